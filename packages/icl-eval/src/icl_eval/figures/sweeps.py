"""The phases of task learning: accuracy by the number of tasks, and where learning to learn begins."""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from icl_eval.figures.drawing import (
    DOTTED,
    LIGHT,
    MARKERS,
    Theme,
    accuracy_axis,
    label_at_right,
    log_ticks,
    prepare,
    spread,
)
from icl_eval.results.estimate import readable

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizePoint:
    """A trained model in the picture of what its size buys.

    Attributes:
      trunk: the kind of sequence model.
      state_size: how many numbers carry what it has read, at least 1.
      parameters: how many parameters it has, at least 1.
      accuracy: on unseen tasks, in 0..1; NaN is left out.

    Raises:
      ValueError: if a size is below 1.

    >>> SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25).trunk
    'LSTM'
    """

    trunk: str
    state_size: int
    parameters: int
    accuracy: float

    def __post_init__(self) -> None:
        if min(self.state_size, self.parameters) < 1:
            raise ValueError(
                f"{self.trunk}: wanted a state size and a parameter count of at least 1 for the logarithmic axes, got "
                f"{self.state_size} and {self.parameters}."
            )


def against_size(points: Sequence[SizePoint], *, chance: float | None = None, theme: Theme = LIGHT) -> Figure:
    """Draw accuracy on unseen tasks against state size and against parameter count, a colour per trunk.

    Args:
      points: one per trained model, of at most six trunks.
      chance: drawn as a dotted line.
      theme: the colours.

    Raises:
      ValueError: no points, or more trunks than there are colours.

    Source: Kirsch et al. (2022), arXiv 2212.04458: the state size predicts performance, the parameter count does not.

    >>> point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    >>> [panel.get_xlabel() for panel in against_size([point]).axes]
    ['state size', 'parameters']
    """
    trunks = list(dict.fromkeys(point.trunk for point in points))
    colours = (theme.icl, theme.iwl, *theme.others)
    if not 1 <= len(trunks) <= len(colours):
        raise ValueError(f"Wanted points of 1..{len(colours)} trunks, got {len(trunks)}.")
    figure = Figure(figsize=(6.4, 3.4), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, field in zip(panels, ("state_size", "parameters"), strict=True):
        prepare(panel, theme)
        accuracy_axis(panel, theme)
        panel.label_outer()
        size_axis(panel, [getattr(point, field) for point in points], theme, title=field.replace("_", " "))
        for trunk, colour, marker in zip(trunks, colours, MARKERS, strict=False):
            own = [point for point in points if point.trunk == trunk]
            panel.plot(
                [getattr(point, field) for point in own], [point.accuracy for point in own], color=colour,
                marker=marker, linestyle="none", markersize=5.5, markeredgecolor=theme.paper, markeredgewidth=0.6,
                clip_on=False, label=trunk,
            )  # fmt: skip
        if chance is not None:
            panel.axhline(chance, color=theme.ink, linewidth=1, linestyle=DOTTED)
    panels[0].set_title("Accuracy on unseen tasks", loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    if chance is not None:
        label_at_right(panels[1], [(chance, f"chance {chance:.2g}", theme.ink, False)])
    handles = panels[0].lines[: len(trunks)]
    figure.legend(
        handles, trunks, loc="outside upper left", ncols=3, frameon=False, fontsize=9, labelcolor=theme.ink,
        handlelength=1.0, columnspacing=1.4,
    )  # fmt: skip
    return figure


def size_axis(panel: Axes, sizes: Sequence[float] | Sequence[int], theme: Theme, *, title: str) -> None:
    """Let the x axis span sizes above 0 on a logarithmic scale, and name it.

    >>> panel = Figure().subplots()
    >>> size_axis(panel, [10, 1000], LIGHT, title="parameters")
    >>> panel.get_xscale(), [tick.get_text() for tick in panel.get_xticklabels()]
    ('log', ['10', '100', '1k'])
    """
    low, high = min(sizes) / 1.5, max(sizes) * 1.5
    panel.set_xscale("log")
    panel.set_xlim(low, high)
    ticks = log_ticks(low, high)
    panel.set_xticks(ticks, [_short(tick) for tick in ticks])
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(which="minor", length=0)
    panel.set_xlabel(title, color=theme.ink, fontsize=9.5)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def against_settings(
    values: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    x_label: str,
    chance: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw accuracies against the values of a setting: a line through the means, a faint dot for each seed.

    Args:
      values: of the setting, as they stand beneath the axis, in order.
      series: by name, up to six; for each value the accuracies of its seeds, none for one that was not run.
      x_label: what the setting is.
      chance: of the first series, as a dotted line.
      theme: the colours.

    Raises:
      ValueError: no values, no series or too many, or a series of another length.

    Source: Chan et al. (2022), figures 2 to 6.

    >>> figure = against_settings(["0", "1"], {"ICL": [[0.5, 0.5], [0.9, 0.8]]}, x_label="p_bursty", chance=0.5)
    >>> [float(height) for height in figure.axes[0].lines[0].get_ydata()]
    [0.5, 0.8500000000000001]
    """
    colours = (theme.icl, theme.iwl, *theme.others)
    lengths = {len(accuracies) for accuracies in series.values()}
    if not values or not 1 <= len(series) <= len(colours) or lengths != {len(values)}:
        raise ValueError(
            f"Wanted 1..{len(colours)} series, each with accuracies for the values {list(values)}, got "
            f"{ {name: len(accuracies) for name, accuracies in series.items()} }."
        )
    figure = Figure(figsize=(4.6, 3.0), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    accuracy_axis(panel, theme)
    panel.set_xlabel(x_label, color=theme.ink, fontsize=9.5)
    panel.set_xlim(-0.3, len(values) - 0.7)
    panel.xaxis.set_major_locator(FixedLocator(range(len(values))))
    panel.xaxis.set_major_formatter(FixedFormatter(list(values)))
    labels: list[tuple[float, str, str, bool]] = []
    for (name, accuracies), colour, marker in zip(series.items(), colours, MARKERS, strict=False):
        means = np.array([np.mean(seeds) if len(seeds) else np.nan for seeds in accuracies])
        panel.plot(range(len(values)), means, color=colour, marker=marker, markersize=4.5, linewidth=1.7, clip_on=False)
        places = [place for place, seeds in enumerate(accuracies) for _ in seeds]
        heights = [accuracy for seeds in accuracies for accuracy in seeds]
        panel.scatter(places, heights, color=colour, marker=marker, s=14, alpha=0.35, linewidths=0, clip_on=False)
        if known := [float(mean) for mean in means if np.isfinite(mean)]:
            labels.append((known[-1], f"{name} {readable(known[-1])}", colour, True))
    if chance is not None:
        panel.axhline(chance, color=colours[0], linewidth=1, linestyle=DOTTED)
        labels.append((chance, f"chance {chance:.2g}", colours[0], False))
    label_at_right(panel, labels)
    return figure
