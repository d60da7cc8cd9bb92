"""Parameters of one model in the place of another's."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from icl_train.paths import Rows, matching, name_of, named_leaves, row_masks


def graft(params: PyTree, other: PyTree, *, pattern: str, rows: Sequence[int] = ()) -> PyTree:
    """Return parameters of which some are those of the same names in another model. Pure.

    Args:
        params: Parameters, any pytree of arrays.
        other: Those of the other model, which may have others besides.
        pattern: Which are taken (a regular expression, looked for anywhere in names such as 'encoder/conv/w').
        rows: Which rows of each are, along the first axis; () are all. The other model may have more or fewer.

    Returns:
        A pytree like ``params``, in its dtypes.

    Raises:
        ValueError: If the pattern matches nothing, or something that the other model has not, or not in that shape.

    >>> mine, theirs = {'a': jnp.zeros(2), 'b': jnp.zeros(2)}, {'b': jnp.ones(2)}
    >>> {name: leaf.tolist() for name, leaf in graft(mine, theirs, pattern='b', rows=(1,)).items()}
    {'a': [0.0, 0.0], 'b': [0.0, 1.0]}
    """
    chosen = matching(params, [pattern])
    if rows:
        row_masks(params, [Rows(params=pattern, rows=tuple(rows))])  # for its errors
    theirs, places = named_leaves(other), np.array(sorted(rows), dtype=np.int32)

    def take(path: tuple[Any, ...], mine: Any, is_chosen: bool) -> Any:
        if not is_chosen:
            return mine
        name = name_of(path)
        if name not in theirs:
            raise ValueError(f"wanted {name!r} of the other model, which has {', '.join(theirs)}")
        found = theirs[name]
        wanted, there = (each.shape[1:] if rows else each.shape for each in (mine, found))
        if wanted != there or (rows and places[-1] >= found.shape[0]):
            said = f"{list(mine.shape)}" + (f" with rows {places.tolist()}" if rows else "")
            raise ValueError(f"wanted {name!r} of the shape {said} of the other model, which has {list(found.shape)}")
        if not rows:
            return jnp.asarray(found, mine.dtype)
        return jnp.asarray(mine).at[places].set(jnp.asarray(found, mine.dtype)[places])

    return jax.tree_util.tree_map_with_path(take, params, chosen)
