"""The mean of a pool of tasks under their posterior, in parts, so that a pool may be larger than the memory."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from icl_eval.checks import check_whole
from icl_eval.optimal.positions import module_of

LogLikelihood = Callable[[Any], Float[Any, "B N C"]]
"""Of tasks [C, Z] to their log-likelihoods at each position, but for a number that is the same for all tasks."""

CHUNK = 2**12


def posterior_mean(
    pool: Float[Array | np.ndarray, "M Z"], log_likelihood: LogLikelihood, *, chunk: int = CHUNK
) -> Float[Any, "B N Z"]:
    """Return the mean of a pool's tasks under their posterior at each position, all being as probable beforehand.

    The pool is read once, `chunk` tasks at a time, with a running maximum, so that no exponential is too large and
    2^20 tasks are no difficulty. It is NumPy's or jax's as the pool is, also under `jax.jit`.

    Args:
      pool: each task as Z numbers.
      log_likelihood: of some of the tasks [C, Z], at each position, [B, N, C]; finite.
      chunk: C, at least 1: the memory that is taken is B N C numbers.

    Raises:
      ValueError: an empty pool, or a chunk that is no such number.

    >>> pool = np.array([[0.0], [1.0], [2.0]])
    >>> posterior_mean(pool, lambda tasks: -1e4 * (tasks.T[None] - 1.1) ** 2, chunk=2)
    array([[[1.]]])
    """
    check_whole("chunk", chunk, least=1)
    if not len(pool):
        raise ValueError("A pool wants at least 1 task, got none.")
    xp = module_of(pool)
    more = (len(pool) - 1) // chunk
    first, others = pool[: len(pool) - more * chunk], pool[len(pool) - more * chunk :]

    def step(state: tuple[Any, Any, Any], part: Any) -> tuple[tuple[Any, Any, Any], None]:
        highest, total, weighted = state
        scores = log_likelihood(part)
        raised = xp.maximum(highest, scores.max(axis=2))
        kept, weights = xp.exp(highest - raised), xp.exp(scores - raised[:, :, None])
        return (raised, total * kept + weights.sum(axis=2), weighted * kept[:, :, None] + weights @ part), None

    with jax.default_matmul_precision("highest"):
        scores = log_likelihood(first)
        highest = scores.max(axis=2)
        weights = xp.exp(scores - highest[:, :, None])
        state = highest, weights.sum(axis=2), weights @ first
        parts = others.reshape(more, chunk, pool.shape[1])
        if xp is np:
            for part in parts:
                state, _ = step(state, part)
        else:
            state, _ = jax.lax.scan(step, state, parts)
    return state[2] / state[1][:, :, None]
