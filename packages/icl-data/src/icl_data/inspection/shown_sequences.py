"""Sequences of labelled items for the eye: images in a row, other items in a table."""

from collections.abc import Iterator

import numpy as np

from icl_data.batch import Batch
from icl_data.fragments import Markup, element, first_numbers, fragment, is_picture, picture, soft, table
from icl_data.inspection.contact_sheet import class_colours
from icl_data.inspection.describe import drawn

_MOST_PICTURES, _MOST_ROWS = 32, 12  # items of a sequence that are shown
_NO_CLASS = "transparent"
_CELL = "margin:2px;text-align:center"
_PICTURES = (
    "The query is last, in a double frame. Below each image are its label, underlined where it is the query's, and its "
    "class; frames have a colour where a class comes more than once."
)
_TABLE = "The query is last."


def sequences_text(batch: Batch, *, total: int) -> str:
    """Return a line for each sequence: its classes in this package's notation, and its labels."""
    lines = [_heading(batch, total)]
    for row in range(len(batch["labels"])):
        classes = f"{drawn(batch['classes'][row])}, " if "classes" in batch else ""
        lines.append(f"{_name(batch, row)}: {classes}labels {first_numbers(batch['labels'][row], most=_MOST_PICTURES)}")
    return "\n".join(lines)


def sequences_html(batch: Batch, *, total: int) -> str:
    """Return images in rows with labels and classes below, or a table of other items, the query marked."""
    are_pictures = "images" in batch and _are_pictures(batch["images"])
    shown, said = (_pictures, _PICTURES) if are_pictures else (_table, _TABLE)
    parts: list[Markup] = []
    for row in range(len(batch["labels"])):
        parts += [element("b", _name(batch, row)), shown(batch, row)]
    return fragment(element("div", _heading(batch, total)), soft(said), *parts)


def _are_pictures(images: np.ndarray) -> bool:
    return is_picture(images.shape[2:]) and (images.dtype == np.uint8 or images.dtype.kind == "f")


def _heading(batch: Batch, total: int) -> str:
    shown, length = batch["labels"].shape
    what = next((name for name in ("images", "items") if name in batch), None)
    kind = "items" if what is None else f"{what} {batch[what].dtype} {list(batch[what].shape[2:])}"
    return f"{shown} of {total} sequences of {length} {kind}"


def _name(batch: Batch, row: int) -> str:
    return f"sequence {batch['index'][row] if 'index' in batch else row}"


def _places(length: int, most: int) -> Iterator[int | None]:
    """Yield the places that are shown: the first ones and the query, None between them where others are left out."""
    first = length - 1 if length <= most else most - 1
    yield from range(first)
    if first < length - 1:
        yield None
    yield length - 1


def _pictures(batch: Batch, row: int) -> Markup:
    labels, images = batch["labels"][row], batch["images"][row]
    classes = batch["classes"][row] if "classes" in batch else None
    colours = [_NO_CLASS] * len(labels) if classes is None else class_colours(classes)
    cells = []
    for place in _places(len(labels), _MOST_PICTURES):
        if place is None:
            cells.append(element("span", f"… {len(labels) - _MOST_PICTURES} more …", style="align-self:center"))
            continue
        is_query = place == len(labels) - 1
        of_class = "" if classes is None else f"class {classes[place]}"
        alt = f"{'query' if is_query else f'item {place}'}, label {labels[place]}{', ' if of_class else ''}{of_class}"
        frame = f"border:3px solid {colours[place]};" + ("outline:2px solid currentColor;" if is_query else "")
        underline = "text-decoration:underline" if labels[place] == labels[-1] else ""
        caption = [element("b", labels[place], style=underline), Markup("<br>"), element("small", of_class)]
        caption += [Markup("<br>"), element("small", "query")] if is_query else []
        text = element("figcaption", *caption, style="font-size:85%;line-height:1.2;margin-top:4px")
        cells.append(element("figure", picture(images[place], alt=alt, style=frame), text, style=_CELL))
    return element("div", *cells, style="display:flex;flex-wrap:wrap;gap:8px;margin:6px 0 12px")


def _table(batch: Batch, row: int) -> Markup:
    what = next((name for name in ("images", "items") if name in batch), None)
    columns = [name for name in (what, "labels", "shown_labels", "classes") if name is not None and name in batch]
    names = {"images": "image", "items": "item", "labels": "label", "shown_labels": "shown label", "classes": "class"}
    length = batch["labels"].shape[1]
    rows: list[list[object]] = []
    for place in _places(length, _MOST_ROWS):
        if place is None:
            rows.append(["…", f"{length - _MOST_ROWS} more", *[""] * (len(columns) - 1)])
            continue
        name = element("b", "query") if place == length - 1 else place
        rows.append([name, *(first_numbers(batch[column][row, place]) for column in columns)])
    return table(["place", *(names[column] for column in columns)], rows)
