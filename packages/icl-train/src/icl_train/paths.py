"""Names of the leaves of a pytree, and patterns that choose among them."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of parameters: of a stack of layers, which is one array [layers, ...], some of the layers.

    Attributes:
        params: Pattern (a regular expression, looked for anywhere in the name) of the parameters.
        rows: Places along the first axis of each, at least one, from 0.

    Raises:
        ValueError: If the pattern is no regular expression, or there are no rows, or negative ones.

    >>> Rows(params='blocks/query', rows=(1,))
    Rows(params='blocks/query', rows=(1,))
    """

    params: str
    rows: tuple[int, ...]

    def __post_init__(self) -> None:
        compiled(self.params)
        if min(self.rows, default=-1) < 0:
            raise ValueError(f"wanted rows from 0 on, at least one, got {self.rows}")


def row_masks(tree: PyTree, rows: Sequence[Rows]) -> PyTree:
    """Return a pytree of bools [R, 1, ...], which rows of a leaf are named; of leaves without any, False [].

    Args:
        tree: Any pytree of arrays.
        rows: Which.

    Raises:
        ValueError: If a pattern matches no leaf, or one that has not as many rows.

    >>> from icl_train import Rows
    >>> masks = row_masks({'a': np.zeros((3, 2)), 'b': np.zeros(2)}, [Rows(params='a', rows=(0, 2))])
    >>> masks['a'].tolist(), masks['b'].tolist()
    ([[True], [False], [True]], False)
    """
    matching(tree, [each.params for each in rows])

    def mask(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
        name, chosen = name_of(path), set[int]()
        for each in rows:
            if compiled(each.params).search(name):
                chosen |= set(each.rows)
        count = leaf.shape[0] if leaf.shape else 0
        if max(chosen, default=-1) >= count:
            raise ValueError(f"wanted rows of {name!r} below {count}, got {max(chosen)}; its shape is {leaf.shape}")
        found = np.isin(np.arange(count), sorted(chosen))
        return found.reshape(count, *[1] * (len(leaf.shape) - 1)) if chosen else np.zeros((), bool)

    return jax.tree_util.tree_map_with_path(mask, tree)


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Return the leaves of a pytree by name: its keys, joined by slashes.

    >>> named_leaves({'linear': {'w': 1, 'b': 2}, 'list': [3]})
    {'linear/b': 2, 'linear/w': 1, 'list/0': 3}
    """
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def name_of(path: tuple[Any, ...]) -> str:
    """Return the name of the leaf at a path of JAX's."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def matching(tree: PyTree, patterns: Sequence[str]) -> PyTree:
    """Return a pytree of bools: whether a leaf's name matches any of the patterns.

    Args:
        tree: Any pytree.
        patterns: Regular expressions, looked for anywhere in the name.

    Raises:
        ValueError: If a pattern is no regular expression, or matches no leaf.

    >>> matching({'encoder': {'w': 1}, 'trunk': {'w': 2}}, ['^encoder/'])
    {'encoder': {'w': True}, 'trunk': {'w': False}}
    """
    names = list(named_leaves(tree))
    for pattern in patterns:
        if not any(compiled(pattern).search(name) for name in names):
            raise ValueError(
                f"wanted a pattern that matches a parameter, got {pattern!r}; the parameters are {', '.join(names)}"
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(compiled(pattern).search(name_of(path)) for pattern in patterns), tree
    )


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression.

    Raises:
        ValueError: If it is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"wanted a regular expression, got {pattern!r}: {error}") from error
