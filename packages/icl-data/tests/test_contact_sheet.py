"""The contact sheet, pixel by pixel."""

import numpy as np
import pytest
from PIL import ImageColor

from icl_data import bank_from_arrays, contact_sheet, glyphs
from icl_data.inspection.contact_sheet import Layout


def noise(height, width, *channels, num_classes=4):
    rng = np.random.default_rng(0)
    return bank_from_arrays([rng.integers(256, size=(5, height, width, *channels), dtype=np.uint8)] * num_classes)


def batch_of(bank, classes, index=(0, 1)):
    classes = np.array(classes)
    exemplars = np.arange(classes.size).reshape(classes.shape) % 5
    images = bank.gather(classes, exemplars)
    return {"classes": classes, "labels": classes + 100, "index": np.array(index), "images": images}


CLASSES = [[0, 1, 0, 2], [3, 3, 1, 1]]


def cells(sheet, batch):
    """Yield (row, place, what the sheet shows there, in the sheet's pixels)."""
    rows, length, height, width = batch["images"].shape[:4]
    layout = Layout(rows=rows, length=length, height=height, width=width, left=left_of(sheet, batch))
    pixels = np.asarray(sheet)
    for row, place in np.ndindex(rows, length):
        x, y = layout.corner(row, place)
        yield row, place, pixels[y : y + height * layout.scale, x : x + width * layout.scale]


def left_of(sheet, batch):
    """Find the space for numbers, which the font decides, from the width of the whole."""
    length, height, width = batch["images"].shape[1:4]
    return sheet.size[0] - Layout(rows=1, length=length, height=height, width=width).size[0]


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(28, 28, 3), (105, 105, 1), (8, 8, 10), (20, 60, 1), (200, 90, 1)]
)
def test_every_cell_is_the_banks_image_in_whole_pixels(height, width, scale):
    batch = batch_of(noise(height, width), CLASSES)
    assert Layout(rows=1, length=2, height=height, width=width).scale == scale
    sheet = contact_sheet(batch)
    for row, place, cell in cells(sheet, batch):
        wanted = batch["images"][row, place].repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(cell, np.stack([wanted] * 3, axis=-1)), (row, place)


def test_views_and_colour_images_are_shown_as_they_are_gathered():
    bank = glyphs(2, num_exemplars=5, cache=False).augmented()
    batch = batch_of(bank, [[1, 3, 1, 15], [0, 6, 9, 9]])
    sheet = contact_sheet(batch)
    for row, place, cell in cells(sheet, batch):
        assert np.array_equal(cell[1::3, 1::3, 0], batch["images"][row, place])
    batch = batch_of(noise(40, 30, 3), CLASSES)
    sheet = contact_sheet(batch)
    for row, place, cell in cells(sheet, batch):
        assert np.array_equal(cell[::2, ::2], batch["images"][row, place])


def test_floats_are_shown_from_black_to_white_and_cut_beyond():
    batch = batch_of(noise(28, 28), CLASSES)
    floats = batch | {"images": (batch["images"] / 255).astype(np.float32)}
    assert contact_sheet(floats).tobytes() == contact_sheet(batch).tobytes()
    ends = contact_sheet(batch | {"images": np.where(batch["images"] < 128, -0.5, 1.5)})
    wanted = contact_sheet(batch | {"images": np.where(batch["images"] < 128, 0, 255).astype(np.uint8)})
    assert ends.tobytes() == wanted.tobytes()


def test_the_sheet_grows_with_rows_and_length_and_has_room_for_long_numbers_and_titles():
    bank = noise(28, 28)
    small, tall = (contact_sheet(batch_of(bank, CLASSES * n, range(2 * n))) for n in (1, 2))
    wide = contact_sheet(batch_of(bank, [row * 2 for row in CLASSES]))
    assert tall.size[0] == small.size[0]
    assert tall.size[1] - small.size[1] == 2 * (28 * 3 + 8 + 36)
    assert wide.size[0] - small.size[0] == 4 * (28 * 3 + 8 + 10)
    assert contact_sheet(batch_of(bank, CLASSES, [0, 2**62])).size[0] > small.size[0] + 100
    assert contact_sheet(batch_of(bank, CLASSES), title="sequences " * 20).size[0] > 2 * small.size[0]


def test_nothing_is_drawn_beyond_the_edge():
    for length in (2, 9):
        sheet = np.asarray(contact_sheet(batch_of(noise(28, 28), [[0] * length] * 2), title="title"))
        for edge in (sheet[:4], sheet[-4:], sheet[:, :4], sheet[:, -4:]):
            assert (edge == 255).all()


def test_frames_tell_which_items_are_of_one_class_and_which_is_the_query():
    batch = batch_of(noise(28, 28), [[0, 1, 0, 2, 1], [3, 3, 1, 0, 2]])
    sheet = contact_sheet(batch)
    layout = Layout(rows=2, length=5, height=28, width=28, left=left_of(sheet, batch))

    def colour(row, place, outer):
        x, y = layout.corner(row, place)
        return sheet.getpixel((x - outer, y + 40))

    assert all(colour(0, place, 1) == colour(0, place, 4) != colour(0, place, 5) for place in range(5))
    grey = ImageColor.getrgb("#b5b5b5")
    frames = [[colour(row, place, 2) for place in range(5)] for row in range(2)]
    assert frames[0][0] == frames[0][2] != frames[0][1] == frames[0][4]
    assert frames[1][0] == frames[1][1] != grey
    assert [frames[0][3], frames[1][2], frames[1][3], frames[1][4]] == [grey] * 4
    assert grey not in (frames[0][0], frames[0][1])
    black, white = (0, 0, 0), (255, 255, 255)
    assert [[colour(row, place, 7) for place in range(5)] for row in range(2)] == [[white] * 4 + [black]] * 2
    gaps = np.diff([layout.corner(0, place)[0] for place in range(5)])
    assert gaps[:-1].tolist() == [gaps[0]] * 3
    assert gaps[-1] > gaps[0]


def test_labels_are_written_below_and_underlined_where_they_are_the_querys():
    batch = batch_of(noise(28, 28), [[0, 1, 2, 3]], [0])
    batch["labels"] = np.array([[5, 71, 6, 71]])
    sheet = contact_sheet(batch)
    layout = Layout(rows=1, length=4, height=28, width=28, left=left_of(sheet, batch))

    def caption(place):
        x, y = layout.corner(0, place)
        return np.asarray(sheet.convert("L"))[y + 28 * 3 + 9 : y + 28 * 3 + 9 + 28, x : x + 28 * 3]

    widths = [(caption(place) < 128).sum(1).max() for place in range(4)]
    assert all((caption(place) < 128).any() for place in range(4))
    assert min(widths[1], widths[3]) > 25 > max(widths[0], widths[2])  # a line is wider than any row of letters
    changed = dict(batch, labels=np.array([[8, 71, 6, 71]]))
    other = np.asarray(contact_sheet(changed))
    differs = (other != np.asarray(sheet)).any(axis=(0, 2)).nonzero()[0]
    x = layout.corner(0, 0)[0]
    assert x <= differs.min() <= differs.max() < x + 28 * 3


@pytest.mark.parametrize(
    "images", [np.zeros((2, 4)), np.zeros((2, 4, 9)), np.zeros((2, 4, 9, 9, 2)), np.zeros((2, 4, 9, 9), int)]
)
def test_what_is_no_image_is_refused(images):
    with pytest.raises(
        ValueError, match=r"wants images .* got (float|int)64 \[2, 4.*; use a source with a bank of images"
    ):
        contact_sheet(batch_of(noise(4, 4), CLASSES) | {"images": images})
    batch = batch_of(noise(4, 4), CLASSES)
    del batch["images"]
    with pytest.raises(ValueError, match="got only classes, labels, index; use a source"):
        contact_sheet(batch)
