"""Activation patching: inner values of one run of a model carried into another run of it, token by token."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool

from icl_models.capture import instrument


def patching(apply: Callable[..., Any], *, names: Sequence[str]) -> Callable[..., Any]:
    """Return a function that runs a model with some of its inner values taken from a run on other arguments.

    It is as pure as ``apply``; under ``jax.jit`` one program serves every mask. Values that come after those that are
    taken follow from them.

    Args:
      apply: a model's ``apply``, or any function that calls one, not yet under ``jax.jit``.
      names: full names of L values whose second axis is that of the T tokens: residual stream, tokens, queries, keys,
        values, or what heads give (`icl_models.instrument` lists the names).

    Returns:
      ``run(source, arguments, mask)``: what ``apply(*arguments)`` returns where value l of token t is that of
      ``apply(*source)`` if ``mask[l, t]``, with a mask bool [L, T]; or [L, T, H] for values [B, T, H, K], which takes
      those of single heads.

    Raises:
      ValueError: when it runs, a name that the model does not have, or a mask of another shape.

    Sources: Meng et al. (2022), arXiv 2202.05262; Heimersheim and Nanda (2024), arXiv 2404.15255.

    >>> import jax, numpy as np
    >>> from icl_models import IdentityEncoder, PreviousLabel, SequenceClassifier, Transformer
    >>> model = SequenceClassifier(
    ...     num_labels=3, encoder=IdentityEncoder(), layout=PreviousLabel(), trunk=Transformer(heads=2), width=4
    ... ).build()
    >>> items, labels = np.random.default_rng(0).normal(size=(2, 1, 5, 2)), np.zeros((1, 5), np.int32)
    >>> params, state = jax.jit(model.init)(jax.random.key(0), items[0], labels)
    >>> run = patching(lambda items: model.apply(params, state, None, items, labels)[0], names=["block_1/residual"])
    >>> whole = run((items[0],), (items[1],), np.ones((1, 5), bool))  # after the last block nothing else is left
    >>> bool(jnp.allclose(whole, model.apply(params, state, None, items[0], labels)[0]))
    True
    """

    def run(source: Sequence[Any], arguments: Sequence[Any], mask: Bool[Any, "L T *H"]) -> Any:
        mask = jnp.asarray(mask)
        _, taken = instrument(apply, capture=names)(*source)
        for name in names:
            _check_mask(mask, name, taken[name], count=len(names))
        replace = {name: functools.partial(_mixed, taken[name], mask[row]) for row, name in enumerate(names)}
        return instrument(apply, replace=replace)(*arguments)[0]

    return run


def _mixed(taken: Array, mask: Bool[Array, "T *H"], own: Array) -> Array:
    return jnp.where(mask.reshape(1, *mask.shape, *(1,) * (own.ndim - 1 - mask.ndim)), taken, own)


def _check_mask(mask: Array, name: str, value: Array, *, count: int) -> None:
    if name.endswith(("scores", "attention")):
        raise ValueError(f"{name} is of pairs of tokens; take what they are made of, such as query, or heads.")
    heads = [value.shape[2]] if mask.ndim == 3 and value.ndim == 4 else []
    wanted = [count, value.shape[1], *heads]
    if mask.dtype != bool or list(mask.shape) != wanted:
        raise ValueError(
            f"mask must be bool {wanted} for {name} {list(value.shape)}, one of {count} such values, got "
            f"{mask.dtype}{list(mask.shape)}."
        )
