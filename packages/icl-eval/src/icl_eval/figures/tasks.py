"""Figures of task learners: what a model makes of more examples, and of functions."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from icl_eval.figures.drawing import new_figure, plain, prepare
from icl_eval.figures.lines import Line, draw_lines
from icl_eval.figures.palette import BLUE, COLOURS, FAINT, GREEN, GREY, INK, MARKERS, ORANGE, TEXT
from icl_eval.results.result import Kind
from icl_eval.results.saved_arrays import MODEL, Fits, ShotCurves, ShotMeasure

_KINDS: dict[ShotMeasure, Kind] = {"accuracy": "proportion", "squared_error": "error", "cross_entropy": "mean"}
_WIDTH = 30  # letters at a line's end: names of baselines are not broken
_DASHES = ("-", (0, (4.0, 1.6)), (0, (1.0, 1.0)))  # once the colours are used up


def learning_curves(curves: ShotCurves, *, title: str) -> Figure:
    """Return a figure of a measure by the number of examples seen: the model's with its band, baselines' as thin lines.

    Accuracies are drawn over 0..1 with chance as a dotted line, squared errors on a logarithmic axis of at most five
    decades, cross-entropies on one that spans them. The model's curve is the one under "model".

    >>> from icl_eval import ScalarCurve
    >>> line = ScalarCurve(np.arange(3.0), *[np.array([0.1, 0.5, 0.7])] * 3, chance=0.1)
    >>> figure = learning_curves(ShotCurves(measure="accuracy", curves={"model": line}, count=64), title="Unseen tasks")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['chance 0.1', 'model 0.700']
    """
    lines = [
        Line(
            name=name,
            curve=curves.curves[name],
            colour=COLOURS[1:][number % (len(COLOURS) - 1)],
            marker=MARKERS[1 + number % (len(MARKERS) - 1)],
            dash=_DASHES[number // (len(COLOURS) - 1) % len(_DASHES)],
            strong=False,
        )
        for number, name in enumerate(name for name in curves.curves if name != MODEL)
    ]
    if MODEL in curves.curves:  # last: over the others
        lines.append(Line(name=MODEL, curve=curves.curves[MODEL], colour=BLUE, marker="o"))
    height = max(3.2, 0.6 + 0.22 * (len(lines) + 1))
    figure = new_figure(5.2, height)
    panel = figure.subplots()
    prepare(panel, title=title, x="examples seen")
    draw_lines(panel, lines, kind=_KINDS[curves.measure], inches=height - 0.6, width=_WIDTH)
    panel.set_ylabel(curves.measure.replace("_", " "), color=INK, fontsize=TEXT)
    _examples_axis(panel, [line.curve.steps for line in lines])
    return figure


def fitted_functions(fits: Mapping[str, Fits], *, columns: int = 3) -> Figure:
    """Return a figure of functions and what was made of a few of their points, a row for each family.

    Panels span the truth and the model's fit, at most as far again as the truth is high; what a baseline does beyond
    that is cut off. Of a family, by whose name the fits are, at most `columns` functions are drawn.

    >>> line = np.array([[0.0, 1.0]])
    >>> fit = Fits(context_inputs=line, context_targets=line, inputs=line, truth=line, predictions={"model": line})
    >>> len(fitted_functions({"lines": fit}).axes)
    1
    """
    if not fits or columns < 1:
        raise ValueError(f"Wanted one or more families and columns, got {len(fits)} and {columns}.")
    across = min(columns, max(len(family.truth) for family in fits.values()))
    styles = _fit_styles(fits)
    figure = new_figure(1.2 + 1.8 * across, 0.75 + 1.1 * len(fits), h_pad=0.04, w_pad=0.04)
    panels = figure.subplots(len(fits), across, squeeze=False)
    for row, (name, family) in zip(panels, fits.items(), strict=True):
        row[0].set_ylabel(
            plain(textwrap.fill(name.replace("_", " "), 13)), rotation=0, ha="right", va="center", color=INK, fontsize=9
        )
        for number, panel in enumerate(row):
            if number < len(family.truth):
                _draw_fit(panel, family, number, styles)
            else:
                panel.set_axis_off()
    if len({(float(family.inputs.min()), float(family.inputs.max())) for family in fits.values()}) == 1:
        for panel in panels[:-1].flat:
            panel.tick_params(labelbottom=False)
    figure.align_ylabels(panels[:, 0])
    handles = {line.get_label(): line for panel in panels.flat for line in panel.lines}
    order = [name for name in ("truth", "context", *styles) if name in handles]
    figure.legend(
        [handles[name] for name in order], order, loc="outside upper left", ncols=5 if across > 2 else 2,
        frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _examples_axis(panel: Axes, steps: Sequence[np.ndarray]) -> None:
    """Set the x axis to span all numbers of examples, in octaves from 1 up if they were chosen so."""
    seen = np.unique(np.concatenate(steps))
    margin = 0.5 if len(seen) == 1 else 0.0
    distances = np.diff(np.unique(steps[-1]))  # of the curve drawn last: the model's
    if len(distances) > 2 and distances.max() > 4 * distances.min():
        panel.set_xscale("symlog", base=2, linthresh=1, linscale=0.7)
        ticks = _apart(seen[:: -1 - len(seen) // 9].tolist())[::-1]
        panel.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(seen[0] - margin, seen[-1] + margin)


def _apart(steps: Sequence[float]) -> list[float]:
    """Return steps without what would touch a larger number on an axis of octaves; `steps` descend.

    >>> _apart([40.0, 32.0, 16.0, 1.0, 0.0])
    [40.0, 16.0, 1.0, 0.0]
    """
    kept: list[float] = []
    for step in steps:
        if not kept or kept[-1] >= 1.5 * step:
            kept.append(step)
    return kept


def _fit_styles(fits: Mapping[str, Fits]) -> dict[str, tuple[str, float]]:
    """Return the colour and width of the model's line and of at most two baselines'."""
    names = list(dict.fromkeys(name for family in fits.values() for name in family.predictions if name != MODEL))
    return {MODEL: (BLUE, 2.0)} | dict(zip(names, ((ORANGE, 1.0), (GREEN, 1.0)), strict=False))


def _draw_fit(panel: Axes, family: Fits, number: int, styles: Mapping[str, tuple[str, float]]) -> None:
    inputs, truth = family.inputs[number], family.truth[number]
    prepare(panel)
    panel.grid(visible=False)
    panel.plot(inputs, truth, color=GREY, alpha=0.45, linewidth=4.5, label="truth")
    for name, (colour, width) in styles.items():
        if name in family.predictions:
            over = 4 if name == MODEL else 3
            panel.plot(inputs, family.predictions[name][number], color=colour, linewidth=width, label=name, zorder=over)
    panel.plot(
        family.context_inputs[number], family.context_targets[number], color=INK, label="context",
        linestyle="none", marker="o", markersize=2.6, zorder=5,
    )  # fmt: skip
    low, high = _span(truth, family.context_targets[number])
    height = (high - low) or 1.0
    model = np.clip(family.predictions.get(MODEL, family.truth)[number], low - height, high + height)
    low, high = _span(np.array([low, high]), model)
    panel.set_ylim(low - 0.12 * height, high + 0.12 * height)
    panel.tick_params(labelsize=7, pad=2)
    panel.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:.4g}"))
    panel.spines["bottom"].set_color(FAINT)


def _span(*arrays: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest finite value; 0 and 1 if there is none."""
    values = np.concatenate(arrays)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
