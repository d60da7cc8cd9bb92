"""The context of a batch of tasks: all that a baseline may learn from."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from icl_eval.checks import check_whole

Inputs = Float[np.ndarray, "B N X"]
Targets = Float[np.ndarray, "B N Y"]
Labels = Int[np.ndarray, "B N"]
Queries = Bool[np.ndarray, "B N"]


class Points(NamedTuple):
    """Tasks without their answers: all that a baseline may learn from."""

    inputs: Inputs  # of all points, or the items of classification tasks
    targets: Targets | Labels  # of the context; 0 at the queries
    shown: Bool[np.ndarray, "B N"]  # which points are the context


# Plain arrays in the two signatures below: they are what says so if the shapes are wrong, with jaxtyping or without.
def points(inputs: np.ndarray, targets: np.ndarray, is_query: np.ndarray) -> Points:
    """Return the context of function tasks, in float64, the targets of the queries, which may be NaN, blotted out."""
    inputs, targets, is_query = np.asarray(inputs), np.asarray(targets), np.asarray(is_query)
    if inputs.ndim != 3 or targets.ndim != 3 or not inputs.shape[:2] == targets.shape[:2] == is_query.shape:
        raise ValueError(
            "Wanted inputs [B, N, X], targets [B, N, Y] and is_query [B, N], got the shapes "
            f"{list(inputs.shape)}, {list(targets.shape)} and {list(is_query.shape)}; a single task wants inputs[None]."
        )
    shown = _shown(is_query)
    _check_filled("inputs", inputs)
    blotted = np.where(shown[:, :, None], targets, 0)
    _check_filled("the targets of context points", blotted)
    return Points(inputs.astype(np.float64), blotted.astype(np.float64), shown)


def labelled(items: np.ndarray, labels: np.ndarray, is_query: np.ndarray, num_labels: int) -> Points:
    """Return the context of classification tasks: labels in 0..num_labels-1, those of the queries blotted out."""
    check_whole("num_labels", num_labels, least=1)
    items, labels, is_query = np.asarray(items), np.asarray(labels), np.asarray(is_query)
    if items.ndim != 3 or not items.shape[:2] == labels.shape == is_query.shape or labels.dtype.kind not in "iu":
        raise ValueError(
            "Wanted items [B, S, X], integer labels [B, S] and is_query [B, S], got the shapes "
            f"{list(items.shape)}, {list(labels.shape)} ({labels.dtype}) and {list(is_query.shape)}; images want "
            "reshape(B, S, -1)."
        )
    shown = _shown(is_query)
    _check_filled("items", items)
    blotted = np.where(shown, labels, 0).astype(np.int64)
    if blotted.min() < 0 or blotted.max() >= num_labels:
        raise ValueError(
            f"Wanted labels in 0..{num_labels - 1} in the context, got some in {blotted.min()}..{blotted.max()}; "
            "raise num_labels or check the labels."
        )
    return Points(items.astype(np.float64), blotted, shown)


def _shown(is_query: np.ndarray) -> Bool[np.ndarray, "B N"]:
    if is_query.dtype != bool:
        raise ValueError(f"Wanted is_query as bool, got {is_query.dtype}; pass is_query.astype(bool).")
    return ~is_query


def _check_filled(name: str, values: np.ndarray) -> None:
    if not values.size:
        raise ValueError(f"Wanted at least one of everything in {name}, got the shape {list(values.shape)}.")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"Wanted numbers, but {name} are of {values.dtype}.")
    if not np.isfinite(values).all():
        raise ValueError(f"Wanted finite numbers, but {name} hold {np.count_nonzero(~np.isfinite(values))} others.")
