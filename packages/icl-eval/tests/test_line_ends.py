import itertools

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from icl_eval.figures.line_ends import LineEnd, with_value, wrapped, write_line_ends


def test_texts_of_a_line_stay_together_and_none_overlap_even_if_all_lines_end_together() -> None:
    figure = Figure(figsize=(4.6, 3.2), layout=ConstrainedLayoutEngine())
    panel = figure.subplots()
    panel.set_ylim(0, 1)
    names = [(f"run {letter}", "falls") for letter in "abc"]
    write_line_ends(panel, [LineEnd(height=0.5, text=text, bold=1) for text in names], inches=3.2)
    figure.draw_without_rendering()
    from_below = sorted(panel.texts, key=lambda text: text.get_window_extent().y0)
    assert [text.get_text() for text in from_below] == ["falls", "run a", "falls", "run b", "falls", "run c"]
    boxes = [text.get_window_extent() for text in from_below]
    assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes))
    assert [text.get_fontweight() for text in from_below] == ["normal", "bold"] * 3


def test_ends_are_written_in_the_order_of_their_heights() -> None:
    panel = Figure().subplots()
    heights = {"low": 0.1, "high": 0.9, "middle": 0.4}
    write_line_ends(panel, [LineEnd(height=at, text=(name,)) for name, at in heights.items()])
    assert [text.get_text() for text in panel.texts] == ["low", "middle", "high"]


@pytest.mark.parametrize("name", ["a", "two words", "x" * 100, "with-dashes_and/slashes " * 4, " ", "a  b"])
@pytest.mark.parametrize("width", [5, 18])
def test_lines_are_no_wider_than_asked_and_lose_nothing_unless_cut(name: str, width: int) -> None:
    lines = wrapped(name, width=width, lines=3)
    assert 1 <= len(lines) <= 3
    assert all(len(line) <= width for line in lines)
    if not lines[-1].endswith("…"):
        assert "".join("".join(lines).split()) == "".join(name.split())
    assert with_value(name, "0.5", width=width)[-1].endswith("0.5")


def test_an_end_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more lines"):
        LineEnd(height=0.5, text=())
