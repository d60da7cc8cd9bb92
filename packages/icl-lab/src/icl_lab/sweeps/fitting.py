"""How many models can be trained at once in the memory that there is."""

import math
import os
from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, PyTree

from icl_lab.driver import prepare
from icl_lab.experiment import Config, Definition
from icl_lab.streams import TRAIN

_SHARE = 0.6  # of the memory, which others need a part of
_COPIES = 4  # of the parameters: themselves, their gradient, and Adam's two averages
_BATCHES = 32e6  # bytes: of those of two dispatches
_UNKNOWN = 8e9  # bytes of a device that does not say


def most_members(definition: Definition[Config], config: Config) -> int:
    """Return how many runs like one can be trained at once on the devices of this host, at least 1.

    On CPUs members take turns, so that each adds its state alone; elsewhere each adds what its step needs, too.

    Args:
      definition: the experiment.
      config: of the one.

    Raises:
      ValueError: a run that cannot be.
    """
    runs = prepare(definition, config, [config])
    params, state = jax.eval_shape(runs.init, jax.random.key(0))
    need = _COPIES * _bytes(params) + _bytes(state) + _BATCHES
    if jax.default_backend() != "cpu":

        def loss(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]) -> Array:
            return runs.experiment.loss_fn(params, state, rng, batch)[0]

        batch = runs.first.first_batch(TRAIN)
        compiled = jax.jit(jax.grad(loss)).lower(params, state, jax.random.key(0), batch).compile()
        analysis = compiled.memory_analysis()
        need += 0 if analysis is None else analysis.temp_size_in_bytes
    return max(int(_SHARE * memory() / need), 1)


def memory() -> float:
    """Return the bytes of all devices of this host together."""
    if jax.default_backend() == "cpu":
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else _UNKNOWN
    return sum((device.memory_stats() or {}).get("bytes_limit", _UNKNOWN) for device in jax.local_devices())


def _bytes(tree: PyTree) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
