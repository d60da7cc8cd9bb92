"""Figures of task learners: what a model makes of more examples, of functions, and of more training."""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from icl_eval.figures.drawing import DOTTED, LIGHT, MARKERS, Theme, label_at_right, log_ticks, prepare
from icl_eval.figures.training import draw_loss
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import readable
from icl_eval.results.saved_arrays import MODEL, Fits, ShotCurves

_DASHES = ("-", (0, (4.0, 1.6)), (0, (1.0, 1.0)))  # once the colours are used up
_DECADES = 5  # least squares without noise errs by 1e-28, which would flatten all else
_MARKED = 20  # points; more would hide the line
_FAVOURITES = ("3-NN", "Gaussian process")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    name: str
    curve: ScalarCurve
    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]] = "-"
    strong: bool = True


def learning_curves(curves: ShotCurves, *, title: str, theme: Theme = LIGHT) -> Figure:
    """Draw a measure by the number of examples seen: the model's with its 95 % band, baselines' as thin lines.

    Accuracies are drawn over 0..1 with chance as a dotted line, squared errors on a logarithmic axis of at most five
    decades.

    Args:
      curves: the model's under "model", and those of baselines.
      title: on which tasks.
      theme: the colours.

    >>> line = ScalarCurve(np.arange(3.0), *[np.array([0.1, 0.5, 0.7])] * 3, chance=0.1)
    >>> figure = learning_curves(ShotCurves(measure="accuracy", curves={"model": line}, count=64), title="Unseen tasks")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['chance 0.1', 'model 0.700']
    """
    others = [name for name in curves.curves if name != MODEL]
    colours = (theme.iwl, *theme.others)
    lines = [
        _Line(
            name=name,
            curve=curves.curves[name],
            colour=colours[number % len(colours)],
            marker=MARKERS[1 + number % (len(MARKERS) - 1)],
            dash=_DASHES[number // len(colours) % len(_DASHES)],
            strong=False,
        )
        for number, name in enumerate(others)
    ]
    if MODEL in curves.curves:  # last: over the others
        lines.append(_Line(name=MODEL, curve=curves.curves[MODEL], colour=theme.icl, marker="o"))
    height = max(3.2, 0.6 + 0.22 * (len(lines) + 1))
    figure = Figure(figsize=(5.2, height), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    accuracy = curves.measure == "accuracy"
    panel.set_xlabel("examples seen", color=theme.ink, fontsize=9.5)
    panel.set_ylabel(curves.measure.replace("_", " "), color=theme.ink, fontsize=9.5)
    panel.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    _draw_lines(panel, lines, theme, logarithmic=not accuracy, inches=height - 0.6)
    _examples_axis(panel, [line.curve.steps for line in lines])
    return figure


def over_training(
    curves: Mapping[str, ScalarCurve], *, loss: ScalarCurve | None = None, errors: bool = False, theme: Theme = LIGHT
) -> Figure:
    """Draw what a task learner does on seen and unseen tasks over training, above the training loss.

    Args:
      curves: by name, one to six; the first is the one that the figure is about.
      loss: the training loss; None leaves its panel out.
      errors: whether the curves are normalised errors (logarithmic, 1 is the best constant) and not accuracies.
      theme: the colours.

    Raises:
      ValueError: no curves, or more than there are colours.

    >>> line = ScalarCurve(np.arange(3.0), *[np.array([1.0, 0.5, 0.1])] * 3)
    >>> over_training({"unseen tasks": line}, errors=True).axes[0].get_yscale()
    'log'
    """
    colours = (theme.icl, theme.iwl, theme.others[-1], *theme.others[:-1])
    if not 1 <= len(curves) <= len(colours):
        raise ValueError(f"Wanted 1..{len(colours)} curves over training, got {len(curves)}.")
    heights = [2.6] + [1.4] * (loss is not None)
    figure = Figure(
        figsize=(4.6, sum(heights) + 0.6),
        layout=ConstrainedLayoutEngine(hspace=0.08, w_pad=0.08),
        facecolor=theme.paper,
    )
    panels = list(np.atleast_1d(figure.subplots(len(heights), sharex=True, height_ratios=heights)))
    for panel in panels:
        prepare(panel, theme)
    panels[-1].set_xlabel("training step", color=theme.ink, fontsize=9.5)
    title = "Squared error, 1 = best constant" if errors else "Accuracy after all examples"
    panels[0].set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    lines = [
        _Line(name=name, curve=curve, colour=colour, marker=marker)
        for (name, curve), colour, marker in zip(curves.items(), colours, MARKERS, strict=False)
    ]
    _draw_lines(panels[0], lines, theme, logarithmic=errors, reference=("best constant", 1.0) if errors else None)
    if loss is not None:
        draw_loss(panels[-1], loss, theme)
    return figure


def fitted_functions(fits: Mapping[str, Fits], *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw functions and what was made of a few of their points, a row for each family.

    Panels span the truth and the model's fit, at most as far again as the truth is high; what a baseline does beyond
    that is cut off.

    Args:
      fits: by family.
      columns: the most functions of a family to draw.
      theme: the colours.

    Raises:
      ValueError: if there are no families, or no columns.

    >>> line = np.array([[0.0, 1.0]])
    >>> fit = Fits(context_inputs=line, context_targets=line, inputs=line, truth=line, predictions={"model": line})
    >>> len(fitted_functions({"lines": fit}).axes)
    1
    """
    if not fits or columns < 1:
        raise ValueError(f"Wanted one or more families and columns, got {len(fits)} and {columns}.")
    across = min(columns, max(len(family.truth) for family in fits.values()))
    styles = _fit_styles(fits, theme)
    figure = Figure(
        figsize=(1.2 + 1.8 * across, 0.75 + 1.1 * len(fits)),
        layout=ConstrainedLayoutEngine(h_pad=0.04, w_pad=0.04),
        facecolor=theme.paper,
    )
    panels = figure.subplots(len(fits), across, squeeze=False)
    for row, (name, family) in zip(panels, fits.items(), strict=True):
        row[0].set_ylabel(
            textwrap.fill(name.replace("_", " "), 13), rotation=0, ha="right", va="center", color=theme.ink, fontsize=9
        )
        for number, panel in enumerate(row):
            if number < len(family.truth):
                _draw_fit(panel, family, number, styles, theme)
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
        frameon=False, fontsize=9, labelcolor=theme.ink, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _draw_lines(
    panel: Axes,
    lines: Sequence[_Line],
    theme: Theme,
    *,
    logarithmic: bool,
    inches: float = 2.6,
    reference: tuple[str, float] | None = None,
) -> None:
    low, high = _log_limits(lines, reference) if logarithmic else (0.0, 1.0)
    if logarithmic:
        panel.set_yscale("log", nonpositive="clip")
        panel.set_ylim(low, high)
        panel.set_yticks(log_ticks(low, high))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(which="minor", length=0)
    else:
        panel.set_ylim(0, 1.02)
        panel.set_yticks(np.linspace(0, 1, 5))
    labels: list[tuple[float, str, str, bool]] = []
    for line in lines:
        curve = line.curve
        if line.strong:
            panel.fill_between(curve.steps, curve.low, curve.high, color=line.colour, alpha=0.2, linewidth=0)
        panel.plot(
            curve.steps,
            curve.values,
            color=line.colour,
            marker=line.marker,
            markersize=(3.2 if line.strong else 2.6) if len(curve.steps) <= _MARKED else 0,
            linewidth=2.2 if line.strong else 1.1,
            linestyle=line.dash,
            clip_on=logarithmic,  # accuracies end where the panel does, and their markers would be halved
            label=line.name,
        )
        if (last := _last(curve)) is not None:
            place = float(np.clip(last, low, high)) if logarithmic else last
            labels.append((place, f"{line.name} {readable(last)}", line.colour, line.strong))
    references = {("chance", line.curve.chance) for line in lines if line.curve.chance is not None}
    for name, value in sorted(references | ({reference} if reference else set())):
        panel.axhline(value, color=theme.ink, linewidth=1, linestyle=DOTTED)
        labels.append((value, f"{name} {value:.2g}", theme.ink, False))
    label_at_right(panel, labels, low=low, high=high, inches=inches)


def _examples_axis(panel: Axes, steps: Sequence[np.ndarray]) -> None:
    """Let the x axis span all numbers of examples, in octaves from 1 up if they were chosen so."""
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
    """Drop what would touch a larger number on an axis of octaves; `steps` descend.

    >>> _apart([40.0, 32.0, 16.0, 1.0, 0.0])
    [40.0, 16.0, 1.0, 0.0]
    """
    kept: list[float] = []
    for step in steps:
        if not kept or kept[-1] >= 1.5 * step:
            kept.append(step)
    return kept


def _log_limits(lines: Sequence[_Line], reference: tuple[str, float] | None) -> tuple[float, float]:
    rows = [row for line in lines for row in (line.curve.values, *([line.curve.high] * line.strong))]
    values = np.concatenate([*rows, *([[reference[1]]] if reference else [])])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.1, 1.0
    high = 1.25 * float(values.max())
    return max(float(values.min()) / 1.4, high / 10**_DECADES), high


def _last(curve: ScalarCurve) -> float | None:
    known = curve.values[np.isfinite(curve.values)]
    return float(known[-1]) if len(known) else None


def _fit_styles(fits: Mapping[str, Fits], theme: Theme) -> dict[str, tuple[str, float]]:
    """Return the colour and width of the model's line and of at most two baselines'."""
    names = list(dict.fromkeys(name for family in fits.values() for name in family.predictions if name != MODEL))
    chosen = [name for name in _FAVOURITES if name in names] or names[:2]
    styles = dict(zip(chosen, ((theme.iwl, 1.0), (theme.others[0], 1.0)), strict=False))
    return {MODEL: (theme.icl, 2.0)} | styles


def _draw_fit(panel: Axes, family: Fits, number: int, styles: Mapping[str, tuple[str, float]], theme: Theme) -> None:
    inputs, truth = family.inputs[number], family.truth[number]
    prepare(panel, theme)
    panel.grid(visible=False)
    panel.plot(inputs, truth, color=theme.others[-1], alpha=0.45, linewidth=4.5, label="truth")
    for name, (colour, width) in styles.items():
        if name in family.predictions:
            over = 4 if name == MODEL else 3
            panel.plot(inputs, family.predictions[name][number], color=colour, linewidth=width, label=name, zorder=over)
    panel.plot(
        family.context_inputs[number], family.context_targets[number], color=theme.ink, label="context",
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
    panel.spines["bottom"].set_color(theme.faint)


def _span(*arrays: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest finite value; 0 and 1 if there is none."""
    values = np.concatenate(arrays)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
