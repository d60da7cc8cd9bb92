"""The phases of task learning: accuracy by the number of tasks, and where learning to learn begins."""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from icl_eval.figures.drawing import accuracy_axis, new_figure, prepare, size_axis
from icl_eval.figures.learner_looks import COLOURS_OF_KINDS, NAMES, UNDECIDED
from icl_eval.figures.line_ends import LineEnd, draw_level, name_end, spread, write_line_ends
from icl_eval.figures.palette import BLUE, COLOURS, GREY, INK, MARKERS, ORANGE, PAPER, TEXT
from icl_eval.sweeps.rank_correlation import rank_correlation

_LETTER = 0.0205  # of the panel's width, that a letter of a phase's name takes on average
_LEFT, _RIGHT = -0.03, 1.06  # between which the names of phases stand, as shares of the panel's width


def phase_curve(
    num_tasks: Int[np.ndarray, " T"],
    seen_first: Float[np.ndarray, "T R"],
    seen_last: Float[np.ndarray, "T R"],
    unseen_last: Float[np.ndarray, "T R"],
    *,
    chance: float | None = None,
    kinds: Sequence[Sequence[str]] = (),
) -> Figure:
    """Return a figure of accuracy by the number of training tasks: seeds as dots, medians as lines, phases as shades.

    Axes: T numbers of tasks, R seeds; NaN is left out.

    Args:
      num_tasks: of each row, ascending, at least 1.
      seen_first: accuracy on seen tasks with no examples.
      seen_last: on seen tasks with all examples.
      unseen_last: on unseen tasks with all examples.
      chance: drawn as a dotted line.
      kinds: of learner, one per row and seed. Rows are shaded by their most frequent kind; "undecided", ties and none
        leave them unshaded.

    Raises:
      ValueError: if there are no rows or seeds, rows do not ascend from 1 or more, or shapes differ.

    Source: Kirsch et al. (2022), arXiv 2212.04458, its figure of the three phases.

    >>> accuracy = np.array([[0.9, 0.8], [0.6, 0.7]])
    >>> figure = phase_curve(np.array([1, 1024]), accuracy, accuracy, accuracy, kinds=[["task memorization"] * 2, []])
    >>> [text.get_text() for text in figure.axes[0].texts][:1]
    ['memorization']
    """
    num_tasks = np.asarray(num_tasks)
    rows = (("unseen, last", unseen_last), ("seen, last", seen_last), ("seen, first", seen_first))
    _check_phases(num_tasks, [np.shape(values) for _, values in rows], len(kinds))
    figure = new_figure(6.0, 3.6)
    panel = figure.subplots()
    prepare(panel)
    accuracy_axis(panel, name="accuracy")
    edges = _octave_edges(num_tasks)
    _task_axis(panel, edges)
    _shade(panel, edges, [most_frequent(row) for row in kinds])
    ends: list[LineEnd] = []
    for (name, values), colour, marker in zip(rows, (BLUE, ORANGE, GREY), MARKERS, strict=False):
        seeds = np.asarray(values, np.float64)
        panel.plot(
            np.repeat(num_tasks, seeds.shape[1]), seeds.reshape(-1), color=colour, linestyle="none", marker=marker,
            markersize=4.2, markeredgewidth=0, alpha=0.5, clip_on=False, label=f"{name}: seeds",
        )  # fmt: skip
        medians = np.array([_median(row) for row in seeds])
        panel.plot(num_tasks, medians, color=colour, linewidth=1.8, label=name)
        ends += name_end(name, medians, colour=colour, width=24)
    if chance is not None:
        ends.append(draw_level(panel, "chance", chance))
    write_line_ends(panel, ends)
    return figure


def _check_phases(num_tasks: np.ndarray, shapes: Sequence[tuple[int, ...]], num_kinds: int) -> None:
    ascends = len(num_tasks) and num_tasks[0] >= 1 and (np.diff(num_tasks) > 0).all()
    T, R = len(num_tasks), shapes[0][-1]
    if set(shapes) != {(T, R)} or not R or not ascends or num_kinds not in (0, T):
        raise ValueError(
            f"Wanted ascending numbers of tasks [T], accuracies [T, R] and kinds of learner for none or all of the T; "
            f"got {num_tasks.tolist()}, {sorted(set(shapes))} and {num_kinds} rows of kinds."
        )


def most_frequent(kinds: Sequence[str]) -> str:
    """Return the most frequent kind of learner, or "undecided" if there is none or several lead together.

    >>> most_frequent(["task memorization"] * 2 + ["undecided"]), most_frequent(["task memorization", "undecided"])
    ('task memorization', 'undecided')
    """
    leading = collections.Counter(kind for kind in kinds if kind).most_common(2)
    if not leading or (len(leading) == 2 and leading[0][1] == leading[1][1]):
        return UNDECIDED
    return leading[0][0]


def _octave_edges(num_tasks: np.ndarray) -> np.ndarray:
    """Return where the rows' stretches of the axis begin and end: midway between neighbours in octaves."""
    octaves = np.log2(num_tasks.astype(np.float64))
    middles = (octaves[1:] + octaves[:-1]) / 2
    return 2.0 ** np.concatenate([[octaves[0] - 0.5], middles, [octaves[-1] + 0.5]])


def _task_axis(panel: Axes, edges: np.ndarray) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(edges[0], edges[-1])
    powers = np.arange(math.ceil(math.log2(edges[0])), math.floor(math.log2(edges[-1])) + 1)
    powers = powers[:: -(-len(powers) // 13)]
    panel.set_xticks(2.0**powers, [f"$2^{{{power}}}$" for power in powers])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("number of tasks trained on", color=INK, fontsize=TEXT)


def _shade(panel: Axes, edges: np.ndarray, kinds: Sequence[str]) -> None:
    """Shade the stretches of one kind of learner, and name each once, above the longest of its stretches."""
    stretches: list[tuple[str, int, int]] = []
    for place, kind in enumerate(kinds):
        if stretches and stretches[-1][0] == kind:
            stretches[-1] = (kind, stretches[-1][1], place + 1)
        else:
            stretches.append((kind, place, place + 1))
    longest: dict[str, tuple[float, float]] = {}
    for kind, begin, end in stretches:
        if kind not in COLOURS_OF_KINDS:
            continue
        panel.axvspan(edges[begin], edges[end], color=COLOURS_OF_KINDS[kind], alpha=0.13, linewidth=0, zorder=0)
        left, right = (math.log2(edges[side] / edges[0]) / math.log2(edges[-1] / edges[0]) for side in (begin, end))
        if kind not in longest or right - left > longest[kind][1]:
            longest[kind] = ((left + right) / 2, right - left)
    named = sorted((middle, kind) for kind, (middle, _) in longest.items())
    middles = _apart([middle for middle, _ in named], [NAMES[kind] for _, kind in named])
    for middle, (_, kind) in zip(middles, named, strict=True):
        panel.annotate(
            NAMES[kind], (middle, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points",
            ha="center", color=COLOURS_OF_KINDS[kind], fontsize=TEXT, fontweight="bold",
        )  # fmt: skip


def _apart(middles: Sequence[float], names: Sequence[str]) -> list[float]:
    """Return where names stand above a panel, as shares of its width, each as near its middle as it can be."""
    widths = [_LETTER * (len(name) + 1) for name in names]
    starts = np.cumsum([0.0, *widths]).tolist()  # of names side by side
    offsets = [start + width / 2 for start, width in zip(starts, widths, strict=False)]
    # Names that touch are at one place but for their offsets, so that none has to be `spread` further than that.
    places = [middle - offset for middle, offset in zip(middles, offsets, strict=True)]
    kept = spread(places, gap=0.0, low=_LEFT, high=_RIGHT - starts[-1])
    return [place + offset for place, offset in zip(kept, offsets, strict=True)]


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


def against_size(points: Sequence[SizePoint], *, chance: float | None = None) -> Figure:
    """Return a figure of accuracy on unseen tasks against state size and against parameter count, a colour per trunk.

    There is a point for each trained model, of at most six trunks; chance is a dotted line. Above each panel stands how
    well the size tells the order of the accuracies, see `rank_correlation`.

    Source: Kirsch et al. (2022), arXiv 2212.04458: the state size predicts performance, the parameter count does not.

    >>> point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    >>> [panel.get_xlabel() for panel in against_size([point]).axes]
    ['state size', 'parameters']
    """
    trunks = list(dict.fromkeys(point.trunk for point in points))
    if not 1 <= len(trunks) <= len(COLOURS):
        raise ValueError(f"Wanted points of 1..{len(COLOURS)} trunks, got {len(trunks)}.")
    figure = new_figure(7.4, 3.4)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, field in zip(panels, ("state_size", "parameters"), strict=True):
        found = rank_correlation([getattr(point, field) for point in points], [point.accuracy for point in points])
        prepare(
            panel, title="" if found is None else f"Spearman {found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
        )
        accuracy_axis(panel, name="accuracy on unseen tasks")
        panel.label_outer()
        size_axis(panel, [getattr(point, field) for point in points], title=field.replace("_", " "))
        for trunk, colour, marker in zip(trunks, COLOURS, MARKERS, strict=False):
            own = [point for point in points if point.trunk == trunk]
            panel.plot(
                [getattr(point, field) for point in own], [point.accuracy for point in own], color=colour,
                marker=marker, linestyle="none", markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.6,
                clip_on=False, label=trunk,
            )  # fmt: skip
        if chance is not None:
            end = draw_level(panel, "chance", chance)
    if chance is not None:
        write_line_ends(panels[1], [end])
    handles = panels[0].lines[: len(trunks)]
    figure.legend(
        handles, trunks, loc="outside upper left", ncols=3, frameon=False, fontsize=9, labelcolor=INK,
        handlelength=1.0, columnspacing=1.4,
    )  # fmt: skip
    return figure


def against_settings(
    values: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    x_label: str,
    chance: float | None = None,
) -> Figure:
    """Return a figure of accuracies against the values of a setting: a line through the means, a faint dot per seed.

    Args:
      values: of the setting, as they stand beneath the axis, in order.
      series: by name, up to six; for each value the accuracies of its seeds, none for one that was not run.
      x_label: what the setting is.
      chance: of the first series, as a dotted line.

    Raises:
      ValueError: no values, no series or too many, or a series of another length.

    Source: Chan et al. (2022), figures 2 to 6.

    >>> figure = against_settings(["0", "1"], {"ICL": [[0.5, 0.5], [0.9, 0.8]]}, x_label="p_bursty", chance=0.5)
    >>> [float(height) for height in figure.axes[0].lines[0].get_ydata()]
    [0.5, 0.8500000000000001]
    """
    lengths = {len(accuracies) for accuracies in series.values()}
    if not values or not 1 <= len(series) <= len(COLOURS) or lengths != {len(values)}:
        raise ValueError(
            f"Wanted 1..{len(COLOURS)} series, each with accuracies for the values {list(values)}, got "
            f"{ {name: len(accuracies) for name, accuracies in series.items()} }."
        )
    figure = new_figure(4.6, 3.0)
    panel = figure.subplots()
    prepare(panel, x=x_label)
    accuracy_axis(panel, name="accuracy")
    panel.set_xlim(-0.3, len(values) - 0.7)
    panel.xaxis.set_major_locator(FixedLocator(range(len(values))))
    panel.xaxis.set_major_formatter(FixedFormatter(list(values)))
    ends: list[LineEnd] = []
    for (name, accuracies), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
        means = np.array([np.mean(seeds) if len(seeds) else np.nan for seeds in accuracies])
        panel.plot(range(len(values)), means, color=colour, marker=marker, markersize=4.5, linewidth=1.7, clip_on=False)
        places = [place for place, seeds in enumerate(accuracies) for _ in seeds]
        heights = [accuracy for seeds in accuracies for accuracy in seeds]
        panel.scatter(places, heights, color=colour, marker=marker, s=14, alpha=0.35, linewidths=0, clip_on=False)
        ends += name_end(name, means, colour=colour)
    if chance is not None:
        ends.append(draw_level(panel, "chance", chance, colour=BLUE))
    write_line_ends(panel, ends)
    return figure
