"""Symbols from urns and Markov chains, from a configuration."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.symbols import optimal
from experiments.symbols.config import PRESETS, SymbolsConfig
from experiments.symbols.sweeps import SWEEPS

NAMES = lab.SEEN, lab.UNSEEN

HEADLINES = (
    evaluation.Headline(
        name="unseen",
        evaluation=lab.UNSEEN,
        metric=f"divergence_{optimal.COUNTING}",
        title="Unseen tasks",
        sentence="How many nats the model loses on tasks that were not trained on, against the best there is.",
    ),
    evaluation.Headline(
        name="relative_distance",
        evaluation=lab.UNSEEN,
        metric="relative_distance",
        title="From remembering to counting",
        sentence="How far the model has gone from the predictor that remembers the pool, 0, to the one that counts, 1; "
        "on unseen tasks.",
    ),
)


def make_samplers(config: SymbolsConfig) -> dict[str, data.Sampler]:
    """Return the sequences of training and of each evaluation, and the pool itself for predictors that know it."""
    options = config.data
    process = data.Urns if options.process == "urns" else data.MarkovChains
    samplers = {
        name: data.SymbolSampler(
            process=process(num_symbols=options.num_symbols),
            tasks=tasks,
            length=options.length,
            seed=config.train.seed,
            stream=name,
        )
        for name, tasks in lab.task_pools(config, options.num_tasks).items()
    }
    train = samplers[lab.TRAIN]
    return samplers | {lab.POOL: lab.PoolSampler(tasks=train.tasks, describe=train.probabilities)}


def build(config: SymbolsConfig) -> lab.Experiment[SymbolsConfig]:
    """Return the experiment of a configuration."""
    K, options = config.data.num_symbols, config.model
    trunk = models.Transformer(layers=options.layers, heads=options.heads, mlp_ratio=options.mlp_ratio)
    symbol_model = models.SymbolModel(num_symbols=K + 1, trunk=trunk, width=options.width)  # with a start token
    pure = symbol_model.build()

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return pure.init(rng, batch["tokens"])

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        logits, state = pure.apply(params, state, rng, batch["tokens"], is_training=True)
        loss, metrics = models.next_symbol_cross_entropy(logits, batch["tokens"])
        return loss, (metrics, state)

    def predict(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> Array:
        logits, _ = pure.apply(params, state, None, batch["tokens"])
        return jax.nn.softmax(logits[:, :-1, :K])  # nothing comes after the last, and the start token never again

    asked = config.eval.baseline_count > 0

    def evaluations(count: int) -> tuple[lab.Evaluation, ...]:
        measured = functools.partial(optimal.measure, config=config)
        return tuple(
            lab.Evaluation(name, (name, lab.POOL), count, functools.partial(measured, name=name)) for name in NAMES
        )

    return lab.Experiment(
        init,
        loss_fn,
        predict,
        ("tokens",),
        samplers=make_samplers,
        at_intervals=evaluations(config.eval.count),
        at_end=evaluations(config.eval.final_count),
        headlines=HEADLINES if asked and config.data.num_tasks is not None else HEADLINES[:asked],
        model=symbol_model,
    )


SYMBOLS = lab.Definition("symbols", build, PRESETS, default="urns", sweeps=SWEEPS)
