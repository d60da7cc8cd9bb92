"""Errors at every point, beside predictors: against slow loops over tasks, points and outputs."""

import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import Measure, evaluate_every_point

B, N, X, Y = 12, 5, 3, 2


def draw(seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(B, N, X)).astype(np.float32)
    return {"inputs": inputs, "targets": (inputs @ generator.normal(size=(B, X, Y))).astype(np.float32)}


def previous(inputs, targets):
    return np.pad(targets[:, :-1], ((0, 0), (1, 0), (0, 0)))


def nothing(inputs, targets):
    return 0.5 * np.ones_like(targets)


def model(batch):
    return jnp.asarray(0.7 * previous(batch["inputs"], batch["targets"]) + 0.1)


def evaluate(batches=None, **options):
    options = {"predictors": {"previous": previous, "nothing": nothing}, "name": "tasks", "count": B} | options
    return evaluate_every_point(options.pop("predict", model), batches or [draw()], **options)


def test_each_number_is_the_mean_of_what_it_says():
    batch, result = draw(), evaluate(between=("previous", "nothing"))
    inputs, targets = batch["inputs"], batch["targets"]
    said = {
        "model": np.asarray(model(batch)),
        "previous": previous(inputs, targets),
        "nothing": nothing(inputs, targets),
    }

    def mean_square(one, other, tasks=range(B), points=range(N)):
        squares = [(float(one[b, n, y]) - float(other[b, n, y])) ** 2 for b in tasks for n in points for y in range(Y)]
        return sum(squares) / len(squares)

    error = {each: mean_square(values, targets) for each, values in said.items()}
    found = {each: estimate.value for each, estimate in result.metrics.items()}
    assert found["squared_error"] == pytest.approx(error["model"], rel=1e-5)
    for each in ("previous", "nothing"):
        assert found[f"squared_error_{each}"] == pytest.approx(error[each], rel=1e-5)
        assert found[f"excess_{each}"] == pytest.approx(error["model"] - error[each], rel=1e-4)
        assert found[f"distance_{each}"] == pytest.approx(mean_square(said["model"], said[each]), rel=1e-5)
        ratios = [
            mean_square(said["model"], targets, points=[n]) / mean_square(said[each], targets, points=[n])
            for n in range(N)
        ]
        assert found[f"largest_ratio_{each}"] == pytest.approx(max(ratios), rel=1e-4)
    near, far = (mean_square(said["model"], said[each]) for each in ("previous", "nothing"))
    assert found["relative_distance"] == pytest.approx(near / (near + far), rel=1e-4)
    for who, curve in result.arrays["shots"].curves.items():
        assert curve.steps.tolist() == list(range(N))
        wanted = [mean_square(said[who], targets, points=[n]) for n in range(N)]
        np.testing.assert_allclose(curve.values, wanted, rtol=1e-5)
    assert set(result.measures) == set(result.metrics)


def test_batches_do_not_matter_and_predictors_may_see_fewer_tasks():
    batch = draw()
    parts = [{key: values[rows] for key, values in batch.items()} for rows in (slice(0, 5), slice(5, 10), slice(10, B))]
    assert evaluate(parts).metrics == evaluate().metrics
    fewer = evaluate(parts, predictor_count=7).metrics
    assert fewer["squared_error"] == evaluate().metrics["squared_error"]
    assert fewer["squared_error_previous"].count == fewer["distance_previous"].count == 7
    first = [{key: values[:7] for key, values in batch.items()}]
    assert fewer["excess_previous"] == evaluate(first, count=7).metrics["excess_previous"]


def test_the_last_target_is_hidden_from_the_model_and_the_batch_is_left_alone():
    batch, seen = draw(), []

    def predict(shown):
        seen.append(np.array(shown["targets"]))
        return model(shown)

    kept = batch["targets"].copy()
    evaluate([batch], predict=predict)
    np.testing.assert_array_equal(seen[0][:, :-1], kept[:, :-1])
    assert not seen[0][:, -1].any()
    np.testing.assert_array_equal(batch["targets"], kept)


def test_the_last_point_alone_is_a_query_whatever_the_batch_says():
    seen = []

    def predict(shown):
        seen.append(np.array(shown["is_query"]))
        return model(shown)

    batch = draw() | {"is_query": np.arange(N)[None].repeat(B, 0) >= 2}
    assert evaluate([batch], predict=predict).metrics == evaluate([draw()]).metrics
    np.testing.assert_array_equal(seen[0], np.arange(N)[None].repeat(B, 0) == N - 1)


def test_where_a_predictor_has_nothing_but_rounding_there_is_no_ratio():
    def nearly(inputs, targets):  # exact after two examples, but for rounding
        off = np.where(np.arange(N) < 2, 1.0, 1e-9)[None, :, None]
        return targets + off

    squares = np.square(np.asarray(model(draw())) - draw()["targets"]).mean(axis=(0, 2))
    found = evaluate(predictors={"nearly": nearly}).metrics["largest_ratio_nearly"].value
    assert found == pytest.approx(squares[:2].max(), rel=1e-4)


def test_own_measures_get_what_was_predicted():
    bias = (
        lambda values, batch: np.asarray(values - batch["targets"]).mean(axis=(1, 2)),
        Measure(sentence="Bias.", kind="mean"),
    )
    batch = draw()
    wanted = float((np.asarray(model(batch)) - batch["targets"]).mean())
    assert evaluate(measures={"bias": bias}).metrics["bias"].value == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"between": ("previous", "previous")}, "two of the predictors"),
        ({"between": ("previous", "ridge")}, r"\['previous', 'nothing'\]"),
        (
            {"predictors": {"wide": lambda inputs, targets: inputs}},
            r"wanted the shape \[12, 5, 2\]; the predictor gave",
        ),
        ({"predict": lambda batch: batch["inputs"]}, "predict gave"),
        ({"count": 13}, "ended after 12"),
        ({"predictor_count": 13}, "predictor_count|baseline_count"),
        ({"predictors": {"model": previous}}, "is the model's"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        evaluate(**options)
