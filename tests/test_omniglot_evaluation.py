"""The evaluations of omniglot: all measures, by name, of one checkpoint or of a run that is followed."""

import collections
import json
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import icl_data as data
import icl_models as models
import icl_train as training
from experiments.omniglot import data as parts
from experiments.omniglot import kinds, labels
from experiments.omniglot.evaluations import Evaluations, make_functions
from experiments.omniglot.model import make_model
from experiments.omniglot.run import OMNIGLOT
from experiments.omniglot.sequences import SEQUENCES
from icl_lab import driver
from tests.tiny import OMNI, read_lines, summary_of

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).parents[1]
parse, run, TINY = OMNI.parse, OMNI.run, list(OMNI.options)

EVERYTHING = [
    *TINY, "--data.common", 4, "--data.rare", 60, "--data.zipf-exponent", 1, "--eval.heads-count", 30,
    "--eval.ablation-count", 40, "--eval.extra-with-zipf", "no_support_rare",
    "--eval.extra-at-end", "fewshot_zipfian", "swapped_zipfian", "label_elsewhere",
]  # fmt: skip


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything") / "run"
    run("laptop", *EVERYTHING, "--report", "--workdir", folder)
    return folder


def lines_of(folder):
    return {(line["step"], line["evaluation"]): line for line in read_lines(folder / "eval.jsonl")}


def test_the_trained_model_is_evaluated_by_everything_on_as_many_sequences_as_was_asked_for(everything):
    found = {step: {name for at, name in lines_of(everything) if at == step} for step in (3, 6)}
    assert found[3] == {"fewshot_holdout", "no_support_zipfian", "no_support_rare", "heads_fewshot_holdout"}
    assert found[6] == found[3] | {"fewshot_zipfian", "swapped_zipfian", "label_elsewhere", "ablated_heads"}
    counts = {key: line["count"] for key, line in lines_of(everything).items()}
    assert counts[3, "fewshot_holdout"] == 60 and counts[6, "fewshot_holdout"] == 90
    assert counts[6, "heads_fewshot_holdout"] == 30 and counts[6, "ablated_heads"] == 40


def test_measures_of_query_context_origin_swaps_frequency_baselines_and_heads_are_there(everything):
    metrics = {name: set(line["metrics"]) for (step, name), line in lines_of(everything).items() if step == 6}
    basic = {"accuracy_closed", "accuracy_open", "accuracy_in_context", "loss", "calibration_error"}
    origin = {"from_common", "from_rare", "from_fewshot", "from_context", "from_context_common", "from_context_rare"}
    context = {"context_accuracy_open", "context_accuracy_closed", "context_loss", "context_from_context"}
    kinds = ("nearest_pixels", "prototype_pixels", "nearest_embedding", "prototype_embedding", "majority")
    baselines = {f"accuracy_{name}" for name in kinds}
    for name in ("fewshot_holdout", "no_support_zipfian", "swapped_zipfian"):
        assert metrics[name] >= basic | origin | context
        assert (metrics[name] >= baselines) == (name != "no_support_zipfian")
    assert metrics["swapped_zipfian"] >= {"follows_context", "follows_weights"}
    assert "follows_context" not in metrics["no_support_zipfian"] and "follows_context" in metrics["fewshot_zipfian"]
    assert {f"accuracy_open_decile_{n}" for n in (9, 10)} <= metrics["no_support_zipfian"]
    assert metrics["fewshot_holdout"] >= {"confusion_0_to_1", "confusion_1_to_other"}
    assert metrics["heads_fewshot_holdout"] >= {"induction_0_0", "previous_token_0_3", "same_class_0_1"}
    assert metrics["ablated_heads"] == {
        *("icl", "iwl"), *(f"{name}_without_0_{head}" for name in ("icl", "iwl") for head in range(4)),
    }  # fmt: skip
    # What holds by definition holds.
    lines = lines_of(everything)
    swapped = {name: metric["value"] for name, metric in lines[6, "swapped_zipfian"]["metrics"].items()}
    assert swapped["follows_context"] == swapped["accuracy_open"]
    assert swapped["follows_context"] + swapped["follows_weights"] <= 1
    no_support = {name: metric["value"] for name, metric in lines[6, "no_support_zipfian"]["metrics"].items()}
    assert no_support["from_common"] + no_support["from_rare"] <= 1
    assert no_support["accuracy_in_context"] == 0  # the context does not hold the answer
    ablated = lines[6, "ablated_heads"]["metrics"]
    assert ablated["icl"]["count"] == 40
    scores = lines[6, "heads_fewshot_holdout"]
    assert scores["chance"]["induction_0_0"] == pytest.approx(4 / 17)
    with np.load(everything / "arrays" / "attention_heads_fewshot_holdout.npz") as arrays:
        np.testing.assert_allclose(arrays["attention"].sum(-1), 1, rtol=1e-5)


def test_label_sets_say_what_labels_are(tmp_path):
    config = parse("laptop", *EVERYTHING, "--data.labels-per-class", 3, "--workdir", tmp_path / "run")
    bank, split = parts.make_classes(config.data)
    sets = labels.make_label_sets(config.data, split)
    assert (list(sets.rare), list(sets.common)) == (list(range(180)), list(range(180, 184)))
    sampler = data.SequenceSampler(
        kind=kinds.make_kind(config.data, "no_support_zipfian", labels=kinds.make_labelling(config.data)),
        split=split,
        exemplar_counts=bank.counts,
    )
    batch = sampler.sample(np.arange(500))
    assert sets.class_of_label is not None and sets.class_frequency is not None
    np.testing.assert_array_equal(sets.class_of_label[batch["labels"]], batch["classes"])
    assert make_model(config, bank, split).num_labels == 184 == len(sets.class_of_label)
    order = np.argsort(sets.class_frequency)
    assert set(order[-4:]) == set(split.classes[60:64]) and (sets.class_frequency[split.classes[64:]] == 0).all()


def test_with_several_labels_the_headline_counts_any_of_them(tmp_path):
    run("laptop", *TINY, "--data.labels-per-class", 2, "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    assert summary["iwl"] == summary["evaluations"]["no_support_zipfian"]["accuracy_any_label"]
    assert summary["iwl"]["value"] >= summary["evaluations"]["no_support_zipfian"]["accuracy_open"]["value"]


def test_any_checkpoint_can_be_evaluated_and_only_its_lines_change(everything, tmp_path):
    folder = shutil.copytree(everything, tmp_path / "run")
    before, arrays = lines_of(folder), (folder / "arrays" / "examples_fewshot_holdout.npz").read_bytes()
    run(folder, "--mode", "eval", "--step", 3, "--eval.final-count", 45)
    after = lines_of(folder)
    assert {key for key in after if after[key] != before.get(key)} == {key for key in after if key[0] == 3} - {
        (3, "heads_fewshot_holdout")
    }
    assert after[3, "fewshot_holdout"]["count"] == 45 and after[6, "fewshot_holdout"]["count"] == 90
    assert len(read_lines(folder / "eval.jsonl")) == len(after)
    assert (folder / "arrays" / "examples_fewshot_holdout.npz").read_bytes() == arrays  # of the latest step still


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--mode", "eval", "--step", "4"], "of that step in run, which has those of steps 3, 6"),
        (["run", "--step", "3", "--resume"], "--step 3 is for --mode eval, but the mode is both"),
        (["laptop", "--mode", "follow", "--workdir", "nowhere"], "wants the folder of a run that has begun"),
        (["run", "--mode", "follow", "--follow.poll-seconds", "0"], "must be above 0"),
        (["run", "--mode", "eval", "--eval.heads-count", "-1"], "eval.heads_count and eval.ablation_count must be at"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_of_one_line(words, message, finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run(*words)
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.slow
def test_a_second_process_evaluates_each_checkpoint_once_while_the_run_trains(tmp_path):
    folder = tmp_path / "run"

    def start(*words):
        command = [sys.executable, "-m", "experiments.omniglot", *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)

    steps = ["--train.steps", 6000, "--train.checkpoint-every", 1000, "--train.keep-checkpoints", 9]
    trains = start("laptop", *TINY, *steps, "--mode", "train", "--workdir", folder)
    while not (folder / "config.json").exists():
        assert trains.poll() is None, trains.communicate()[0]
        time.sleep(0.1)
    follow = [folder, "--mode", "follow", "--follow.poll-seconds", 0.2, "--follow.timeout-minutes", 3]
    follows = start(*follow)
    while not (folder / "eval.jsonl").exists():
        assert follows.poll() is None, follows.communicate()[0]
        time.sleep(0.05)
    assert trains.poll() is None, "the run had ended before anything was evaluated"
    for process in (trains, follows):
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    lines = read_lines(folder / "eval.jsonl")
    keys = [(line["step"], line["evaluation"]) for line in lines]
    assert sorted(keys) == [
        (step, name) for step in range(1000, 7000, 1000) for name in ("fewshot_holdout", "no_support_zipfian")
    ]
    assert {line["count"] for line in lines if line["step"] < 6000} == {60}
    assert {line["count"] for line in lines if line["step"] == 6000} == {90}
    summary = summary_of(folder)
    assert summary["icl"]["count"] == 90 and summary["train"]["steps"] == 6000


def test_following_what_has_ended_passes_over_damage_and_evaluates_the_last_as_the_trained_model(
    finished, tmp_path, capsys
):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "eval.jsonl").unlink()
    (victim,) = (folder / "checkpoints" / "3" / "progress").glob("metadata")
    config = (folder / "config.json").read_bytes()
    also = ["--eval.count", 50, "--eval.final-count", 50, "--eval.extra-at-end", "label_elsewhere"]
    whole = victim.read_bytes()
    victim.write_bytes(whole.replace(b"3", b"4"))
    run(folder, "--mode", "follow", *also)
    assert "step 3: passed over" in capsys.readouterr().out
    wanted = {(6, name) for name in ("fewshot_holdout", "no_support_zipfian", "label_elsewhere")}
    assert set(lines_of(folder)) == wanted
    victim.write_bytes(whole)  # it is there again, as after a run was resumed before it: that one alone is evaluated
    last = lines_of(folder)
    run(folder, "--mode", "follow", *also)
    assert set(lines_of(folder)) == wanted | {(3, "fewshot_holdout"), (3, "no_support_zipfian")}
    assert {key: line for key, line in lines_of(folder).items() if key[0] == 6} == last
    assert "step 6" not in capsys.readouterr().out
    assert (folder / "config.json").read_bytes() == config  # what a follower is asked for is not the run's


def test_a_run_of_an_older_version_can_be_evaluated(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    record = json.loads((folder / "config.json").read_text())
    del record["config"]["data"]["labels_per_class"], record["config"]["eval"]["heads_count"]
    (folder / "config.json").write_text(json.dumps(record))
    run(folder, "--mode", "eval", "--eval.final-count", 40, "--eval.heads-count", 0)
    assert lines_of(folder)[6, "fewshot_holdout"]["count"] == 40


def test_a_model_that_has_come_apart_is_evaluated_and_said_to_be_so(tmp_path):
    apart = ["--train.no-stop-when-not-finite", "--optimizer.learning-rate", 1e30, "--eval.heads-count", 20]
    run("laptop", *TINY, *apart, "--report", "--workdir", tmp_path / "run")
    scores = lines_of(tmp_path / "run")[6, "heads_fewshot_holdout"]["metrics"]
    assert {metric["value"] for metric in scores.values()} == {None}
    assert "report" in (tmp_path / "run" / "report.html").read_text()


def test_every_named_evaluation_can_be_asked_for(tmp_path):
    names = list(SEQUENCES)
    config = parse("laptop", *EVERYTHING, "--eval.extra-with-zipf", *names, "--workdir", tmp_path / "run")
    bank, split = parts.make_classes(config.data)
    evaluations = Evaluations(config, split, None, models.Interleaved(), has_images=True)
    assert set(parts.evaluation_names(config, at_end=False)) == set(names)
    samplers = parts.make_samplers(config, bank, split)
    for name in names:
        batch = samplers[name].sample(np.arange(20))
        assert set(batch["labels"][:, -1].tolist()) <= set(evaluations.kind(name).possible_labels), name
        held_out = np.isin(batch["classes"], split.classes[64:])
        assert held_out.all() if name.endswith("holdout") else not held_out.any()


def evaluation_of(tmp_path, *words):
    """Return the experiment of a configuration, and its first batch of few-shot problems, with a model."""
    config = parse("laptop", *EVERYTHING, *words, "--workdir", tmp_path / "run")
    runs = driver.prepare(OMNIGLOT, config, [config])
    params, state = jax.jit(runs.init)(jax.random.key(0))
    checkpoint = training.ModelCheckpoint(params=params, model_state=state, ema=None, step=0)
    return runs, runs.model(runs.first, checkpoint)


def test_heads_are_read_and_removed_behind_the_encoder_as_in_the_whole_model(tmp_path):
    runs, model = evaluation_of(tmp_path, "--model.layers", 2, "--model.item-dropout", 0.1)
    bank, split = parts.make_classes(runs.config.data)
    classifier = make_model(runs.config, bank, split)
    functions, apply = make_functions(classifier, "images"), classifier.build().apply
    batch = next(iter(runs.batches(runs.first, "fewshot_holdout")))
    logits, vectors = model.ask(functions.answer)(batch)

    def whole(keep):
        kept = keep[:, None, None, :, None]
        remove = {f"block_{layer}/heads": lambda heads, layer=layer: heads * kept[layer] for layer in range(2)}

        def asked(params, state, rng, batch):
            run = models.instrument(apply, capture=["*attention"], replace=remove)
            (logits, _), attention = run(params, state, rng, batch["images"], batch["labels"])
            return logits, jnp.stack(list(attention.values()), axis=1)

        return model.ask(asked)(batch)

    without, attend = model.ask(functions.without), model.ask(functions.attend)
    for layer, head in ((0, 0), (0, 3), (1, 2)):
        keep = np.ones((2, 4), np.float32)
        keep[layer, head] = 0
        found = without(batch, vectors, keep)
        np.testing.assert_allclose(found, whole(keep)[0], rtol=1e-4, atol=1e-5)
        assert np.abs(found - logits[:, -1]).max() > 1e-3
    attention, of_query = attend(batch, vectors)
    np.testing.assert_allclose(attention, whole(np.ones((2, 4)))[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_query, logits[:, -1], rtol=1e-4, atol=1e-5)


def test_the_final_evaluation_compiles_a_model_three_times_whatever_is_measured_and_the_encoder_once(tmp_path):
    runs, model = evaluation_of(tmp_path)
    compiled: dict[str, int] = collections.Counter()

    class Count(logging.Handler):
        def emit(self, record):
            words = record.getMessage().split()
            compiled[words[1]] += words[0] == "Compiling"

    logger, handler = logging.getLogger("jax._src.interpreters.pxla"), Count()
    logger.addHandler(handler)
    try:
        with jax.log_compiles():
            for each in runs.experiment.at_end:
                each.measure(model, *(runs.batches(runs.first, name) for name in each.streams), count=each.count)
    finally:
        logger.removeHandler(handler)
    models_compiled = {name: count for name, count in compiled.items() if "seeded" in name}
    assert sum(models_compiled.values()) == 3, compiled
    assert sum(compiled.values()) <= 40, compiled
