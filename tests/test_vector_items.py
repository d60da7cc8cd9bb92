"""omniglot on items that are no images: trained, evaluated, reported; what does not go together is refused."""

import json

import numpy as np
import pytest

import icl_lab as lab
from experiments.omniglot.data import make_classes
from experiments.omniglot.run import OMNIGLOT
from tests.tiny import STEPS

pytestmark = pytest.mark.lengthy

SMALL = (
    STEPS
    + "--data.holdout 8 --data.batch-size 8 --model.layers 1 --model.width 16 --eval.count 60 --eval.final-count 60 "
    "--eval.batch-size 60 --eval.extra-at-end --eval.heads-count 30 --eval.ablation-count 0"
).split()
MADE = {
    "gaussian": ["--data.characters", "40", "--data.dimensions", "6", "--data.within", "0.3"],
    "one_hot": ["--data.characters", "40"],
}


def run(folder, *words):
    config = lab.parse(
        ["laptop", *SMALL, "--workdir", str(folder), *words], OMNIGLOT.presets, name="omniglot", default="laptop"
    )
    lab.execute(OMNIGLOT, config, [config])
    return config


@pytest.fixture
def features(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 5)
    np.savez(tmp_path / "features.npz", items=rng.normal(size=(200, 7)).astype(np.float32), labels=labels)
    return ["--data.vectors", str(tmp_path / "features.npz")]


@pytest.mark.parametrize(
    ("source", "encoder"), [("gaussian", "linear"), ("one_hot", "identity"), ("vectors", "identity")]
)
def test_vectors_are_trained_on_evaluated_and_reported(source, encoder, tmp_path, features):
    words = MADE.get(source, features)
    # What the identity gives must have the width of the tokens.
    width = {"gaussian": "16", "one_hot": "40", "vectors": "7"}[source]
    config = run(
        tmp_path / "run", "--data.source", source, "--model.encoder", encoder, *words,
        "--model.width", width, "--model.positions", "learned", "--model.heads", "1",
    )  # fmt: skip
    bank, split = make_classes(config.data)
    assert bank.key == "items" and bank.items.ndim == 2 and split.num_classes == 40
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["evaluations"]["fewshot_holdout"]["accuracy_closed"]["count"] == 60
    assert "accuracy_nearest_image" not in summary["evaluations"]["fewshot_holdout"]
    assert (tmp_path / "run" / "report.html").is_file()
    loaded = lab.load_run(tmp_path / "run", experiment=OMNIGLOT)
    assert loaded.predict(loaded.sampler().sample(np.arange(2))).shape[0] == 2


def test_a_run_on_a_file_knows_it_again(tmp_path, features):
    run(tmp_path / "run", "--data.source", "vectors", "--model.encoder", "linear", *features)
    np.savez(tmp_path / "features.npz", items=np.ones((200, 7), np.float32), labels=np.repeat(np.arange(40), 5))
    with pytest.raises(ValueError, match="items"):
        lab.load_run(tmp_path / "run", experiment=OMNIGLOT).evaluate(count=8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--data.source", "gaussian"],
            "gaussian has vectors, for which model.encoder is one of linear, identity, got conv",
        ),
        (["--data.source", "one_hot", "--data.dimensions", "3"], "data.dimensions is for data.source gaussian, but"),
        (["--data.source", "vectors", "--model.encoder", "linear"], "wants --data.vectors, one or two files, got 0"),
        (["--data.vectors", "x.npz"], "data.vectors is for data.source vectors, but that is glyphs"),
        (["--data.source", "gaussian", "--model.encoder", "linear", "--data.noise", "1"], "data.noise is for"),
        (["--data.source", "vectors", "--data.vectors", "x.npz", "--model.encoder", "linear"], "No NumPy file at"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path / "run", *words)
    assert message in " ".join(capsys.readouterr().err.split())


def test_points_are_scaled_where_that_is_asked_for():
    config = lab.with_options(
        OMNIGLOT.presets["laptop"],
        {"data.source": "gaussian", "data.characters": 600, "data.dimensions": 16, "model.encoder": "linear"},
    )
    plain, scaled = (
        make_classes(lab.with_options(config, {"data.scale": scale}).data)[0].items for scale in (1.0, 4.0)
    )
    np.testing.assert_array_equal(scaled, 4 * plain)
    assert scaled.var() == pytest.approx(1, rel=0.05)  # 4 is the square root of 16 dimensions
    with pytest.raises(ValueError, match=r"data\.scale must be above 0"):
        lab.with_options(config, {"data.scale": 0.0})
