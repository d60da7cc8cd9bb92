"""Networks that gradient descent fits to the labels of a context, from wherever it begins."""

import functools
import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from icl_eval.baselines.context import Points

OptimizerName = Literal["sgd", "adam"]

_FEWEST = 16  # items for which a program is compiled: fewer are filled up to so many, more to the next power of two

_AT_ONCE = 32  # tasks: each is computed in company of one size, so that it comes to the same in whatever company

_NEVER = -1e9  # the logit of a label that cannot be; finite, so that nothing times it is nothing


class Layer(NamedTuple):
    """Weights that are divided by the root of the fan-in where they are used, and biases."""

    weights: Float[Array, "I O"]
    bias: Float[Array, " O"]


Network = tuple[Layer, ...]
"""Layers with ReLUs between them, the last of which gives logits."""


class Context(NamedTuple):
    """One task, or with an axis before all others a batch of them."""

    items: Float[Array | np.ndarray, "N X"]
    labels: Int[Array | np.ndarray, " N"]
    weight: Float[Array | np.ndarray, " N"]  # 1 for the items that count in a loss, 0 for others
    possible: Bool[Array | np.ndarray, " V"]  # which labels there can be


class Descent(NamedTuple):
    """How a network is fitted: steps of gradient descent, all of the context in each."""

    steps: int
    learning_rate: float
    penalty: float = 0.0  # times half the sum of squared weights, beside the sum of cross-entropies


def initial_network(seed: int, sizes: Sequence[int]) -> Network:
    """Return weights as good as a network without training has: normal ones, and zeros in the last layer.

    Zeros there make all labels alike at first, so that what is learnt follows a permutation of the labels.

    Args:
      seed: of the weights.
      sizes: X, the hidden units of each hidden layer, and V.

    Sources: He et al. (2015), arXiv 1502.01852, for the variance 2 / fan-in; Jacot et al. (2018), arXiv 1806.07572, for
    the division of the weights where they are used. With it one learning rate suits items and layers of any size.
    """
    generator = np.random.default_rng(seed)
    *hidden, last = [
        Layer(jnp.asarray(math.sqrt(2) * generator.normal(size=size), jnp.float32), jnp.zeros(size[1], jnp.float32))
        for size in itertools.pairwise(sizes)
    ]
    return (*hidden, Layer(jnp.zeros_like(last.weights), last.bias))


def logits(network: Network, items: Float[Array | np.ndarray, "N X"]) -> Float[Array, "N V"]:
    """Return the logits of items."""
    values = jnp.asarray(items)
    for number, layer in enumerate(network):
        if number:
            values = jax.nn.relu(values)
        values = values @ layer.weights / math.sqrt(len(layer.weights)) + layer.bias[None]
    return values


def possible_logits(network: Network, task: Context) -> Float[Array, "N V"]:
    """Return the logits of a task's items, far below all others for labels that cannot be."""
    return jnp.where(task.possible[None], logits(network, task.items), _NEVER)


def mean_loss(network: Network, task: Context, penalty: float | Array = 0.0) -> Float[Array, ""]:
    """Return the mean cross-entropy of the items that count, in nats, with the penalty's share of one item."""
    import optax  # here and below: a report needs none

    each = optax.softmax_cross_entropy_with_integer_labels(possible_logits(network, task), task.labels)
    squares = sum(jnp.square(layer.weights).sum() / len(layer.weights) for layer in network)
    return (task.weight @ each + penalty / 2 * squares) / jnp.maximum(task.weight.sum(), 1)


def fitted(network: Network, task: Context, descent: Descent, optimizer: OptimizerName = "sgd") -> Network:
    """Return a network after gradient descent on the items of one task that count, from where it was."""
    import optax

    update = getattr(optax, optimizer)(descent.learning_rate)
    gradient = jax.grad(mean_loss)

    def step(_: Array, state: tuple[Network, PyTree]) -> tuple[Network, PyTree]:
        network, moments = state
        updates, moments = update.update(gradient(network, task, descent.penalty), moments)
        return cast(Network, optax.apply_updates(network, updates)), moments

    return jax.lax.fori_loop(0, descent.steps, step, (network, update.init(network)))[0]


def predicted_labels(
    network: Network,
    tasks: Points,
    possible: Bool[np.ndarray, "B V"],
    descent: Descent,
    optimizer: OptimizerName = "sgd",
) -> Int[np.ndarray, "B N"]:
    """Return the labels of all items by the network fitted to each task, 0 in tasks without context.

    One compilation serves any number of tasks, of up to 16 items, or up to twice as many as the one before. Of a task
    that descent diverges on, which is warned of, the labels are those of the network that it began from.

    Args:
      network: where descent begins.
      tasks: whose context is learnt.
      possible: which labels the tasks can have.
      descent: how to fit.
      optimizer: by which rule of optax.
    """
    B, N = tasks.targets.shape
    padding = max(_FEWEST, 2 ** (N - 1).bit_length()) - N
    rows = ((0, 0), (0, padding))
    padded = Context(
        np.pad(tasks.inputs.astype(np.float32), (*rows, (0, 0))),
        np.pad(tasks.targets.astype(np.int32), rows),
        np.pad(tasks.shown.astype(np.float32), rows),
        possible,
    )
    found = []
    for start in range(0, B, _AT_ONCE):
        part = jax.tree.map(functools.partial(_rows, start=start), padded)
        found.append(jax.device_get(_labels(network, part, descent, optimizer)))
    labels, is_finite = (np.concatenate(parts)[:B] for parts in zip(*found, strict=True))
    labels = labels[:, :N]
    if not is_finite.all():
        warnings.warn(
            f"Gradient descent at a learning rate of {descent.learning_rate} diverged on {B - is_finite.sum()} of {B} "
            "tasks, which count as not learnt; lower the rate, or scale the items to a variance of about 1.",
            RuntimeWarning,
            stacklevel=3,
        )
    return np.where(tasks.shown.any(axis=1, keepdims=True), labels, 0).astype(np.int32)


def _rows(values: np.ndarray, *, start: int) -> np.ndarray:
    """Return as many rows as are computed at once, the missing ones as zeros."""
    rows = values[start : start + _AT_ONCE]
    return np.pad(rows, [(0, _AT_ONCE - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


@functools.partial(jax.jit, static_argnames="optimizer")
def _labels(
    network: Network, tasks: Any, descent: Descent, optimizer: OptimizerName
) -> tuple[Int[Array, "B N"], Bool[Array, " B"]]:
    """Return the labels, and of each task whether descent came to numbers."""

    def of_one(task: Context) -> tuple[Int[Array, " N"], Bool[Array, ""]]:
        found = possible_logits(fitted(network, task, descent, optimizer), task)
        is_finite = jnp.isfinite(found).all()
        return jnp.where(is_finite, found, possible_logits(network, task)).argmax(axis=-1), is_finite

    return jax.vmap(of_one)(tasks)
