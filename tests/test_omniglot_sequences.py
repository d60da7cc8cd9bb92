"""What training sees: any kind of sequence or a mixture, with its labels, and any of them as an evaluation.

What each name means stands in PAPERS, section 1 (Chan et al. 2022 and their code), and is counted here on the batches.
"""

import json

import numpy as np
import pytest

import icl_lab as lab
from experiments.omniglot import data as parts
from experiments.omniglot.config import DataConfig, OmniglotConfig
from experiments.omniglot.labels import make_label_sets, make_num_labels
from experiments.omniglot.sequences import TrainingSequences
from tests.tiny import OMNI, read_lines, unboxed

pytestmark = pytest.mark.lengthy

COUNT = 2_000
WAYS = 2


def batch_of(name, **options):
    """Return sequences of a stream, the split, and which of its sets each class is of."""
    sequences = {key: options.pop(key) for key in ("shares", "labels") if key in options}
    config = OmniglotConfig(
        data=DataConfig(
            source="symbols",
            characters=60,
            common=10,
            holdout=10,
            train=TrainingSequences(**name, **sequences),
            **options,
        )
    )
    bank, split = parts.make_classes(config.data)
    batch = parts.make_samplers(config, bank, split)["train"].sample(np.arange(COUNT))
    position = np.full(split.num_classes, -1)
    position[split.classes] = np.arange(split.num_positions)
    return batch, split, position[batch["classes"]], make_num_labels(config.data, split)


def facts(batch, positions):
    """Return for each sequence what tells kinds apart."""
    ordered = (batch["labels"] == positions).all(axis=1)
    unfixed = np.isin(batch["labels"], range(WAYS)).all(axis=1)
    support = (positions[:, :-1] == positions[:, -1:]).sum(axis=1)
    classes = (np.diff(np.sort(positions, axis=1)) > 0).sum(axis=1) + 1
    same_label = (batch["labels"][:, :-1] == batch["labels"][:, -1:]).sum(axis=1)
    return ordered, unfixed, support, classes, same_label


@pytest.mark.parametrize("of_set", ["common", "rare", "zipfian"])
def test_each_kind_is_trained_on_by_its_name(of_set):
    within = {"common": range(40, 50), "rare": range(40), "zipfian": range(50)}[of_set]
    for name in (f"fewshot_{of_set}", f"no_support_{of_set}", f"iid_{of_set}", f"swapped_{of_set}"):
        batch, _, positions, _ = batch_of({"kinds": (name,)})
        ordered, unfixed, support, classes, same_label = facts(batch, positions)
        assert np.isin(positions, within).all() and len(np.unique(positions)) == len(within), name
        if name.startswith("fewshot"):
            assert unfixed.all() and (support == 4).all() and (classes == 2).all()
        elif name.startswith("no_support"):
            assert ordered.all() and (support == 0).all()
        elif name.startswith("iid"):
            assert ordered.all() and abs(support.mean() - 8 / len(within)) < 0.1
        else:
            assert (support == 4).all() and (batch["labels"] != positions).all() and (same_label == 4).all()
            assert (np.sort(np.unique(batch["labels"][0])) == np.sort(np.unique(positions[0]))).all()


def test_mixed_is_few_shot_of_rare_classes_or_common_ones_drawn_alike():
    batch, _, positions, _ = batch_of({"kinds": ("mixed",)}, p_few_shot=0.1)
    few_shot = batch["is_rare"].all(axis=1)
    ordered, unfixed, support, classes, _ = facts(batch, positions)
    assert abs(few_shot.mean() - 0.1) < 0.03
    assert unfixed[few_shot].all() and (support[few_shot] == 4).all() and (classes[few_shot] == 2).all()
    assert ordered[~few_shot].all() and (positions[~few_shot] >= 40).all()


def test_label_elsewhere_has_the_querys_label_once_on_another_class():
    batch, _, positions, _ = batch_of({"kinds": ("label_elsewhere",)})
    _, _, support, _, same_label = facts(batch, positions)
    assert (support == 0).all() and (same_label == 1).all()


def test_options_of_the_original_reach_their_kinds():
    _, _, positions, _ = batch_of({"kinds": ("fewshot_rare",)}, grouped=True)
    pairs = positions[:, :-1].reshape(COUNT, 4, 2)
    assert (np.sort(pairs, axis=2) == np.sort(pairs[:, :1], axis=2)).all()
    _, _, positions, _ = batch_of({"kinds": ("fewshot_common",)}, distinct_ways=False)
    assert abs(((positions == positions[:, :1]).all(axis=1)).mean() - 0.1) < 0.03  # one of the 10 classes twice
    for name in ("iid_common", "no_support_common"):
        _, _, positions, _ = batch_of({"kinds": (name,)}, distinct_fillers=True)
        assert (np.diff(np.sort(positions, axis=1)) > 0).all()


def test_a_mixture_has_each_kind_as_often_as_its_share_says():
    kinds = ("bursty", "fewshot_common", "no_support_rare")
    for shares, wanted in (((), (1 / 3, 1 / 3, 1 / 3)), ((6.0, 3.0, 1.0), (0.6, 0.3, 0.1))):
        batch, _, positions, _ = batch_of({"kinds": kinds}, shares=shares)
        _, unfixed, support, _, _ = facts(batch, positions)
        found = [(support == 3).mean(), (unfixed & (support == 4)).mean(), (support == 0).mean()]
        assert np.abs(np.subtract(found, wanted)).max() < 0.06, (shares, found)


def test_each_kind_of_a_mixture_has_its_own_labels():
    kinds, labels = ("fewshot_rare", "fewshot_common", "iid_common"), ("ordered", "unfixed", "offset")
    batch, _, positions, num_labels = batch_of({"kinds": kinds}, labels=labels, label_offset=55)
    rare, common = (positions < 40).all(axis=1), (positions >= 40).all(axis=1)
    ordered, unfixed, _, classes, _ = facts(batch, positions)
    offset = (batch["labels"] == positions - 40 + 55).all(axis=1)
    assert ordered[rare].all() and (classes[rare] == 2).all()
    assert (unfixed ^ offset)[common].all() and unfixed.any() and offset.any()
    assert batch["labels"].max() < num_labels == 55 + 50


def test_each_kind_of_a_mixture_has_its_own_options():
    kinds = ("bursty", "bursty", "fewshot_rare")
    own = {"shots": (2, None, None), "ways": (None, 1, 4), "p_bursty": (None, 1.0, None)}
    batch, _, positions, _ = batch_of({"kinds": kinds, **own}, p_bursty=0.0, shots=8)
    _, _, support, classes, _ = facts(batch, positions)
    few_shot = np.isin(batch["labels"], range(4)).all(axis=1) & (positions < 40).all(axis=1) & (classes == 4)
    assert (support[few_shot] == 2).all() and abs(few_shot.mean() - 1 / 3) < 0.05  # 8 items of 4 ways
    assert abs((support == 8).mean() - 1 / 3) < 0.05  # one way of data's 8 shots
    assert abs((support[~few_shot] < 2).mean() - 1 / 2) < 0.05  # data has no bursts
    # The same from the command line, where None stands for what data has, and from a file of options.
    words = ["--data.train", *kinds, "--data.p-bursty", 0, "--data.shots", 8]
    words += ["--data.train.shots", 2, None, None, "--data.train.ways", None, 1, 4]
    parsed = OMNI.parse("laptop", *words, "--data.train.p-bursty", None, 1, None).data
    assert parsed.train == TrainingSequences(kinds=kinds, **own) and (parsed.p_bursty, parsed.shots) == (0, 8)


def test_evaluations_have_the_options_of_the_data_and_not_of_a_kind():
    config = OmniglotConfig(
        data=DataConfig(
            source="symbols", characters=60, holdout=10, train=TrainingSequences(kinds=("fewshot_rare",), ways=(4,))
        )
    )
    samplers = parts.make_samplers(config, *parts.make_classes(config.data))
    found = {name: samplers[name].sample(np.arange(50))["labels"].max() for name in ("train", "fewshot_holdout")}
    assert found == {"train": 3, "fewshot_holdout": 1}


def labels_of(batch):
    """Return which labels each class has in a batch."""
    pairs = {*zip(batch["classes"].ravel().tolist(), batch["labels"].ravel().tolist(), strict=True)}
    return {of: {label for each, label in pairs if each == of} for of, _ in pairs}


@pytest.mark.parametrize(
    ("train", "options"),
    [
        ({"kinds": ("bursty",), "labels": ("offset",)}, {}),
        ({"kinds": ("iid_common",), "labels": ("offset",)}, {}),
        ({"kinds": ("mixed",), "labels": ("offset",)}, {}),
        ({"kinds": ("bursty",), "labels": ("offset",)}, {"non_bursty": "common", "p_bursty": 0.0}),
        ({"kinds": ("iid_rare", "iid_common"), "labels": ("ordered", "offset")}, {"labels_per_class": 3}),
        ({"kinds": ("iid_rare", "iid_common"), "labels": ("offset", "original")}, {}),
        ({"kinds": ("fewshot_zipfian", "bursty"), "labels": ("unfixed", "offset")}, {"label_offset": 0}),
    ],
)
def test_evaluations_ask_for_the_labels_that_classes_have_in_training(train, options):
    options = {"source": "symbols", "characters": 60, "common": 10, "holdout": 10, "label_offset": 150, **options}
    evaluated = ("no_support_rare", "no_support_common", "iid_zipfian", "label_elsewhere")
    config = OmniglotConfig(data=DataConfig(train=TrainingSequences(**train), **options))
    config = lab.with_options(config, {"eval.extra_at_end": evaluated})
    bank, split = parts.make_classes(config.data)
    samplers, sets = parts.make_samplers(config, bank, split), make_label_sets(config.data, split)
    batch, indices = samplers["train"].sample(np.arange(COUNT)), np.arange(COUNT)
    fixed = batch["labels"].max(axis=1) >= (2 if "unfixed" in train["labels"] or "mixed" in train["kinds"] else 0)
    trained = labels_of({name: values[fixed] for name, values in batch.items()})
    for name in ("no_support_zipfian", *evaluated):
        asked = samplers[name].sample(indices)
        assert asked["labels"].max() < make_num_labels(config.data, split)
        queries = labels_of({key: asked[key][:, -1:] for key in ("classes", "labels")})
        both = trained.keys() & queries.keys()
        assert both or name == "no_support_rare"  # which some train on nothing of
        assert {of: queries[of] for of in both} == {of: trained[of] for of in both}, name
    for of, labels in trained.items():
        assert {*np.flatnonzero(sets.class_of_label == of)} == labels
        assert labels <= {*(sets.rare if of in split.classes[: split.rare] else sets.common)}
    assert batch["labels"].max() < make_num_labels(config.data, split)


def test_a_class_that_has_ordered_labels_too_is_asked_for_those():
    train = TrainingSequences(kinds=("fewshot_common", "bursty"), labels=("offset", "ordered"))
    config = OmniglotConfig(
        data=DataConfig(source="symbols", characters=60, common=10, holdout=10, train=train, label_offset=70)
    )
    bank, split = parts.make_classes(config.data)
    batch = parts.make_samplers(config, bank, split)["no_support_zipfian"].sample(np.arange(COUNT))
    assert np.array_equal(split.classes[batch["labels"]], batch["classes"])


def test_original_labels_are_the_banks_class_numbers_and_evaluations_have_them_too():
    train = TrainingSequences(kinds=("bursty",), labels=("original",))
    config = OmniglotConfig(data=DataConfig(source="symbols", characters=60, common=10, holdout=10, train=train))
    bank, split = parts.make_classes(config.data)
    samplers, sets = parts.make_samplers(config, bank, split), make_label_sets(config.data, split)
    for name in ("train", "no_support_zipfian"):
        batch = samplers[name].sample(np.arange(200))
        assert np.array_equal(batch["labels"], batch["classes"]), name
        assert np.isin(batch["labels"][batch["is_rare"]], sets.rare).all()
        assert np.isin(batch["labels"][~batch["is_rare"]], sets.common).all()
        assert np.array_equal(sets.class_of_label[batch["labels"]], batch["classes"])
    assert make_num_labels(config.data, split) == 60


def test_a_mixture_is_trained_evaluated_and_read_back(tmp_path):
    words = ["--data.common", 10, "--data.train", "bursty", "mixed", "--data.train.shares", 3, 1]
    words += ["--data.train.ways", None, 4, "--data.train.non-bursty", "common", None]
    words += ["--eval.extra-at-end", "bursty", "mixed", "iid_common", "--workdir", tmp_path / "run"]
    OMNI.tiny(*words)
    record = json.loads((tmp_path / "run" / "config.json").read_text())["config"]["data"]["train"]
    given = {"kinds": ["bursty", "mixed"], "shares": [3.0, 1.0], "ways": [None, 4], "non_bursty": ["common", None]}
    assert {name: values for name, values in record.items() if values} == given
    found = {line["evaluation"] for line in read_lines(tmp_path / "run" / "eval.jsonl")}
    assert found == {"fewshot_holdout", "no_support_zipfian", "bursty", "mixed", "iid_common"}
    wanted = TrainingSequences(
        kinds=("bursty", "mixed"), shares=(3.0, 1.0), ways=(None, 4), non_bursty=("common", None)
    )
    assert OMNI.parse(tmp_path / "run", "--resume").data.train == wanted
    (tmp_path / "mine.json").write_text(json.dumps({"data": {"train": given}}))
    assert OMNI.parse(tmp_path / "mine.json").data.train == wanted
    OMNI.run(tmp_path / "run", "--resume", "--train.steps", 8)
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 8


def test_a_run_of_an_older_version_trained_on_bursty_sequences(finished, tmp_path):
    record = json.loads((finished / "config.json").read_text())
    for name in ("train", "grouped", "distinct_ways", "distinct_fillers", "p_few_shot", "label_offset"):
        del record["config"]["data"][name]
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert lab.read_config(tmp_path, OmniglotConfig) == lab.read_config(finished, OmniglotConfig)
    assert OMNI.parse(tmp_path).data.train.kinds == ("bursty",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.train", "fewshot_holdout"], "none of classes that are held out"),
        (["--data.train"], "at least one kind of sequence"),
        (["--data.train", "bursty", "mixed", "--data.train.shares", "1"], "one for each of the 2 kinds, bursty, mixed"),
        (["--data.train.labels", "ordered", "unfixed"], "data.train.labels wants one for each of the 1 kinds"),
        (["--data.train", "bursti"], "bursty"),
        (["--data.train", "bursty", "mixed", "--data.train.labels", "ordered", "original"], "give a class two labels"),
        (["--data.label-offset", "3"], "data.label_offset is for data.train.labels offset"),
        (["--data.labels-per-class", "2", "--data.train.labels", "original"], "gives a class one label"),
        (["--data.p-few-shot", "0.2"], "data.p_few_shot is for mixed sequences"),
        *(
            (["--data.train", "mixed", f"--data.{option}", value], "is for bursty sequences, and none here read it")
            for option, value in (
                *(("p-bursty", "0.9"), ("p-bursty-zipfian", "0.5"), ("p-bursty-common", "0.1")),
                ("non-bursty", "common"),
            )
        ),
        (["--data.train", "mixed", "--data.shots", "2"], "data.shots is for bursty, distractor, distractor_pairs"),
        (["--data.train.p-bursty", "0.9", "--data.p-bursty", "0.5"], "data.p_bursty is for bursty sequences"),
        (
            ["--data.train", "bursty", "iid_rare", "--data.train.ways", "2", "4"],
            "data.train.ways is for bursty, mixed, fewshot_common, fewshot_rare, fewshot_zipfian, fewshot_holdout, "
            "swapped_common, swapped_rare, swapped_zipfian, and iid_rare does not read it; give None there",
        ),
        (
            ["--data.train", "bursty", "mixed", "--data.train.shots", "2"],
            "data.train.shots wants one for each of the 2",
        ),
        (
            ["--data.train", "mixed", "--train.ensemble.members", "2", "--vary.p-bursty", "0", "1"],
            "vary.p_bursty is for bursty sequences",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        OMNI.parse("laptop", *words)
    assert caught.value.code == 2 and message in unboxed(capsys.readouterr().err)


@pytest.mark.parametrize("preset", ["laptop_iwl", "all_exemplars"])
def test_what_a_preset_sets_may_be_read_no_more(preset):
    words = ["--data.train", "fewshot_rare"]
    config = OMNI.parse(preset, *words)
    assert config.data.p_bursty == OMNI.presets[preset].data.p_bursty != 1
    assert OMNI.parse(preset, *words, "--eval.extra", "bursty", "--data.p-bursty", 0.3).data.p_bursty == 0.3
    settings = tuple({"data.p_bursty": p, "data.train": TrainingSequences(kinds=("iid_rare",))} for p in (0.0, 0.5))
    assert len(lab.Sweep(base=OMNI.presets[preset], settings=settings).runs()) == 2
    own = {"data.train": TrainingSequences(p_bursty=(0.3,))}
    assert lab.with_options(OMNI.presets[preset], own).data.p_bursty != 0.3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.train.labels", "unfixed"], "RandomLabels labels are for few-shot sequences"),
        (["--data.train.p-bursty", "1.5"], "p_bursty must be a probability"),
        (
            ["--data.common", "4", "--data.train", "bursty", "iid_common", "--data.train.labels", "offset", "offset"],
            "classes would share labels. Label some of the kinds ordered",
        ),
        (["--data.train", "mixed"], "common"),  # of which the tiny run has none
        (["--data.train", "bursty", "iid_rare", "--data.train.shares", "1", "-1"], "at least 0"),
    ],
)
def test_what_the_data_cannot_be_is_refused_before_a_run_begins(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        OMNI.tiny(*words, "--workdir", tmp_path / "run")
    assert caught.value.code == 2 and message in unboxed(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shares", [(0.0,), (-1.0,), (float("nan"),)])
def test_a_kind_that_would_never_be_made_is_refused_alone_too(shares):
    with pytest.raises(ValueError, match=r"shares must be at least 0, and one of them above 0"):
        TrainingSequences(shares=shares)
