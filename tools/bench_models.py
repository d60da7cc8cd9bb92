"""Training steps against the same functions written plainly, in turns; where the ResNet's time goes; the cold start.

nox -s bench, about three minutes on two free cores. Ratios in one process; a busy machine changes the times.
"""

import functools
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest import mock

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import Array, PyTree

from icl_models import (
    ConvEncoder,
    LinearEncoder,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    query_cross_entropy,
)
from icl_models.encoders import encoders
from icl_models.encoders.resnet import ResNet
from icl_models.encoders.stem import STEMS, Stem

LAPTOP_LABELS = 1936
PAPER_LABELS = 1623
SIDE = 105

Call = Callable[[], object]


def load_reference() -> ModuleType:
    """Return the oracle of the tests of icl-models: the baseline, never to be made slower."""
    path = Path(__file__).parents[1] / "packages" / "icl-models" / "tests" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(side: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 32 sequences of 9 images, with about as much ink as characters have."""
    rng = np.random.default_rng(0)
    images = (rng.random((32, 9, side, side)) > 0.07).astype(np.uint8) * 255
    return images, rng.integers(0, labels, (32, 9)).astype(np.int32)


def make_step(model: hk.TransformedWithState, images: np.ndarray, labels: np.ndarray) -> Call:
    """Return a function that runs a compiled training step: loss, gradients, clip and Adam."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    @jax.jit
    def init(key: Array) -> PyTree:
        params, state = model.init(key, images, labels, True)
        return params, state, optimizer.init(params)

    @jax.jit
    def step(params: PyTree, state: PyTree, optimizer_state: PyTree, images: Array, labels: Array) -> PyTree:
        def loss_fn(params: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
            logits, new_state = model.apply(params, state, None, images, labels, True)
            loss, metrics = query_cross_entropy(logits, labels[:, -1])
            return loss, (metrics, new_state)

        gradients, (_, new_state) = jax.grad(loss_fn, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return optax.apply_updates(params, updates), new_state, optimizer_state

    return compiled(step, *init(jax.random.key(0)), jnp.asarray(images), jnp.asarray(labels))


def compiled(function: Callable, *inputs: PyTree) -> Call:
    """Return what runs a function again to its end, compiled and run once."""
    run = jax.jit(function).lower(*inputs).compile()
    jax.block_until_ready(run(*inputs))
    return lambda: jax.block_until_ready(run(*inputs))


def take_turns(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, run in turns so that a drifting machine is fair to all."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    for name, values in seconds.items():
        print(f"{name:44} {1e3 * statistics.median(values):8.1f} ms, at best {1e3 * min(values):8.1f} ms", flush=True)
    return {name: statistics.median(values) for name, values in seconds.items()}


def laptop() -> None:
    """Compare the laptop preset's step with ``hk.Conv2D``."""
    images, labels = draw(28, LAPTOP_LABELS)

    def model(encoder: ConvEncoder | LinearEncoder) -> hk.TransformedWithState:
        return SequenceClassifier(num_labels=LAPTOP_LABELS, encoder=encoder, trunk=Transformer(heads=4)).build()

    calls = {name: make_step(model(encoder), images, labels) for name, encoder in SMALL.items()}
    with mock.patch.object(encoders, "Convolution", plain_convolution):
        calls["laptop step, hk.Conv2D"] = make_step(model(ConvEncoder()), images, labels)
    medians = take_turns(calls, 30)
    print(f"ours is {medians['laptop step, hk.Conv2D'] / medians['laptop step, ours']:.2f} times as fast\n")


SMALL: dict[str, ConvEncoder | LinearEncoder] = {
    "laptop step, ours": ConvEncoder(),
    "laptop step, linear encoder": LinearEncoder(),
}


def plain_convolution(channels: int, kernel: int, stride: int, name: str) -> hk.Conv2D:
    """Return Haiku's own: the baseline, never to be made slower."""
    return hk.Conv2D(channels, kernel, stride=stride, name=name)


def start(name: str, model: hk.TransformedWithState, side: int) -> Call:
    """Return a training step, having timed its start from nothing and with what that left in a cache."""
    images, labels = draw(side, PAPER_LABELS)
    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        for temperature in ("cold", "warm"):
            jax.clear_caches()
            begin = time.perf_counter()
            step = make_step(model, images, labels)
            seconds = time.perf_counter() - begin
            begin = time.perf_counter()
            step()
            seconds -= time.perf_counter() - begin  # make_step runs it once
            print(f"{temperature} start, {name}: initialised and compiled in {seconds:.1f} s", flush=True)
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
    return step


def paper() -> None:
    """Compare the paper's step, 12 layers on a ResNet of 105 x 105 pixels, with the reference; first from cold."""
    images, labels = draw(SIDE, PAPER_LABELS)

    def model(encoder: ConvEncoder | ResNetEncoder) -> hk.TransformedWithState:
        return SequenceClassifier(num_labels=PAPER_LABELS, encoder=encoder, trunk=Transformer(layers=12)).build()

    start("12 layers on the laptop's encoder", model(ConvEncoder()), 28)
    step = start("12 layers on the ResNet", model(ResNetEncoder()), SIDE)
    reference = make_step(load_reference().ReferenceClassifier(num_labels=PAPER_LABELS).build(), images, labels)
    medians = take_turns({"paper step, ours": step, "paper step, reference": reference}, 7)
    print(f"ours is {medians['paper step, reference'] / medians['paper step, ours']:.2f} times as fast\n")


def profile() -> None:
    """Time the ResNet and its stem, forward and with gradients."""
    images = jnp.asarray(draw(SIDE, PAPER_LABELS)[0]).reshape(-1, SIDE, SIDE) / 255
    calls, reference = {}, load_reference()
    for name, resnet in {
        "ours": lambda images: ResNet(64, flatten=False)(images, True),
        "reference": lambda images: reference.SimpleResNet(64, False)(images[..., None], True),
    }.items():
        model = hk.transform_with_state(resnet)
        params, state = jax.jit(model.init)(jax.random.key(0), images[:8])

        def loss(params: PyTree, state: PyTree, model: hk.TransformedWithState = model) -> Array:
            return jnp.square(model.apply(params, state, None, images)[0]).sum()

        calls[f"ResNet forward, {name}"] = compiled(loss, params, state)
        calls[f"ResNet and gradients, {name}"] = compiled(jax.grad(loss), params, state)
    weights = jax.random.normal(jax.random.key(0), (7, 7, 1, 64))
    for name, stem in {"ours": STEMS["chunks"], "library": STEMS["xla"]}.items():
        stem_loss = functools.partial(sum_of_squares, stem, images)
        calls[f"of it the stem forward, {name}"] = compiled(stem_loss, weights)
        calls[f"of it the stem and gradients, {name}"] = compiled(jax.grad(stem_loss), weights)
    take_turns(calls, 5)


def sum_of_squares(stem: Callable[[Array, Array], Stem], images: Array, weights: Array) -> Array:
    """Return a number to which all of the stem contributes."""
    return jnp.stack([jnp.square(leaf).sum() for leaf in stem(images, weights)]).sum()


if __name__ == "__main__":
    print(f"on {jax.default_backend()}")
    laptop()
    paper()
    profile()
