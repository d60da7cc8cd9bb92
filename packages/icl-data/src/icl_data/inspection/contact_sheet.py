"""A picture of a few sequences: their images in rows, the labels below, the query in a frame of its own."""

import collections
import dataclasses

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from icl_data.batch import Batch
from icl_data.fragments import grey_levels, is_picture
from icl_data.inspection.describe import letters

_SIDE = 84  # pixels that the longer side of a cell should about have
_MARGIN = 14
_GAP = 10  # between cells
_QUERY_GAP = 26  # before the query
_FRAME = 4  # around a cell
_QUERY_FRAME = 4  # what the second frame, around the query, reaches further out
_CAPTION = 36  # below a cell
_TITLE = 34
_MOST_PIXELS = 2**27
_TEXT = 14  # font size
_PAPER, _INK, _GREY = "white", "black", "#b5b5b5"
# Okabe and Ito's palette, which colour-blind readers can tell apart, without black, and yellow, faint on white.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything stands on a sheet, in pixels."""

    rows: int  # sequences
    length: int  # items in each
    height: int  # of the images, as their width
    width: int
    left: int = 0  # space for the sequences' numbers

    @property
    def scale(self) -> int:
        """How many pixels wide and high a pixel of an image becomes: whole, so that none is blurred."""
        return max(1, round(_SIDE / max(self.height, self.width)))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        x, y = self.corner(self.rows - 1, self.length - 1)
        right, below = _FRAME + _QUERY_FRAME + _MARGIN, _CAPTION + _MARGIN
        return x + self.width * self.scale + right, y + self.height * self.scale + below

    def corner(self, row: int, place: int) -> tuple[int, int]:
        """Return x and y of the upper left pixel of an image, inside its frame."""
        across, down = self.width * self.scale + 2 * _FRAME, self.height * self.scale + 2 * _FRAME
        query_gap = (_QUERY_GAP - _GAP) * (place == self.length - 1)
        x = _MARGIN + self.left + _FRAME + place * (across + _GAP) + query_gap
        return x, _TITLE + _FRAME + row * (down + _CAPTION)


def contact_sheet(batch: Batch, *, title: str = "") -> Image.Image:
    """Return a picture of the sequences of a batch, one in a row.

    Classes that occur more than once in a sequence have a frame in a colour of their own, others a grey one. Below
    stand the class's letter and the label, underlined where it is the query's. The query has a second, black frame.

    Args:
      batch: with ``images`` [B, S, H, W] or [B, S, H, W, 3], uint8 or floats of which 0 is black and 1 white,
        ``classes`` and ``labels`` [B, S] and ``index`` [B]; B at least 1.
      title: to stand above.

    Returns:
      An RGB image. Each pixel of the batch's images is a square of ``Layout.scale`` pixels.

    Raises:
      ValueError: a batch without images, or one too large for a picture.
    """
    images = _grey_levels(batch)
    font = ImageFont.load_default(size=_TEXT)
    numbers = [f"{number}  " for number in batch["index"].tolist()]
    layout = Layout(
        rows=len(numbers),
        length=batch["classes"].shape[1],
        height=images.shape[2],
        width=images.shape[3],
        left=round(max(map(font.getlength, numbers))),
    )
    width, height = layout.size
    if width * height > _MOST_PIXELS:
        raise ValueError(
            f"A contact sheet of {width} x {height} pixels is too large; give it fewer or shorter sequences."
        )
    sheet = Image.new("RGB", (max(width, round(font.getlength(title)) + 2 * _MARGIN), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _TITLE // 2), title, fill=_INK, font=font, anchor="lm")
    for row, number in enumerate(numbers):
        x, y = layout.corner(row, 0)
        draw.text((_MARGIN, y + layout.height * layout.scale // 2), number, fill=_INK, font=font, anchor="lm")
        names, colours = letters(batch["classes"][row]), class_colours(batch["classes"][row])
        for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
            x, y = layout.corner(row, place)
            is_query = place == layout.length - 1
            image = Image.fromarray(images[row, place])
            image = image.resize((layout.width * layout.scale, layout.height * layout.scale), Image.Resampling.NEAREST)
            _frame(draw, (x, y), image.size, reach=_FRAME, width=_FRAME, colour=colour)
            if is_query:
                _frame(draw, (x, y), image.size, reach=_FRAME + _QUERY_FRAME, width=2, colour=_INK)
            sheet.paste(image, (x, y))
            caption = f"{f'({name})' if is_query else name}  {batch['labels'][row, place]}"
            below = (x + image.width // 2, y + image.height + _FRAME + _QUERY_FRAME + 2)
            draw.text(below, caption, fill=_INK, font=font, anchor="ma")
            if batch["labels"][row, place] == batch["labels"][row, -1]:
                left, _, right, _ = draw.textbbox(below, caption, font=font, anchor="ma")
                draw.line((left, below[1] + _TEXT + 4, right, below[1] + _TEXT + 4), fill=_INK, width=2)
    return sheet


def _grey_levels(batch: Batch) -> UInt8[np.ndarray, "B S H W *channels"]:
    """Return the images of a batch as uint8."""
    images = np.asarray(batch.get("images", ()))
    if images.ndim not in (4, 5) or not is_picture(images.shape[2:]) or images.dtype.kind not in "uf":
        got = f"{images.dtype} {list(images.shape)}" if "images" in batch else f"only {', '.join(batch)}"
        raise ValueError(
            f"A contact sheet wants images [B, S, H, W] or [B, S, H, W, 3], uint8 or float, got {got}; use a source "
            "with a bank of images, such as glyphs or omniglot."
        )
    return grey_levels(images)


def class_colours(classes: Integer[np.ndarray, " S"]) -> list[str]:
    """Return the colour of each item's class: grey to those that stand alone, so that repeats meet the eye.

    >>> class_colours(np.array([7, 3, 7]))
    ['#D55E00', '#b5b5b5', '#D55E00']
    """
    counts = collections.Counter(classes.tolist())
    repeated = [cls for cls, count in counts.items() if count > 1]
    colours = {cls: _COLOURS[number % len(_COLOURS)] for number, cls in enumerate(repeated)}
    return [colours.get(cls, _GREY) for cls in classes.tolist()]


def _frame(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], size: tuple[int, int], *, reach: int, width: int, colour: str
) -> None:
    """Draw a frame around an image, which reaches so many pixels beyond it."""
    (x, y), (across, down) = corner, size
    box = (x - reach, y - reach, x + across + reach - 1, y + down + reach - 1)
    draw.rectangle(box, outline=colour, width=width)
