"""Where heads look: the attention of the query in a sequence of images, and a head's whole map."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from icl_eval.figures.drawing import displayable
from icl_eval.figures.heads import Head, head_name
from icl_eval.figures.palette import BLUE, FAINT, GREEN, INK, ORANGE, PAPER
from icl_eval.results.saved_arrays import AttentionMaps

_MOST_HEADS = 8
_FULL = "#2f8fcf"  # of the largest attention of a map: stands out from light pages and from dark ones
_WIDTH = 4.6  # inches
_LEFT, _RIGHT, _TOP = 1.02, 0.08, 0.3  # inches beside and above the panel
_LEAST_CELL, _MOST_CELL = 0.19, 0.42  # inches of a token's column
_PIXELS = 48  # of a thumbnail; more would not be seen
_BAR, _GAP = 0.45, 0.2  # inches: what attention of 1 is high, and what is free above it
_SAID = 0.095  # attention that is written above its bar


def attention_rows(examples: AttentionMaps, k: int, heads: Sequence[Head]) -> Figure:
    """Return a figure of where the query's token looks: a row of bars for each head, above the items and their labels.

    Items that share the query's label are framed. Bars at items have one colour, bars at labels another.

    Args:
      examples: sequences with their attention.
      k: which sequence.
      heads: one to eight, by layer and head.

    Raises:
      ValueError: if there is no such sequence or head, or there are no heads or too many.

    >>> attention = np.full((1, 1, 1, 3, 3), 1 / 3)
    >>> examples = AttentionMaps(images=np.eye(4, dtype=np.uint8)[None, None].repeat(2, 1), attention=attention,
    ...   labels=np.array([[1, 1]]), predicted=np.array([1]), item_tokens=np.array([0, 2]), label_tokens=np.array([1]))
    >>> [text.get_text() for text in attention_rows(examples, 0, [(0, 0)]).axes[0].texts][:3]
    ['.33', '.33', '.33']
    """
    _check(examples, k, heads)
    T = examples.attention.shape[-1]
    cell = float(np.clip((_WIDTH - _LEFT - _RIGHT) / (T + 0.5), _LEAST_CELL, _MOST_CELL))
    bar, gap = _BAR / cell, _GAP / cell  # in columns
    size, over = _thumbnail_size(examples)
    figure, panel = _sheet((-over, T - 1 + over), (-size - 1.2, len(heads) * (bar + gap)), cell)
    items = set(examples.item_tokens.tolist())
    colours = [BLUE if token in items else ORANGE for token in range(T)]
    query = int(examples.item_tokens[-1])
    for row, (layer, head) in enumerate(reversed(list(heads))):
        base = row * (bar + gap)
        attention = examples.attention[k, layer, head, query].astype(np.float64)
        panel.axhline(base + bar, color=FAINT, linewidth=0.6, zorder=0)
        panel.axhline(base, color=INK, linewidth=0.8)
        panel.bar(range(T), attention * bar, bottom=base, width=0.72, color=colours)
        for token, share in enumerate(attention.tolist()):
            if share >= _SAID:
                panel.text(token, base + bar * share + 0.02 / cell, _short(share),
                           ha="center", va="bottom", color=INK, fontsize=6.5)  # fmt: skip
        panel.text(-over - 0.2, base + bar / 2, f"layer {layer}\nhead {head}", ha="right", va="center",
                   color=INK, fontsize=8.5)  # fmt: skip
    centres = [(float(token), -0.15 - size / 2) for token in examples.item_tokens]
    _thumbnails(panel, examples, k, centres, size)
    for place, label in _labels(examples, k):
        panel.text(place, -size - 0.7, label, ha="center", va="center", color=INK, fontsize=8)
    _title(figure, f"Where the query looks: {_outcome(examples, k)}")
    return figure


def attention_map(examples: AttentionMaps, k: int, layer: int, head: int) -> Figure:
    """Return a figure of the whole map of one head: a row for each token that looks, a column for each looked at.

    Thumbnails of the items, and labels, stand left and beneath at their tokens. The palest shade is 0, the fullest the
    largest attention of this map.

    Args:
      examples: sequences with their attention.
      k: which sequence.
      layer: which layer.
      head: which of its heads.

    Raises:
      ValueError: if there is no such sequence or head.

    >>> attention = np.full((1, 1, 1, 3, 3), 1 / 3)
    >>> examples = AttentionMaps(images=np.eye(4, dtype=np.uint8)[None, None].repeat(2, 1), attention=attention,
    ...   labels=np.array([[1, 1]]), predicted=np.array([1]), item_tokens=np.array([0, 2]), label_tokens=np.array([1]))
    >>> attention_map(examples, 0, 0, 0).axes[0].images[0].get_array().shape
    (3, 3)
    """
    _check(examples, k, [(layer, head)])
    attention = examples.attention[k, layer, head]
    T = len(attention)
    size, over = _thumbnail_size(examples)
    margin = over + size + 1.0  # of thumbnails and labels, which may not meet in the corner
    cell = float(np.clip((_WIDTH - 0.4) / (T + over + margin), _LEAST_CELL, _MOST_CELL))
    words = 0.2 / cell
    figure, panel = _sheet((-margin - words, T - 1 + over), (T - 1 + margin + words, -over - 0.2), cell, left=_RIGHT)
    top = float(attention.max())
    shades = LinearSegmentedColormap.from_list("attention", [(*to_rgb(_FULL), 0.0), (*to_rgb(_FULL), 1.0)])
    panel.imshow(attention, cmap=shades, vmin=0, vmax=top, interpolation="none", extent=(-0.5, T - 0.5, T - 0.5, -0.5))
    panel.add_patch(Rectangle((-0.5, -0.5), T, T, fill=False, edgecolor=FAINT, linewidth=0.8))
    left = [(-over - 0.05 - size / 2, float(token)) for token in examples.item_tokens]
    below = [(float(token), T - 0.95 + over + size / 2) for token in examples.item_tokens]
    for centres in (left, below):
        _thumbnails(panel, examples, k, centres, size)
    for place, label in _labels(examples, k):
        panel.text(-margin + 0.45, place, label, ha="center", va="center", color=INK, fontsize=8)
        panel.text(place, T - 1.45 + margin, label, ha="center", va="center", color=INK, fontsize=8)
    for x, y, text, rotation in (
        (-margin - words / 2, (T - 1) / 2, "token that looks", 90),
        ((T - 1) / 2, T - 1 + margin + words / 2, "token looked at", 0),
    ):
        panel.text(x, y, text, rotation=rotation, ha="center", va="center", color=INK, fontsize=9)
    _title(figure, f"{head_name((layer, head)).capitalize()}: full colour is {top:.2f}")
    return figure


def _check(examples: AttentionMaps, k: int, heads: Sequence[Head]) -> None:
    K, L, H = examples.attention.shape[:3]
    if not 1 <= len(heads) <= _MOST_HEADS:
        raise ValueError(f"Wanted 1..{_MOST_HEADS} heads to draw, got {len(heads)}; choose those that matter.")
    if not 0 <= k < K:
        raise ValueError(f"Wanted a sequence in 0..{K - 1}, got {k}.")
    for layer, head in heads:
        if not (0 <= layer < L and 0 <= head < H):
            raise ValueError(f"Wanted layers in 0..{L - 1} and heads in 0..{H - 1}, got {head_name((layer, head))}.")


def _sheet(
    across: tuple[float, float], up: tuple[float, float], cell: float, *, left: float = _LEFT
) -> tuple[Figure, Axes]:
    """Return a figure with one panel whose unit is `cell` inches both ways, so that images stay square."""
    panel_width, panel_height = cell * abs(across[1] - across[0]), cell * abs(up[1] - up[0])
    width, height = max(_WIDTH, left + panel_width + _RIGHT), panel_height + _TOP + 0.05
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    panel = figure.add_axes((left / width, 0.05 / height, panel_width / width, panel_height / height))
    panel.set(xlim=across, ylim=up)
    panel.set_axis_off()
    return figure, panel


def _title(figure: Figure, text: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 1 - 0.07 / height, text, va="top", color=INK, fontsize=10, fontweight="bold")


def _outcome(examples: AttentionMaps, k: int) -> str:
    truth, predicted = int(examples.labels[k, -1]), int(examples.predicted[k])
    if predicted < 0:
        return f"label {truth}, none given"
    return f"label {truth}, given {predicted} ({'right' if truth == predicted else 'wrong'})"


def _labels(examples: AttentionMaps, k: int) -> list[tuple[float, str]]:
    """Return tokens that show a label with the label, and the query's, unless it shows that of the item before it."""
    shown = dict(zip(examples.label_tokens.tolist(), map(str, examples.labels[k, :-1].tolist()), strict=True))
    shown.setdefault(int(examples.item_tokens[-1]), "?")
    return [(float(token), label) for token, label in shown.items()]


def _thumbnail_size(examples: AttentionMaps) -> tuple[float, float]:
    """Return the side of a thumbnail in columns, and how far it reaches from the middle of its token and a bit more."""
    # As large as lets neighbours stand apart, two columns at most.
    size = 0.88 * min(2.0, float(np.diff(np.unique(examples.item_tokens)).min(initial=2)))
    return size, max(0.5, size / 2 + 0.1)


def _thumbnails(
    panel: Axes, examples: AttentionMaps, k: int, centres: Sequence[tuple[float, float]], size: float
) -> None:
    """Draw the items, framed if they share the query's label; the query's own frame has another colour."""
    images, labels = displayable(examples.images)[k], examples.labels[k]
    limits = panel.get_xlim(), panel.get_ylim()
    down = limits[1][0] > limits[1][1]
    for place, ((x, y), image) in enumerate(zip(centres, images, strict=True)):
        small = reduced(image)
        tall, wide = (size * side / max(small.shape) for side in small.shape)
        rows = (y + tall / 2, y - tall / 2) if down else (y - tall / 2, y + tall / 2)
        panel.imshow(small, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="equal",
                     extent=(x - wide / 2, x + wide / 2, *rows))  # fmt: skip
        query = place == len(labels) - 1
        same = labels[place] == labels[-1]
        panel.add_patch(
            Rectangle(
                (x - wide / 2, y - tall / 2), wide, tall, fill=False, linewidth=1.8 if same else 0.6, zorder=5,
                edgecolor=GREEN if query else BLUE if same else FAINT,
            )
        )  # fmt: skip
    panel.set(xlim=limits[0], ylim=limits[1])  # imshow had moved them


def reduced(image: UInt8[np.ndarray, "P Q"]) -> UInt8[np.ndarray, "..."]:
    """Return a large image made smaller by means over square blocks, so that thin strokes are not skipped.

    >>> reduced(np.array([[7, 9], [9, 7]], np.uint8)).shape, reduced(np.zeros((105, 105), np.uint8)).shape
    ((2, 2), (35, 35))
    """
    block = -(-max(image.shape) // _PIXELS)
    padded = np.pad(image, [(0, -side % block) for side in image.shape], mode="edge")
    rows, columns = (side // block for side in padded.shape)
    return np.round(padded.reshape(rows, block, columns, block).mean(axis=(1, 3))).astype(np.uint8)


def _short(share: float) -> str:
    """Return a share in two digits and no more ink than that takes."""
    return "1" if share >= 0.995 else f"{share:.2f}".removeprefix("0")
