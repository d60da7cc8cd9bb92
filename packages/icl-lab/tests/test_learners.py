"""Runs as estimators: what the model is shown, what is refused; scikit-learn's own checks are in tests/test_zoo.py."""

import json

import jax
import numpy as np
import pytest
from sklearn.base import clone

import icl_lab as lab
import icl_models as models
from icl_lab.learners import classifier, learner
from icl_train import ModelCheckpoint

VECTORS = lab.TakesVectors(num_inputs=3, num_labels=4, length=6)
POINTS = lab.TakesPoints(num_inputs=2, num_outputs=1, context=5, inputs="normal", target_std=2.0)


def publish(folder, model, takes, *arguments):
    """Make a run of a model that nobody has trained."""
    params, state = model.build().init(jax.random.key(0), *arguments)
    lab.write_weights(folder, ModelCheckpoint(1, params, state))
    record = {"config": {}, "model": models.to_json(model)}
    record |= {} if takes is None else {"takes": {"type": type(takes).__name__} | vars(takes)}
    (folder / "config.json").write_text(json.dumps(record))
    return folder


def classify(folder, trunk, takes=VECTORS):
    model = models.SequenceClassifier(
        num_labels=takes.num_labels,
        encoder=models.IdentityEncoder(),
        layout=models.PreviousLabel(),
        trunk=trunk,
        width=8,
        positions="learned",
        outputs="every_item" if trunk.is_causal else "query",
    )
    shape = (1, takes.length)
    return publish(folder, model, takes, np.zeros((*shape, takes.num_inputs), np.float32), np.zeros(shape, np.int32))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return classify(tmp_path_factory.mktemp("vectors"), models.Transformer(layers=1, heads=2))


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    trunk = models.Transformer(mask="prefix", layers=1, heads=2)
    shape = (1, 7)
    arrays = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 1), np.float32), np.zeros(shape, bool)
    model = models.PointRegressor(num_outputs=1, trunk=trunk, width=8)
    return publish(tmp_path_factory.mktemp("points"), model, POINTS, *arrays)


def examples(rows, features, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)) * 3 + 1, rng.integers(3, size=rows), rng.normal(size=rows) * 5 - 2


def test_a_run_is_the_learner_of_what_it_takes(vectors, points):
    assert isinstance(lab.Learner.load(vectors), lab.InContextClassifier)
    assert isinstance(lab.Learner.load(points), lab.InContextRegressor)
    again = clone(lab.Learner.load(vectors, votes=3, seed=5))
    assert (again.votes, again.seed, again.run) == (3, 5, vectors)


def test_a_classifier_asks_the_model_about_projected_examples_and_then_the_query(vectors):
    """One vote, rebuilt by hand: the same draws, a sequence of exactly the items that are there."""
    X, _, _ = examples(5, 3)
    y = np.array(["b", "a", "b", "c", "a"])
    found = lab.Learner.load(vectors, votes=1, seed=3).fit(X, y).predict_proba(X[:2] + 0.1)
    rng, centred = np.random.default_rng(3), X - X.mean(axis=0)
    scale = np.sqrt(np.mean(centred**2))
    projection = rng.normal(size=(3, 3)) / np.sqrt(3)
    codes = np.array([1, 0, 1, 2, 0])
    order = learner.balanced(codes, 5, rng)
    label_of = rng.permutation(4)[:3]
    run = lab.load_run(vectors)
    for row, query in enumerate(X[:2] + 0.1):
        items = np.concatenate([centred[order], [query - X.mean(axis=0)]]) / scale @ projection.T
        labels = np.append(label_of[codes[order]], 0)
        logits = run.predict({"items": items[None].astype(np.float32), "labels": labels[None].astype(np.int32)})
        weights = np.exp(np.asarray(logits, np.float64)[0, -1, label_of])
        np.testing.assert_allclose(found[row], weights / weights.sum(), rtol=1e-4)


@pytest.mark.parametrize("features", [1, 2, 3, 7])
def test_vectors_of_any_number_of_features_have_the_size_of_those_of_training(vectors, features):
    X, y, _ = examples(50, features)
    fitted = lab.Learner.load(vectors).fit(X, y)
    assert fitted._shown.shape == (50, 3)
    assert np.mean(fitted._shown.astype(float) ** 2) == pytest.approx(1, rel=1e-5)


def test_a_context_is_balanced_and_in_any_order():
    classes = np.array([0] * 90 + [1] * 6 + [2] * 4)
    chosen = learner.balanced(classes, 15, np.random.default_rng(0))
    assert len(set(chosen)) == 15
    assert sorted(np.bincount(classes[chosen])) == [4, 5, 6]  # all that the third has, the rest alike
    assert list(classes[chosen]) != sorted(classes[chosen])
    others = learner.balanced(classes, 15, np.random.default_rng(1))
    assert set(chosen) != set(others)
    everything = learner.balanced(classes, 500, np.random.default_rng(0))
    assert sorted(everything) == list(range(100))


def test_votes_are_averaged_and_rows_do_not_depend_on_each_other(vectors, monkeypatch):
    X, y, _ = examples(30, 5)
    fitted = lab.Learner.load(vectors, votes=4).fit(X, y)
    together = fitted.predict_proba(X)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    alone = np.concatenate([fitted.predict_proba(X[row : row + 1]) for row in range(0, 30, 7)])
    np.testing.assert_allclose(together[::7], alone, atol=1e-5)
    monkeypatch.setattr(classifier, "ROWS", 8)
    np.testing.assert_allclose(fitted.predict_proba(X), together, atol=1e-5)


def test_a_regressor_brings_inputs_and_targets_to_those_of_training_and_back(points):
    X, _, y = examples(5, 2)
    found = lab.Learner.load(points).fit(X, y).predict(X[:3] + 0.5)
    inputs = np.concatenate([X, X[:3] + 0.5])
    targets = np.append((y - y.mean()) / y.std() * 2, np.zeros(3))
    arrays = (
        ((inputs - X.mean(axis=0)) / X.std(axis=0))[None],
        targets[None, :, None],
        np.array([[False] * 5 + [True] * 3]),
    )
    batch = dict(zip(("inputs", "targets", "is_query"), arrays, strict=True))
    batch |= {name: batch[name].astype(np.float32) for name in ("inputs", "targets")}
    expected = np.asarray(lab.load_run(points).predict(batch))[0, 5:, 0] / 2 * y.std() + y.mean()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_regressor_is_the_same_whatever_the_units_of_inputs_and_targets(points):
    X, _, y = examples(40, 4)
    plain = lab.Learner.load(points).fit(X, y).predict(X)
    scaled = lab.Learner.load(points).fit(X * 1000 + 7, y).predict(X * 1000 + 7)
    np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-3)
    of_targets = lab.Learner.load(points).fit(X, y * 100 + 3).predict(X)
    np.testing.assert_allclose(of_targets, plain * 100 + 3, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("constant", [0.1, 0.5, 0.0])
def test_a_column_that_does_not_vary_or_says_nothing_new_changes_no_prediction(points, constant):
    X, _, y = examples(40, 2)
    alone = lab.Learner.load(points).fit(X[:, :1], y).predict(X[:, :1])
    beside = np.column_stack([X[:, :1], np.full(40, constant)])
    fitted = lab.Learner.load(points).fit(beside, y)
    np.testing.assert_allclose(fitted.predict(beside), alone, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fitted.predict(beside + np.array([0, 0.01])), alone, rtol=1e-5, atol=1e-5)
    # Of ten columns two are independent: their principal components hold all, and the others are rounding.
    many = X @ np.random.default_rng(5).normal(size=(2, 10))
    assert np.abs(lab.Learner.load(points).fit(many[:3], y[:3])._shown[0]).max() < 3


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6])
def test_targets_that_are_all_alike_are_predicted_as_they_are(points, value):
    X, _, _ = examples(12, 2)
    assert (lab.Learner.load(points).fit(X, np.full(12, value)).predict(X) == value).all()


def test_another_run_in_the_same_folder_is_read_anew(tmp_path):
    X, y, _ = examples(10, 3)
    folder = classify(tmp_path, models.Transformer(layers=1, heads=2))
    before = lab.Learner.load(folder).fit(X, y).predict_proba(X)
    run = lab.load_run(folder)
    other = jax.tree.map(lambda leaf: leaf[::-1] * 2, run.params)
    lab.write_weights(folder, ModelCheckpoint(1, other, {}))
    assert not np.allclose(lab.Learner.load(folder).fit(X, y).predict_proba(X), before)


def test_a_model_that_answers_at_the_end_alone_wants_a_full_context(tmp_path):
    X, y, _ = examples(10, 3)
    folder = classify(tmp_path, models.Transformer(layers=1, heads=2))
    record = json.loads((folder / "config.json").read_text())
    record["model"]["outputs"] = "query"
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="that fit wants 5 examples, got 3"):
        lab.Learner.load(folder).fit(X[:3], y[:3])
    assert lab.Learner.load(folder).fit(X, y).predict(X).shape == (10,)


def test_a_regressor_whose_queries_see_each_other_is_refused(tmp_path):
    shape = (1, 7)
    arrays = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 1), np.float32), np.zeros(shape, bool)
    model = models.PointRegressor(num_outputs=1, trunk=models.LSTM(layers=1, hidden=8), width=8)
    folder = publish(tmp_path, model, POINTS, *arrays)
    X, _, y = examples(5, 2)
    with pytest.raises(ValueError, match="queries see the context and not each other"):
        lab.Learner.load(folder).fit(X, y)


def test_what_cannot_be_is_refused_with_the_numbers(vectors, points, tmp_path):
    X, _, y = examples(10, 3)
    with pytest.raises(ValueError, match=r"y has 10 classes, but the run .* was trained on tasks of 4"):
        lab.Learner.load(vectors).fit(X, np.arange(10))
    mlp = classify(tmp_path / "mlp", models.MLP(layers=1, hidden=8))
    with pytest.raises(
        ValueError, match=r"The model of .* answers at the last of 6 items alone, so that fit wants 5 examples, got 4"
    ):
        lab.Learner.load(mlp).fit(X[:4], [0, 1, 0, 1])
    assert lab.Learner.load(mlp).fit(X, [0, 1] * 5).predict(X).shape == (10,)
    with pytest.raises(ValueError, match="votes must be a whole number of at least 1, got 0"):
        lab.Learner.load(vectors, votes=0).fit(X, [0, 1] * 5)
    with pytest.raises(ValueError, match=r"takes TakesPoints.*Learner\.load finds the right learner"):
        lab.InContextClassifier(points).fit(X, [0, 1] * 5)
    with pytest.raises(ValueError, match="run is None; give the folder"):
        lab.InContextRegressor().fit(X, y)
    with pytest.raises(FileNotFoundError, match=r"which has no config\.json"):
        lab.Learner.load(tmp_path / "none")


@pytest.mark.lengthy
def test_a_run_that_takes_no_data_of_ones_own_says_so(tmp_path):
    model = models.SequenceClassifier(num_labels=2, trunk=models.Transformer(layers=1, heads=2), width=8)
    folder = publish(tmp_path, model, None, np.zeros((1, 3, 16, 16), np.uint8), np.zeros((1, 3), np.int32))
    with pytest.raises(ValueError, match=r"takes no data of one's own: its experiment does not say"):
        lab.Learner.load(folder)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        {"type": "dict"},
        {"type": "TakesVectors"},
        {"type": "TakesVectors", "num_inputs": 0},
        {"type": "TakesVectors", "num_inputs": 3, "num_labels": True, "length": 5},
        {"type": "TakesPoints"} | vars(POINTS) | {"target_std": -1.0},
        {"type": "TakesPoints"} | vars(POINTS) | {"inputs": "x"},
    ],
)
def test_a_damaged_record_of_what_a_model_takes_is_refused(fields):
    with pytest.raises(ValueError, match=r"wanted what a model takes|must be"):
        lab.takes.takes_from_json(fields)
