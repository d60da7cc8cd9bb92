"""The laptop model's training step, against the same with ``hk.Conv2D``; and the share of its parts.

nox -s bench
"""

import statistics
import time
from collections.abc import Callable
from unittest import mock

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_models import ConvEncoder, LinearEncoder, SequenceClassifier, Transformer, encoders, query_cross_entropy

LABELS = 1936


def make_step(encoder: ConvEncoder | LinearEncoder) -> Callable[[], object]:
    """Compile a training step of the laptop preset's size, and give a function that runs it."""
    rng = np.random.default_rng(0)
    images = (rng.random((32, 9, 28, 28)) > 0.93).astype(np.uint8) * 255
    labels = rng.integers(0, LABELS, (32, 9)).astype(np.int32)
    model = SequenceClassifier(num_labels=LABELS, encoder=encoder, trunk=Transformer(heads=4)).build()
    params, state = model.init(jax.random.key(0), images, labels)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def loss_fn(params: PyTree) -> tuple[Array, dict]:
        return query_cross_entropy(model.apply(params, state, None, images, labels)[0], jnp.asarray(labels[:, -1]))

    @jax.jit
    def step(params: PyTree, optimizer_state: PyTree) -> PyTree:
        gradients = jax.grad(loss_fn, has_aux=True)(params)[0]
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state

    optimizer_state = optimizer.init(params)
    jax.block_until_ready(step(params, optimizer_state))
    return lambda: jax.block_until_ready(step(params, optimizer_state))


def plain_convolution(channels: int, kernel: int, stride: int, name: str) -> hk.Conv2D:
    """Make Haiku's own: the baseline, never to be made slower."""
    return hk.Conv2D(channels, kernel, stride=stride, name=name)


def main() -> None:
    """Print the times of a step, in turns so that a drifting machine is fair, and their ratio."""
    steps = {"ours": make_step(ConvEncoder()), "linear encoder": make_step(LinearEncoder())}
    with mock.patch.object(encoders, "Convolution", plain_convolution):
        steps["hk.Conv2D"] = make_step(ConvEncoder())
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(30):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"training step, {name}: {1e3 * median:.1f} ms")
    ratio = medians["hk.Conv2D"] / medians["ours"]
    print(f"ours is {ratio:.2f} times as fast as with hk.Conv2D ({jax.default_backend()})")


if __name__ == "__main__":
    main()
