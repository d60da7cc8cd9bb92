"""A model beside itself untrained, of a lone run and of members, however the session evaluates."""

import dataclasses

import jax
import numpy as np
import pytest

import icl_eval as evaluation
import icl_lab as lab
import icl_train as training
from icl_lab.checkpoints import family_line

STEPS = ["--train.steps", 4, "--eval.every", 9, "--train.keep-checkpoints", 9, "--no-report"]


@pytest.fixture(scope="module")
def run(toy):
    """Return a function that runs the toy whose results at the end have its untrained model as a baseline."""

    def build(config):
        def measure(model, batches, *, count):
            def predict(inputs, targets, is_query):
                return model.untrained({"inputs": inputs, "targets": targets, "is_query": is_query})

            return evaluation.evaluate_functions(
                model, batches, name=lab.UNSEEN, count=count, baselines={"untrained": predict}
            )

        experiment = toy.build(config)
        at_end = lab.Evaluation(lab.UNSEEN, (lab.UNSEEN,), config.eval.final_count, measure, toy.FAMILY)
        return dataclasses.replace(experiment, at_intervals=(), at_end=(at_end,), learner={})

    definition = dataclasses.replace(toy.TOY, build=build)

    def run_words(*words):
        config = lab.parse(list(map(str, words)), toy.PRESETS, name="toy", default="toy")
        lab.execute(definition, config, lab.ensemble_members(config))

    return run_words


def error_by_hand(toy, *, seed, count=12, width=3):
    """Return the squared error at the query points of the weights that the seed draws."""
    weights = np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(seed), 0), (1, width)), np.float64)
    config = lab.with_options(toy.ToyConfig(), {"train.seed": seed})
    batch = toy.make_samplers(config)[lab.UNSEEN].sample(np.arange(count))
    errors = []
    for inputs, targets, is_query in zip(batch["inputs"], batch["targets"], batch["is_query"], strict=True):
        errors += [
            (x[0] * weights.mean() - y[0]) ** 2 for x, y in zip(inputs[is_query], targets[is_query], strict=True)
        ]
    return np.mean(errors)


def last(read, folder):
    metrics = read(folder / "eval.jsonl")[-1]["metrics"]
    return metrics["squared_error"]["value"], metrics["squared_error_untrained"]["value"]


def test_the_untrained_model_has_the_parameters_of_the_seed_when_trained_and_when_evaluated_again(
    toy, run, read, tmp_path, capsys
):
    folder = tmp_path / "run"
    run("toy", "--train.seed", 3, "--train.ema-decay", 0.5, *STEPS, "--workdir", folder)
    trained, untrained = last(read, folder)
    assert untrained == pytest.approx(error_by_hand(toy, seed=3), rel=1e-5) and abs(trained - untrained) > 1e-3
    before = read(folder / "eval.jsonl")[-1]["metrics"]
    (folder / "eval.jsonl").unlink()
    run(folder, "--mode", "eval", "--no-report")
    assert read(folder / "eval.jsonl")[-1]["metrics"] == before
    assert f"untrained {untrained:.4f}  best baseline: untrained" in capsys.readouterr().out
    run(folder, "--mode", "eval", "--step", 4, "--eval.final-count", 8, "--no-report")
    assert last(read, folder)[1] == pytest.approx(error_by_hand(toy, seed=3, count=8), rel=1e-5)


def test_another_run_that_it_began_with_is_no_untrained_model(toy, run, read, tmp_path):
    run("toy", *STEPS, "--workdir", tmp_path / "first")
    run("toy", "--init-from", tmp_path / "first", "--train.seed", 5, *STEPS, "--workdir", tmp_path / "second")
    assert last(read, tmp_path / "second")[1] == pytest.approx(error_by_hand(toy, seed=5), rel=1e-5)


def test_each_member_has_an_untrained_model_of_its_own(toy, run, read, tmp_path):
    run("toy", "--train.ensemble.members", 2, *STEPS, "--workdir", tmp_path)
    found = [last(read, tmp_path / f"member-{number:03d}")[1] for number in (0, 1)]
    assert found == pytest.approx([error_by_hand(toy, seed=seed) for seed in (0, 1)], rel=1e-5)
    assert abs(found[0] - found[1]) > 1e-3
    run(tmp_path, "--mode", "eval", "--no-report")
    assert [last(read, tmp_path / f"member-{number:03d}")[1] for number in (0, 1)] == pytest.approx(found, rel=1e-6)


def test_a_follower_measures_it_too(toy, run, read, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run("toy", "--mode", "train", *STEPS, "--workdir", folder)
    monkeypatch.setattr(training, "watch", lambda workdir, **options: iter((4,)))
    run(folder, "--mode", "follow", "--no-report")
    assert last(read, folder)[1] == pytest.approx(error_by_hand(toy, seed=0), rel=1e-5)


@pytest.mark.parametrize(("kind", "best"), [("error", "ridge"), ("proportion", "3-NN")])
def test_a_line_names_the_best_baseline_by_what_is_better(kind, best):
    values = {"score": 0.5, "score_lost": np.nan, "score_ridge": 0.1, "score_3-NN": 0.9}
    words = {
        name: evaluation.Measure(sentence="A score.", kind=kind, baseline=name.partition("_")[2] or None)
        for name in values
    }
    estimates = {
        name: evaluation.Estimate(value=value, low=value, high=value, count=9) for name, value in values.items()
    }
    line = family_line(evaluation.Result("sines", estimates, {}, words))
    assert line.split() == [
        "sines", "model", "0.5000", "lost", "nan", "ridge", "0.1000", "3-NN", "0.9000", "best", "baseline:", best,
    ]  # fmt: skip
    alone = evaluation.Result("sines", {"score": estimates["score"]}, {}, words)
    assert family_line(alone).split() == ["sines", "model", "0.5000"]
