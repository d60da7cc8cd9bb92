"""Histograms of what seeds came to at the end, a panel for each setting, coloured by their kinds of learner."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from icl_eval.figures.against_option import MOST_PANELS, grid_of_panels
from icl_eval.figures.drawing import log_ticks, plain
from icl_eval.figures.learner_looks import COLOURS_OF_KINDS, HATCHES, NAMES, UNDECIDED
from icl_eval.figures.option_axis import is_logarithmic
from icl_eval.figures.palette import DOTTED, INK, PAPER, TEXT
from icl_eval.results.result import Kind

_BINS = 20
_KINDS = (*COLOURS_OF_KINDS, UNDECIDED)  # from the bottom of a bar


def outcome_histograms(
    panels: Mapping[str, Sequence[tuple[float, str]]],
    *,
    x_label: str,
    kind: Kind = "proportion",
    chance: float | None = None,
) -> Figure:
    """Return a figure of how many seeds came to which last value, bars stacked by kind of learner.

    All panels have the same twenty bins: of 0..1 for a proportion, and else from the lowest to the highest value, on a
    logarithmic scale for errors that span decades.

    Args:
      panels: by title, at most twelve: of each seed the last value and the kind of learner; values that are not finite
        are left out.
      x_label: what the values are.
      kind: what kind of number they are.
      chance: what guessing gives, as a dotted line.

    Raises:
      ValueError: no panels or too many, no finite value, or another kind of learner.

    >>> seeds = [(0.1, "fails to meta-train"), (0.12, "fails to meta-train"), (0.6, "general learning to learn")]
    >>> figure = outcome_histograms({"width 64": seeds}, x_label="accuracy on unseen tasks")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['fails', 'learning to learn']
    """
    known = {title: [(value, of) for value, of in seeds if np.isfinite(value)] for title, seeds in panels.items()}
    values = [value for seeds in known.values() for value, _ in seeds]
    kinds = {of for seeds in known.values() for _, of in seeds}
    if not values or not 1 <= len(panels) <= MOST_PANELS or not kinds <= set(_KINDS):
        raise ValueError(
            f"Wanted last values of seeds in 1..{MOST_PANELS} panels, of the kinds {', '.join(_KINDS)}; got "
            f"{len(values)} in {len(panels)} panels, of the kinds {sorted(kinds)}."
        )
    logarithmic = kind == "error" and is_logarithmic(values)
    edges = _edges(values, kind, logarithmic=logarithmic)
    figure, axes = grid_of_panels(list(panels), height=1.9)
    most = max(int(_counts([value for value, _ in seeds], edges).max()) for seeds in known.values())
    for panel, seeds in zip(axes, known.values(), strict=True):
        _stack(panel, seeds, edges)
        _axes(panel, edges, most=most, x_label=x_label, logarithmic=logarithmic)
        if chance is not None and edges[0] <= chance <= edges[-1]:
            panel.axvline(chance, color=INK, linewidth=1, linestyle=DOTTED)
    shown = [Patch(label=NAMES.get(of, of), **_look(of)) for of in _KINDS if of in kinds]
    figure.legend(
        handles=shown, loc="outside upper left", ncols=3, frameon=False, fontsize=TEXT, labelcolor=INK, handlelength=1.4
    )
    return figure


def _edges(values: Sequence[float], kind: Kind, *, logarithmic: bool) -> np.ndarray:
    if logarithmic:
        return np.geomspace(min(values), max(values), _BINS + 1)
    low, high = (0.0, 1.0) if kind == "proportion" else (min(values), max(values))
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _stack(panel: Axes, seeds: Sequence[tuple[float, str]], edges: np.ndarray) -> None:
    below = np.zeros(_BINS)
    for of in _KINDS:
        counts = _counts([value for value, each in seeds if each == of], edges)
        bars = counts > 0
        panel.bar(
            edges[:-1][bars], counts[bars], width=np.diff(edges)[bars], align="edge", bottom=below[bars], label=of,
            **_look(of),
        )  # fmt: skip
        below = below + counts


def _counts(values: Sequence[float], edges: np.ndarray) -> np.ndarray:
    """Return how many values are in each bin; what rounding put beyond the ends belongs to the last ones."""
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]


def _look(of: str) -> dict[str, Any]:
    """Return how bars of a kind look: in its colour, with paper between bars; those of no kind are white."""
    colour = COLOURS_OF_KINDS.get(of)
    if colour is None:
        return {"facecolor": PAPER, "edgecolor": INK, "linewidth": 0.8}
    return {"facecolor": colour, "edgecolor": PAPER, "linewidth": 0.8, "hatch": HATCHES[of]}


def _axes(panel: Axes, edges: np.ndarray, *, most: int, x_label: str, logarithmic: bool) -> None:
    low, high = float(edges[0]), float(edges[-1])
    if logarithmic:
        margin = (high / low) ** 0.02
        panel.set_xscale("log")
        panel.set_xlim(low / margin, high * margin)
        panel.set_xticks(log_ticks(low / margin, high * margin))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(which="minor", length=0)
    else:
        panel.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.set_xlabel(plain(x_label), color=INK, fontsize=TEXT)
    panel.set_ylim(0, most * 1.08)
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.set_ylabel("seeds", color=INK, fontsize=TEXT)
