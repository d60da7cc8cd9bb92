"""The contact sheet, pixel by pixel."""

import numpy as np
import pytest
from PIL import ImageColor

from icl_data import ExemplarBank, bank_from_arrays, gaussian, glyphs, symbols
from icl_data.inspection import Layout, contact_sheet


def noise(height, width, *channels, num_classes=4):
    rng = np.random.default_rng(0)
    return bank_from_arrays([rng.integers(256, size=(5, height, width, *channels), dtype=np.uint8)] * num_classes)


def batch_of(classes, index=(0, 1)):
    classes = np.array(classes)
    exemplars = np.arange(classes.size).reshape(classes.shape) % 5
    return {"classes": classes, "exemplars": exemplars, "labels": classes + 100, "index": np.array(index)}


FLOATS = bank_from_arrays([np.zeros((5, 4, 4), np.float32)] * 4)
CLASSES = [[0, 1, 0, 2], [3, 3, 1, 1]]


def cells(sheet, batch, bank, left=0):
    """Yield (row, place, what the sheet shows there, in the sheet's pixels)."""
    height, width = bank.items.shape[1:3]
    rows, length = batch["classes"].shape
    layout = Layout(rows=rows, length=length, height=height, width=width, left=left)
    pixels = np.asarray(sheet)
    for row, place in np.ndindex(rows, length):
        x, y = layout.corner(row, place)
        yield row, place, pixels[y : y + height * layout.scale, x : x + width * layout.scale]


def left_of(sheet, length, bank):
    """Find the space for numbers, which the font decides, from the width of the whole."""
    height, width = bank.items.shape[1:3]
    return sheet.size[0] - Layout(rows=1, length=length, height=height, width=width).size[0]


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(28, 28, 3), (105, 105, 1), (8, 8, 10), (20, 60, 1), (200, 90, 1)]
)
def test_every_cell_is_the_banks_image_in_whole_pixels(height, width, scale):
    bank, batch = noise(height, width), batch_of(CLASSES)
    assert Layout(rows=1, length=2, height=height, width=width).scale == scale
    sheet = contact_sheet(batch, bank)
    images = bank.gather(batch["classes"], batch["exemplars"])
    for row, place, cell in cells(sheet, batch, bank, left_of(sheet, 4, bank)):
        wanted = images[row, place].repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(cell, np.stack([wanted] * 3, axis=-1)), (row, place)


def test_views_and_colour_images_are_shown_as_they_are_gathered():
    bank = glyphs(2, num_exemplars=5, cache=False).augmented()
    batch = batch_of([[1, 3, 1, 15], [0, 6, 9, 9]])
    sheet = contact_sheet(batch, bank)
    for row, place, cell in cells(sheet, batch, bank, left_of(sheet, 4, bank)):
        wanted = bank.gather(batch["classes"], batch["exemplars"])[row, place]
        assert np.array_equal(cell[1::3, 1::3, 0], wanted)
    bank, batch = noise(40, 30, 3), batch_of(CLASSES)
    sheet = contact_sheet(batch, bank)
    for row, place, cell in cells(sheet, batch, bank, left_of(sheet, 4, bank)):
        wanted = bank.gather(batch["classes"], batch["exemplars"])[row, place]
        assert np.array_equal(cell[::2, ::2], wanted)


def test_the_sheet_grows_with_rows_and_length_and_has_room_for_long_numbers_and_titles():
    bank = noise(28, 28)
    small, tall = contact_sheet(batch_of(CLASSES), bank), contact_sheet(batch_of(CLASSES * 2, range(4)), bank)
    wide = contact_sheet(batch_of([row * 2 for row in CLASSES]), bank)
    assert tall.size[0] == small.size[0]
    assert tall.size[1] - small.size[1] == 2 * (28 * 3 + 8 + 36)
    assert wide.size[0] - small.size[0] == 4 * (28 * 3 + 8 + 10)
    assert contact_sheet(batch_of(CLASSES, [0, 2**62]), bank).size[0] > small.size[0] + 100
    assert contact_sheet(batch_of(CLASSES), bank, title="sequences " * 20).size[0] > 2 * small.size[0]


def test_nothing_is_drawn_beyond_the_edge():
    for length in (2, 9):
        sheet = np.asarray(contact_sheet(batch_of([[0] * length] * 2), noise(28, 28), title="title"))
        for edge in (sheet[:4], sheet[-4:], sheet[:, :4], sheet[:, -4:]):
            assert (edge == 255).all()


def test_frames_tell_which_items_are_of_one_class_and_which_is_the_query():
    bank, batch = noise(28, 28), batch_of([[0, 1, 0, 2, 1], [3, 3, 1, 0, 2]])
    sheet = contact_sheet(batch, bank)
    layout = Layout(rows=2, length=5, height=28, width=28, left=left_of(sheet, 5, bank))

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
    bank = noise(28, 28)
    batch = batch_of([[0, 1, 2, 3]], [0])
    batch["labels"] = np.array([[5, 71, 6, 71]])
    sheet = contact_sheet(batch, bank)
    layout = Layout(rows=1, length=4, height=28, width=28, left=left_of(sheet, 4, bank))

    def caption(place):
        x, y = layout.corner(0, place)
        return np.asarray(sheet.convert("L"))[y + 28 * 3 + 9 : y + 28 * 3 + 9 + 28, x : x + 28 * 3]

    widths = [(caption(place) < 128).sum(1).max() for place in range(4)]
    assert all((caption(place) < 128).any() for place in range(4))
    assert min(widths[1], widths[3]) > 25 > max(widths[0], widths[2])  # a line is wider than any row of letters
    changed = dict(batch, labels=np.array([[8, 71, 6, 71]]))
    other = np.asarray(contact_sheet(changed, bank))
    differs = (other != np.asarray(sheet)).any(axis=(0, 2)).nonzero()[0]
    x = layout.corner(0, 0)[0]
    assert x <= differs.min() <= differs.max() < x + 28 * 3


@pytest.mark.parametrize("bank", [symbols(4), gaussian(4, num_exemplars=5), noise(4, 4, 2), FLOATS])
def test_a_bank_without_images_is_refused(bank: ExemplarBank):
    with pytest.raises(ValueError, match=r"wants uint8 images .* got .*; use a bank of images"):
        contact_sheet(batch_of(CLASSES), bank)
