"""Symbols from urns and chains: a run from end to end, and what models are measured by."""

import jax
import numpy as np
import pytest

import icl_lab as lab
from experiments.symbols.config import PRESETS
from experiments.symbols.optimal import make_predictors
from experiments.symbols.run import SYMBOLS, make_samplers
from experiments.symbols.sweeps import SWEEPS
from icl_lab.sweeps.command import parse_sweep
from tests.tiny import SYMB, summary_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("symbols") / "finished"
    SYMB.tiny("--report", "--workdir", folder, preset="markov")
    return folder


def test_a_run_is_told_beside_those_that_remember_and_those_that_count(finished):
    summary = summary_of(finished)
    assert summary["headlines"] == ["unseen", "relative_distance"]
    seen, unseen = (summary["evaluations"][name] for name in ("seen_tasks", "unseen_tasks"))
    # The best on its own tasks has the lowest loss, chains are not urns, and the model knows nothing yet.
    assert seen["loss_remembering"]["value"] < min(
        seen[f"loss_{each}"]["value"] for each in ("counting", "remembering symbols")
    )
    assert unseen["loss_counting"]["value"] < unseen["loss_remembering"]["value"]
    assert unseen["loss"]["value"] == pytest.approx(np.log(3), abs=0.3)
    assert "cross entropy of the model and of baselines" in (finished / "report.html").read_text()


@pytest.mark.parametrize("preset", ["urns", "markov"])
def test_the_predictors_are_told_the_pool_of_the_run(preset):
    config = lab.with_options(PRESETS[preset], {"data.num_tasks": 5, "data.length": 20, "train.seed": 3})
    samplers = make_samplers(config)
    pool = lab.read_pool(samplers["pool"].sample(np.arange(4) + start) for start in (0, 4))
    assert len(pool) == 5
    batch = samplers["seen_tasks"].sample(np.arange(30))
    symbols = batch["tokens"][:, 1:]
    predictors = make_predictors(config, pool)
    # By Bayes' rule, step by step.
    own: list[float] = []
    for row, (sequence, task) in enumerate(zip(symbols, batch["task"], strict=True)):
        belief, last = np.full(5, 1 / 5), None
        found = np.asarray(predictors["remembering"](symbols))[row]
        for place, symbol in enumerate(sequence):
            rows = pool if preset == "urns" else (np.full((5, 4), 1 / 4) if last is None else pool[:, last])
            np.testing.assert_allclose(found[place], belief @ rows, atol=1e-5)
            belief = belief * rows[:, symbol]
            belief, last = belief / belief.sum(), symbol
        own.append(belief[task])
    assert np.mean(own) > 0.5  # the rows of the pool have the numbers of its tasks
    assert "remembering" not in make_predictors(config, None)


def test_what_is_predicted_is_the_next_symbol_from_those_before_it():
    config = lab.with_options(PRESETS["urns"], {"data.length": 9, "model.width": 8})
    experiment, batch = SYMBOLS.build(config), make_samplers(config)["train"].sample(np.arange(4))
    params, state = jax.jit(experiment.init)(jax.random.key(0), batch)
    key, predict = jax.random.key(1), jax.jit(experiment.predict)
    probabilities = np.asarray(predict(params, state, key, batch))
    assert probabilities.shape == (4, 9, 8)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-5)
    other = batch["tokens"].copy()
    other[:, 5] = (other[:, 5] + 1) % 8  # the symbol at place 4
    changed = np.abs(np.asarray(predict(params, state, key, batch | {"tokens": other})) - probabilities).max(
        axis=(0, 2)
    )
    assert (changed[:5] == 0).all() and (changed[5:] > 0).all()
    loss, _ = jax.jit(experiment.loss_fn)(params, state, key, batch)
    own = np.take_along_axis(probabilities, batch["tokens"][:, 1:, None], axis=2)
    # The model gives a little to the start token, which never comes again; the evaluation does not.
    assert float(loss) == pytest.approx(-np.log(own).mean(), abs=0.3) and float(loss) > -np.log(own).mean()


@pytest.mark.parametrize(
    ("options", "metrics"),
    [
        ({}, ["divergence_counting", "relative_distance"]),
        ({"data.num_tasks": None}, ["divergence_counting"]),
        ({"eval.baseline_count": 0}, []),
    ],
)
def test_headlines_are_of_what_is_measured(options, metrics):
    config = lab.with_options(PRESETS["urns"], options)
    assert [each.metric for each in SYMBOLS.build(config).headlines] == metrics


def test_a_sweep_beside_no_predictors_is_refused_before_it_begins(tmp_path, capsys):
    words = ["pools", "--eval.baseline-count", "0", "--workdir", str(tmp_path / "s")]
    with pytest.raises(SystemExit):
        parse_sweep(words, PRESETS, SYMBOLS.sweeps, name="symbols", default="urns")
    assert "wants eval.baseline_count above 0" in capsys.readouterr().err


def test_the_sweeps_have_the_pools_of_the_paper():
    for sweep in SWEEPS.values():
        assert sweep.grid["data.num_tasks"] == (4, 16, 64, 256, 1_024, 4_096, None)
