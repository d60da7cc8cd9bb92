"""Attention heads: when each becomes what it is, and what is lost without it.

Layers and heads are numbered from 0, as in the names of metrics (`induction_0_3` is layer 0, head 3).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_eval.figures.drawing import accuracy_axis, new_figure, prepare
from icl_eval.figures.line_ends import LineEnd, draw_level, write_line_ends
from icl_eval.figures.lines import Line, draw_line, step_axis
from icl_eval.figures.palette import COLOURS, FAINT, GREY, INK, MARKERS, PAPER, TEXT
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable

Head = tuple[int, int]

_NUMBERED = 24  # heads along an axis whose numbers can still be read


def head_name(head: Head) -> str:
    """Return what a head is called in figures."""
    return f"layer {head[0]} head {head[1]}"


def heads_over_training(curves: Mapping[Head, ScalarCurve], *, title: str) -> Figure:
    """Return a figure of a measure of every head over training; the six that end highest in colour and by name.

    Curves are by layer and head; what uniform attention would give is their chance. The title is what is measured.

    >>> line = ScalarCurve(*[np.array([0.0, 0.5])] * 4, chance=0.1)
    >>> figure = heads_over_training({(0, 0): line, (1, 2): line}, title="Induction")
    >>> sorted(text.get_text() for text in figure.axes[0].texts)
    ['layer 0 head 0 0.500', 'layer 1 head 2 0.500', 'uniform attention 0.1']
    """
    if not curves:
        raise ValueError("Wanted curves of one or more heads, got none; evaluate the heads while the run trains.")
    last = {head: float(known[-1]) for head in curves if len(known := _known(curves[head].values))}
    named = sorted(last, key=lambda head: (-last[head], head))[: len(COLOURS)]
    chance = next((curve.chance for curve in curves.values() if curve.chance is not None), None)
    highest = max((float(_known(curve.high).max(initial=0)) for curve in curves.values()), default=0.0)
    top = 1.02 if highest > 0.6 else max(1.15 * highest, 1.5 * (chance or 0), 0.01)
    figure = new_figure(4.6, 3.2)
    panel = figure.subplots()
    prepare(panel, title=title)
    panel.set_ylim(0, top)
    for head in [head for head in curves if head not in named]:
        panel.plot(curves[head].steps, curves[head].values, color=GREY, alpha=0.4, linewidth=0.7)
    ends = []
    for place, head in reversed(list(enumerate(named))):  # the highest on top
        line = Line(name=head_name(head), curve=curves[head], colour=COLOURS[place], marker=MARKERS[place])
        ends += [dataclasses.replace(end, bold=0) for end in draw_line(panel, line)]
    if chance is not None:
        ends.append(draw_level(panel, "uniform attention", chance))
    step_axis([panel])
    write_line_ends(panel, ends, high=top, inches=3.2)
    return figure


def ablations(intact: Mapping[str, Estimate], without: Mapping[str, Mapping[Head, Estimate]]) -> Figure:
    """Return a figure of the accuracy left when a head is removed, a dot with its 95 % interval per head.

    The intact accuracy is a line with its interval. Heads whose interval lies wholly beneath it are solid and, where
    there is room, have their value (or, of many heads, their number) beside them; others are hollow.

    Args:
      intact: accuracy with all heads, by its name; a panel each, one to six.
      without: for each of these names, by the head that was removed.

    Raises:
      ValueError: no accuracies or too many, names that differ, or no heads.

    >>> whole, half = (Estimate(value=v, low=v - 0.05, high=v + 0.05, count=99) for v in (0.9, 0.5))
    >>> figure = ablations({"icl": whole}, {"icl": {(0, 0): half, (0, 1): whole}})
    >>> sorted(text.get_text() for text in figure.axes[0].texts)
    ['0.50', '0.900', 'all heads']
    """
    if not 1 <= len(intact) <= len(COLOURS) or set(intact) != set(without) or not all(without.values()):
        raise ValueError(
            f"Wanted 1..{len(COLOURS)} accuracies with all heads and, of the same names, without each of them; got "
            f"{list(intact)} and { {name: len(heads) for name, heads in without.items()} } heads."
        )
    heads = sorted({head for ablated in without.values() for head in ablated})
    figure = new_figure(4.6, 0.7 + 2.0 * len(intact), hspace=0.08)
    panels = list(np.atleast_1d(figure.subplots(len(intact), sharex=True)))
    for panel, (name, estimate), colour in zip(panels, intact.items(), COLOURS, strict=False):
        prepare(panel, title=f"{name} without one head")
        accuracy_axis(panel)
        _draw_ablated(panel, estimate, without[name], heads, colour=colour)
    _heads_axis(panels, heads)
    return figure


def _draw_ablated(
    panel: Axes, intact: Estimate, ablated: Mapping[Head, Estimate], heads: Sequence[Head], *, colour: str
) -> None:
    panel.axhline(intact.value, color=colour, linewidth=1.3)
    if np.isfinite([intact.low, intact.high]).all():
        panel.axhspan(intact.low, intact.high, color=colour, alpha=0.15, linewidth=0)
    fallen = [head for head in heads if head in ablated and ablated[head].high < intact.low]
    size = 5 if len(heads) <= _NUMBERED else 3
    for place, head in enumerate(heads):
        if head not in ablated:
            continue
        left = ablated[head]
        below, above = np.nan_to_num([[left.value - left.low], [left.high - left.value]])
        panel.errorbar(
            [place], [left.value], yerr=[below, above], color=colour, marker="o", markersize=size, linestyle="none",
            markerfacecolor=colour if head in fallen else PAPER, markeredgewidth=1, elinewidth=1.1, clip_on=False,
        )  # fmt: skip
    _name_fallen(panel, ablated, fallen, heads, colour)
    text = ("all heads", readable(intact.value))
    write_line_ends(panel, [LineEnd(height=intact.value, text=text, colour=colour, bold=2)], inches=2.0)


def _name_fallen(
    panel: Axes, ablated: Mapping[Head, Estimate], fallen: Sequence[Head], heads: Sequence[Head], colour: str
) -> None:
    """Name the heads without which least is left, beneath or above their dots, where that covers nothing."""
    numbered = len(heads) <= _NUMBERED  # on the axis
    half, tall = 0.055 if numbered else 0.075, 0.09  # of the panel, what such a text takes
    across = {head: (place + 0.5) / len(heads) for place, head in enumerate(heads)}
    taken = [(across[head], across[head], *_ends(estimate)) for head, estimate in ablated.items()]
    for head in sorted(fallen, key=lambda head: ablated[head].value):
        middle = float(np.clip(across[head], half, 1 - half))
        low, high = _ends(ablated[head])
        own = (across[head], across[head], low, high)
        for bottom in (low - 0.02 - tall, high + 0.02):
            box = (middle - half, middle + half, bottom, bottom + tall)
            if bottom < 0 or any(_overlap(box, other) for other in taken if other != own):
                continue
            taken.append(box)
            panel.annotate(
                f"{ablated[head].value:.2f}" if numbered else f"head {head[1]}", (middle, bottom + tall / 2),
                xycoords=("axes fraction", "data"), ha="center", va="center", color=colour, fontsize=7.5,
            )  # fmt: skip
            break


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of the interval, or the value where they are not known."""
    low, high = (estimate.value if np.isnan(end) else end for end in (estimate.low, estimate.high))
    return float(low), float(high)


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return box[0] <= other[1] and other[0] <= box[1] and box[2] <= other[3] and other[2] <= box[3]


def _heads_axis(panels: Sequence[Axes], heads: Sequence[Head]) -> None:
    """Number the heads where there is room, name their layers beneath, and shade every other layer."""
    layers = sorted({layer for layer, _ in heads})
    middles = []
    for layer in layers:
        own = [place for place, head in enumerate(heads) if head[0] == layer]
        middles.append((own[0] + own[-1]) / 2)
        if layers.index(layer) % 2:
            for panel in panels:
                panel.axvspan(own[0] - 0.5, own[-1] + 0.5, color=FAINT, alpha=0.35, linewidth=0, zorder=0)
    below = panels[-1]
    below.set_xlim(-0.5, len(heads) - 0.5)
    if len(heads) <= _NUMBERED:
        below.set_xticks(range(len(heads)), [str(head) for _, head in heads])
        below.set_xlabel("head", color=INK, fontsize=TEXT)
        names = below.secondary_xaxis(-0.13)
    else:
        below.set_xticks([])
        names = below.secondary_xaxis(0)
    many = len(layers) > 4
    names.set_xticks(middles, [str(layer) if many else f"layer {layer}" for layer in layers])
    names.tick_params(colors=INK, labelsize=9, length=0, pad=5)
    names.spines["bottom"].set_visible(False)
    below.set_xlabel("layer" if many else "", color=INK, fontsize=TEXT, labelpad=20)


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
