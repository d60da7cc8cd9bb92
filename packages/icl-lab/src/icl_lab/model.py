"""The model of a checkpoint, as measures ask it: parameters, state and key are filled in, functions compiled once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from icl_lab.experiment import Predict
from icl_train import ModelCheckpoint, TrainState


class Compiled:
    """Functions of a model, jitted once for whatever parameters, members and checkpoints they are asked with.

    Args:
      predict: the function that a model is called by.
      inputs: keys of a batch that functions read.
      mesh: where the parameters are, or None for where JAX has them.
    """

    def __init__(self, predict: Predict, *, inputs: tuple[str, ...], mesh: Mesh | None) -> None:
        """Compile nothing yet."""
        self.predict, self.inputs = predict, inputs
        # With several hosts, each evaluates everything, and needs every output.
        whole = None if mesh is None or jax.process_count() == 1 else NamedSharding(mesh, PartitionSpec())
        self._jit = lambda function: jax.jit(_seeded(function), out_shardings=whole)
        self._jitted: dict[Predict, Callable[..., Any]] = {}

    def __call__(self, function: Predict) -> Callable[..., Any]:
        """Return a function of (params, model_state, seed, batch, ...), compiled when it is first called."""
        if function not in self._jitted:
            self._jitted[function] = self._jit(function)
        return self._jitted[function]


class Model:
    """A model with its parameters: ``model(batch)`` predicts, ``model.ask(function)`` asks it anything else.

    Args:
      compiled: its functions.
      checkpoint: its parameters; where the run keeps an average of them, that is what is asked.
      seed: of the run, and an attribute; the key that functions are given is the same for all batches.
      initial: makes the parameters of ``untrained``.
    """

    def __init__(
        self,
        compiled: Compiled,
        checkpoint: ModelCheckpoint | TrainState,
        *,
        seed: int,
        initial: Callable[[], ModelCheckpoint | TrainState],
    ) -> None:
        """Choose the parameters."""
        self.seed = seed
        params = checkpoint.params if checkpoint.ema is None else checkpoint.ema
        self._compiled, self._arguments = compiled, (params, checkpoint.model_state, np.uint32(seed))
        self._initial = initial

    @functools.cached_property
    def untrained(self) -> "Model":
        """The same model with the parameters that the run's seed draws, before any training.

        They are not those of another run that this one began with. A measure may give it as a baseline; it is made
        when it is first asked for.
        """
        return Model(self._compiled, self._initial(), seed=self.seed, initial=self._initial)

    def __call__(self, batch: Mapping[str, Any]) -> PyTree:
        """Return what the experiment's ``predict`` makes of a batch."""
        return self.ask(self._compiled.predict)(batch)

    def ask(self, function: Predict) -> Callable[..., PyTree]:
        """Return a function of this model alone: from a batch, and further arrays, to what ``function`` makes of them.

        Args:
          function: ``function(params, model_state, rng, batch, *arrays)``; pure. The same one is compiled once.
        """
        compiled = self._compiled(function)

        def asked(batch: Mapping[str, Any], *arrays: Any) -> PyTree:
            return compiled(*self._arguments, {key: batch[key] for key in self._compiled.inputs}, *arrays)

        return asked


def _seeded(function: Predict) -> Predict:
    def seeded(params: PyTree, state: PyTree, seed: Any, *arguments: Any) -> PyTree:
        return function(params, state, jax.random.key(seed), *arguments)

    return seeded
