"""Accuracy by how frequent a class is: what Zipfian training data teaches of its common and its rare classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from icl_eval.figures.drawing import accuracy_axis, new_figure, prepare
from icl_eval.figures.line_ends import LineEnd, name_end, write_line_ends
from icl_eval.figures.palette import COLOURS, MARKERS
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Result

_DECILES = 10
_MOST = 3  # evaluations side by side
_APART = 0.16  # of a decile, so that error bars of several evaluations stand side by side


def deciles(result: Result) -> tuple[Estimate | None, ...] | None:
    """Return `accuracy_open_decile_1` .. `_10` of an evaluation, None for those it lacks; None if it has none.

    >>> deciles(Result(evaluation="fewshot_common", metrics={}, chance={})) is None
    True
    """
    found = tuple(result.metrics.get(f"accuracy_open_decile_{decile}") for decile in range(1, _DECILES + 1))
    return found if any(estimate is not None for estimate in found) else None


def by_frequency(curves: Mapping[str, Sequence[Estimate | None]]) -> Figure:
    """Return a figure of the accuracy of each tenth of the classes, from the rarest to the most frequent.

    Each of one to three evaluations has ten estimates; None where there were no queries.

    Source: Chan et al. (2022), arXiv 2205.05055, figure 6: with Zipfian classes the common ones are learned in weights.

    >>> tenth = Estimate(value=0.5, low=0.4, high=0.6, count=100)
    >>> figure = by_frequency({"iwl": [None] * 9 + [tenth]})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['iwl 0.500']
    """
    if not 1 <= len(curves) <= _MOST:
        raise ValueError(f"Wanted 1..{_MOST} evaluations, got {len(curves)}.")
    for name, estimates in curves.items():
        known = sum(estimate is not None for estimate in estimates)
        if len(estimates) != _DECILES or not known:
            raise ValueError(
                f"{name}: wanted {_DECILES} estimates, one or more of them known, got {len(estimates)} with {known} "
                "known; take them from `deciles(result)`."
            )
    figure = new_figure(4.6, 3.2)
    panel = figure.subplots()
    prepare(panel, title="Accuracy by class frequency", x="tenth of the classes, rare to frequent")
    accuracy_axis(panel, name="accuracy")
    panel.set_xticks(np.arange(1, _DECILES + 1))
    panel.set_xlim(0.5, _DECILES + 0.5)
    ends: list[LineEnd] = []
    for place, ((name, estimates), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        values, low, high = np.array([(e.value, e.low, e.high) if e else (np.nan,) * 3 for e in estimates]).T
        panel.errorbar(
            np.arange(1, _DECILES + 1) + _APART * (place - (len(curves) - 1) / 2), values,
            yerr=np.nan_to_num(np.stack([values - low, high - values])), color=colour, marker=MARKERS[place],
            markersize=4, linewidth=1.2, elinewidth=1.4, clip_on=False,
        )  # fmt: skip
        ends += name_end(name.replace("_", " "), values, colour=colour, width=16)
    write_line_ends(panel, ends, inches=3.2)
    return figure
