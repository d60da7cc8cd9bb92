"""``python -m icl_data``: counts against hand-made batches and known truths, the sheet pixel by pixel, errors."""

import re

import numpy as np
import pytest
from PIL import Image

from icl_data import Bursty, ClassSplit, FewShot, LabelElsewhere, NoSupport, SequenceSampler, glyphs, symbols
from icl_data.__main__ import main
from icl_data.inspection import Layout, contact_sheet, drawn, expected_shares, frequency_text, sequence_text, statistics
from icl_data.inspection.options import KINDS

SPLIT = ClassSplit(num_classes=30, rare=18, common=6, holdout=6, zipf_exponent=1.0)


def sample(kind, *, count=2000, exemplars=20, split=SPLIT):
    counts = np.full(split.num_classes, exemplars)
    batch = SequenceSampler(kind=kind, split=split, exemplar_counts=counts).sample(np.arange(count))
    return batch, statistics(batch, counts)


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder and give what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main([*map(str, words)]) == 0
        return capsys.readouterr().out

    return run


def test_statistics_of_a_batch_by_hand():
    batch = {
        "classes": np.array([[4, 4, 1, 4], [0, 2, 3, 1], [1, 1, 1, 1]]),
        "exemplars": np.array([[0, 1, 0, 0], [5, 5, 5, 5], [0, 1, 1, 0]]),
        "labels": np.array([[7, 7, 0, 7], [2, 9, 2, 9], [1, 1, 1, 1]]),
    }
    found = statistics(batch, np.array([9, 3, 9, 9, 9]))
    assert found.class_counts.tolist() == [1, 6, 1, 1, 3]
    assert found.label_counts.tolist() == [1, 4, 2, 0, 0, 0, 0, 3, 0, 2]
    assert found.query_class.tolist() == [1, 0, 1, 1]
    assert found.query_label.tolist() == [0, 1, 1, 1]
    assert found.different_classes.tolist() == [0, 1, 1, 0, 1]
    assert (found.repeats, found.forced_repeats, found.sequences) == (1, 1, 3)


def test_statistics_tell_the_kinds_apart():
    for kind, of_class, of_label in [(FewShot(), {4}, {4}), (NoSupport(), {0}, {0}), (LabelElsewhere(), {0}, {1})]:
        found = sample(kind)[1]
        assert set(np.flatnonzero(found.query_class)) == of_class
        assert set(np.flatnonzero(found.query_label)) == of_label
        assert (found.repeats, found.forced_repeats) == (0, 0)
    assert sample(FewShot(), exemplars=3)[1].forced_repeats == 2000


def test_expected_shares_are_what_many_sequences_have():
    uniform = ClassSplit(num_classes=30, rare=18, common=6, holdout=6)
    for kind in (Bursty(p_bursty_zipfian=0.4, p_bursty_common=0.3), FewShot(classes="common"), NoSupport()):
        found = sample(kind, count=20_000, split=uniform)[1]
        expected = expected_shares(kind, uniform, 9)
        assert np.isclose(expected.sum(), 1)
        measured = found.class_counts[uniform.classes] / found.class_counts.sum()
        assert np.abs(measured - expected).max() < 0.003, kind


def test_a_sequence_is_drawn_with_letters_by_first_occurrence():
    assert drawn(np.array([9, 2, 9, 5, 2])) == "a b a c (b)"
    batch = sample(FewShot())[0]
    lines = sequence_text(batch, 3, SPLIT).splitlines()
    assert len(lines) == 10 and lines[0].split() == ["place", "letter", "class", "exemplar", "label", "set"]
    for place, line in enumerate(lines[1:]):
        cells = line.split()
        assert cells[0] == str(place) and cells[5] == "holdout"
        assert cells[2:5] == [str(batch[name][3, place]) for name in ("classes", "exemplars", "labels")]
        assert cells[1].startswith("(") == (place == 8)


def test_class_sets_have_their_shares_in_the_table():
    batch, found = sample(NoSupport(classes="common"))
    lines = [
        line.split()
        for line in frequency_text(found, SPLIT, expected_shares(NoSupport(classes="common"), SPLIT, 9)).splitlines()
    ]
    by_name = {cells[0]: cells for cells in lines[1:4]}
    assert by_name["common"][2].replace(",", "") == str(batch["classes"].size)
    assert by_name["common"][3] == by_name["common"][5] == "100.00"
    assert by_name["rare"][2] == by_name["holdout"][2] == "0"


@pytest.mark.parametrize("size", [28, 105])
def test_every_cell_of_the_sheet_is_the_banks_image(size):
    bank = glyphs(30, num_exemplars=9, size=size, cache=False)
    batch = sample(Bursty(), count=3, exemplars=9)[0]
    sheet = np.asarray(contact_sheet(batch, bank, title="t").convert("L"))
    layout = Layout(rows=3, length=9, height=size, width=size)
    left = sheet.shape[1] - layout.size[0]  # the room for the sequences' numbers
    images = bank.gather(batch["classes"], batch["exemplars"])
    for row in range(3):
        for place in range(9):
            x, y = layout.corner(row, place)
            side = size * layout.scale
            cell = sheet[y : y + side, x + left : x + left + side]
            assert np.array_equal(cell[:: layout.scale, :: layout.scale], images[row, place]), (row, place)


def test_a_bank_without_images_has_no_sheet():
    with pytest.raises(ValueError, match=r"wants uint8 images .* got int32"):
        contact_sheet(sample(Bursty(), count=1)[0], symbols(30))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_shown(kind, shown, tmp_path):
    text = shown(kind, "--bank", "symbols", "--count", 200)
    assert text.startswith(f"{kind}: 9 items a sequence, 80 rare + 10 common + 10 holdout of 100 classes, V = ")
    assert "BEYOND" not in text and "in none of 200 sequences" in text
    assert re.search(r"sequence 0 \(seed 0, stream 'train'\): [a-i]( [a-i]){7} \([a-i]\)\n", text)
    assert "these items are no images" in text and not list(tmp_path.iterdir())


def test_options_reach_the_sequences_and_the_sheet_is_written(shown, tmp_path):
    words = ["few_shot", "--num-classes", 40, "--classes", "rare", "--ways", 4, "--shots", 2, "--grouped", "--index", 5]
    text = shown(*words, "--labels", "polysemy", "--labels-per-class", 3, "--count", 300, "--sheet", "a.png")
    assert (
        "FewShot(classes='rare', shots=2, ways=4, grouped=True, distinct=True, labels=Polysemy(labels_per_class=3))"
        in text
    )
    assert "sequence 5 (seed 0" in text and "V = 100 labels" in text  # 3 * 32 rare + 4 common
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.format == "PNG" and sheet.size[0] > 9 * 84
    shown(*words, "--no-sheet", "--labels", "ordered")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["brusty"], "KIND must be one of .* got 'brusty'; perhaps you meant bursty"),
        (["bursty", "--p-bursty", "2"], r"p_bursty must be a probability in \[0, 1\], got 2.0"),
        (["bursty", "--classes", "rare"], "unrecognized arguments: --classes rare"),
        (["few_shot", "--classes", "rar"], "invalid choice: 'rar'"),
        (["few_shot", "--ways", "5"], "has 21 items, got length=9"),
        (["bursty", "--labels", "polysemy"], "needs --labels-per-class"),
        (["bursty", "--start", "3"], "--start is for --labels offset"),
        (["bursty", "--count", "0"], "--count must be at least 1"),
        (["bursty", "--sheet", "picture.jpg"], r"--sheet must be a \.png file"),
        (["bursty", "--omniglot", "missing.zip"], "missing.zip"),
        (["bursty", "--bank", "symbols", "--size", "20"], "--size is for images"),
        (["bursty", "--rare", "500"], "are wanted, but the bank has 100"),
        (["bursty", "--seed", "-1"], "seed must be a non-negative integer, got -1"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_leaves_nothing(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert re.search(message, line) and not printed.out
    assert not list(tmp_path.iterdir())
