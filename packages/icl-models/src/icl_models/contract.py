"""What a model is given, and what its parts return: refused by name while the model is traced, so at ``init``."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_KINDS = {jnp.integer: "integers", jnp.floating: "floats", jnp.bool_: "booleans"}
Shape = tuple[int | None, ...]  # None: any size


def check_part(name: str, part: object, protocol: type) -> None:
    """Check that a part of a model, an encoder for example, has all functions of its protocol.

    Raises:
      TypeError: a class in place of a value, or something else that lacks a function.
    """
    wanted = f"{name} must be a value with the functions of icl_models.{protocol.__name__}"
    if isinstance(part, type):
        raise TypeError(f"{wanted}, got the class {part.__name__}; write {part.__name__}(...).")
    missing = [member for member in vars(protocol) if not member.startswith("_") and not hasattr(part, member)]
    if missing:
        raise TypeError(f"{wanted}, got {part!r}, which lacks {', '.join(missing)}.")


def check_returned(part: object, what: str, value: Any, *shapes: Shape) -> None:
    """Check that what a part of a model has returned is an array of floats, of one of these shapes.

    Args:
      part: of the model, to be named.
      what: it returns, with its axes: "vectors [N, X]".
      value: that it has returned.
      shapes: that are allowed.

    Raises:
      ValueError: it is anything else.
    """
    if not any(_is_array(value, shape, jnp.floating) for shape in shapes):
        wanted = " or ".join(map(in_brackets, shapes))
        raise ValueError(f"{type(part).__name__} must return {what}, here floats {wanted}, got {outline(value)}.")


def check_given(what: str, value: Any, shape: Shape, kind: Any, hint: str) -> None:
    """Check that an array that a model is given has a shape and a kind of numbers.

    Args:
      what: it is, with its axes: "labels [B, S]".
      value: that was given.
      shape: that it must have.
      kind: of its numbers, such as ``jnp.integer``.
      hint: what to do otherwise.

    Raises:
      ValueError: it has not.
    """
    if not _is_array(value, shape, kind):
        raise ValueError(f"{what} must be {_KINDS[kind]} {in_brackets(shape)}, got {outline(value)}; {hint}.")


def check_known(is_training: Any) -> None:
    """Check that ``is_training`` is known while a model is traced, since it decides what is traced.

    Raises:
      TypeError: it is an argument of the function that is traced.
    """
    if isinstance(is_training, jax.core.Tracer):
        raise TypeError(
            "is_training must be True or False where the model is traced, got an argument of a jitted function; use "
            "jax.jit(functools.partial(model.apply, is_training=True)), or jit a function that writes it out."
        )


def outline(value: Any) -> str:
    """Return what something is: dtype and shape of an array, the first keys of a mapping, the type of anything else.

    >>> outline(jnp.zeros((2, 3))), outline({"w": 1}), outline((1, 2))
    ('float32[2, 3]', "dict with 'w'", 'tuple')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    keys = f" with {', '.join(map(repr, list(value)[:3]))}" if isinstance(value, Mapping) and value else ""
    return f"{type(value).__name__}{keys}"


def in_brackets(shape: Shape) -> str:
    """Return a shape in words.

    >>> in_brackets((2, None))
    '[2, any]'
    """
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    """Return whether a shape is what was wanted."""
    return len(shape) == len(wanted) and all(want in (None, got) for want, got in zip(wanted, shape, strict=True))


def _is_array(value: Any, shape: Shape, kind: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray) and jnp.issubdtype(value.dtype, kind) and fits(value.shape, shape)
