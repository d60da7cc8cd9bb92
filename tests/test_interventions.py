"""Interventions in the omniglot experiment: from the words of a command line to loss, answers and folder."""

import functools
import json

import jax
import numpy as np
import pytest

import icl_lab as lab
from experiments.omniglot.induction import GIVEN, draw, settings
from experiments.omniglot.run import OMNIGLOT
from tests.tiny import OMNI, read_lines, untimed

pytestmark = pytest.mark.lengthy

CLAMP = "clamp:layer=0,heads=0,to=match"


@functools.cache
def loss_of(*words):
    config = OMNI.parse("laptop", *OMNI.options, *(["--intervene", *words] if words else []))
    experiment = OMNIGLOT.build(config)
    sampler = experiment.samplers(config)[lab.TRAIN]
    batch = sampler.expand(sampler.resident, sampler.numbers(np.arange(8)))
    params, state = jax.jit(experiment.init)(jax.random.key(0), batch)
    return float(jax.jit(experiment.loss_fn)(params, state, jax.random.key(1), batch)[0])


def test_the_loss_has_what_changes_something_and_is_the_same_with_what_changes_nothing():
    assert loss_of("preserve:layer=0,taps=query+attention+heads") == pytest.approx(loss_of(), rel=1e-6)
    assert abs(loss_of(CLAMP) - loss_of()) > 1e-4
    assert loss_of("clamp:layer=0,to=copy") < np.log(2 + 6) + 1e-3 < loss_of() + 5, "among the labels of the context"


def test_a_run_with_interventions_is_the_same_when_it_was_stopped_and_its_folder_says_which(tmp_path):
    words = ["--intervene", CLAMP, "ablate:layer=0,heads=1-3", "forget:params=labels,every=2,until=4"]
    words += ["--eval.intervened", "--optimizer.schedule", "constant"]
    OMNI.tiny(*words, "--workdir", tmp_path / "whole")
    OMNI.tiny(*words, "--train.steps", 4, "--workdir", tmp_path / "cut")
    OMNI.run(tmp_path / "cut", "--resume", "--train.steps", 6)
    assert untimed(tmp_path / "whole" / "metrics.jsonl") == untimed(tmp_path / "cut" / "metrics.jsonl")
    last = [read_lines(tmp_path / name / "eval.jsonl")[-1]["metrics"] for name in ("whole", "cut")]
    assert last[0] == last[1]
    recorded = json.loads((tmp_path / "whole" / "config.json").read_text())["config"]["intervene"]
    assert recorded == [
        "clamp:layer=0,heads=0,to=match",
        "ablate:layer=0,heads=1+2+3",
        "forget:params=labels,every=2,until=4",
    ]
    OMNI.run(tmp_path / "whole", "--mode", "eval", "--eval.no-intervened", "--eval.final-count", 180)
    plain = read_lines(tmp_path / "whole" / "eval.jsonl")[-1]
    assert plain["evaluation"] == "no_support_zipfian" and plain["metrics"] != last[0], "evaluated as it is"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--intervene", "clamp:layer=1,to=match"], "wants layers that there are, got 1; the model has 0..0"),
        (["--intervene", "ablate:layer=0,heads=9"], "wants heads that there are, got 9; a layer has 0..3"),
        (["--intervene", "ablate:layer=0", "--model.trunk", "lstm"], "for heads of a Transformer"),
        (["--intervene", "forget:params=nowhere,every=2"], "matches no parameter; there are"),
        (["--eval.intervened"], "eval.intervened is for clamp"),
    ],
)
def test_what_there_is_not_is_refused_before_a_folder_is_made(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        OMNI.tiny(*words, "--workdir", tmp_path / "run")
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


def test_the_induction_study_is_six_settings_and_tells_when_each_formed(tmp_path):
    base = OMNIGLOT.sweeps["induction"].config
    chosen = settings(base)
    assert len(GIVEN) == len(chosen) == len({each["intervene"] for each in chosen.values()}) == 6
    runs = []
    for number, name in enumerate(("nothing", "match")):  # of which the other falls
        folder = tmp_path / name
        folder.mkdir()
        losses = {312: 0.7, 625: 0.7, 1_250: 0.7 - 0.6 * number}
        lines = [{"step": step, "loss": loss} for step, loss in losses.items()]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        runs.append(lab.with_options(base, chosen[name] | {"workdir": folder}))
    drawn = draw(tmp_path, base, runs)
    assert drawn.tables[0].rows == [
        ("nothing", "1", "0.700", "0.700", "not for 1 of 1"),
        ("match", "1", "0.700", "0.100", f"step {625 + 625 * (0.7 - 0.4 * np.log(2)) / 0.6:,.0f}"),
    ]
    assert "| match | 1 |" in (tmp_path / "clamps.md").read_text()
