"""Which device has which part of the state: rules from the names of parameters to shardings."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from icl_train.devices.mesh import FSDP
from icl_train.paths import compiled, name_of, named_leaves
from icl_train.state import TrainState


@dataclasses.dataclass(frozen=True)
class LargestDimension:
    """Splits the largest dimension that divides, over one axis of the mesh.

    Attributes:
        axis: Name of the axis.
    """

    axis: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """How the parameters whose name matches a pattern are split.

    Attributes:
        pattern: A regular expression, looked for anywhere in the name ('trunk/blocks/query/w').
        split: One entry per dimension, at least those before the last that is split; a dimension that does not
            divide by the size of its axis stays whole.
        optional: Whether it may hold for no parameter, as one of a set of rules that is made for many models.

    Raises:
        ValueError: If the pattern is no regular expression.

    >>> Rule('query/w$', PartitionSpec(None, 'fsdp', 'model')).pattern
    'query/w$'
    """

    pattern: str
    split: PartitionSpec | LargestDimension
    optional: bool = False

    def __post_init__(self) -> None:
        compiled(self.pattern)


Rules: TypeAlias = Sequence[Rule]
"""The first rule whose pattern matches holds; a parameter that none matches is on every device."""

REPLICATED: Rules = ()
FULLY_SHARDED: Rules = (Rule("", LargestDimension(FSDP), optional=True),)


def shardings(params: PyTree, mesh: Mesh, rules: Rules) -> PyTree:
    """Return the sharding of each parameter.

    Args:
        params: Arrays, or their shapes.
        mesh: The mesh.
        rules: See `Rules`.

    Returns:
        A pytree of `NamedSharding` like the parameters.

    Raises:
        ValueError: If a rule names an axis that the mesh lacks, or more dimensions than a parameter has; or if it holds
            for no parameter and is not optional.

    >>> mesh = Mesh(np.array(jax.devices()[:1]), ('fsdp',))
    >>> shardings({'w': np.zeros((3, 4))}, mesh, FULLY_SHARDED)['w'].spec
    P(None, 'fsdp')
    """
    _check_each_holds(list(named_leaves(params)), rules)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, _split(name_of(path), leaf.shape, mesh, rules)), params
    )


def state_shardings(state: TrainState, mesh: Mesh, rules: Rules) -> TrainState:
    """Return the sharding of each array of a state: the optimiser's follow the parameters they belong to.

    An array of the optimiser belongs to a parameter if its name ends with the parameter's and it has the same
    shape, as Adam's moments; other arrays, the model state among them, are on every device.

    Args:
        state: A state, or its shapes.
        mesh: The mesh.
        rules: See `Rules`.

    Returns:
        A state of `NamedSharding` in place of its arrays.

    Raises:
        ValueError: See `shardings`.
    """
    params, whole = shardings(state.params, mesh, rules), NamedSharding(mesh, PartitionSpec())
    by_name = {
        name: (leaf.shape, sharding)
        for (name, leaf), sharding in zip(named_leaves(state.params).items(), jax.tree.leaves(params), strict=True)
    }

    def follow(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        words = name_of(path).split("/")
        for start in range(len(words) + 1):  # the longest name first; none at all where the parameters are one array
            shape, sharding = by_name.get("/".join(words[start:]), (None, whole))
            if shape == leaf.shape:
                return sharding
        return whole

    return TrainState(
        step=whole,  # type: ignore[arg-type]
        params=params,
        model_state=jax.tree.map(lambda _: whole, state.model_state),
        opt_state=jax.tree_util.tree_map_with_path(follow, state.opt_state),
        ema=None if state.ema is None else params,
    )


def with_shardings(shapes: Any, shardings: Any) -> Any:
    """Return shapes that say where they lie."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
    )


def describe(state: PyTree) -> None:
    """Print a table of a state's arrays: name, dtype and shape, how it is split, and bytes on each device.

    Args:
        state: Any pytree of arrays on devices, or of shapes with shardings.

    >>> describe({'w': jax.device_put(np.zeros((3, 4), np.float32), jax.devices()[0])})
    array  shape         split        bytes per device
    w      float32[3,4]  on 1 device                48
    total                                           48
    """
    rows, total = [("array", "shape", "split", "bytes per device")], 0
    for name, leaf in named_leaves(state).items():
        split = getattr(leaf.sharding, "spec", None)
        count = len(leaf.sharding.device_set)
        whole = f"on {count} device{'s' * (count > 1)}"
        is_split = split is not None and any(split)
        size = math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        total += size
        shape = f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        rows.append((name, shape, str(split) if is_split else whole, f"{size:,}"))
    rows.append(("total", "", "", f"{total:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *words, number in rows:
        cells = [word.ljust(width) for word, width in zip(words, widths, strict=False)]
        print("  ".join([*cells, number.rjust(widths[3])]))


def _check_each_holds(names: Sequence[str], rules: Rules) -> None:
    left = list(names)
    for rule in rules:
        matches = compiled(rule.pattern).search
        if not rule.optional and not any(map(matches, left)):
            taken = next(filter(matches, names), None)
            why = "none has it in its name" if taken is None else f"an earlier rule holds for {taken} and its like"
            raise ValueError(
                f"wanted each sharding rule to hold for a parameter, got {rule.pattern!r}, and {why}; the parameters "
                f"are {', '.join(names)}; change the pattern or the order, or give the rule optional=True"
            )
        left = [name for name in left if not matches(name)]


def _split(name: str, shape: tuple[int, ...], mesh: Mesh, rules: Rules) -> PartitionSpec:
    for rule in rules:
        if compiled(rule.pattern).search(name):
            if isinstance(rule.split, LargestDimension):
                ways = _ways(rule.split.axis, mesh, rule)
                fits = [size if size % ways == 0 else 0 for size in shape]
                if not any(fits):
                    return PartitionSpec()
                return PartitionSpec(*[None] * int(np.argmax(fits)), rule.split.axis)
            if len(rule.split) > len(shape):
                raise ValueError(
                    f"wanted the rule {rule.pattern!r} to split at most the {len(shape)} dimensions of {name}, got "
                    f"{rule.split}; make the pattern narrower"
                )
            return PartitionSpec(
                *(
                    entry if size % _ways(entry, mesh, rule) == 0 else None
                    for entry, size in zip(rule.split, shape, strict=False)
                )
            )
    return PartitionSpec()


def _ways(entry: str | tuple[str, ...] | None, mesh: Mesh, rule: Rule) -> int:
    names = (entry,) if isinstance(entry, str) else entry or ()
    for name in names:
        if name not in mesh.axis_names:
            raise ValueError(
                f"wanted an axis of the mesh, {', '.join(mesh.axis_names)}, got {name!r} in the rule {rule.pattern!r}"
            )
    return math.prod(mesh.shape[name] for name in names)
