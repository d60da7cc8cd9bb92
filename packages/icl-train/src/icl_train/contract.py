"""What a run is given, checked before its first step: each mistake in one line, with what to do."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from icl_train.checks import LARGEST_SEED, as_whole
from icl_train.paths import name_of, named_leaves
from icl_train.positions import encode
from icl_train.types import Init

RESERVED_METRICS = (
    "step",
    "time",
    "steps_per_second",
    "items_per_second",
    "learning_rate",
    "gradient_norm",
    "loss",
)
"""Names in a metrics line that the loop fills in, so that ``loss_fn`` may not use them."""

_RESUMABLE = (
    "exact resuming rests on get_state() and set_state(state), see icl_train.Batches: a Grain iterator has them, and "
    "so has a class of ten lines where batch number i is a function of i, as in the README"
)
_PARTITION = (
    "in Flax NNX, graph, params, state = nnx.split(model, nnx.Param, ...); in Equinox, "
    "params, static = eqx.partition(model, eqx.is_inexact_array)"
)
_NARROW = {int: jnp.int32, float: jnp.float32, complex: jnp.complex64}
_LISTED = 3  # arrays that an error names


def check_batches(batches: Any, *, of: str = "") -> None:
    """Check that batches come from an iterator whose position a checkpoint can hold.

    Args:
        batches: What the user gave.
        of: Whose they are, for the error, such as " of member 3".

    Raises:
        TypeError: If it is no iterator, has no position, or one that cannot be saved.
    """
    given = type(batches).__name__
    if not hasattr(batches, "__next__"):
        also = "; give iter(...) of it" if hasattr(batches, "__iter__") else ""
        raise TypeError(f"wanted an iterator of batches{of}, got {given}{also}; {_RESUMABLE}")
    missing = [name for name in ("get_state", "set_state") if not callable(getattr(batches, name, None))]
    if missing:
        raise TypeError(
            f"wanted batches{of} whose position can be saved, got {given} without {' and '.join(missing)}; {_RESUMABLE}"
        )
    encode(batches.get_state())


def check_functions(**functions: Any) -> None:
    """Check that what is to be called can be, by the name of the argument.

    Raises:
        TypeError: If it cannot.
    """
    for name, given in functions.items():
        if not callable(given):
            raise TypeError(f"wanted {name} to be a function, got {type(given).__name__}")


def check_expand(expand: Any, resident: PyTree) -> None:
    """Check that there is a function to read resident arrays, and that they are arrays.

    Raises:
        TypeError: If it is no function, or there is none, or they are something else.
    """
    if expand is not None:
        check_functions(expand=expand)
    elif resident is not None:
        raise TypeError("wanted expand(resident, numbers) -> batch for the resident arrays, got none")
    _check_arrays(resident, what="a resident pytree")


def check_optimizer(optimizer: Any) -> None:
    """Check that an optimiser is an optax transformation.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(optimizer, type) or not all(hasattr(optimizer, name) for name in ("init", "update")):
        hint = "; call its build(steps)" if hasattr(optimizer, "build") else ""
        raise TypeError(f"wanted an optax transformation as optimizer, got {_kind(optimizer)}{hint}")


def check_members(members: Sequence[Any]) -> None:
    """Check the seeds and hyper-parameters of an ensemble.

    Args:
        members: Each a `Member`.

    Raises:
        TypeError: If a hyper-parameter is no number.
        ValueError: If a seed is no whole number or out of range, or a hyper-parameter NaN.
    """
    for number, member in enumerate(members):
        as_whole(f"the seed of member {number}", member.seed, least=0, most=LARGEST_SEED)
        for name, value in member.hyperparameters.items():
            if not _is_number(value):
                raise TypeError(
                    f"wanted hyper-parameters that are numbers, got {name!r} of member {number}: {_kind(value)}; "
                    "members share one program, so that what is no number is the same for all"
                )
            if math.isnan(value):
                raise ValueError(f"wanted hyper-parameters that are numbers, got {name!r} of member {number}: NaN")


def initial_model(init: Init, rng: Array) -> tuple[PyTree, PyTree]:
    """Return parameters and model state as ``init`` makes them; Python's numbers have 32 bits in any mode of JAX's.

    Raises:
        TypeError: If it returns anything but these two, if a leaf is no array, or if a parameter is no float.
        ValueError: If there are no parameters, or two arrays have names that a checkpoint holds as one.
    """
    made = init(rng)
    if type(made) is not tuple or len(made) != 2:
        raise TypeError(
            f"wanted init(rng) to return (params, model_state), got {_kind(made)}; "
            "of a model without state, return (params, {})"
        )
    for what, tree in zip(("parameters", "model state"), made, strict=True):
        _check_arrays(tree, what=what)
    if not jax.tree.leaves(made[0]):
        raise ValueError(f"wanted init(rng) to return (params, model_state), got no parameters; {_PARTITION}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(made[0]):
        if not jnp.issubdtype(_dtype(leaf), jnp.inexact):
            raise TypeError(
                f"wanted parameters that are floats, since they are trained, got {_kind(leaf)} as {name_of(path)!r}; "
                f"put what is not trained into the model state ({_PARTITION})"
            )
    check_names({"params": made[0], "model_state": made[1]})
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, _NARROW[type(leaf)]) if type(leaf) in _NARROW else leaf, made)


def check_names(tree: PyTree) -> None:
    """Check that arrays have names that differ in more than separators: Orbax holds 'a.b' and 'a' / 'b' as one.

    Raises:
        ValueError: With the two that do not.
    """
    for separator in "/.":
        seen: dict[str, str] = {}
        for path, _ in jax.tree_util.tree_leaves_with_path(tree):
            name = jax.tree_util.keystr(path, simple=True, separator=separator)
            here = jax.tree_util.keystr(path)
            if name in seen:
                raise ValueError(
                    f"wanted names that differ in more than a separator, got {seen[name]} and {here}, which are both "
                    f"{name!r} in a checkpoint; rename one"
                )
            seen[name] = here


def loss_parts(returned: Any, model_state: PyTree) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
    """Return what ``loss_fn`` gave, with metrics as arrays.

    Args:
        returned: What it returned.
        model_state: What it was given.

    Raises:
        TypeError: If that is not (loss, (metrics, model_state)), or the loss or a metric is no number.
        ValueError: If the loss or a metric is no scalar, if a metric has a reserved name, or if the model state is of
            another structure, shape or dtype than the one it was given.
    """
    form = "wanted loss_fn to return (loss, (metrics, model_state))"
    hint = "without metrics and model state, return (loss, ({}, model_state))"
    if not _is_pair(returned):
        raise TypeError(f"{form}, got {_kind(returned)}; {hint}")
    loss, aux = returned
    if not _is_pair(aux) or not isinstance(aux[0], Mapping):
        raise TypeError(f"{form}, got {_kind(returned)}; {hint}")
    metrics, after = aux
    if not _is_array(loss) or not jnp.issubdtype(_dtype(loss), jnp.floating):
        raise TypeError(f"wanted a loss that is a float, got {_kind(loss)}")
    if jnp.shape(loss) != ():
        raise ValueError(f"wanted a loss that is a scalar, the mean over the batch, got {_kind(loss)}; take its mean")
    _check_metrics(metrics)
    _check_model_state(model_state, after)
    return jnp.asarray(loss), ({name: jnp.asarray(value) for name, value in metrics.items()}, after)


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"wanted metrics by name, got the name {name!r}, which is no string")
        if name in RESERVED_METRICS:
            raise ValueError(f"loss_fn gave a metric named {name!r}, which the loop fills in itself; rename it")
        if not _is_array(value) or jnp.issubdtype(_dtype(value), jax.dtypes.prng_key):
            raise TypeError(f"wanted metrics that are numbers, got {name!r}: {_kind(value)}")
        if jnp.issubdtype(_dtype(value), jnp.complexfloating):
            raise TypeError(
                f"wanted metrics that are real numbers, got {name!r}: {_kind(value)}; take its absolute value"
            )
        if jnp.shape(value) != ():
            raise ValueError(
                f"wanted metrics that are scalars, got {name!r} of shape {jnp.shape(value)}; take its mean"
            )


def _check_model_state(before: PyTree, after: PyTree) -> None:
    wanted, got = ({name: _kind(leaf) for name, leaf in named_leaves(tree).items()} for tree in (before, after))
    structures = [str(jax.tree.structure(tree)) for tree in (before, after)]
    if wanted == got and structures[0] == structures[1]:
        return
    differing = [name for name in sorted(wanted | got) if wanted.get(name) != got.get(name)]
    listed = "; ".join(
        f"{name}: wanted {wanted.get(name, 'nothing')}, got {got.get(name, 'nothing')}" for name in differing[:_LISTED]
    )
    more = f"; and {len(differing) - _LISTED} more" if len(differing) > _LISTED else ""
    words = listed or f"{structures[0]}, got {structures[1]}"
    raise ValueError(
        f"wanted loss_fn to return a model state like the one it was given, {words}{more}; "
        "return it with the same names, shapes and dtypes"
    )


def _check_arrays(tree: PyTree, *, what: str) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not _is_array(leaf):
            raise TypeError(
                f"wanted {what} of arrays, got {_kind(leaf)} as {name_of(path)!r}; take arrays and the rest apart, and "
                f"put them together in loss_fn ({_PARTITION})"
            )


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _is_array(value: Any) -> bool:
    if isinstance(value, (np.ndarray, np.generic)):
        return any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.number, jnp.bool_))
    return isinstance(value, (jax.Array, bool, int, float, complex))


def _is_number(value: Any) -> bool:
    return _is_array(value) and jnp.shape(value) == () and jnp.issubdtype(_dtype(value), jnp.number)


def _dtype(value: Any) -> Any:
    return value.dtype if hasattr(value, "dtype") else jnp.result_type(value)


def _kind(value: Any) -> str:
    """Return what a value is, in a word or two: dtype and shape of an array, else its type."""
    if _is_array(value):
        return f"{_dtype(value)}{list(jnp.shape(value))}"
    if isinstance(value, (tuple, list)) and len(value) <= _LISTED:
        return f"({', '.join(map(_kind, value))})"
    return type(value).__name__
