"""One model of experiments/functions.py: its tasks, how it begins, what it is trained on, and how it is evaluated."""

import dataclasses
import functools
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_models as models
import icl_train as training
from experiment import Model, Run
from functions_presets import NAMED_TASKS, TRANSFER, DataConfig, FunctionsConfig, ModelConfig

DRAWN = ("3-NN", "Gaussian process")
_FITS = 3  # functions of each family that are drawn


def make_family(config: DataConfig) -> data.Family:
    """Give the functions to train on."""
    if config.tasks != "mlp":
        return NAMED_TASKS[config.tasks]
    return data.RandomMLP(
        num_inputs=config.num_inputs,
        hidden=config.hidden,
        activations=config.activation,
        weight_scale=config.weight_scale,
        bias_scale=config.bias_scale,
    )


def make_baselines(config: DataConfig) -> dict[str, evaluation.Regressor]:
    """List what the model is compared with: all, with options that suit how far apart the points are."""
    distance = make_family(config).num_inputs ** 0.5
    return evaluation.REGRESSORS | {
        "averaging": evaluation.Averaging(variance=1 / 3 if config.inputs == "uniform" else 1.0),
        "Gaussian process": evaluation.GaussianProcess(length_scale=0.3 * distance, noise=1e-3),
    }


def transfer_families(config: DataConfig) -> dict[str, data.Family]:
    """Give the known families to be tested on, with as many inputs as those trained on."""
    inputs = make_family(config).num_inputs
    fitting = [name for name in data.KNOWN_FAMILIES if name != "sparse_linear" or inputs >= 3]
    return {
        name: dataclasses.replace(TRANSFER[name], num_inputs=inputs)  # type: ignore[type-var]
        for name in config.transfer or fitting
    }


def make_samplers(config: FunctionsConfig) -> dict[str, data.FunctionSampler]:
    """Make the tasks of training and of each evaluation."""
    options, family = config.data, make_family(config.data)
    last = data.LastQueries(options.queries)
    trained: data.QueryMask = last if options.places == "last" else data.RandomQueries(options.queries)
    if options.fraction is not None:
        trained = data.RandomFraction(low=options.fraction[0], high=options.fraction[1])
    sampler = functools.partial(
        data.FunctionSampler,
        num_points=options.points,
        inputs=data.UniformInputs() if options.inputs == "uniform" else data.NormalInputs(),
        noise=options.noise,
        standardise=options.standardise,
        seed=config.train.seed,
    )
    # Of fresh tasks, those that were seen before the first evaluation.
    early = min(config.train.steps, config.eval.every)
    seen = data.Tasks(count=options.num_tasks or early * options.batch_size)
    unseen = data.Tasks(first=data.UNSEEN)
    samplers = {
        "train": sampler(family=family, queries=trained, tasks=data.Tasks(count=options.num_tasks)),
        "seen_tasks": sampler(family=family, queries=last, tasks=seen, stream="seen_tasks"),
        "unseen_tasks": sampler(family=family, queries=last, tasks=unseen, stream="unseen_tasks"),
    }
    for name, known in transfer_families(options).items():
        samplers[f"transfer_{name}"] = sampler(family=known, queries=last, tasks=unseen, stream=f"transfer_{name}")
    return samplers


class FunctionsRun(Run[FunctionsConfig]):
    """A model of this experiment.

    Args:
      config: of the run.
      mesh: where it is trained; None for a member of an ensemble.
    """

    def __init__(self, config: FunctionsConfig, mesh: Mesh | None) -> None:
        """Build streams and model."""
        self.config = config
        self._shard = (0, 1) if mesh is None else training.data_shard(mesh)
        self._model = make_model(config.model, make_family(config.data).num_outputs)
        self.streams = self.make_streams(config)
        self._baselines = make_baselines(config.data)
        self._latest: dict[str, evaluation.Result] = {}

        def predictions(params: PyTree, state: PyTree, batch: Any) -> Array:
            return self._model.apply(params, state, None, batch["inputs"], batch["targets"], batch["is_query"])[0]

        # With several hosts, each evaluates everything, and needs every prediction.
        whole = None if mesh is None or jax.process_count() == 1 else NamedSharding(mesh, PartitionSpec())
        self._predictions = jax.jit(predictions, out_shardings=whole)

    def make_streams(self, config: FunctionsConfig) -> dict[str, grain.IterDataset]:
        """Make the batches of training and of each evaluation."""
        return {
            name: data.batches(
                data.BatchSource(
                    sampler=sampler,
                    bank=None,
                    batch_size=config.data.batch_size if name == "train" else config.eval.batch_size,
                    shard=self._shard[0] if name == "train" else 0,
                    shard_count=self._shard[1] if name == "train" else 1,
                )
            )
            for name, sampler in make_samplers(config).items()
        }

    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Make the parameters and the state of the model."""
        batch = next(iter(self.streams["train"]))
        return self._model.init(rng, batch["inputs"], batch["targets"], batch["is_query"])

    def loss_fn(
        self, params: PyTree, state: PyTree, rng: Array, batch: Any
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        """Give the loss, metrics and new state of the model on a batch."""
        inputs, targets, is_query = batch["inputs"], batch["targets"], batch["is_query"]
        predictions, state = self._model.apply(params, state, rng, inputs, targets, is_query, is_training=True)
        loss, metrics = models.masked_squared_error(predictions, targets, is_query)
        return loss, (metrics, state)

    def evaluate(self, model: Model, *, count: int, final: bool) -> str:
        """Evaluate on ``count`` tasks of each kind: seen and unseen ones, and at the end the known families too."""
        predict = self._predictor(model)
        names = [name for name in self.streams if name != "train"]
        results = []
        for name in names if final else names[:2]:
            how = self._comparison(name, count) if final else {"count": count}
            result, curves = evaluation.evaluate_functions(predict, self.streams[name], name=name, **how)
            results.append(result)
            if final:
                fits = self._fit(predict, name)
                if training.is_first():
                    evaluation.save_by_examples(self.config.workdir, name, curves)
                    if fits is not None:
                        evaluation.save_fits(self.config.workdir, name, fits)
        if training.is_first():
            evaluation.append_evaluations(self.config.workdir, step=int(model.step), results=results)
        seen, unseen = results[:2]
        self._latest = {"seen": seen, "unseen": unseen}
        said = f"seen tasks {seen.metrics['normalised_error']}  unseen tasks {unseen.metrics['normalised_error']}"
        return said if not final else "\n".join([f"{said}  (1 is the best constant)", *map(transfer_line, results[2:])])

    def _predictor(self, model: Model) -> Any:
        params, state = model.params if model.ema is None else model.ema, model.model_state
        keys = ("inputs", "targets", "is_query")
        return lambda batch: self._predictions(params, state, {key: batch[key] for key in keys})

    def _comparison(self, name: str, count: int) -> dict[str, Any]:
        """Say on how many tasks, after how many examples and against which baselines the model is evaluated."""
        context = self.config.data.points - self.config.data.queries
        sizes = [0, *(2**power for power in range(context.bit_length()) if 2**power < context), context]
        if name == "seen_tasks":
            return {"count": count, "context_sizes": sizes}
        asked = min(count, self.config.eval.baseline_count)
        baselines = {baseline: regressor.predict for baseline, regressor in self._baselines.items() if asked}
        if name.startswith("transfer_"):  # all on the same tasks; and few sizes, for baselines take their time
            count, sizes = asked or count, [size for size in (4, 16) if size < context]
        return {"count": count, "context_sizes": sizes, "baselines": baselines, "baseline_count": asked or None}

    def _fit(self, predict: Any, name: str) -> evaluation.Fits | None:
        """Give what the model makes of a few functions of one input, for the report; all hosts must ask together."""
        sampler = make_samplers(self.config)[name]
        if sampler.family.num_inputs > 1:
            return None
        side = 1.0 if self.config.data.inputs == "uniform" else 2.0
        grid = data.ContextThenGrid(context=sampler.inputs, low=-side, high=side)
        context = sampler.num_points - self.config.data.queries
        drawn = dataclasses.replace(
            sampler, num_points=context + grid.grid, queries=data.LastQueries(grid.grid), inputs=grid, noise=0.0
        ).sample(np.arange(_FITS))
        hidden = drawn | {"targets": np.where(drawn["is_query"][:, :, None], 0, drawn["targets"])}
        arrays = hidden["inputs"], hidden["targets"], hidden["is_query"]
        predictions = {"model": np.asarray(predict(hidden))} | {
            baseline: self._baselines[baseline].predict(*arrays) for baseline in DRAWN
        }
        shown, asked = slice(None, context), slice(context, None)
        return evaluation.Fits(
            context_inputs=drawn["inputs"][:, shown, 0],
            context_targets=drawn["targets"][:, shown, 0],
            inputs=drawn["inputs"][:, asked, 0],
            truth=drawn["targets"][:, asked, 0],
            predictions={key: values[:, asked, 0] for key, values in predictions.items()},
        )

    def verdict(self) -> evaluation.Judgement | None:
        """Say what kind of learner this is."""
        return evaluation.judge_functions(self._latest["seen"], self._latest["unseen"]) if self._latest else None


def transfer_line(result: evaluation.Result) -> str:
    """Say how well a known family was learnt, beside the two simplest baselines."""
    names = {"model": "squared_error"} | {name: f"squared_error_{name}" for name in ("3-NN", "averaging", "constant")}
    errors = {name: result.metrics[metric].value for name, metric in names.items() if metric in result.metrics}
    return f"{result.evaluation:28}" + "  ".join(f"{name} {error:.4f}" for name, error in errors.items())


def make_model(config: ModelConfig, num_outputs: int) -> Any:
    """Build the regressor."""
    return models.PointRegressor(
        num_outputs=num_outputs,
        trunk=models.Transformer(mask="prefix", layers=config.layers, heads=config.heads, repeats=config.repeats),
        width=config.width,
        compute_dtype=config.compute_dtype,
    ).build()
