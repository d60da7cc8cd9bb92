"""The omniglot experiment from end to end, at toy size, and everything a user can get wrong."""

import dataclasses
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import icl_data as data
import icl_lab as lab
import icl_models as models
import icl_train as training
from experiments.omniglot import data as parts
from experiments.omniglot.config import DataConfig, ModelConfig, OmniglotEvalConfig
from experiments.omniglot.evaluations import Evaluations
from experiments.omniglot.presets import PRESETS
from experiments.omniglot.run import build
from tests.tiny import OMNI, contents, read_lines, summary_of, unboxed, untimed

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).parents[1]
parse, run, TINY = OMNI.parse, OMNI.run, list(OMNI.options)


def test_a_run_folder_has_all_that_the_design_lists(finished):
    names = {path.name for path in finished.iterdir() if not path.name.startswith(".")}
    assert names == {
        "config.json", "metrics.jsonl", "checkpoints", "eval.jsonl", "measures.json", "summary.json", "arrays",
        "report.html",
    }  # fmt: skip
    config = json.loads((finished / "config.json").read_text())
    assert config["config"]["train"]["steps"] == 6 and config["config"]["data"]["characters"] == 12
    assert {"versions", "git", "devices", "preset"} <= config.keys() and config["experiment"] == "omniglot"
    assert [line["step"] for line in read_lines(finished / "metrics.jsonl")] == [2, 4, 6]
    wanted = {"step", "time", "steps_per_second", "items_per_second", "learning_rate", "gradient_norm", "loss"}
    assert all(wanted | {"accuracy"} <= line.keys() for line in read_lines(finished / "metrics.jsonl"))
    evaluations = [(line["step"], line["evaluation"], line["count"]) for line in read_lines(finished / "eval.jsonl")]
    assert evaluations == [
        (3, "fewshot_holdout", 60), (3, "no_support_zipfian", 60),
        (6, "fewshot_holdout", 90), (6, "no_support_zipfian", 90),
    ]  # fmt: skip
    summary = summary_of(finished)
    assert summary["headlines"] == ["icl", "iwl"]
    assert summary["icl"].keys() == {"value", "low", "high", "count"} == summary["iwl"].keys()
    assert summary["icl"] == summary["evaluations"]["fewshot_holdout"]["accuracy_closed"]
    assert summary["iwl"] == summary["evaluations"]["no_support_zipfian"]["accuracy_open"]
    assert summary["train"].keys() == {"steps", "seconds", "steps_per_second", "final_loss"}
    assert summary["train"]["steps"] == 6 and summary["seed"] == 0 and "learner" not in summary
    assert "<html" in (finished / "report.html").read_text()


def test_a_folder_can_be_read_back_by_whoever_has_the_packages(finished):
    recorded = json.loads((finished / "config.json").read_text())["model"]
    config = parse(finished)
    assert models.from_json(recorded) == build(config).model
    params, _ = jax.eval_shape(
        models.from_json(recorded).build().init,
        jax.random.key(0),
        np.zeros((1, 9, 28, 28), np.uint8),
        np.zeros((1, 9), int),
    )
    saved = training.restore_model(finished, init=lambda rng: (params_like(params), {})).params
    assert jax.tree.map(np.shape, saved) == jax.tree.map(lambda leaf: leaf.shape, params)


def params_like(shapes):
    return jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), shapes)


def test_the_last_lines_give_both_numbers_with_intervals(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    run(folder, "--mode", "eval", "--eval.final-count", 120, "--report")
    line, report = capsys.readouterr().out.strip().splitlines()
    interval = r"[01](\.\d+)? \([\d.]+-[\d.]+, n=120\)"
    assert re.fullmatch(rf"In context \(ICL\): {interval}  In weights \(IWL\): {interval}", line)
    assert report == f"report: {folder / 'report.html'}"
    assert summary_of(folder)["icl"]["count"] == 120 and summary_of(folder)["train"]["steps"] == 6


def test_the_same_seed_gives_the_same_run_and_another_seed_another(finished, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        OMNI.tiny("--mode", "train", "--train.seed", seed, "--workdir", tmp_path / name)
    assert untimed(tmp_path / "again" / "metrics.jsonl") == untimed(finished / "metrics.jsonl")
    assert untimed(tmp_path / "other" / "metrics.jsonl") != untimed(finished / "metrics.jsonl")


def test_a_run_that_is_stopped_by_a_signal_and_resumed_is_the_run_that_was_not(tmp_path):
    longer = ["--train.steps", "120", "--eval.every", "40", "--train.checkpoint-every", "60"]
    OMNI.tiny(*longer, "--workdir", tmp_path / "whole")
    command = [sys.executable, "-m", "experiments.omniglot", "laptop", *TINY, *longer, "--no-report"]
    command += ["--workdir", str(tmp_path / "stopped")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None and "step 40" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    sentence = errors.strip().splitlines()[-1]
    assert "SIGTERM" in sentence and f"-m experiments.omniglot {tmp_path / 'stopped'} --resume" in sentence
    assert int(re.search(r"after step (\d+) of 120", sentence)[1]) < 120
    run(tmp_path / "stopped", "--resume")
    # To rounding: two processes may have other devices, and add in another order. To the bit on the same ones, see the
    # tests of icl-lab and icl-train.
    stopped, whole = (untimed(tmp_path / name / "metrics.jsonl") for name in ("stopped", "whole"))
    assert len(stopped) == len(whole) == 60
    for line, same in zip(stopped, whole, strict=True):
        assert line == pytest.approx(same, rel=1e-3, abs=1e-6)
    keys = [
        [(line["step"], line["evaluation"], line["count"]) for line in read_lines(tmp_path / name / "eval.jsonl")]
        for name in ("stopped", "whole")
    ]
    assert keys[0] == keys[1] and len(keys[0]) == 6


def png(side=105):
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, "PNG")
    return file.getvalue()


def bad_zip(path, name="set/Greek/character01/0394_01.png", content=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["laptop_omniglot"], "at least one zip"),
        (["laptop_omniglot", "--data.zips", "missing.zip"], "No Omniglot zip at missing.zip; give the path"),
        (["laptop_omniglot", "--data.zips", "truncated.zip"], "not a sound PNG"),
        (["laptop_omniglot", "--data.zips", "small.zip"], "28 x 28 pixels; expected 105 x 105"),
        (["laptop_omniglot", "--data.zips", "climbing.zip"], "unexpected entry '../"),
        (["laptop", "--data.characters", "3"], "leave none of the 24 classes to be rare; lower them"),
        (["laptop", "--data.rare", "5000"], "are wanted, but the bank has 96; lower one of them"),
        (["laptop", "--data.holdout", "8", "--data.ways", "9", "--data.length", "10", "--data.shots", "1"],
         "9 different holdout classes are wanted in a sequence, but the split has 8"),
        (["laptop", "--data.shots", "5"], "needs at least 11 items, got length=9; raise it or lower shots"),
        (["laptop", "--data.length", "10"], "has 9 items, got length=10"),
        (["laptop", "--data.p-bursty", "1.5"], "p_bursty must be a probability"),
        (["laptop", "--workdir", "file"], "wanted a workdir that can be written to, got file: it is a file"),
        (["laptop", "--workdir", "/proc/run"], "wanted a workdir that can be written to, got /proc/run"),
        (["laptop", "--workdir", "run"], "wanted a new workdir, got run, which has a run; resume it (--resume)"),
        (["laptop", "--workdir", "run", "--resume", "--model.width", "24"], "model.width was 16 and came as 24"),
        (["laptop", "--workdir", "papers"], "give another workdir"),
        (["run", "--resume", "--train.steps", "3"], "run has 6 steps, but 3 were asked for; ask for 6 or more"),
        (["laptop", "--workdir", "nowhere", "--mode", "eval"], "the folder of a run with a checkpoint, got nowhere"),
        (["laptop", "--optimizer.warmup-steps", "9"], "wanted more total_steps than the 9 warm-up steps, got 6"),
        (["laptop", "--data.batch-size", "0"], "batch_size must be a whole number of at least 1"),
        (["laptop", "--resume"], "--resume wants the folder of a run"),
        (["run", "--mode", "eval", "--train.steps", "9"], "train.steps was 6 and came as 9"),
        (["laptop", "--model.heads", "3"], "multiple of heads=3, got 16"),
        (["laptop", "--model.encoder", "embedding"], "one of conv, resnet, linear, got embedding"),
        (["laptop", "--model.layout", "concatenated", "--model.loss", "every_item"], "read off its own label"),
        (["laptop", "--data.non-bursty", "common", "--data.p-bursty", "0.5"], "but the split has common=0"),
        (["damaged", "--resume"], "is not a configuration of this experiment"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_line_and_touches_nothing(words, message, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bad_zip(tmp_path / "truncated.zip", content=png()[:-20])
    bad_zip(tmp_path / "small.zip", content=png(28))
    bad_zip(tmp_path / "climbing.zip", name="../set/Greek/character01/0394_01.png", content=png())
    (tmp_path / "file").write_text("precious")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("precious")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text('{"config": {"data": 3}}')
    shutil.copytree(finished, tmp_path / "run")
    before = contents(tmp_path)
    preset_options = TINY if words[0] == "laptop" else []
    with pytest.raises(SystemExit) as caught:
        run(words[0], *preset_options, *words[1:])
    assert caught.value.code == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert len(printed) == 1 and printed[0].startswith("error: ") and message in printed[0]
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.steps", "0"], "wanted steps to be a whole number of at least 1, got 0"),
        (["--optimizer.learning-rate", "-1"], "wanted learning_rate to be above 0, got -1.0"),
        (["--eval.every", "0"], "must be at least 1, got 0, 1000, 10000, 50"),
        (
            ["--model.trunk", "lstm", "--model.num-loops", "2"],
            "model.num_loops is for model.trunk transformer and linear_attention, but",
        ),
        (
            ["--model.context-weight", "0.5"],
            "model.context_weight is for model.loss weighted, but that is query",
        ),
        (["--model.flatten"], "model.flatten is for model.encoder resnet, but that is conv"),
        (["--data.zips", "small.zip"], "data.zips is for data.source omniglot, but that is glyphs; leave it out, or"),
        (["--data.source", "symbols", "--data.noise", "0.1"], "data.noise is for data.source glyphs and omniglot, but"),
        (["--data.source", "symbols", "--data.size", "14"], "data.size is for data.source glyphs and omniglot, but"),
        (
            ["--data.source", "omniglot", "--data.characters", "9"],
            "data.characters is for data.source glyphs and symbols and gaussian and one_hot, but",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_a_sentence(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse("laptop", *words)
    assert caught.value.code == 2
    assert message in unboxed(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["laptop", "--train.stepps", "5"], "--train.steps"),
        (["laptop_omnigot"], "laptop_omniglot"),
        (["laptop", "--model.encoder", "resnett"], "resnet"),
    ],
)
def test_a_misspelt_word_says_what_was_meant(words, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_help_lists_presets_and_explains_options(capsys):
    for words, expected in ([["--help"], ["laptop_iwl", "laptop_omniglot"]], [["laptop", "-h"], ["--data.p-bursty"]]):
        with pytest.raises(SystemExit) as caught:
            parse(*words)
        assert caught.value.code == 0
        printed = capsys.readouterr().out
        assert all(word in printed for word in expected), printed


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_survives_its_run_folder(preset, tmp_path):
    config = PRESETS[preset]
    (tmp_path / "config.json").write_text(json.dumps({"config": json.loads(json.dumps(lab.to_json(config)))}))
    assert lab.read_config(tmp_path, type(config)) == config


def test_nothing_is_configured_that_nothing_reads():
    folders = (ROOT / "experiments" / "omniglot", ROOT / "packages" / "icl-lab" / "src" / "icl_lab")
    code = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    for part in (DataConfig, ModelConfig, OmniglotEvalConfig):
        for field in dataclasses.fields(part):
            assert re.search(rf"(config|options)(\.\w+)?\.{field.name}\b", code), f"{part.__name__}.{field.name}"


PAPER = {  # PAPERS, section 1, "Settings": characters, rare, common, holdout, and what is evaluated
    "all_exemplars": (1623, 1603, 10, 10, ["no_support_zipfian", "fewshot_zipfian", "fewshot_holdout"]),
    "augmented": (12984, 12700, 100, 80, ["no_support_zipfian", "fewshot_zipfian", "fewshot_holdout"]),
    "identical": (1623, 1603, 10, 10, ["no_support_zipfian", "fewshot_zipfian", "fewshot_holdout"]),
    "symbolic": (1000, 980, 10, 10, ["no_support_zipfian", "fewshot_zipfian", "fewshot_holdout"]),
}


@pytest.mark.parametrize("preset", PAPER)
def test_the_papers_presets_update_as_the_original_code(preset):
    """PAPERS, section 1: no clipping; Adam's rate is 0 in the first step, then n / 4000 of 3e-4 after n steps."""
    optimizer = PRESETS[preset].optimizer.build(500_000)
    params, gradients = {"w": np.zeros(4, np.float32)}, [1.0, 30.0, 0.1]
    state = optimizer.init(params)
    mean = square = 0.0
    for count, gradient in enumerate(gradients):
        updates, state = optimizer.update({"w": np.full(4, gradient, np.float32)}, state, params)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        step = mean / (1 - 0.9 ** (count + 1)) / np.sqrt(square / (1 - 0.999 ** (count + 1)))
        np.testing.assert_allclose(updates["w"], -3e-4 * count / 4000 * step, rtol=1e-4)


WITH_ZIPF = ["no_support_zipfian", "fewshot_rare", "fewshot_holdout", "fewshot_common"]
WITH_ZIPF_AUGMENTED = ["no_support_zipfian", "no_support_rare", "no_support_common", "fewshot_holdout"]


def kinds_of(config, bank, split):
    """Return the evaluations at intervals with their possible labels, by name."""
    listed = Evaluations(config, split, None, models.Interleaved(), has_images=True)
    return {name: listed.kind(name) for name in parts.evaluation_names(config, at_end=False)}


@pytest.mark.parametrize("preset", PAPER)
def test_the_papers_presets_have_the_papers_numbers(preset, monkeypatch):
    polarities = []

    def whole_omniglot(zips, *, size, polarity):
        polarities.append((size, polarity))
        return data.bank_from_arrays([np.zeros((20, 4, 4), np.uint8)] * 1623)

    monkeypatch.setattr(data, "omniglot", whole_omniglot)
    config = PRESETS[preset]
    bank, split = parts.make_classes(config.data)
    assert polarities == ([] if preset == "symbolic" else [(105, "paper_is_one")])
    evaluations = kinds_of(config, bank, split)
    numbers = (bank.num_classes, split.rare, split.common, split.holdout, sorted(evaluations))
    assert numbers == (*PAPER[preset][:4], sorted(PAPER[preset][4]))
    assert (split.group, int(bank.counts.max())) == {
        "all_exemplars": (1, 20), "augmented": (8, 20), "identical": (1, 1), "symbolic": (1, 1),
    }[preset]  # fmt: skip
    assert set(evaluations["fewshot_zipfian"].possible_labels) == {0, 1}
    assert set(evaluations["no_support_zipfian"].possible_labels) == set(range(split.rare + split.common))
    zipf = dataclasses.replace(config, data=dataclasses.replace(config.data, zipf_exponent=1.0))
    listed = kinds_of(zipf, *parts.make_classes(zipf.data))
    wanted = WITH_ZIPF_AUGMENTED if preset == "augmented" else WITH_ZIPF
    assert sorted(listed) == sorted(wanted)
    labels = {name: set(evaluation.possible_labels) for name, evaluation in listed.items()}
    if preset == "augmented":
        wanted = (set(range(12700)), set(range(12700, 12800)))
        assert (labels["no_support_rare"], labels["no_support_common"]) == wanted
    assert (zipf.data.batch_size, zipf.eval.batch_size) == (32, 100)
    for name, sampler in parts.make_samplers(zipf, bank, split).items():
        batch = sampler.sample(np.arange(50))
        assert batch["labels"].shape == (50, 9)
        if name in labels:
            assert set(batch["labels"][:, -1].tolist()) <= labels[name]
    optimizer, model = config.optimizer, config.model
    assert (optimizer.learning_rate, optimizer.warmup_steps, optimizer.schedule) == (3e-4, 4000, "inverse_sqrt")
    assert (model.layers, model.heads, model.width, model.label_init_std) == (12, 8, 64, 0.02)
    assert model.encoder == ("embedding" if preset == "symbolic" else "resnet")
    assert (config.train.steps, config.data.p_bursty, config.eval.final_count) == (500_000, 0.9, 10_000)


def test_symbols_train_from_end_to_end(tmp_path):
    options = [word for word in TINY if word != "--data.augmented"]
    words = ["--model.encoder", "embedding", "--model.heads", 4, "--data.rare", 18, "--data.characters", 60]
    run("symbolic", *options, *words, "--workdir", tmp_path / "run")
    evaluations = summary_of(tmp_path / "run")["evaluations"]
    assert evaluations.keys() == {"fewshot_holdout", "no_support_zipfian", "fewshot_zipfian"}


def test_noise_random_rare_images_and_single_exemplars_train_from_end_to_end(tmp_path, finished):
    changed = ["--data.noise", 0.2, "--data.random-rare", "--data.exemplars", "single", "--data.zipf-exponent", 1]
    extra = ["--eval.extra-with-zipf", "no_support_rare", "--data.common", 4, "--data.p-bursty-zipfian", 0.5]
    OMNI.tiny(*changed, *extra, "--report", "--workdir", tmp_path / "run")
    evaluations = summary_of(tmp_path / "run")["evaluations"]
    assert evaluations.keys() == {"fewshot_holdout", "no_support_zipfian", "no_support_rare"}
    assert untimed(tmp_path / "run" / "metrics.jsonl") != untimed(finished / "metrics.jsonl")


def test_another_trunk_layout_and_loss_train_from_end_to_end(tmp_path):
    changed = ["--model.trunk", "lstm", "--model.loss", "weighted", "--model.context-weight", 0.3]
    changed += ["--model.item-dropout", 0.2, "--model.layout", "previous_label"]
    OMNI.tiny(*changed, "--workdir", tmp_path / "run")
    assert all("context_accuracy" in line for line in read_lines(tmp_path / "run" / "metrics.jsonl"))
    run(tmp_path / "run", "--mode", "eval", "--eval.batch-size", 45)
    assert summary_of(tmp_path / "run")["icl"]["count"] == 90


@pytest.mark.parametrize(("trunk", "has_heads"), [("transformer", True), ("linear_attention", True), ("gru", False)])
def test_a_trunk_with_attention_is_asked_what_its_heads_do(trunk, has_heads):
    experiment = build(
        parse("laptop", *TINY, "--model.trunk", trunk, "--eval.heads-count", 8, "--eval.ablation-count", 8)
    )
    heads = {"heads_fewshot_holdout", "ablated_heads"} & {evaluation.name for evaluation in experiment.at_end}
    assert len(heads) == 2 * has_heads


def test_the_streams_of_a_run_have_noise_of_their_own():
    config = parse("laptop", *TINY, "--data.noise", 0.5)
    experiment = build(config)
    noise = []
    for name in ("train", "fewshot_holdout"):
        sampler = experiment.samplers(config)[name]
        batch = sampler.sample(np.arange(4))
        clean = sampler.bank.gather(batch["classes"], batch["exemplars"]) / 255
        noise.append((batch["images"] - clean).ravel())
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.05 and np.isclose(noise[0].std(), 0.5, rtol=0.05)


def promised(preset, tmp_path, *options):
    run(preset, "--workdir", tmp_path / "run", *options)
    return summary_of(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_laptop_learns_in_context(seed, tmp_path):
    assert promised("laptop", tmp_path, "--train.seed", seed)["icl"]["value"] >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_laptop_omniglot_learns_in_context_on_real_characters(seed, tmp_path, small1):
    summary = promised("laptop_omniglot", tmp_path, "--data.zips", small1, "--train.seed", seed)
    assert summary["icl"]["value"] >= 0.85


@pytest.mark.slow
def test_an_lstm_of_as_many_parameters_stays_at_chance(tmp_path):
    lstm = ["--model.trunk", "lstm", "--model.layers", 3]
    assert abs(promised("laptop", tmp_path, *lstm)["icl"]["value"] - 0.5) <= 0.05


@pytest.mark.slow
def test_laptop_iwl_learns_in_weights_alone(tmp_path):
    summary = promised("laptop_iwl", tmp_path)
    assert summary["iwl"]["value"] >= 0.9 and abs(summary["icl"]["value"] - 0.5) <= 0.05
