"""Pieces of HTML for notebooks: texts, tables and pictures that need no script, no style sheet and no request.

Colours are those of the page around them, or such as can be seen on light and dark paper.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Num, Shaped, UInt8
from PIL import Image

SIDE = 56  # pixels of a page that the longer side of a picture takes
_CELL = "text-align:left;vertical-align:middle;padding:2px 10px 2px 0"


class Markup(str):
    """Text that is HTML already; all other text is escaped where it becomes a part of HTML."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """Return a value as HTML: markup as it is, anything else as the text that it is.

    >>> escaped("a < b"), escaped(Markup("<b>"))
    ('a &lt; b', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def element(name: str, *content: object, **attributes: object) -> Markup:
    """Return an HTML element; both its content and the values of its attributes are escaped.

    >>> element("b", "a & b", title='"')
    '<b title="&quot;">a &amp; b</b>'
    """
    given = "".join(f' {key.replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{''.join(map(escaped, content))}</{name}>")


def soft(*content: object) -> Markup:
    """Return a line of less weight."""
    return element("div", *content, style="opacity:.75;font-size:90%;margin:4px 0")


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table; cells are texts, which are escaped, or markup.

    >>> table(["x"], [["<1>"]]).partition("<tbody>")[2]
    '<tr><td style="text-align:left;vertical-align:middle;padding:2px 10px 2px 0">&lt;1&gt;</td></tr></tbody></table>'
    """
    head = element("tr", *(element("th", cell, style=_CELL) for cell in header))
    body = [element("tr", *(element("td", cell, style=_CELL) for cell in row)) for row in rows]
    return element("table", element("thead", head), element("tbody", *body), style="border-collapse:collapse")


def grey_levels(images: Num[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Return images as uint8: uint8 as they are, floats from 0, black, to 1, white, and cut beyond.

    >>> grey_levels(np.array([-1.0, 0.5, 2.0]))
    array([  0, 128, 255], dtype=uint8)
    """
    if images.dtype == np.uint8:
        return images
    return np.round(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8)


def picture(image: Num[np.ndarray, "H W *channels"], *, alt: str, height: int | None = None, style: str = "") -> Markup:
    """Return an image as an element that carries it, shrunk where it is much larger than it is shown.

    Args:
      image: grey, or [H, W, 3]; uint8, or floats of 0..1.
      alt: what it shows, in words.
      height: it is shown at, in pixels of the page; by default its longer side is ``SIDE``.
      style: CSS besides.
    """
    drawn = Image.fromarray(grey_levels(image))
    scale = SIDE / max(drawn.size) if height is None else height / drawn.size[1]
    width, height = (max(1, round(scale * side)) for side in drawn.size)
    if scale < 0.5:  # sharp on screens with two pixels to one
        drawn = drawn.resize((2 * width, 2 * height))
    content = io.BytesIO()
    drawn.save(content, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    look = f"image-rendering:pixelated;display:block;margin:0 auto;max-width:none;{style}"
    tag = element("img", alt=alt, src=source, width=width, height=height, style=look)
    return Markup(tag.removesuffix("</img>"))


def is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether items of this shape are images that can be drawn: [H, W], or [H, W, 3].

    >>> is_picture((28, 28)), is_picture((8, 8, 3)), is_picture((16,)), is_picture((4, 4, 2))
    (True, True, False, False)
    """
    return len(shape) in (2, 3) and shape[2:] in ((), (3,)) and 0 not in shape


def first_numbers(values: Shaped[np.ndarray, "..."] | np.generic, *, most: int = 6) -> str:
    """Return the first few numbers of an array to read.

    >>> first_numbers(np.array([0.12345, 2, 3]), most=2), first_numbers(np.array(7))
    ('0.123 2 …', '7')
    """
    flat = values.ravel()
    words = [f"{value:.3g}" if flat.dtype.kind == "f" else str(value) for value in flat[:most].tolist()]
    return " ".join([*words, *(["…"] if flat.size > most else [])])


def fragment(*parts: Markup) -> str:
    """Return parts as what a notebook shows below a cell."""
    return str(element("div", *parts, style="line-height:1.35;max-width:100%;overflow-x:auto"))
