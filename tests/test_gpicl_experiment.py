"""The gpicl experiment from end to end, at toy size, and what a user can get wrong."""

import argparse
import dataclasses
import itertools
import shutil

import jax
import numpy as np
import pytest

import icl_data as data
import icl_eval as evaluation
from experiments.gpicl import at_end
from experiments.gpicl import data as sets_of
from experiments.gpicl import run as gpicl
from experiments.gpicl.config import PRESETS, DataConfig
from experiments.gpicl.model import make_model
from tests.tiny import GPIC, read_lines, summary_of, untimed

pytestmark = pytest.mark.lengthy


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpicl") / "finished"
    words = ["--eval.shifts", "--model.positions", "none", "--eval.longer", 12]
    GPIC.tiny("--report", *words, "--workdir", folder)
    return folder


def test_a_run_leaves_its_evaluations_curves_learner_and_report(finished):
    summary = summary_of(finished)
    evaluations = {
        "seen_tasks", "unseen_tasks", "seen_tasks_seen_images", "unseen_tasks_seen_images", "unseen_data_random",
        "longer", "shifted_half_scale", "shifted_double_scale", "shifted_sparse", "shifted_rotation",
        "shifted_label_noise", "shifted_imbalance",
    }  # fmt: skip
    assert summary["evaluations"].keys() == evaluations and summary["headlines"] == ["unseen", "seen"]
    assert summary["learner"].keys() == {"kind", "reason"}
    metrics = summary["evaluations"]["unseen_tasks"]
    assert {"accuracy_first", "accuracy_last", "improvement", "loss", "accuracy_last_1-NN"} <= metrics.keys()
    assert "accuracy_last_SGD from scratch" in metrics and "accuracy_last_MAML" not in metrics
    assert metrics["accuracy_last"]["count"] == 90 and metrics["accuracy_last_1-NN"]["count"] == 10
    assert {path.stem for path in (finished / "arrays").iterdir()} == {f"shots_{name}" for name in evaluations}
    steps = [(line["step"], line["evaluation"]) for line in read_lines(finished / "eval.jsonl")]
    assert steps.count((3, "unseen_tasks")) == 1 and (3, "unseen_data_random") not in steps
    page = (finished / "report.html").read_text()
    assert "Unseen data" in page and "Shifted tasks" in page
    shots = evaluation.read_run(finished).shots
    longer, trained = (shots[name].curves["model"].values for name in ("longer", "unseen_tasks"))
    # The first items are those of the trained length, and a causal model without positions makes the same of them.
    assert len(longer) == 12 and np.allclose(longer[:6], trained, atol=1 / 90 + 1e-9)


def test_a_finished_run_that_is_resumed_keeps_its_learner(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = summary_of(folder)
    GPIC.run(folder, "--mode", "train", "--resume")
    assert summary_of(folder) == before and "learner" in before


def test_a_run_that_was_stopped_and_goes_on_is_the_run_that_was_not(tmp_path, finished):
    common = ["--optimizer.schedule", "constant", "--mode", "train"]
    GPIC.tiny(*common, "--train.steps", 4, "--workdir", tmp_path / "a")
    GPIC.run(tmp_path / "a", "--resume", "--train.steps", 6, "--mode", "train")
    GPIC.tiny(*common, "--workdir", tmp_path / "b")
    assert untimed(tmp_path / "a" / "metrics.jsonl") == untimed(tmp_path / "b" / "metrics.jsonl")
    assert untimed(tmp_path / "a" / "metrics.jsonl") != untimed(finished / "metrics.jsonl")


def test_an_evaluation_again_gives_the_same_numbers(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    GPIC.run(folder, "--mode", "eval")
    assert summary_of(folder) == summary_of(finished)


def test_maml_is_meta_trained_once_on_the_tasks_of_training_and_is_a_baseline(finished, tmp_path, monkeypatch, capsys):
    folder, asked = shutil.copytree(finished, tmp_path / "run"), []

    def meta_train(batches, **options):
        asked.append(np.concatenate([batch["index"] for batch in itertools.islice(batches, 2)]))
        return evaluation.meta_train(batches, tasks_per_step=4, **options)

    replaced = argparse.Namespace(**vars(evaluation) | {"meta_train": meta_train})
    monkeypatch.setattr(at_end, "evaluation", replaced)
    GPIC.run(folder, "--mode", "eval", "--eval.maml-steps", 2, "--eval.no-other-datasets")
    assert "MAML, a baseline, is meta-trained by 2 steps" in capsys.readouterr().out
    assert len(asked) == 1 and np.array_equal(asked[0], np.arange(60))
    evaluations = summary_of(folder)["evaluations"]
    assert all(evaluations[name]["accuracy_last_MAML"]["count"] == 10 for name in ("seen_tasks", "unseen_tasks"))
    assert (
        evaluations["unseen_tasks"]["accuracy_last"]
        == summary_of(finished)["evaluations"]["unseen_tasks"]["accuracy_last"]
    )


def test_what_is_meta_trained_on_are_the_sequences_of_training_and_other_seeds_have_their_own_maml():
    config = GPIC.parse("laptop", "--eval.maml-steps", 1, "--data.num-tasks", 3, "--data.p-identity", 0.5)
    samplers = samplers_of(config, sets_from(config.data))
    there, trained = (samplers[name].sample(np.arange(64)) for name in ("meta_training", "train"))
    assert all(np.array_equal(there[name], trained[name]) for name in trained)
    compared = at_end.Compared(config=config, num_labels=4)
    first = compared.meta_trained(0, [trained])
    assert compared.meta_trained(0, [trained]) is first is not compared.meta_trained(1, [trained])
    again = at_end.Compared(config=config, num_labels=4).meta_trained(0, [trained])
    assert jax.tree.all(jax.tree.map(np.array_equal, again.network, first.network))
    assert "meta_training" not in samplers_of(GPIC.parse("laptop"), sets_from(config.data))


def test_a_baseline_that_cannot_be_meta_trained_is_left_out_and_costs_no_result(capsys):
    compared = at_end.Compared(config=GPIC.parse("laptop", "--eval.maml-steps", 9), num_labels=4)
    short = {"items": np.zeros((64, 1, 2), np.float32), "labels": np.zeros((64, 1), int), "task": 0, "classes": 0}
    assert compared.meta_trained(0, [short]) is None is compared.meta_trained(0, [short])
    assert capsys.readouterr().out.count("MAML is left out: Wanted tasks of at least 2 items") == 1


@pytest.mark.parametrize("trunk", ["mlp", "lstm"])
def test_other_trunks_train_and_are_judged(tmp_path, trunk):
    options = ["--model.trunk", trunk, "--train.steps", 3, "--eval.no-other-datasets", "--eval.baseline-count", 0]
    GPIC.tiny(*options, "--workdir", tmp_path / "run")
    metrics = summary_of(tmp_path / "run")["evaluations"]["unseen_tasks"]
    assert ("improvement" in metrics) == (trunk != "mlp")  # an MLP predicts the query alone


def sets_from(config):
    return sets_of.make_sets(config, sets_of.read_banks(config))


def samplers_of(config, sets):
    return sets_of.make_samplers(config, sets, num_labels=config.data.ways or 10)


def test_seen_and_unseen_tasks_and_images_are_what_their_names_say():
    config = GPIC.parse("laptop", "--data.num-tasks", 5)
    sets = sets_from(config.data)
    samplers = samplers_of(config, sets)
    batches = {name: sampler.sample(np.arange(40)) for name, sampler in samplers.items()}
    for name, batch in batches.items():
        seen = set(batch["task"]) <= set(range(5))
        assert seen == (name == "train" or name.startswith("seen_tasks")), name
        assert seen or batch["task"].min() >= data.UNSEEN
    first, second = sets["digits"]
    for name, sampler in samplers.items():
        if "random" not in name:
            assert sampler.bank is (first if name == "train" or name.endswith("seen_images") else second), name
    assert set(map(tuple, first.every_item())).isdisjoint(map(tuple, second.every_item()))
    fresh = samplers_of(GPIC.parse("laptop"), sets)
    assert np.array_equal(fresh["train"].sample(np.arange(9))["task"], np.arange(9))
    assert fresh["seen_tasks"].sample(np.arange(500))["task"].max() < 100 * 64  # before the first evaluation


@pytest.fixture
def images(tmp_path):
    """Return sixty images, six of each class in turn, that are in the IDX files images and labels."""
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    for name, values in (("images", images), ("labels", np.arange(60) % 10)):
        header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
        (tmp_path / name).write_bytes(header + values.astype(np.uint8).tobytes())
    return images


def test_sets_of_other_images_are_brought_to_the_same_size(tmp_path, images):
    also = DataConfig(extra_idx=(tmp_path / "images", tmp_path / "labels"))
    sets = sets_from(also)
    assert list(sets) == ["digits", f"{tmp_path.name.replace('[', '_')}_images", "random"]
    with pytest.raises(ValueError, match="names of their own"):
        sets_from(DataConfig(extra_idx=also.extra_idx * 2))
    assert {bank.items.shape[1] for pair in sets.values() for bank in pair} == {8}
    trained = DataConfig(source="idx", images=tmp_path / "images", labels=tmp_path / "labels", components=None)
    assert sets_from(trained)["idx"][0].items.shape[1] == 28 * 28
    assert sets_from(DataConfig(source="glyphs", side=14, components=20))["glyphs"][0].items.shape[1] == 20


def test_images_that_are_stored_column_by_column_are_turned_back(tmp_path, images):
    files, again = [tmp_path / "images", tmp_path / "labels"], tmp_path / "again"
    again.mkdir()
    again_files = [shutil.copy(file, again) for file in files]
    options = ["--data.source", "idx", "--data.images", files[0], "--data.labels", files[1], "--data.extra-idx", *files]
    options += again_files
    upright = images.reshape(6, 10, 28, 28).swapaxes(0, 1).reshape(60, 28, 28)  # by class
    for words, turned in (
        ([], (False, False, False)),
        (["--data.transposed"], (True, False, False)),
        (["--data.extra-transposed", "False", "True"], (False, False, True)),
    ):
        banks = sets_of.read_banks(GPIC.parse("laptop", *options, *words).data)
        for bank, is_turned in zip(banks.values(), turned, strict=True):
            assert np.array_equal(bank.every_item(), np.swapaxes(upright, 1, 2) if is_turned else upright), words


def test_a_shift_changes_one_thing_of_the_sequences_of_unseen_tasks():
    config = GPIC.parse("laptop", "--eval.shifts", "--eval.longer", 24, "--model.positions", "none")
    sets = sets_from(config.data)
    samplers = samplers_of(config, sets)
    unseen = samplers["unseen_tasks"].sample(np.arange(30))
    changed = {"shifted_label_noise": set(), "longer": set(), "shifted_imbalance": {"items", "labels", "classes"}}
    names = [name for name in samplers if name.startswith(("shifted_", "longer"))]
    for name in names:
        batch = {
            key: values[:, :16] if values.ndim > 1 else values
            for key, values in samplers[name].sample(np.arange(30)).items()
        }
        differing = {key for key, values in unseen.items() if not np.allclose(batch[key], values, rtol=1e-5, atol=1e-6)}
        assert differing == changed.get(name, {"items"}), name
    without = samplers_of(GPIC.parse("laptop"), sets)
    assert len(names) == 7 and without.keys() == samplers.keys() - set(names)


def test_sets_that_were_not_trained_on_are_brought_to_the_size_and_polarity_of_the_training_set(small1):
    options = ["--data.source", "glyphs", "--data.side", 14, "--data.extra", "digits", "--data.extra-omniglot", "Greek"]
    config = GPIC.parse("laptop", *options, "--data.zips", small1, "--data.components", "None").data
    banks = sets_of.read_banks(config)
    assert list(banks) == ["glyphs", "digits", "Greek"] and banks["Greek"].num_classes == 10
    assert set(sets_of.fingerprints(config, banks)) == {"Greek"}
    for name, bank in banks.items():  # bright ink on dark paper: little of it, and none in the corners
        images = bank.every_item() / 255
        assert images.mean() < 0.35 and images[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean() < 0.1 < images.max(), name
    sets = sets_of.make_sets(config, banks)
    assert all(bank.items.shape[1] == 14 * 14 for pair in sets.values() for bank in pair)
    trained, other = sets["glyphs"], sets["Greek"]
    assert (trained[0].counts == 16).all() and (trained[1].counts == 4).all()
    assert other[0] is other[1] and (other[0].counts == 20).all()


def test_small_images_are_enlarged_by_repeating_their_pixels():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    assert np.array_equal(sets_of._sized(images, 24), np.kron(images, np.ones((3, 3), np.uint8)))
    large = sets_of._sized(images, 14)
    assert large.shape == (3, 14, 14) and np.abs(large.mean(axis=(1, 2)) - images.mean(axis=(1, 2))).max() < 4
    assert np.array_equal(sets_of._sized(large, 7), data.resize(large, 7))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.extra-omniglot", "Klingon"], r"no alphabet 'Klingon' here; there are Balinese, Early_Aramaic, Greek"),
        (
            ["--data.extra-omniglot", "Early_Aramaic", "--data.source", "glyphs", "--data.glyphs", 23],
            "Tasks have 23 labels, but the labelled set Early_Aramaic has 22 classes",
        ),
    ],
)
def test_alphabets_that_will_not_do_are_refused(small1, words, message):
    config = GPIC.parse("laptop", *words, "--data.zips", small1, "--data.ways", "None")
    with pytest.raises(ValueError, match=message):
        gpicl.build(config)


def test_a_share_of_each_class_of_mnist_is_held_out_at_either_size(mnist):
    images, labels = mnist
    counts = np.bincount(data.read_idx(labels))
    config = DataConfig(source="idx", images=images, labels=labels, side=14, components=None, ways=None)
    first, second = sets_from(config)["idx"]
    assert (first.counts.sum(), second.counts.sum(), first.items.shape[1]) == (8_000, 2_000, 14 * 14)
    assert np.array_equal(first.counts, np.round(0.8 * counts)) and np.array_equal(first.counts + second.counts, counts)
    assert np.array_equal(first.starts + first.counts, second.starts)


def test_the_papers_preset_has_the_papers_numbers():
    paper = PRESETS["paper"]
    assert (paper.data.length, paper.data.batch_size, paper.data.components, paper.data.ways) == (100, 512, None, None)
    model = make_model(paper.model, 10)
    assert (model.width, model.trunk.layers, model.trunk.heads, model.trunk.key_size) == (256, 4, 8, 32)
    params, _ = jax.eval_shape(
        model.build().init, jax.random.key(0), np.zeros((1, 100, 784), np.float32), np.zeros((1, 100), np.int32)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 3_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.source", "idx"], "two files"),
        (["--data.images", "x"], "data.images is for data.source idx"),
        (["--data.glyphs", "3"], "data.glyphs is for data.source glyphs"),
        (["--data.extra-idx", "x"], "a labels file for each"),
        (["--data.transposed"], "data.transposed is for data.source idx and tfds"),
        (["--data.extra-transposed", "True"], "for each of the 0 further sets, or nothing, got 1"),
        (["--data.extra", "digits"], "names of their own"),
        (["--data.extra-omniglot", "Greek"], "want each other"),
        (["--data.extra-omniglot", "Greek", "--data.zips", "nowhere.zip"], "No Omniglot zip at nowhere.zip"),
        (["--eval.longer", "6"], "more than the data.length=6 items of training, got 6"),
        (["--eval.longer", "12"], "ask for --model.positions none or sinusoidal"),
        (["--model.trunk", "lstm", "--model.key-size", "4"], "model.key_size is for"),
        (["--eval.count", "0"], "at least 1"),
        (["--data.side", "0"], "data.side must be at least 1, got 0"),
        (["--eval.maml-steps", "5", "--eval.baseline-count", "0"], "eval.maml_steps is for a baseline"),
        (["--eval.maml-steps", "-1"], "eval.maml_steps must be at least 0, got -1"),
        (["--train.ensemble.members", "2", "--init-from", "x"], "no init_from"),
        (["--data.source", "tfds", "--data.tfds-dir", "nowhere"], "No set 'mnist'"),
        (["--data.ways", "11"], "at most the bank's 10 classes"),
        (["--data.components", "65"], "64 numbers"),
        (["--data.num-tasks", "0"], "count"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit):
        GPIC.tiny(*words, "--workdir", tmp_path / "run")
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and "Traceback" not in error
    assert not (tmp_path / "run").exists()


def fingerprint(config):
    """Return what a configuration makes: first sequences of training and of an evaluation, and the model's program."""
    experiment = gpicl.build(config)
    samplers = experiment.samplers(config)
    batch = samplers["train"].sample(np.arange(config.data.batch_size))
    arrays = [
        values.tobytes() for each in (batch, samplers["seen_tasks"].sample(np.arange(4))) for values in each.values()
    ]
    init = jax.make_jaxpr(experiment.init)(jax.random.key(0), batch)
    params, state = jax.eval_shape(experiment.init, jax.random.key(0), batch)
    return arrays, str(init), str(jax.make_jaxpr(experiment.loss_fn)(params, state, jax.random.key(0), batch))


CHANGES = {
    "data": {
        "source": "glyphs", "side": 4, "components": 3, "test_share": 0.5, "num_tasks": 3, "ways": 2, "length": 5,
        "p_identity": 1.0, "batch_size": 16,
    },
    "model": {
        "trunk": "lstm", "width": 32, "layers": 2, "heads": 4, "key_size": 5, "positions": "none",
        "compute_dtype": "bfloat16",
    },
}  # fmt: skip
NOT_HERE = {
    "images",
    "labels",
    "tfds",
    "glyphs",
    "tfds_dir",
    "transposed",
    "extra_tfds",
    "extra_idx",
    "extra_transposed",
    "extra",
    "extra_omniglot",
    "zips",
}  # in other tests, or TFDS's


@pytest.mark.parametrize(("part", "field"), [(part, field) for part, fields in CHANGES.items() for field in fields])
def test_every_option_changes_something(part, field):
    config = GPIC.parse("laptop", *GPIC.options)
    before = getattr(config, part)
    changed = dataclasses.replace(config, **{part: dataclasses.replace(before, **{field: CHANGES[part][field]})})
    assert fingerprint(changed) != fingerprint(config)
    names = {name.name for name in dataclasses.fields(before)}
    assert names == CHANGES[part].keys() | (NOT_HERE if part == "data" else set())
