"""Confusion: which label is given for which, as a heat map of shares."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from icl_eval.drawing import LIGHT, Theme
from icl_eval.evaluation import Result
from icl_eval.grid import heat_map

_NAME = re.compile(r"confusion_(\d{1,3})_to_(\d{1,3}|other)")
_MOST = 12  # labels; beyond, the numbers in the cells cannot be read


def confusion_matrix(result: Result) -> tuple[Float[np.ndarray, "W X"], tuple[int, ...]] | None:
    """Return shares of predictions by true label, and how many queries there were of each; None if not measured.

    Axes: W labels 0..W-1 that a query can have; X = W + 1, the last column for any other label.

    Reads the metrics `confusion_0_to_1` (of queries whose label is 0, the share predicted as 1 by the open arg-max)
    and `confusion_0_to_other`. A share that is missing is NaN; a label without queries counts 0.

    >>> from icl_eval import proportion
    >>> metrics = {"confusion_0_to_0": proportion(3, 4), "confusion_0_to_other": proportion(1, 4)}
    >>> confusion_matrix(Result(evaluation="fewshot_holdout", metrics=metrics, chance={}))
    (array([[0.75, 0.25]]), (4,))
    """
    found = [(match, estimate) for name, estimate in result.metrics.items() if (match := _NAME.fullmatch(name))]
    if not found:
        return None
    labels = {int(label) for match, _ in found for label in match.groups() if label != "other"}
    ways = max(labels) + 1
    shares = np.full((ways, ways + 1), np.nan)
    counts = [0] * ways
    for match, estimate in found:
        true, predicted = int(match[1]), match[2]
        shares[true, ways if predicted == "other" else int(predicted)] = estimate.value
        counts[true] = max(counts[true], estimate.count)
    return shares, tuple(counts)


def confusion(shares: Float[np.ndarray, "W X"], counts: Sequence[int], *, theme: Theme = LIGHT) -> Figure:
    """Draw true labels against predicted ones, the share of each true label's queries in the cells.

    Args:
      shares: of each of 1..12 true labels, the share predicted as each of them and, in the last column, as another.
      counts: queries of each true label.
      theme: the colours.

    Raises:
      ValueError: if the shapes do not fit, there are too many labels, or a share is not in 0..1.

    >>> [text.get_text() for text in confusion(np.array([[0.75, 0.25]]), [4]).axes[0].texts]
    ['0.75', '0.25']
    """
    ways = len(shares)
    if shares.shape != (ways, ways + 1) or not 1 <= ways <= _MOST or len(counts) != ways:
        raise ValueError(
            f"Wanted shares [W, W + 1] of W in 1..{_MOST} labels and a count for each, got shares {shares.shape} and "
            f"{len(counts)} counts."
        )
    if (shares < 0).any() or (shares > 1).any():
        raise ValueError(f"Wanted shares in 0..1, got {np.nanmin(shares)}..{np.nanmax(shares)}.")
    return heat_map(
        shares,
        row_names=[f"{label} (of {count:,})" for label, count in enumerate(counts)],
        column_names=[*map(str, range(ways)), "another label"],
        row_title="true label",
        column_title="predicted label",
        title="Share of each true label's queries",
        theme=theme,
    )
