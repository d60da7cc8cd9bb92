"""Names of the leaves of a pytree, and patterns that choose among them."""

import re
from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import PyTree


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
