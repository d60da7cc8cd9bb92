import numpy as np
import pytest

from icl_eval import Estimate, ScalarCurve
from icl_eval.figures.heads import Head, ablations, head_name, heads_over_training
from icl_eval.figures.palette import PAPER


def line(last: float, *, chance: float | None = None) -> ScalarCurve:
    values = np.array([0.0, last / 2, last])
    return ScalarCurve(steps=np.array([0.0, 50.0, 100.0]), values=values, low=values, high=values, chance=chance)


def estimate(value: float, radius: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - radius, high=value + radius, count=100)


def grid(layers: int, heads: int) -> list[Head]:
    return [(layer, head) for layer in range(layers) for head in range(heads)]


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (1, 8), (2, 4), (12, 8)])
def test_every_head_is_drawn_and_the_six_highest_are_named(layers: int, heads: int) -> None:
    lasts = dict(zip(grid(layers, heads), np.linspace(0.2, 0.9, layers * heads).tolist(), strict=True))
    figure = heads_over_training({head: line(last, chance=0.11) for head, last in lasts.items()}, title="Induction")
    (panel,) = figure.axes
    drawn = sorted(float(one.get_ydata()[-1]) for one in panel.lines if len(one.get_xdata()) == 3)
    np.testing.assert_allclose(drawn, sorted(lasts.values()))
    highest = sorted(lasts, key=lambda head: -lasts[head])[:6]
    wanted = {f"{head_name(head)} {lasts[head]:.3f}" for head in highest} | {"uniform attention 0.11"}
    assert {text.get_text() for text in panel.texts} == wanted
    colours = [text.get_color() for text in panel.texts]
    assert len(set(colours)) == len(wanted)


def test_low_scores_fill_the_panel_and_unknown_heads_are_not_named() -> None:
    unknown = ScalarCurve(np.array([0.0]), *[np.array([np.nan])] * 3)
    figure = heads_over_training({(0, 0): line(0.05, chance=0.01), (0, 1): unknown}, title="Induction")
    assert figure.axes[0].get_ylim()[1] < 0.1
    assert len(figure.axes[0].texts) == 2


def test_no_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="one or more heads"):
        heads_over_training({}, title="Induction")


@pytest.mark.parametrize(("layers", "heads"), [(1, 8), (2, 4), (12, 8)])
def test_a_dot_per_removed_head_is_solid_only_if_surely_below_the_whole_model(layers: int, heads: int) -> None:
    values = np.linspace(0.1, 0.9, layers * heads).tolist()
    without = {head: estimate(value) for head, value in zip(grid(layers, heads), values, strict=True)}
    figure = ablations({"icl": estimate(0.9), "iwl": estimate(0.5)}, {"icl": without, "iwl": without})
    figure.draw_without_rendering()
    assert [panel.get_title(loc="left")[:3] for panel in figure.axes[:2]] == ["icl", "iwl"]
    for panel, intact in zip(figure.axes, (0.9, 0.5), strict=False):
        dots = [container[0] for container in panel.containers]
        np.testing.assert_allclose([dot.get_ydata()[0] for dot in dots], values)
        assert [dot.get_xdata()[0] for dot in dots] == list(range(layers * heads))
        whisker = panel.containers[0][2][0].get_segments()[0]
        np.testing.assert_allclose(whisker[:, 1], [values[0] - 0.05, values[0] + 0.05])
        solid = [dot.get_markerfacecolor() != PAPER for dot in dots]
        assert solid == [value + 0.05 < intact - 0.05 for value in values]
        assert panel.lines[0].get_ydata()[0] == intact


def test_values_of_fallen_heads_cover_neither_each_other_nor_dots() -> None:
    generator = np.random.default_rng(0)
    without = {head: estimate(value, 0.02) for head, value in zip(grid(12, 8), generator.random(96), strict=True)}
    figure = ablations({"icl": estimate(0.95, 0.01)}, {"icl": without})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text().startswith("head ")]
    assert len(boxes) > 2
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_a_head_that_only_one_measure_lacks_leaves_its_place_empty() -> None:
    without = {(0, 0): estimate(0.5), (0, 1): estimate(0.6)}
    figure = ablations({"icl": estimate(0.9), "iwl": estimate(0.9)}, {"icl": without, "iwl": {(0, 1): estimate(0.6)}})
    assert [dot[0].get_xdata()[0] for dot in figure.axes[1].containers] == [1]


def test_names_that_differ_and_no_heads_are_refused() -> None:
    whole = {"icl": estimate(0.9)}
    for intact, without in (({}, {}), (whole, {"iwl": {(0, 0): estimate(0.5)}}), (whole, {"icl": {}})):
        with pytest.raises(ValueError, match=r"Wanted 1\.\.6 accuracies with all heads"):
            ablations(intact, without)
