"""The functions experiment, from a configuration."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.functions.config import PRESETS, FunctionsConfig, ModelConfig
from experiments.functions.tasks import (
    DRAWN,
    TRANSFER_TO,
    is_standardised,
    make_family,
    make_inputs,
    make_samplers,
)

DRAWN_BASELINES = ("3-NN", "Gaussian process")
DRAWN_FUNCTIONS = 3  # of each family
LENGTH_SCALES = (0.1, 0.3, 1.0, 3.0)  # of the Gaussian process, times the root of the number of inputs

HEADLINES = (
    evaluation.Headline(
        name="unseen",
        evaluation=lab.UNSEEN,
        metric="normalised_error",
        title="Unseen tasks",
        sentence="Squared error on functions never trained on, as a share of the error of each one's best constant: "
        "1 is as good as that constant, 0 is perfect.",
    ),
    evaluation.Headline(
        name="seen",
        evaluation=lab.SEEN,
        metric="normalised_error",
        title="Seen tasks",
        sentence="The same on functions trained on: the weights may remember them.",
    ),
)

KNOWN = evaluation.Family(
    title="Transfer", sentence="Known families of functions; training is on random networks alone."
)


def build(config: FunctionsConfig) -> lab.Experiment[FunctionsConfig]:
    """Return the experiment of a configuration."""
    family = make_family(config.data)
    regressor = make_model(config.model, family.num_outputs)
    names = [name for name in make_samplers(config) if name != lab.TRAIN and not name.startswith(DRAWN)]
    return lab.Experiment(
        *lab.regression(regressor),
        samplers=make_samplers,
        at_intervals=lab.evaluations((lab.SEEN, lab.UNSEEN), evaluation.evaluate_functions, count=config.eval.count),
        at_end=tuple(final_evaluation(config, name) for name in names),
        headlines=HEADLINES,
        model=regressor,
        learner=lab.SEEN_AND_UNSEEN,
        takes=lab.TakesPoints(
            num_inputs=family.num_inputs,
            num_outputs=family.num_outputs,
            context=config.data.points - config.data.queries,
            inputs="normal" if isinstance(make_inputs(config.data), data.NormalInputs) else "uniform",
            target_std=1.0 if is_standardised(config.data) else None,
        ),
    )


def make_model(config: ModelConfig, num_outputs: int) -> models.PointRegressor:
    """Return the regressor."""
    return models.PointRegressor(
        num_outputs=num_outputs,
        trunk=models.Transformer(
            mask="prefix",
            layers=config.layers,
            heads=config.heads,
            key_size=config.key_size,
            num_loops=config.num_loops,
        ),
        width=config.width,
        compute_dtype=config.compute_dtype,
    )


def make_baselines(config: FunctionsConfig, name: str) -> dict[str, evaluation.Regressor]:
    """Return what the model is compared with in an evaluation: all, with options that suit where the points lie."""
    inputs = make_inputs(config.data, name.removeprefix(TRANSFER_TO))
    distance = make_family(config.data).num_inputs ** 0.5
    return evaluation.REGRESSORS | {
        "averaging": evaluation.Averaging(variance=1.0 if isinstance(inputs, data.NormalInputs) else 1 / 3),
        "Gaussian process": evaluation.GaussianProcess(tuple(distance * each for each in LENGTH_SCALES), noise=1e-3),
    }


def final_evaluation(config: FunctionsConfig, name: str) -> lab.Evaluation:
    """Return an evaluation of the trained model: after few and many examples, beside baselines, and drawn."""
    known, count = name.startswith(TRANSFER_TO), config.eval.final_count
    regressors = make_baselines(config, name)
    context = config.data.points - config.data.queries
    sizes = lab.context_sizes(context)
    asked = 0 if name == lab.SEEN else min(count, config.eval.baseline_count)
    baselines = {each: regressor.predict for each, regressor in regressors.items() if asked}
    if known:  # all on the same tasks; and few sizes, for baselines take their time
        count, sizes = asked or count, [size for size in (4, 16) if size < context]

    def measure(model: lab.Model, batches: Iterable[Any], *drawn: Iterable[Any], count: int) -> evaluation.Result:
        untrained = {"untrained": as_baseline(model.untrained)} if asked else {}
        result = evaluation.evaluate_functions(
            model,
            batches,
            name=name,
            count=count,
            context_sizes=sizes,
            baselines=untrained | baselines,
            baseline_count=asked or None,
        )
        if not drawn:
            return result
        fits = fit(model, regressors, next(iter(drawn[0])), context=context)
        return dataclasses.replace(result, arrays={**result.arrays, "fits": fits})

    streams = (name, f"{DRAWN}{name}") if make_family(config.data).num_inputs == 1 else (name,)
    return lab.Evaluation(name, streams, count, measure, KNOWN if known else None)


def as_baseline(model: lab.Model) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Any]:
    """Return a model as a baseline of another, which is asked about the same points."""

    def predict(inputs: np.ndarray, targets: np.ndarray, is_query: np.ndarray) -> Any:
        return model({"inputs": inputs, "targets": targets, "is_query": is_query})

    return predict


def fit(
    model: lab.Model, regressors: Mapping[str, evaluation.Regressor], batch: Mapping[str, Any], *, context: int
) -> evaluation.Fits:
    """Return what the model and a few baselines make of functions of one input, for the report.

    Args:
      model: the model.
      regressors: the baselines by name.
      batch: functions that are known at their first points and asked for along a grid.
      context: how many points are known.
    """
    few = {key: np.asarray(batch[key][:DRAWN_FUNCTIONS]) for key in ("inputs", "targets", "is_query")}
    hidden = few | {"targets": np.where(few["is_query"][:, :, None], 0, few["targets"])}
    predictions = {"model": np.asarray(model(hidden))} | {
        each: regressors[each].predict(*hidden.values()) for each in DRAWN_BASELINES
    }
    shown, asked = slice(None, context), slice(context, None)
    return evaluation.Fits(
        context_inputs=few["inputs"][:, shown, 0],
        context_targets=few["targets"][:, shown, 0],
        inputs=few["inputs"][:, asked, 0],
        truth=few["targets"][:, asked, 0],
        predictions={key: values[:, asked, 0] for key, values in predictions.items()},
    )


FUNCTIONS = lab.Definition("functions", build, PRESETS)
