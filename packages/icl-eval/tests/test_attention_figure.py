import dataclasses
import itertools
from typing import Literal

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from icl_eval.figures.attention import attention_map, attention_rows, reduced
from icl_eval.results.saved_arrays import AttentionMaps

Layout = Literal["interleaved", "concatenated", "previous"]


def examples(layout: Layout = "interleaved", *, items: int = 5, size: int = 6) -> AttentionMaps:
    """Make two sequences whose attention differs everywhere; items 0 and 2 share the query's label in the first."""
    T = 2 * items - 1 if layout == "interleaved" else items
    at = {
        "interleaved": (np.arange(0, T, 2), np.arange(1, T, 2)),
        "concatenated": (np.arange(T), np.arange(T - 1)),
        "previous": (np.arange(T), np.arange(1, T)),
    }
    generator = np.random.default_rng(0)
    labels = np.full((2, items), 1)
    labels[0, ::2] = labels[0, -1] = 7
    labels[0, 4:-1] = 1
    return AttentionMaps(
        images=generator.integers(2, size=(2, items, size, size), dtype=np.uint8),
        labels=labels,
        predicted=np.array([7, -1]),
        attention=generator.dirichlet(np.ones(T), size=(2, 2, 4, T)).astype(np.float32),
        item_tokens=at[layout][0],
        label_tokens=at[layout][1],
    )


@pytest.mark.parametrize("layout", ["interleaved", "concatenated", "previous"])
def test_bars_are_the_attention_of_the_query_in_the_order_of_the_heads(layout: Layout) -> None:
    given, heads = examples(layout), [(1, 3), (0, 2), (1, 0)]
    (panel,) = attention_rows(given, 1, heads).axes
    query = given.item_tokens[-1]
    from_above = sorted(panel.containers, key=lambda bars: -bars[0].get_y())
    for bars, (layer, head) in zip(from_above, heads, strict=True):
        heights = np.array([bar.get_height() for bar in bars])
        np.testing.assert_allclose(heights / heights.sum(), given.attention[1, layer, head, query], rtol=1e-5)
        np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], np.arange(len(heights)))
    names = [text for text in panel.texts if text.get_text().startswith("layer")]
    names.sort(key=lambda text: -text.get_position()[1])
    assert [text.get_text() for text in names] == ["layer 1\nhead 3", "layer 0\nhead 2", "layer 1\nhead 0"]


@pytest.mark.parametrize("size", [6, 28, 105])
def test_thumbnails_stand_at_their_tokens_and_those_of_the_querys_label_are_framed(size: int) -> None:
    given = examples(size=size)
    (panel,) = attention_rows(given, 0, [(0, 0)]).axes
    centres = [sum(image.get_extent()[:2]) / 2 for image in panel.images]
    np.testing.assert_allclose(centres, given.item_tokens)
    frames = [patch for patch in panel.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
    assert [frame.get_linewidth() > 1 for frame in frames] == [True, False, True, False, True]
    assert frames[0].get_edgecolor() == frames[2].get_edgecolor() != frames[4].get_edgecolor()
    assert all(image.get_interpolation() == "none" for image in panel.images)


def test_pixels_are_shown_as_they_are_dark_on_light() -> None:
    given = examples()
    (panel,) = attention_rows(given, 0, [(0, 0)]).axes
    shown = np.stack([image.get_array() for image in panel.images])
    light = 255 * (given.images[0].astype(int) if np.median(given.images) else 1 - given.images[0].astype(int))
    np.testing.assert_array_equal(shown, light)


def test_labels_stand_at_the_tokens_that_show_them() -> None:
    for layout, last in (("interleaved", "?"), ("concatenated", "?"), ("previous", "1")):
        given = examples(layout)
        (panel,) = attention_rows(given, 0, [(0, 0)]).axes
        lowest = min(text.get_position()[1] for text in panel.texts)
        shown = {text.get_position()[0]: text.get_text() for text in panel.texts if text.get_position()[1] == lowest}
        wanted = dict(zip(given.label_tokens.tolist(), ["7", "1", "7", "1"], strict=True))
        assert shown == wanted | {int(given.item_tokens[-1]): last}


@pytest.mark.parametrize("layout", ["interleaved", "concatenated", "previous"])
def test_the_map_is_the_whole_attention_with_thumbnails_on_both_sides(layout: Layout) -> None:
    given = examples(layout)
    (panel,) = attention_map(given, 0, 1, 2).axes
    np.testing.assert_array_equal(panel.images[0].get_array(), given.attention[0, 1, 2])
    T = given.attention.shape[-1]
    assert tuple(panel.images[0].get_extent()) == (-0.5, T - 0.5, T - 0.5, -0.5)  # row 0 on top
    boxes = [np.reshape(image.get_extent(), (2, 2)) for image in panel.images]
    middles = np.array([box.mean(axis=1) for box in boxes[1:]])
    np.testing.assert_allclose(middles[:5, 1], given.item_tokens)
    np.testing.assert_allclose(middles[5:, 0], given.item_tokens)
    for one, other in itertools.combinations(boxes, 2):  # no two images overlap
        apart = [max(one[side]) <= min(other[side]) or max(other[side]) <= min(one[side]) for side in (0, 1)]
        assert any(apart)
    limits = np.sort(panel.get_xlim()), np.sort(panel.get_ylim())
    assert all(
        limits[side][0] <= box[side].min() and box[side].max() <= limits[side][1] for box in boxes for side in (0, 1)
    )


def test_images_stay_upright_and_are_not_mirrored() -> None:
    given = examples(size=4)
    for figure in (attention_rows(given, 0, [(0, 0)]), attention_map(given, 0, 0, 0)):
        figure.draw_without_rendering()
        (panel,) = figure.axes
        image = panel.images[-1]
        left, right, bottom, top = image.get_extent()
        assert image.origin == "upper"
        corners = panel.transData.transform([(left, bottom), (right, top)])
        assert (corners[0] < corners[1]).all()  # on the screen


def test_large_images_are_averaged_and_small_ones_left_alone() -> None:
    image = np.zeros((105, 100), np.uint8)
    image[3:6, 0:3] = 90
    small = reduced(image)
    assert small.shape == (35, 34)
    assert small[1, 0] == 90
    assert small.sum() == 90
    tiny = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(reduced(tiny), tiny)


@pytest.mark.parametrize("items", [2, 21])
def test_short_and_long_sequences_are_drawn_within_the_figure(items: int) -> None:
    given = examples(items=items)
    for figure in (attention_rows(given, 0, [(0, 0)] * 8), attention_map(given, 0, 0, 0)):
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in (*figure.texts, *figure.axes[0].texts)]
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_what_is_not_there_is_refused() -> None:
    given = examples()
    for k, heads, wanted in (
        (2, [(0, 0)], r"sequence in 0\.\.1, got 2"),
        (-1, [(0, 0)], r"sequence in 0\.\.1, got -1"),
        (0, [], r"1\.\.8 heads to draw, got 0"),
        (0, [(0, 0)] * 9, r"got 9"),
        (0, [(2, 0)], "got layer 2 head 0"),
        (0, [(0, 4)], r"heads in 0\.\.3"),
    ):
        with pytest.raises(ValueError, match=wanted):
            attention_rows(given, k, heads)
    with pytest.raises(ValueError, match="layer 0 head -1"):
        attention_map(given, 0, 0, -1)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"label_tokens": np.array([1, 3])}, "a label token for each of the 5 items but the query"),
        ({"item_tokens": np.array([0, 2, 4, 6])}, r"Attention: wanted .*'item_tokens' \[S\]"),
        ({"attention": np.full((2, 2, 4, 9, 8), 0.1, np.float32)}, r"'attention' \[K, L, H, T, T\]"),
        ({"item_tokens": np.array([0, 2, 4, 6, 9])}, r"tokens in 0\.\.8, got some in 0\.\.9"),
    ],
)
def test_maps_whose_arrays_do_not_fit_together_are_an_error(change: dict[str, np.ndarray], wanted: str) -> None:
    # The type checker of the tests may be faster.
    with pytest.raises((ValueError, TypeError), match=f"{wanted}|[Tt]ype-check"):
        dataclasses.replace(examples(), **change)
