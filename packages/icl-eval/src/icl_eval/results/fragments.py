"""Pieces of HTML for notebooks: tables, and curves the size of a word; no script, no style sheet, no request.

Colours are those of the page around them, or such as can be seen on light and dark paper.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from icl_eval.results.curve import ScalarCurve, course
from icl_eval.results.estimate import Estimate, readable

_WIDTH, _HEIGHT, _MARGIN = 180, 44, 4  # of a curve, in pixels of the page
_MOST = 200  # points, all that can be told apart
_LINE = "#2f81f7"
_CELL = Markup('style="text-align:left;vertical-align:middle;padding:2px 12px 2px 0"')


def interval(estimate: Estimate) -> str:
    r"""Return the interval with a proper dash.

    >>> interval(Estimate(value=0.5, low=0.4, high=0.6, count=9)) == "0.400\N{EN DASH}0.600"
    True
    """
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return estimate.interval
    return f"{readable(estimate.low)}\N{EN DASH}{readable(estimate.high)}"


def chance_text(chance: float | None) -> str:
    """Return chance to two digits, or nothing where there is none."""
    return "" if chance is None else f"{chance:.2g}"


def fragment(*parts: Markup) -> str:
    """Return parts as what a notebook shows below a cell."""
    style = "line-height:1.35;max-width:100%;overflow-x:auto"
    return str(Markup('<div style="{}">{}</div>').format(style, Markup().join(parts)))


def title(text: object) -> Markup:
    """Return a heading."""
    return Markup("<div><b>{}</b></div>").format(text)


def soft(text: object) -> Markup:
    """Return a line of less weight."""
    return Markup('<div style="opacity:.75;font-size:90%;margin:4px 0">{}</div>').format(text)


def named(name: str, sentence: str | None) -> Markup:
    """Return a name that says its sentence to who points at it.

    >>> named("loss", 'In "nats".')
    Markup('<span title="In &#34;nats&#34;.">loss</span>')
    """
    return Markup('<span title="{}">{}</span>').format(sentence or "", name)


def folded(summary: str, content: Markup) -> Markup:
    """Return what is shown on request alone."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, content)


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table; cells are texts, which are escaped, or markup.

    >>> "<td" in table(["a"], [["<"]]), "&lt;" in table(["a"], [["<"]])
    (True, True)
    """
    head = Markup().join(Markup("<th {}>{}</th>").format(_CELL, cell) for cell in header)
    lines = [Markup().join(Markup("<td {}>{}</td>").format(_CELL, cell) for cell in row) for row in rows]
    body = Markup().join(Markup("<tr>{}</tr>").format(line) for line in lines)
    look = "border-collapse:collapse"
    return Markup('<table style="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(look, head, body)


def small_curve(curve: ScalarCurve | None, *, within: tuple[float, float] | None = None) -> Markup:
    """Return a curve as a picture beside its number: its band, chance as a dotted line, and its end as a dot.

    Args:
      curve: points that are not finite are left out; nothing comes of None, or of no finite point.
      within: what the height spans; by default the curve.

    >>> small_curve(None)
    Markup('')
    >>> line = ScalarCurve(*[np.array([0.0, 1.0])] * 4)
    >>> '<polyline points="4.0,40.0 176.0,4.0"' in small_curve(line)
    True
    """
    known = None if curve is None else curve.where(np.isfinite(curve.values) & np.isfinite(curve.steps))
    if curve is None or known is None:
        return Markup()
    known = known.where(np.isin(np.arange(len(known.steps)), np.linspace(0, len(known.steps) - 1, _MOST).astype(int)))
    assert known is not None  # the first point is always among them
    low, high = (np.where(np.isfinite(ends), ends, known.values) for ends in (known.low, known.high))
    chance = [] if known.chance is None or not math.isfinite(known.chance) else [known.chance]
    span = within or (min(*low, *chance, *known.values), max(*high, *chance, *known.values))
    x = _places(known.steps, float(known.steps.min()), float(known.steps.max()), size=_WIDTH)
    middle, bottom, top = (_HEIGHT - _places(row, *map(float, span), size=_HEIGHT) for row in (known.values, low, high))
    band = _points(np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]]))
    drawn = [Markup('<polygon points="{}" fill="{}" fill-opacity="0.25"/>').format(band, _LINE)]
    for level in chance:
        height = _HEIGHT - _places(np.array([level]), *map(float, span), size=_HEIGHT)[0]
        drawn.append(_DOTTED.format(_MARGIN, height, _WIDTH - _MARGIN, height))
    drawn.append(_STROKE.format(_points(x, middle), _LINE))
    drawn.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>').format(x[-1], middle[-1], _LINE))
    return _SVG.format(w=_WIDTH, h=_HEIGHT, words=course(curve), drawn=Markup().join(drawn))


_SVG = Markup('<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{words}">{drawn}</svg>')
_STROKE = Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="1.5"/>')
_DOTTED = Markup(
    '<line x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}" stroke="currentColor" stroke-opacity="0.6" stroke-dasharray="2 3"/>'
)


def _places(values: Float[np.ndarray, " N"], low: float, high: float, *, size: int) -> Float[np.ndarray, " N"]:
    """Return where values lie on an axis of so many pixels; in its middle where there is no span."""
    if not high > low:
        return np.full(len(values), size / 2)
    share = (np.clip(values, low, high) / 2 - low / 2) / (high / 2 - low / 2)  # halves, whose difference is finite
    return _MARGIN + (size - 2 * _MARGIN) * share


def _points(x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"]) -> str:
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True))
