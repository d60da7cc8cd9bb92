"""Forms of what a step is made of, each in turns with the plain one: the part forms of `tools.bench_accelerator`."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_models import ConvEncoder, Encoder, ResNetEncoder, SequenceClassifier, Transformer
from icl_models.encoders import resnet
from icl_models.encoders.convolution import CONVOLUTIONS, conv_banded
from icl_models.encoders.forms import Forms, computing_by
from icl_models.encoders.max_pool import max_pool_compared, max_pool_xla
from icl_models.encoders.stem import STEMS, stem_whole
from icl_models.trunks.attention import attend
from icl_train import OptimizerConfig
from tools.accelerator_candidates import attend_by_cudnn, attend_by_einsum, normalise_in_pairs, stacked
from tools.accelerator_rows import accelerated, compiled, in_turns, rounded, row

MEMBERS = 16
WIDTH = 64
LAYERS = 12
LAPTOP = ConvEncoder(channels=(16, 32, 64))

Way = Callable[[Array], Array]


def encoding(encoder: Encoder, forms: Forms, normalise: Callable = resnet._normalise) -> Way:
    """Return what makes vectors of images by forms, with a batch norm of one's own."""

    def encode(images: Array) -> Array:
        with computing_by(forms), mock.patch.object(resnet, "_normalise", normalise):
            return encoder.encode(images, width=WIDTH, is_training=True)

    return encode


CONV: dict[str, Way] = {form: encoding(LAPTOP, Forms(convolution=form)) for form in CONVOLUTIONS}
RESNET: dict[str, Way] = {
    "xla": encoding(ResNetEncoder(), Forms()),
    "stem compared": encoding(ResNetEncoder(), Forms(stem="compared")),
    "stem product": encoding(ResNetEncoder(), Forms(stem="product")),
    "blocks product": encoding(ResNetEncoder(), Forms(block="product")),
    "all product": encoding(ResNetEncoder(), Forms(block="product", stem="product")),
    "blocks banded": encoding(ResNetEncoder(), Forms(block="banded")),
    "batch norm in pairs": encoding(ResNetEncoder(), Forms(), normalise_in_pairs),
}
"""Encoders by their forms, the plain one first."""


def measure_forms(folder: Path) -> None:
    """Time all of them, those last that take longest to compile or may crash XLA."""
    images = 288 if accelerated() else 4  # of a batch: 32 sequences of 9
    compare_stems(images)
    compare_batch_norms(images)
    compare_optimizers()
    for dtype in ("float32", "bfloat16"):
        compare_attention(dtype, einsum=attend_by_einsum)
    compare_encoders("laptop's encoder", CONV, images, 28)
    compare_encoders("ResNet", RESNET, images, 105)
    images = images if accelerated() else 1
    compare_encoders("laptop's encoder", CONV, images, 28, members=MEMBERS)
    few = {name: RESNET[name] for name in ("xla", "stem compared", "all product")}
    compare_encoders("ResNet", few, images, 105, members=MEMBERS)
    if accelerated():
        compare_attention("bfloat16", cudnn=attend_by_cudnn)


def compare_stems(images: int) -> None:
    """Compare max-pools of the stem's map, and whole stems."""
    maps = normal(images, 53, 53, 64)
    compare("max-pool", {"xla": max_pool_xla, "compared": max_pool_compared}, maps)
    banded = functools.partial(stem_whole, convolve=conv_banded, max_pool=max_pool_compared)
    # Nobody wants the gradient of images.
    stems = dict[str, Callable]([*STEMS.items(), ("banded", banded)])
    compare("stem", stems, normal(images, 105, 105), 0.1 * normal(7, 7, 1, 64), wanted=(1,))


def compare_batch_norms(images: int) -> None:
    """Compare batch norms of a narrow map and of a wide one."""
    normalisations = {"xla": resnet._normalise, "in pairs": normalise_in_pairs}
    ways = {name: functools.partial(each, name="norm", is_training=True) for name, each in normalisations.items()}
    for side, channels in ((27, 16), (53, 64)):
        maps = normal(images, side, side, channels)
        params, forms = begin(ways, maps)
        compare(f"batch norm of {side}x{side}x{channels}", forms, params, maps, wanted=(0, 1))


def compare_encoders(what: str, ways: Mapping[str, Way], images: int, side: int, *, members: int = 1) -> None:
    """Compare ways to encode so many images, for one member or for several by vmap, with images of their own."""
    inputs = jnp.abs(normal(images, side, side))
    params, forms = begin(ways, inputs)
    if members > 1:
        what = f"{members} x {what}"
        params, inputs = jax.tree.map(lambda leaf: jnp.stack([leaf] * members), (params, inputs))
        forms = {name: jax.vmap(form) for name, form in forms.items()}
    compare(f"{what}, {images} images", forms, params, inputs)


def compare_attention(dtype: str, **others: Callable[..., Array]) -> None:
    """Compare attention of 17 tokens, as many times in a row as the paper's model has layers."""
    causal = functools.partial(attend, mask="causal", is_query=jnp.zeros((32, 17), bool))
    ways: dict[str, Callable[..., Array]] = {"attend": causal, **others}
    forms = {name: functools.partial(repeat, way) for name, way in ways.items()}
    compare(f"{LAYERS} x attention, {dtype}", forms, *normal(3, 32, 17, 8, 8).astype(dtype), wanted=(0, 1, 2))


def repeat(attention: Callable[..., Array], query: Array, key: Array, value: Array) -> Array:
    """Return what so many attentions make of a query, each of what the one before returned."""
    return jax.lax.scan(lambda query, _: (attention(query, key, value), None), query, length=LAYERS)[0]


def compare_optimizers() -> None:
    """Compare updates of the parameters of two presets, array by array and with arrays laid together."""
    paper = SequenceClassifier(num_labels=1_623, encoder=ResNetEncoder(), trunk=Transformer(layers=LAYERS))
    laptop = SequenceClassifier(num_labels=1_936, encoder=LAPTOP, trunk=Transformer(heads=4))
    for name, model, side, clip_norm in (("laptop", laptop, 28, 1.0), ("all_exemplars", paper, 105, None)):
        adam = OptimizerConfig(clip_norm=clip_norm).build(total_steps=1_000)
        inputs = jax.ShapeDtypeStruct((1, 9, side, side), np.uint8), jax.ShapeDtypeStruct((1, 9), np.int32)
        shapes, _ = jax.eval_shape(model.build().init, jax.random.key(0), *inputs)
        params = jax.tree.map(lambda leaf: normal(*leaf.shape), shapes)
        one_array = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
        updates = {
            "each array": updating(adam, params),
            "flat": updating(optax.flatten(adam), params),
            "stacked": updating(stacked(adam), params),
            "one array all along": updating(adam, one_array),
        }
        show(f"Adam of {name}, {len(jax.tree.leaves(params))} arrays", updates)


def updating(optimizer: optax.GradientTransformation, params: PyTree) -> Callable[[], Callable[[], Any]]:
    """Return what compiles an update of parameters."""

    def update(gradients: PyTree, state: PyTree, params: PyTree) -> PyTree:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    return lambda: compiled(update, params, optimizer.init(params), params)


def begin(ways: Mapping[str, Way], inputs: Array) -> tuple[PyTree, dict[str, Callable[[PyTree, Array], Array]]]:
    """Return parameters for functions within Haiku, which all have the same, and the functions of them and inputs."""
    models = {name: hk.transform_with_state(way) for name, way in ways.items()}
    params, state = jax.jit(next(iter(models.values())).init)(jax.random.key(0), inputs)

    def apply(model: hk.TransformedWithState, params: PyTree, inputs: Array) -> Array:
        return model.apply(params, state, None, inputs)[0]

    return params, {name: functools.partial(apply, model) for name, model in models.items()}


def compare(
    what: str, forms: Mapping[str, Callable[..., PyTree]], *inputs: PyTree, wanted: tuple[int, ...] = (0,)
) -> None:
    """Show the times of forms of a function, the plain one first, without and with the gradients that are wanted."""

    def loss(form: Callable[..., PyTree], *inputs: PyTree) -> Array:
        outputs = [jnp.square(leaf.astype(jnp.float32)).mean() for leaf in jax.tree.leaves(form(*inputs))]
        return jnp.stack(outputs).sum()

    forward = {name: functools.partial(compiled, form, *inputs) for name, form in forms.items()}
    show(f"{what}, forward", forward)
    gradients = {name: jax.grad(functools.partial(loss, form), wanted) for name, form in forms.items()}
    show(f"{what}, both ways", {name: functools.partial(compiled, each, *inputs) for name, each in gradients.items()})


def show(what: str, forms: Mapping[str, Callable[[], Callable[[], Any]]]) -> None:
    """Show the times of forms, each compiled by what is given, beside that of the first."""
    calls = {}
    for name, compiling in forms.items():
        try:
            calls[name] = compiling()
            jax.block_until_ready(calls[name]())
        except Exception as error:  # memory for it, or a kernel, that this device lacks
            calls.pop(name, None)
            row(f"{what}: {name}", "left out", beside=str(error).partition("\n")[0][:200])
    seconds = in_turns(calls, lasting=0.5)
    for name, taken in seconds.items():
        plain, of_plain = next(iter(seconds.items()))
        ratio = f"{plain} {rounded(1e3 * of_plain)} ms: {of_plain / taken:.2f} times as fast"
        row(f"{what}: {name}", 1e3 * taken, "ms", beside="" if name == plain else ratio)


def normal(*shape: int) -> Array:
    """Return numbers from a standard normal distribution."""
    return jax.random.normal(jax.random.key(0), shape)
