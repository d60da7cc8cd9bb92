"""The phases of task learning: accuracy by the number of tasks, and where learning to learn begins."""

import collections
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullLocator

from icl_eval.drawing import DOTTED, LIGHT, MARKERS, Theme, accuracy_axis, label_at_right, prepare, spread
from icl_eval.estimate import readable

MEMORISES, IDENTIFIES, LEARNS, UNDECIDED = "memorises", "identifies the task", "learns to learn", "undecided"


def phase_curve(
    num_tasks: Int[np.ndarray, " T"],
    seen_first: Float[np.ndarray, "T R"],
    seen_last: Float[np.ndarray, "T R"],
    unseen_last: Float[np.ndarray, "T R"],
    *,
    chance: float | None = None,
    verdicts: Sequence[Sequence[str]] = (),
    theme: Theme = LIGHT,
) -> Figure:
    """Draw accuracy by the number of training tasks: every seed a dot, medians as lines, phases as shades.

    Axes: T numbers of tasks, R seeds; NaN is left out.

    Args:
      num_tasks: of each row, ascending, at least 1.
      seen_first: accuracy on seen tasks with no examples.
      seen_last: on seen tasks with all examples.
      unseen_last: on unseen tasks with all examples.
      chance: drawn as a dotted line.
      verdicts: one per row and seed. Rows are shaded by their most frequent verdict; "undecided", ties and no verdicts
        leave them unshaded.
      theme: the colours.

    Raises:
      ValueError: if there are no rows or seeds, rows do not ascend from 1 or more, or shapes differ.

    Source: Kirsch et al. (2022), arXiv 2212.04458, its figure of the three phases.

    >>> accuracy = np.array([[0.9, 0.8], [0.6, 0.7]])
    >>> figure = phase_curve(np.array([1, 1024]), accuracy, accuracy, accuracy, verdicts=[["memorises"] * 2, []])
    >>> [text.get_text() for text in figure.axes[0].texts][:1]
    ['memorises']
    """
    num_tasks = np.asarray(num_tasks)
    rows = (("unseen, last", unseen_last), ("seen, last", seen_last), ("seen, first", seen_first))
    shapes = {np.shape(values) for _, values in rows}
    if (
        shapes != {(len(num_tasks), np.shape(seen_last)[-1])}
        or 0 in np.shape(seen_last)
        or num_tasks[0] < 1
        or (np.diff(num_tasks) <= 0).any()
        or len(verdicts) not in (0, len(num_tasks))
    ):
        raise ValueError(
            f"Wanted ascending numbers of tasks [T], accuracies [T, R] and verdicts for none or all of the T; got "
            f"{num_tasks.tolist()}, {sorted(shapes)} and {len(verdicts)} verdicts."
        )
    figure = Figure(figsize=(6.0, 3.6), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    accuracy_axis(panel, theme)
    edges = _octave_edges(num_tasks)
    _task_axis(panel, edges, theme)
    _shade(panel, edges, [majority(row) for row in verdicts], theme)
    labels = []
    colours = (theme.icl, theme.iwl, theme.others[-1])
    for (name, values), colour, marker in zip(rows, colours, MARKERS, strict=False):
        seeds = np.asarray(values, np.float64)
        panel.plot(
            np.repeat(num_tasks, seeds.shape[1]), seeds.reshape(-1), color=colour, linestyle="none", marker=marker,
            markersize=4.2, markeredgewidth=0, alpha=0.5, clip_on=False, label=f"{name}: seeds",
        )  # fmt: skip
        medians = np.array([_median(row) for row in seeds])
        panel.plot(num_tasks, medians, color=colour, linewidth=1.8, label=name)
        known = medians[np.isfinite(medians)]
        if len(known):
            labels.append((float(known[-1]), f"{name} {readable(known[-1])}", colour, True))
    if chance is not None:
        panel.axhline(chance, color=theme.ink, linewidth=1, linestyle=DOTTED)
        labels.append((chance, f"chance {chance:.2g}", theme.ink, False))
    label_at_right(panel, labels)
    return figure


def majority(verdicts: Sequence[str]) -> str:
    """Return the most frequent verdict, or "undecided" if there is none or several lead together.

    >>> majority(["memorises", "memorises", "learns to learn"]), majority(["memorises", "learns to learn"])
    ('memorises', 'undecided')
    """
    leading = collections.Counter(verdict for verdict in verdicts if verdict).most_common(2)
    if not leading or (len(leading) == 2 and leading[0][1] == leading[1][1]):
        return UNDECIDED
    return leading[0][0]


def _octave_edges(num_tasks: np.ndarray) -> np.ndarray:
    """Return where the rows' stretches of the axis begin and end: midway between neighbours in octaves."""
    octaves = np.log2(num_tasks.astype(np.float64))
    middles = (octaves[1:] + octaves[:-1]) / 2
    return 2.0 ** np.concatenate([[octaves[0] - 0.5], middles, [octaves[-1] + 0.5]])


def _task_axis(panel: Axes, edges: np.ndarray, theme: Theme) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(edges[0], edges[-1])
    powers = np.arange(math.ceil(math.log2(edges[0])), math.floor(math.log2(edges[-1])) + 1)
    powers = powers[:: -(-len(powers) // 13)]
    panel.set_xticks(2.0**powers, [f"$2^{{{power}}}$" for power in powers])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("number of tasks trained on", color=theme.ink, fontsize=9.5)


def _shade(panel: Axes, edges: np.ndarray, verdicts: Sequence[str], theme: Theme) -> None:
    """Shade the stretches of one verdict, and name each verdict once, above the longest of its stretches."""
    colours = {MEMORISES: theme.iwl, IDENTIFIES: theme.others[0], LEARNS: theme.icl}
    stretches: list[tuple[str, int, int]] = []
    for place, verdict in enumerate(verdicts):
        if stretches and stretches[-1][0] == verdict:
            stretches[-1] = (verdict, stretches[-1][1], place + 1)
        else:
            stretches.append((verdict, place, place + 1))
    longest: dict[str, tuple[float, float]] = {}
    for verdict, begin, end in stretches:
        if verdict not in colours:
            continue
        panel.axvspan(edges[begin], edges[end], color=colours[verdict], alpha=0.13, linewidth=0, zorder=0)
        left, right = (math.log2(edges[side] / edges[0]) / math.log2(edges[-1] / edges[0]) for side in (begin, end))
        if verdict not in longest or right - left > longest[verdict][1]:
            longest[verdict] = ((left + right) / 2, right - left)
    named = sorted((middle, verdict) for verdict, (middle, _) in longest.items())
    # A third of the panel holds the longest name; the ends keep room for half a name.
    middles = spread([middle for middle, _ in named], gap=0.355, low=0.1, high=0.85)
    for middle, (_, verdict) in zip(middles, named, strict=True):
        panel.annotate(
            verdict, (middle, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", ha="center",
            color=colours[verdict], fontsize=9.5, fontweight="bold",
        )  # fmt: skip


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan
