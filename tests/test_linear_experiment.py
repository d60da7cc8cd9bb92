"""Linear regression in context: a run from end to end, and what it is measured by, in both layouts."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
from experiments.linear.config import PRESETS, DataConfig
from experiments.linear.run import LINEAR
from experiments.linear.sweeps import RAVENTOS
from experiments.linear.tasks import make_samplers
from icl_lab.sweeps.command import parse_sweep
from tests.tiny import LINE, summary_of

RAVENTOS_TINY = {"data.num_inputs": 2, "data.points": 6, "eval.batch_size": 16, "eval.baseline_count": 24}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear") / "finished"
    LINE.tiny("--report", "--workdir", folder)
    return folder


def test_a_run_is_told_beside_least_squares_and_nowhere_called_what_it_is_not(finished):
    evaluations = summary_of(finished)["evaluations"]
    assert evaluations.keys() == {"seen_tasks", "unseen_tasks"}
    # Six points of two dimensions without noise: least squares is exact (closed form).
    assert evaluations["unseen_tasks"]["squared_error_least squares"]["value"] < 1e-8
    assert evaluations["unseen_tasks"]["squared_error"]["value"] > 0.1
    page = (finished / "report.html").read_text()
    assert "linear functions that were not trained on" in page and "families of functions" not in page
    assert json.loads((finished / "config.json").read_text())["experiment"] == "linear"


def test_the_tasks_are_the_papers():
    """Garg et al. (2022), section 3: x and w are N(0, I), y = w x; E y^2 is the number of dimensions."""
    samplers = make_samplers(PRESETS["garg"])
    batch = samplers["train"].sample(np.arange(400) + 30_000 * 64)  # when the curriculum is over
    assert batch["inputs"].shape == (400, 41, 20) and (batch["is_query"].sum(axis=1) == 1).all()
    np.testing.assert_allclose(batch["inputs"].var(), 1, rtol=0.02)
    np.testing.assert_allclose((batch["targets"] ** 2).mean(), 20, rtol=0.1)
    weights, *_ = np.linalg.lstsq(batch["inputs"][0].astype(np.float64), batch["targets"][0].astype(np.float64))
    np.testing.assert_allclose(batch["inputs"][0] @ weights, batch["targets"][0], atol=1e-3)
    assert samplers["unseen_tasks"].sample(np.arange(9))["task"].min() >= data.UNSEEN


@pytest.mark.parametrize(
    ("step", "inputs", "points"), [(0, 5, 11), (1_999, 5, 11), (2_000, 6, 13), (29_999, 19, 39), (30_000, 20, 41)]
)
def test_the_curriculum_is_the_papers(step, inputs, points):
    """Garg et al. (2022), their code: from 5 inputs and 11 points by 1 and 2 every 2,000 steps of 64 tasks."""
    batch = make_samplers(PRESETS["garg"])["train"].sample(np.arange(64) + 64 * step)
    there = batch["inputs"] != 0
    assert there[:, :points, :inputs].all() and there.sum() == 64 * points * inputs
    assert (batch["targets"][:, points:] == 0).all() and (batch["targets"][:, :points] != 0).all()
    evaluated = make_samplers(PRESETS["garg"])["unseen_tasks"].sample(np.arange(4))
    assert (evaluated["inputs"] != 0).all()


@pytest.mark.parametrize("curriculum", [(0, 5), (6, 5), (2, 0)])
def test_curricula_that_cannot_be_are_refused(curriculum):
    with pytest.raises(ValueError, match=r"data\.curriculum wants 1 to 5 inputs"):
        DataConfig(num_inputs=5, points=16, curriculum=curriculum)
    with pytest.raises(ValueError, match="leave 2 points"):
        DataConfig(num_inputs=9, points=16, curriculum=(1, 5))


GARG_TINY = {
    "data.num_inputs": 4, "data.points": 9, "data.curriculum": (2, 3), "data.batch_size": 5, "data.noise": 1.0,
    "model.width": 8, "model.layers": 1, "model.heads": 2,
}  # fmt: skip


@pytest.mark.parametrize(("step", "points"), [(0, 5), (3, 7), (6, 9)])
def test_the_loss_is_the_mean_over_the_points_that_a_stage_has(step, points):
    """As Garg et al. (2022) leave the others out: with noise these would be nothing but noise to learn."""
    config = lab.with_options(PRESETS["garg"], GARG_TINY)
    experiment, batch = LINEAR.build(config), make_samplers(config)["train"].sample(np.arange(5) + 5 * step)
    assert batch["targets"].all()  # noise on what is not there, too
    params, state = jax.jit(experiment.init)(jax.random.key(0), batch)
    key = jax.random.key(1)
    loss, _ = jax.jit(experiment.loss_fn)(params, state, key, batch)
    predictions = np.asarray(jax.jit(experiment.predict)(params, state, key, batch))
    assert float(loss) == pytest.approx(np.square(predictions - batch["targets"])[:, :points].mean(), rel=1e-5)


def test_a_curriculum_is_refused_where_its_missing_points_are_the_queries():
    with pytest.raises(ValueError, match=r"wants model\.layout interleaved"):
        lab.with_options(PRESETS["laptop"], {"data.curriculum": (2, 50)})


def test_the_interleaved_layout_hides_no_target_but_the_last():
    with pytest.raises(ValueError, match=r"wants data\.queries 1, got 4"):
        lab.with_options(PRESETS["laptop"], {"model.layout": "interleaved"})


def test_in_the_causal_form_every_point_counts_and_sees_what_is_before_it_alone():
    config = lab.with_options(PRESETS["causal"], {"model.width": 8, "model.layers": 1, "model.heads": 2})
    experiment, batch = LINEAR.build(config), make_samplers(config)["train"].sample(np.arange(3))
    params, state = jax.jit(experiment.init)(jax.random.key(0), batch)
    key = jax.random.key(1)
    loss, _ = jax.jit(experiment.loss_fn)(params, state, key, batch)
    predictions = np.asarray(jax.jit(experiment.predict)(params, state, key, batch))
    assert float(loss) == pytest.approx(np.square(predictions - batch["targets"]).mean(), rel=1e-5)

    def sixth(inputs, targets):
        return experiment.predict(params, state, key, batch | {"inputs": inputs, "targets": targets})[:, 5].sum()

    by_inputs, by_targets = jax.jit(jax.grad(sixth, argnums=(0, 1)))(batch["inputs"], batch["targets"])
    assert np.abs(by_inputs[:, :6]).sum(axis=2).all() and not np.abs(by_inputs[:, 6:]).any()
    assert np.abs(by_targets[:, :5]).all() and not np.abs(by_targets[:, 5:]).any()


def measured(config, at="at_end"):
    """Measure a model that predicts 0 everywhere, as the driver would; return the results by name."""
    experiment, samplers = LINEAR.build(config), make_samplers(config)

    def batches(name):
        return (samplers[name].sample(np.arange(16) + start) for start in range(0, 10_000, 16))

    return {
        each.name: each.measure(lambda batch: np.zeros_like(batch["targets"]), *map(batches, each.streams), count=40)
        for each in getattr(experiment, at)
    }


@pytest.mark.parametrize("num_tasks", [3, 24])
def test_the_best_predictors_are_told_the_noise_and_the_pool_of_the_run(num_tasks):
    """Against posteriors written out: weights drawn from the pool, and N(0, I) as (X'X + s^2 I)^-1 X'y."""
    config = lab.with_options(PRESETS["raventos"], RAVENTOS_TINY | {"data.num_tasks": num_tasks})
    results = measured(config)
    pool = data.draw_functions(data.Linear(num_inputs=2), seed=0, numbers=np.arange(num_tasks)).specs["weights"]
    for name, result in results.items():
        batch = make_samplers(config)[name].sample(np.arange(24))
        errors = {"dMMSE": [], "ridge": []}
        for x, y in zip(batch["inputs"].astype(float), batch["targets"][:, :, 0].astype(float), strict=True):
            for n in range(6):
                likely = [np.exp(-np.square(y[:n] - x[:n] @ w).sum() / (2 * 0.25)) for w in pool]
                known = np.average(pool, axis=0, weights=likely) @ x[n]
                fitted = np.linalg.solve(x[:n].T @ x[:n] + 0.25 * np.eye(2), x[:n].T @ y[:n]) @ x[n]
                errors["dMMSE"].append((known - y[n]) ** 2)
                errors["ridge"].append((fitted - y[n]) ** 2)
        for predictor, each in errors.items():
            assert result.metrics[f"squared_error_{predictor}"].value == pytest.approx(np.mean(each), rel=1e-3)
        assert 0 <= result.metrics["relative_distance"].value <= 1
    assert "distance_3-NN" in results["unseen_tasks"].metrics
    assert "distance_3-NN" not in measured(config, "at_intervals")["unseen_tasks"].metrics


def test_without_noise_or_a_pool_there_is_no_predictor_that_would_need_it():
    fresh = measured(lab.with_options(PRESETS["raventos"], RAVENTOS_TINY | {"data.num_tasks": None}))["unseen_tasks"]
    assert "excess_ridge" in fresh.metrics and "relative_distance" not in fresh.metrics
    exact = measured(lab.with_options(PRESETS["raventos"], RAVENTOS_TINY | {"data.noise": 0.0}))["unseen_tasks"]
    assert not {"excess_ridge", "excess_dMMSE"} & exact.metrics.keys()
    assert exact.arrays["shots"].curves["least squares"].values[2:].max() < 1e-8
    alone = measured(lab.with_options(PRESETS["raventos"], RAVENTOS_TINY | {"eval.baseline_count": 0}))
    assert alone["seen_tasks"].metrics.keys() == {"squared_error"}


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({}, {"excess", "relative_distance"}),
        ({"data.noise": 0.0}, {"excess"}),
        ({"data.num_tasks": None}, {"excess"}),
        ({"eval.baseline_count": 0}, set()),
    ],
)
def test_headlines_are_of_what_is_measured(options, extra):
    config = lab.with_options(PRESETS["raventos"], RAVENTOS_TINY | options)
    headlines, results = LINEAR.build(config).headlines, measured(config)
    assert {each.name for each in headlines} == {"unseen", "seen"} | extra
    assert all(each.metric in results[each.evaluation].metrics for each in headlines)


def test_a_causal_run_ends_with_its_headlines(tmp_path):
    LINE.tiny("--data.num-tasks", 4, "--data.queries", 1, "--workdir", tmp_path / "run", preset="raventos")
    summary = summary_of(tmp_path / "run")
    assert summary["headlines"] == ["unseen", "seen", "excess", "relative_distance"]
    assert summary["excess"] == summary["evaluations"]["unseen_tasks"]["excess_ridge"]


def test_the_page_of_the_sweep_tells_from_which_pool_on_models_leave_the_memoriser(tmp_path):
    """Distances that are set here: half way from dMMSE to ridge at 2^5 tasks, and no dMMSE for fresh ones."""
    sure = {value: evaluation.Estimate(value, value, value, count=64) for value in (0.1, 0.8, 2.4, 3.2)}
    runs = []
    for size, to_dmmse, to_ridge in ((2**4, 0.8, 2.4), (2**6, 2.4, 0.8), (None, None, 0.1)):
        metrics = {"distance_ridge": sure[to_ridge]}
        if size is not None:
            share = to_dmmse / (to_dmmse + to_ridge)
            metrics |= {
                "distance_dMMSE": sure[to_dmmse],
                "relative_distance": evaluation.Estimate(share, share, share, 9),
            }
        for seed in (0, 1):
            options = {"data.num_tasks": size, "train.seed": seed, "workdir": tmp_path / f"{size}-{seed}"}
            runs.append(lab.with_options(RAVENTOS.config, options))
            results = [evaluation.Result(name, metrics, {}, unit="tasks") for name in (lab.SEEN, lab.UNSEEN)]
            evaluation.append_evaluations(runs[-1].workdir, step=9, results=results)
    drawn = RAVENTOS.draw(tmp_path, RAVENTOS.config, runs)
    assert drawn.said == [
        "on fresh tasks models are nearer to ridge than to dMMSE from 2^5.0 tasks on (2^5.0 to 2^5.0, 95 % over seeds)."
    ]
    (table,) = drawn.tables
    assert table.rows[0][:5] == ("2^4", "2", "0.1", "0.3", "0.25") and table.rows[2][:5] == (
        "fresh",
        "2",
        "",
        "0.0125",
        "",
    )
    distances, ways = drawn.pictures
    lines = {line.get_label(): line.get_ydata() for line in distances.draw().axes[1].lines}
    np.testing.assert_allclose(lines["to ridge"], np.array([2.4, 0.8, 0.1]) / 8)
    assert "fresh tasks, 2^6: 0.75" in ways.alt and len(ways.draw().axes) == 1


@pytest.mark.parametrize(
    "words", [["--data.noise", "0"], ["--eval.baseline-count", "0"], ["--grid.data.noise", "0.5", "0"]]
)
def test_a_sweep_without_what_its_page_is_about_is_refused_before_it_begins(words, tmp_path, capsys):
    words = ["raventos", *words, "--workdir", str(tmp_path / "s")]
    with pytest.raises(SystemExit):
        parse_sweep(words, PRESETS, LINEAR.sweeps, name="linear", default="laptop")
    assert "a sweep over pools wants" in capsys.readouterr().err
    parse_sweep([*words, "--no-page"], PRESETS, LINEAR.sweeps, name="linear", default="laptop")


def test_the_sweep_varies_the_pool_alone():
    sweep = lab.Sweep(
        base=dataclasses.replace(RAVENTOS.config, report=False),
        settings=tuple({"data.num_tasks": size} for size in RAVENTOS.grid["data.num_tasks"]),
        seeds=RAVENTOS.seeds,
    )
    assert len(sweep.runs()) == 20 and len({config.data.num_tasks for config in sweep.runs()}) == 10
