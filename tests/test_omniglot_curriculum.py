"""What omniglot trains on by stages, and sequences with a distractor, from its options to its run folders."""

import dataclasses
import json

import numpy as np
import pytest

import icl_data as data
import icl_lab as lab
from experiments.omniglot import data as parts
from experiments.omniglot.config import DataConfig, OmniglotConfig
from experiments.omniglot.run import OMNIGLOT
from experiments.omniglot.sequences import TrainingSequences
from icl_lab import driver
from tests.tiny import OMNI, read_lines, unboxed, untimed

pytestmark = pytest.mark.lengthy

STAGED = TrainingSequences(kinds=("fewshot_rare", "no_support_rare", "iid_rare"), starts=(0, 5, 5), blend=4)
SYMBOLS = DataConfig(source="symbols", characters=30, holdout=6, train=STAGED)
WORDS = ["--data.train", "fewshot_rare", "label_elsewhere", "--data.train.starts", 0, 3]


def samplers_of(train=STAGED, **options):
    config = OmniglotConfig(
        data=dataclasses.replace(SYMBOLS, train=train, **options), eval=dataclasses.replace(OMNI_EVAL)
    )
    return parts.make_samplers(config, *parts.make_classes(config.data)), config


OMNI_EVAL = dataclasses.replace(OmniglotConfig().eval, extra=("as_trained",), extra_at_end=("as_trained",))


def supports(batch):
    return (batch["classes"][:, :-1] == batch["classes"][:, -1:]).sum(axis=1)


@pytest.mark.parametrize("batch_size", [8, 32])
def test_stages_begin_at_their_steps_whatever_the_batch_size(batch_size):
    samplers, _ = samplers_of(batch_size=batch_size)
    size = batch_size
    before = samplers["train"].sample(np.arange(5 * size))
    assert (supports(before) == 4).all()
    after = samplers["train"].sample(np.arange(9 * size, 9 * size + 800))
    assert not ((supports(after) == 4) & (after["labels"].max(axis=1) < 2)).any()
    assert 0.4 < (supports(after) == 0).mean() < 0.95  # no support in half, and by chance in the other
    blend = samplers["train"].sample(np.arange(5 * size, 9 * size))
    few_shot = (supports(blend) == 4) & (blend["labels"].max(axis=1) < 2)
    assert few_shot[: size // 2].mean() > 0.5 > few_shot[-size // 2 :].mean()


def test_what_training_sees_at_a_step_is_an_evaluation_of_fresh_sequences():
    samplers, config = samplers_of()
    as_trained = samplers["as_trained"]
    trained = samplers["train"].sample(np.arange(400))
    for step, few_shot in ((0, 1.0), (5, 1.0), (7, 0.5), (9, 0.0), (100, 0.0)):
        batch = as_trained.make(step).sample(np.arange(400))
        is_few_shot = (supports(batch) == 4) & (batch["labels"].max(axis=1) < 2)
        assert abs(is_few_shot.mean() - few_shot) <= 4 * np.sqrt(few_shot * (1 - few_shot) / 400), step
        assert not np.array_equal(batch["classes"], trained["classes"])
    alone, _ = samplers_of(TrainingSequences(kinds=("fewshot_rare",)))
    assert (supports(alone["as_trained"].make(3).sample(np.arange(50))) == 4).all()
    assert isinstance(alone["train"].sampler, data.SequenceSampler)
    assert config.data.batch_size == 32


def prepared(*words):
    config = OMNI.parse("laptop", *OMNI.options, *WORDS, "--data.train.blend", 2, "--eval.extra", "as_trained", *words)
    return driver.prepare(OMNIGLOT, config, lab.ensemble_members(config))


def test_members_of_an_ensemble_switch_as_they_would_alone():
    together, alone = prepared("--train.ensemble.members", 2), prepared("--train.seed", 1)
    one, other = (iter(member.streams["train"]) for member in (together.members[1], alone.first))
    other.set_state({"next_index": 2})  # as a run that is resumed there
    for step in range(7):
        mine, theirs = next(one), next(other) if step >= 2 else None
        assert theirs is None or all(np.array_equal(mine[name], theirs[name]) for name in mine), step
    assert together.members[0].samplers["train"].expand == together.members[1].samplers["train"].expand


def test_evaluations_are_of_the_same_sequences_each_time():
    runs = prepared()

    def first(stream, step):
        return np.asarray(next(iter(runs.batches(runs.first, stream, step=step)))["classes"])

    for stream in ("fewshot_holdout", "as_trained"):
        assert np.array_equal(first(stream, 2), first(stream, 2))
    assert np.array_equal(first("fewshot_holdout", 2), first("fewshot_holdout", 5))
    assert not np.array_equal(first("as_trained", 2), first("as_trained", 5))


def test_sequences_with_a_distractor_by_their_names():
    names = ("distractor_held_out_pairs", "distractor_unfixed", "distractor_swapped")
    config = OmniglotConfig(
        data=dataclasses.replace(
            SYMBOLS,
            source="gaussian",
            train=TrainingSequences(kinds=("distractor", "distractor_pairs"), starts=(0, 5)),
            shots=1,
            length=3,
            exemplar_choice="matched",
            distinct_fillers=True,
        ),
        model=dataclasses.replace(OmniglotConfig().model, encoder="linear"),
        eval=dataclasses.replace(OmniglotConfig().eval, extra_at_end=(*names, "label_elsewhere")),
    )
    bank, split = parts.make_classes(config.data)
    samplers = parts.make_samplers(config, bank, split)
    batches = {name: samplers[name].sample(np.arange(300)) for name in ("train", *names)}
    batches["pairs"] = samplers["train"].sample(np.arange(160, 460))
    position = np.full(split.num_classes, -1)
    position[split.classes] = np.arange(split.num_positions)
    for name, batch in batches.items():
        assert (supports(batch) == 1).all(), name
        of_query = batch["classes"][:, :-1] == batch["classes"][:, -1:]
        assert (batch["items"][:, :-1][of_query] == batch["items"][:, -1]).all()
        assert (batch["labels"][:, :-1][of_query] == batch["labels"][:, -1]).all()
    assert np.array_equal(batches["train"]["labels"][:160], position[batches["train"]["classes"]][:160])
    swapped = batches["distractor_swapped"]
    assert np.array_equal(np.sort(swapped["labels"][:, :2]), np.sort(position[swapped["classes"]][:, :2]))
    assert (swapped["labels"] != position[swapped["classes"]]).all()
    pairs = {name: {(min(row), max(row)) for row in batches[name]["labels"][:, :2].tolist()} for name in batches}
    assert pairs["distractor_unfixed"] == {(0, 1)}
    assert len(pairs["pairs"]) == 8 and len(pairs["distractor_held_out_pairs"]) == 2
    assert not pairs["pairs"] & pairs["distractor_held_out_pairs"]


NAMES = ["as_trained", "distractor_swapped", "label_elsewhere"]


def test_a_run_by_stages_is_measured_goes_on_and_keeps_its_batch_size(tmp_path, capsys):
    words = [
        "--data.train", "distractor_unfixed", "distractor", "--data.train.starts", 0, 3, "--data.shots", 1,
        "--data.length", 3, "--data.distinct-fillers", "--data.label-noise", 0.1, "--eval.extra", *NAMES,
    ]  # fmt: skip
    OMNI.tiny(*words, "--workdir", tmp_path / "whole")
    OMNI.tiny(*words, "--mode", "train", "--train.steps", 4, "--workdir", tmp_path / "halves")
    record = json.loads((tmp_path / "halves" / "config.json").read_text())["config"]["data"]
    assert record["batch_size"] == 8 and record["train"]["starts"] == [0, 3]
    for changed in (["--data.batch-size", 16], ["--data.train.starts", 0, 4]):  # either would move the switch
        with pytest.raises(SystemExit):
            OMNI.run(tmp_path / "halves", "--resume", "--train.steps", 8, *changed)
        assert f"data.{'batch_size' if 'batch' in changed[0] else 'train'}" in unboxed(capsys.readouterr().err)
    OMNI.run(tmp_path / "halves", "--resume", "--mode", "train", "--train.steps", 6)
    whole, halves = (untimed(tmp_path / name / "metrics.jsonl")[-1] for name in ("whole", "halves"))
    assert whole["step"] == 6 and whole["loss"] == halves["loss"]
    lines = [line for line in read_lines(tmp_path / "whole" / "eval.jsonl") if line["step"] == 6]
    found = {line["evaluation"]: line["metrics"] for line in lines}
    assert found.keys() >= {*NAMES} and all("accuracy_closed" in found[name] for name in NAMES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.train.starts", "0", "5"], "data.train.starts wants one for each of the 1 kinds"),
        (["--data.train.starts", "5"], "data.train.starts must be at least 0, and one of them 0"),
        (["--data.train.starts", "-1"], "data.train.starts must be at least 0, and one of them 0"),
        (["--data.train", "bursty", "mixed", "--data.train.starts", "0", "99999"], "steps below train.steps=4800"),
        (["--data.train.blend", "5"], "data.train.blend must be at least 0, and is for data.train.starts"),
        (["--data.train", "as_trained"], "for evaluation alone"),
        (["--data.train", "distractor_held_out_pairs"], "for evaluation alone"),
        (["--data.pair-labels", "4"], "data.pair_labels is for distractor_pairs, distractor_held_out_pairs sequences"),
        (["--data.train", "mixed", "--data.label-noise", "0.1"], "data.label_noise is for bursty, distractor"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words, message, capsys):
    with pytest.raises(SystemExit):
        OMNI.parse("laptop", *words)
    assert message in unboxed(capsys.readouterr().err)
