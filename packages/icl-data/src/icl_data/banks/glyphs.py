"""Handwriting-like characters drawn from random pen strokes: the data set that needs no download."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from icl_data.bank import ExemplarBank, bank_from_runs
from icl_data.draws import normals, uniform_rows
from icl_data.paths import user_path

MAX_STROKES = 4
_STROKE_PROBABILITIES = (0.22, 0.38, 0.28, 0.12)  # of 1, 2, 3, 4 strokes
_KNOTS = 5  # points a stroke is bent through
_STEPS = 6  # line segments between two knots
_JITTER = 0.020  # motor noise of a knot, in image sides
_AFFINE = 0.30  # half range of each entry of an exemplar's linear change
_SHIFT = 0.12  # half range of its translation, in image sides
_MARGIN = 0.05  # of the page, which a writer keeps free, in image sides
_PEN = (0.036, 0.058)  # range of pen widths, in image sides
_OVERSAMPLING = 4  # canvas pixels per image pixel (at least), before the box filter
_CLASSES_AT_ONCE = 256


def glyphs(
    num_classes: int, *, num_exemplars: int = 20, size: int = 28, seed: int = 0, cache: bool = True
) -> ExemplarBank:
    """Return characters of an invented script: strokes are 255 on 0.

    A class is 1 to 4 smooth strokes; each exemplar writes them again with motor jitter, a small affine change and
    a pen of its own width. Class c is the same for any ``num_classes``, exemplar e for any ``num_exemplars``.
    About as hard as Omniglot to nearest neighbours on raw pixels (a test keeps it so).

    Args:
      num_classes: at least 1, no upper bound.
      num_exemplars: of each class, at least 1.
      size: side of the images in pixels, at least 8.
      seed: another seed is another script.
      cache: keep the images under ``$ICL_DATA_CACHE``, ``$XDG_CACHE_HOME/icl-data`` or ``~/.cache/icl-data``, by
        a name that changes with the arguments, this generator's code and Pillow's version.

    Returns:
      A bank of uint8 images [num_classes * num_exemplars, size, size].

    Raises:
      ValueError: a number out of its range.

    >>> glyphs(3, num_exemplars=2, cache=False).items.shape
    (6, 28, 28)
    """
    if num_classes < 1 or num_exemplars < 1 or size < 8:
        raise ValueError(
            "glyphs wants num_classes >= 1, num_exemplars >= 1 and size >= 8, "
            f"got {num_classes}, {num_exemplars} and {size}."
        )
    path = _cache_path(num_classes, num_exemplars, size, seed) if cache else None
    items = _load(path, (num_classes * num_exemplars, size, size)) if path else None
    if items is None:
        items = _draw_all(num_classes, num_exemplars, size, seed)
        if path:
            _save(path, items)
    return bank_from_runs(items, np.full(num_classes, num_exemplars))


def _draw_all(num_classes: int, num_exemplars: int, size: int, seed: int) -> UInt8[np.ndarray, "rows size size"]:
    images = np.empty((num_classes * num_exemplars, size, size), np.uint8)
    for first in range(0, num_classes, _CLASSES_AT_ONCE):
        classes = np.arange(first, min(first + _CLASSES_AT_ONCE, num_classes))
        for row, (paths, pen) in enumerate(_exemplars(classes, num_exemplars, seed), start=first * num_exemplars):
            images[row] = _draw(paths, pen, size)
    return images


def _exemplars(classes: np.ndarray, num_exemplars: int, seed: int) -> Iterator[tuple[np.ndarray, float]]:
    """Yield (strokes [strokes, points, 2], pen width), in image sides, of every exemplar of every class."""
    knots, stroke_counts = _skeletons(classes, seed)
    shape = (num_exemplars, MAX_STROKES, _KNOTS, 2)
    jitter_size = int(np.prod(shape[1:]))
    for skeleton, strokes, number in zip(knots, stroke_counts, classes, strict=True):
        # One stream for each class, one row for each exemplar: neither count changes what is drawn.
        rows = uniform_rows(seed, f"glyphs exemplars {number}", np.arange(num_exemplars), width=2 * jitter_size + 7)
        jitter = normals(rows[:, : 2 * jitter_size]).reshape(shape)[:, :strokes]
        linear = np.eye(2) + _AFFINE * (2 * rows[:, -7:-3].reshape(-1, 2, 2) - 1)
        shift = _SHIFT * (2 * rows[:, -3:-1] - 1)
        written = np.einsum("eij,eskj->eski", linear, skeleton[:strokes] - 0.5 + _JITTER * jitter)
        pens = _PEN[0] + (_PEN[1] - _PEN[0]) * rows[:, -1]
        yield from zip(_smooth(_place(written, shift)), pens.tolist(), strict=True)


def _place(
    written: Float[np.ndarray, "exemplars strokes knots 2"], shift: Float[np.ndarray, "exemplars 2"]
) -> Float[np.ndarray, "exemplars strokes knots 2"]:
    """Return exemplars shifted from the middle of the page, but not off it, and shrunk where larger than the page."""
    reach = 0.5 - _MARGIN
    extent = (written.max((1, 2)) - written.min((1, 2))).max(1)
    written = written * np.minimum(1, 2 * reach / extent)[:, None, None, None]
    shift = np.clip(shift, -reach - written.min((1, 2)), reach - written.max((1, 2)))
    return written + 0.5 + shift[:, None, None]


def _skeletons(classes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each class's knots [classes, strokes, knots, 2] in the unit square, and its number of strokes."""
    per_stroke = 4 + (_KNOTS - 1)
    rows = uniform_rows(seed, "glyphs classes", classes, width=1 + MAX_STROKES * per_stroke)
    counts = 1 + np.searchsorted(np.cumsum(_STROKE_PROBABILITIES[:-1]), rows[:, 0], side="right")
    draws = rows[:, 1:].reshape(len(classes), MAX_STROKES, per_stroke)
    start = 0.18 + 0.64 * draws[..., :2]
    heading = 2 * np.pi * draws[..., 2]
    # A pen tends to keep turning the way it turns: a constant curvature and some wander around it.
    curvature = 2.2 * (2 * draws[..., 3] - 1)
    turns = curvature[..., None] + 1.1 * (2 * draws[..., 4:] - 1)
    headings = heading[..., None] + np.cumsum(turns, -1)
    length = np.array([0.27, 0.22, 0.18, 0.16])[counts - 1]
    moves = length[:, None, None, None] * np.stack([np.cos(headings), np.sin(headings)], -1)
    knots = np.concatenate([start[..., None, :], start[..., None, :] + np.cumsum(moves, -2)], -2)
    # Moved to the middle, and shrunk where they would leave the page.
    inside = (np.arange(MAX_STROKES) < counts[:, None])[:, :, None, None]
    low = np.where(inside, knots, np.inf).min((1, 2), keepdims=True)
    high = np.where(inside, knots, -np.inf).max((1, 2), keepdims=True)
    extent = (high - low).max(-1, keepdims=True)
    return (knots - (low + high) / 2) * np.minimum(1, 0.70 / extent) + 0.5, counts


def _smooth(knots: Float[np.ndarray, "*batch knots 2"]) -> Float[np.ndarray, "*batch points 2"]:
    """Return points of a uniform Catmull-Rom spline through the knots."""
    padded = np.concatenate([knots[..., :1, :], knots, knots[..., -1:, :]], -2)
    before, here, there, after = (padded[..., k : k + _KNOTS - 1, None, :] for k in range(4))
    t = (np.arange(1, _STEPS + 1) / _STEPS)[:, None]
    curve = here + 0.5 * t * (
        (there - before) + t * ((2 * before - 5 * here + 4 * there - after) + t * (3 * (here - there) + after - before))
    )
    curve = curve.reshape(*knots.shape[:-2], -1, 2)
    return np.concatenate([knots[..., :1, :], curve], -2)


def _draw(paths: Float[np.ndarray, "strokes points 2"], pen: float, size: int) -> UInt8[np.ndarray, "size size"]:
    scale = _OVERSAMPLING * size
    canvas = Image.new("L", (scale, scale))
    draw = ImageDraw.Draw(canvas)
    width = pen * scale
    radius = width / 2
    for path in paths * scale:
        draw.line([tuple(point) for point in path.tolist()], fill=255, width=round(width), joint="curve")
        for x, y in (path[0], path[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.reduce(_OVERSAMPLING))


def _cache_path(*arguments: int) -> Path | None:
    """Return the path of the file for these arguments, this very code and Pillow's version; None without a home."""
    own = os.environ.get("ICL_DATA_CACHE") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/icl-data"
    try:
        folder = user_path(own)
    except ValueError:  # of a user in a container, who is in no list
        return None
    code = b"".join(Path(file).read_bytes() for file in (__file__, Path(__file__).parents[1] / "draws.py"))
    key = hashlib.sha256(repr((arguments, PIL.__version__)).encode() + code).hexdigest()[:16]
    return folder / f"glyphs-{key}.npy"


def _load(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "rows size size"] | None:
    try:
        items = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged: it is drawn again
    return items if items.shape == shape and items.dtype == np.uint8 else None


def _save(path: Path, items: UInt8[np.ndarray, "rows size size"]) -> None:
    """Write the file whole or not at all; without a writable cache the bank is just not kept."""
    written: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
            written = Path(file.name)
            np.save(file, items, allow_pickle=False)
        written.replace(path)
    except OSError as error:
        if written is not None:
            written.unlink(missing_ok=True)
        logging.getLogger(__name__).warning("The glyphs are not cached: %s", error)
