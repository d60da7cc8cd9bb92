"""What a notebook shows of batches and banks: all of it, escaped, with the pixels that are in the arrays."""

import base64
import dataclasses
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from icl_data import (
    BatchSource,
    Bursty,
    ClassSplit,
    FunctionSampler,
    NumbersOf,
    ProjectedSampler,
    RandomMLP,
    SequenceSampler,
    Sine,
    bank_from_arrays,
    gaussian,
    glyphs,
    show,
    symbols,
)

VOID = {"img", "br"}


class Page(HTMLParser):
    """The elements of a fragment: tags in order, attributes of each, and its texts; refuses what is not balanced."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts, self._open = [], [], [], []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for each, attributes in self.attributes if each == tag]

    def pixels(self):
        """Return the images that it carries."""
        sources = [image["src"] for image in self.all("img")]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2])))) for each in sources]

    def rows(self):
        """Return the cells of its tables' bodies."""
        return self.tags.count("tr") - self.tags.count("thead")


def page(shown):
    html = shown._repr_html_()
    found = Page(html)
    assert not {"script", "link", "style", "iframe", "object"} & set(found.tags)
    assert not [name for _, each in found.attributes for name in each if name.startswith("on") or name == "href"]
    assert "http" not in html and "url(" not in html
    return found


@pytest.fixture(scope="module")
def bank():
    return glyphs(12, num_exemplars=5, cache=False)


@pytest.fixture(scope="module")
def batch(bank):
    split = ClassSplit(num_classes=12, rare=8, holdout=4)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    return BatchSource(sampler=sampler, bank=bank, batch_size=6)[3]


def test_each_image_of_the_first_sequences_is_shown_in_its_own_pixels(batch):
    found = page(show(batch, count=2))
    assert np.array_equal(np.array(found.pixels()).reshape(2, 9, 28, 28), batch["images"][:2])
    wanted = [
        f"{f'item {place}' if place < 8 else 'query'}, label {batch['labels'][row, place]}, "
        f"class {batch['classes'][row, place]}"
        for row in range(2)
        for place in range(9)
    ]
    assert [image["alt"] for image in found.all("img")] == wanted
    assert [f"sequence {index}" in found.texts for index in batch["index"]] == [True] * 2 + [False] * 4
    assert (
        found.texts.count("query") == 2 and [f"class {cls}" in found.texts for cls in batch["classes"][0]] == [True] * 9
    )
    assert [place for place, image in enumerate(found.all("img")) if "outline" in image["style"]] == [8, 17]


def test_classes_that_repeat_have_a_frame_of_one_colour(batch):
    frames = [image["style"].partition("solid ")[2][:7] for image in page(show(batch, count=1)).all("img")]
    classes = batch["classes"][0].tolist()
    for one, frame in zip(classes, frames, strict=True):
        same = {other for other, cls in zip(frames, classes, strict=True) if cls == one}
        assert same == {frame} and (frame == "#b5b5b5") == (classes.count(one) == 1)


def test_large_and_coloured_images_are_shrunk_and_floats_go_from_black_to_white():
    colours = np.zeros((1, 2, 300, 150, 3), np.float32)
    colours[0, 1, ..., 0] = 1.0
    black, red = page(show({"images": colours, "labels": np.array([[0, 1]])})).pixels()
    assert black.shape == red.shape == (112, 56, 3)
    assert not black.any() and (red == [255, 0, 0]).all()
    with np.errstate(all="raise"):
        (odd,) = page(show({"images": np.full((1, 1, 4, 4), np.nan), "labels": np.array([[0]])})).pixels()
    assert not odd.any()


def test_of_a_long_sequence_the_first_items_and_the_query_are_shown():
    labels = np.arange(100)[None]
    found = page(show({"images": np.zeros((1, 100, 4, 4), np.uint8), "labels": labels}))
    assert len(found.all("img")) == 32 and found.all("img")[-1]["alt"] == "query, label 99"
    assert "… 68 more …" in found.texts
    found = page(show({"items": np.zeros((1, 100, 3)), "labels": labels}))
    assert found.rows() == 13 and "88 more" in found.texts and "99" in found.texts


def test_items_that_are_no_images_stand_in_a_table():
    vectors = gaussian(12, num_exemplars=5)
    split = ClassSplit(num_classes=12, rare=8, holdout=4)
    for bank in (vectors, symbols(12)):
        sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=np.full(12, bank.counts.min()))
        batch = BatchSource(sampler=sampler, bank=bank, batch_size=2)[0]
        found = page(show(batch))
        assert found.rows() == 18 and not found.all("img")
        first = batch["items"][0, 0]
        assert (f"{first[0]:.3g}" if first.ndim else str(first)) in " ".join(found.texts).split()
    projected = ProjectedSampler(bank=vectors, ways=4, length=8, label_noise=0.2)
    assert "shown label" in page(show(projected.sample(np.arange(2)))).texts


def test_functions_of_one_number_are_plotted_with_rings_for_queries():
    batch = FunctionSampler(family=Sine(), num_points=20).sample(np.arange(3))
    found = page(show(batch, count=2))
    circles = found.all("circle")
    assert len(circles) == 40
    rings = np.array([circle["fill"] == "none" for circle in circles]).reshape(2, 20)
    assert np.array_equal(rings, batch["is_query"][:2])
    for row in range(2):
        for key, name, sign in (("cx", "inputs", 1), ("cy", "targets", -1)):
            places = np.array([float(circle[key]) for circle in circles]).reshape(2, 20)[row]
            values = batch[name][row, :, 0]
            assert np.abs(np.corrcoef(places, sign * values)[0, 1] - 1) < 1e-3
    words = found.all("svg")[0]["aria-label"]
    assert words.startswith("12 in context, 8 queries, x from ") and f"{batch['inputs'][0].max():.3g}" in words


def test_functions_of_several_numbers_stand_in_a_table_with_some_queries():
    batch = FunctionSampler(family=RandomMLP(num_inputs=3), num_points=20).sample(np.arange(2))
    found = page(show(batch, count=1))
    assert found.rows() == 12 and not found.all("svg")
    assert "12, query" in found.texts and "and 8 more points" in found.texts


def test_numbers_that_are_not_finite_are_left_out_of_a_plot_and_constants_are_in_its_middle():
    batch = {
        "inputs": np.array([[[0.0], [1.0], [np.nan]], [[2.0]] * 3]),
        "targets": np.array([[[np.inf], [1.0], [1.0]], [[np.nan]] * 3]),
        "is_query": np.array([[False, False, True]] * 2),
    }
    with np.errstate(all="raise"):
        found = page(show(batch))
    assert [(circle["cx"], circle["cy"]) for circle in found.all("circle")] == [("130.0", "75.0")]
    assert "not finite" in found.all("svg")[1]["aria-label"]


def test_text_is_escaped():
    hostile = "<script>alert('x')</script>\"&"
    labels = np.array([[hostile, "b"]])
    found = page(show({"images": np.zeros((1, 2, 4, 4), np.uint8), "labels": labels, "index": np.array([hostile])}))
    assert hostile in found.texts and hostile in found.all("img")[0]["alt"]
    assert hostile in page(show({"items": np.zeros((1, 2)), "labels": labels})).texts


def test_its_text_names_classes_and_labels(batch):
    lines = repr(show(batch, count=2)).splitlines()
    assert lines[0] == "2 of 6 sequences of 9 images uint8 [28, 28]"
    assert [line.partition(":")[0] for line in lines[1:]] == [f"sequence {index}" for index in batch["index"][:2]]
    assert lines[1].endswith("labels " + " ".join(map(str, batch["labels"][0])))
    assert "32 more" not in repr(show(batch)) and repr(show(batch, count=100)).startswith("6 of 6 sequences")
    tasks = repr(show(FunctionSampler(family=Sine()).sample(np.arange(2))))
    assert tasks.startswith("2 of 2 tasks of 48 points, x [1] and y [1]\nsequence 0, task 0: 40 in context, 8 queries")


def test_what_is_no_batch_is_refused(batch):
    numbers = NumbersOf(FunctionSampler(family=Sine())).sample(np.arange(2))
    with pytest.raises(ValueError, match=r"without targets: only .*Numbers must be expanded first"):
        show(numbers)
    with pytest.raises(ValueError, match="without inputs, is_query, targets: only nothing"):
        show({})
    with pytest.raises(ValueError, match=r"show wants classes \[B, S\].*got .*labels \[4, 9\].*classes \[4, 8\]"):
        show(batch | {"classes": batch["classes"][:, :8]})
    with pytest.raises(ValueError, match=r"show wants labels \[B, S\].*\[4, 9, 1\]"):
        show(batch | {"labels": batch["labels"][..., None]})
    with pytest.raises(ValueError, match="at least 1, got 0"):
        show(batch, count=0)


def test_what_is_shown_cannot_be_changed_and_leaves_the_batch_alone(batch):
    shown = show(batch)
    with pytest.raises(dataclasses.FrozenInstanceError):
        shown.total = 3
    assert shown.total == 6 and len(shown.batch["labels"]) == 4


def test_a_bank_shows_how_much_it_has_and_some_exemplars_as_they_are_gathered(bank):
    views = bank.augmented()
    found = page(views)
    assert found.texts[0] == (
        "ExemplarBank of 96 classes in groups of 8; 5 exemplars each; images uint8 [28, 28]; 8 symmetries"
    )
    strips = found.pixels()
    assert len(strips) == found.rows() == 8
    last = views.gather(np.full(5, 95), np.arange(5))
    for place in range(5):
        assert np.array_equal(strips[-1][:, 29 * place : 29 * place + 28], last[place])
    assert found.all("img")[-1]["alt"] == "the first 5 exemplars of class 95"


def test_banks_of_other_items_show_numbers():
    assert "0.5" in page(bank_from_arrays([np.full((2, 3), 0.5)] * 2)).texts[-1]
    found = page(bank_from_arrays([np.zeros((3, 4, 4, 2), np.uint8), np.zeros((1, 4, 4, 2), np.uint8)]))
    assert not found.all("img") and "1 to 3 exemplars each" in found.texts[0]
    assert page(symbols(3)).rows() == 3
