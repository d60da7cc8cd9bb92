"""Tasks for the eye: the points of a function of one number in a plot, others in a table."""

import numpy as np
from jaxtyping import Bool, Float

from icl_data.batch import Batch
from icl_data.fragments import Markup, element, first_numbers, fragment, soft, table

_WIDTH, _HEIGHT, _MARGIN = 260, 150, 16  # of a plot
_MOST_ROWS = 12  # points of a table
_QUERY = "#2f81f7"  # can be seen on light and on dark paper


def tasks_text(batch: Batch, *, total: int) -> str:
    """Return a line for each task: its points, its queries, and where they lie."""
    lines = [_heading(batch, total)]
    lines += [f"{_name(batch, row)}: {_words(batch, row)}" for row in range(len(batch["inputs"]))]
    return "\n".join(lines)


def tasks_html(batch: Batch, *, total: int) -> str:
    """Return a plot for each task, or a table of its points where they are no pairs of numbers; queries are marked."""
    is_drawn = batch["inputs"].shape[2:] == batch["targets"].shape[2:] == (1,)
    said = "Dots are the context; rings are queries, whose targets a model must predict." if is_drawn else ""
    parts = []
    for row in range(len(batch["inputs"])):
        shown = _plot(batch, row) if is_drawn else _table(batch, row)
        parts.append(element("div", element("b", _name(batch, row)), shown))
    look = "display:flex;flex-wrap:wrap;gap:8px 16px"
    return fragment(element("div", _heading(batch, total)), soft(said), element("div", *parts, style=look))


def _heading(batch: Batch, total: int) -> str:
    shown, points, num_inputs = batch["inputs"].shape
    num_outputs = batch["targets"].shape[2]
    return f"{shown} of {total} tasks of {points} points, x [{num_inputs}] and y [{num_outputs}]"


def _name(batch: Batch, row: int) -> str:
    number = f"sequence {batch['index'][row] if 'index' in batch else row}"
    return f"{number}, task {batch['task'][row]}" if "task" in batch else number


def _words(batch: Batch, row: int) -> str:
    queries = int(batch["is_query"][row].sum())
    ranges = [f"{axis} {_range(batch[name][row])}" for axis, name in (("x", "inputs"), ("y", "targets"))]
    return f"{batch['is_query'].shape[1] - queries} in context, {queries} queries, {', '.join(ranges)}"


def _range(values: Float[np.ndarray, "N *numbers"]) -> str:
    known = values[np.isfinite(values)]
    return f"from {known.min():.3g} to {known.max():.3g}" if known.size else "not finite"


def _plot(batch: Batch, row: int) -> Markup:
    x, y = (batch[name][row, :, 0].astype(np.float64) for name in ("inputs", "targets"))
    is_known, is_query = np.isfinite(x) & np.isfinite(y), batch["is_query"][row].astype(bool)
    across = _MARGIN + (_WIDTH - 2 * _MARGIN) * _share(x, is_known)
    down = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * _share(y, is_known)
    points = [_point(float(across[n]), float(down[n]), is_query=bool(is_query[n])) for n in np.flatnonzero(is_known)]
    frame = element("rect", x=1, y=1, width=_WIDTH - 2, height=_HEIGHT - 2, fill="none", stroke="#8c959f")
    box = {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "width": _WIDTH, "height": _HEIGHT, "role": "img"}
    drawing = element("svg", frame, *points, aria_label=_words(batch, row), style="display:block;margin:4px 0", **box)
    return element("div", drawing, soft(_words(batch, row)))


def _point(x: float, y: float, *, is_query: bool) -> Markup:
    place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}"}
    if is_query:
        return element("circle", r=4, fill="none", stroke=_QUERY, stroke_width=2, **place)
    return element("circle", r=3, fill="currentColor", fill_opacity=0.65, **place)


def _share(values: Float[np.ndarray, " N"], is_known: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return how far along its axis each value lies, in 0..1; the middle where all are the same."""
    if not is_known.any():
        return np.full(len(values), 0.5)
    low, high = values[is_known].min(), values[is_known].max()
    return np.where(is_known, (values - low) / (high - low), 0.5) if high > low else np.full(len(values), 0.5)


def _table(batch: Batch, row: int) -> Markup:
    """Return the first points of the context and of the queries."""
    is_query = batch["is_query"][row].astype(bool)
    context, queries = (np.flatnonzero(is_query == kind) for kind in (False, True))
    kept = min(len(queries), max(_MOST_ROWS - len(context), _MOST_ROWS // 2))
    shown = [*context[: _MOST_ROWS - kept], *queries[:kept]]
    rows = []
    for n in shown:
        values = [first_numbers(batch[name][row, n]) for name in ("inputs", "targets")]
        rows.append([element("b", f"{n}, query") if is_query[n] else n, *values])
    left = len(is_query) - len(shown)
    return element("div", table(["point", "x", "y"], rows), soft(f"and {left} more points" if left else ""))
