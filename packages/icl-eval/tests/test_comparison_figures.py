import itertools

import numpy as np
import pytest

from icl_eval import Estimate, ScalarCurve
from icl_eval.figures.palette import BLUE, ORANGE
from icl_eval.figures.training import final_values, group_colours, groups_over_training


def curve(last: float) -> ScalarCurve:
    values = np.array([0.0, last])
    return ScalarCurve(steps=np.array([0.0, 100.0]), values=values, low=values, high=values, chance=0.5)


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.05, high=value + 0.03, count=100)


@pytest.mark.parametrize("count", [1, 6, 7, 12])
def test_no_two_groups_share_a_colour(count: int) -> None:
    names = [str(place) for place in range(count)]
    colours = group_colours(names, grades={name: 10.0 ** int(name) for name in names})
    assert list(colours) == names
    assert len(set(colours.values())) == count


def test_graded_colours_follow_the_number_and_not_the_order_given() -> None:
    grades = {str(place): float(-place) for place in range(8)}
    given = group_colours(list(grades), grades=grades)
    assert given["7"] == BLUE
    assert given["0"] == ORANGE
    assert group_colours(list(grades)[::-1], grades=grades) == given


def test_too_many_groups_are_refused() -> None:
    for count, grades, wanted in (
        (0, None, r"1\.\.12 groups of runs to compare, got 0"),
        (7, None, "differ in one number alone"),
        (13, {str(place): float(place) for place in range(13)}, "got 13; compare fewer"),
    ):
        with pytest.raises(ValueError, match=wanted):
            group_colours([str(place) for place in range(count)], grades=grades)


def test_both_accuracies_are_drawn_each_in_its_panel_in_the_groups_colours() -> None:
    colours = group_colours(["a", "b"])
    curves = {"ICL": {"a": curve(0.9), "b": curve(0.6)}, "IWL": {"b": curve(0.3)}}
    icl, iwl = groups_over_training(curves, colours=colours).axes
    ends = [(float(line.get_ydata()[-1]), line.get_color()) for line in icl.lines[:2]]
    assert ends == [(0.9, colours["a"]), (0.6, colours["b"])]
    assert (iwl.lines[0].get_ydata()[-1], iwl.lines[0].get_color()) == (0.3, colours["b"])
    assert {text.get_text() for text in icl.texts} == {"a 0.900", "b 0.600", "chance 0.5"}


def test_twelve_long_names_do_not_overlap_and_keep_their_values() -> None:
    names = [f"a-run-with-a-rather-long-name-{place}-of-many" for place in range(12)]
    colours = dict.fromkeys(names, "#000000")
    figure = groups_over_training({"ICL": {name: curve(0.9) for name in names}}, colours=colours)
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1.5 for below, above in itertools.pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert sum(text.get_text().endswith("0.900") for text in figure.axes[0].texts) == 12


def test_final_values_stand_with_their_intervals_at_their_groups() -> None:
    unknown = Estimate(value=0.4, low=np.nan, high=np.nan, count=1)
    (panel,) = final_values({"ICL": {"a": estimate(0.9), "b": estimate(0.6)}, "IWL": {"b": unknown}}, chance=0.5).axes
    values = [container[0].get_xdata()[0] for container in panel.containers]
    assert values == [0.9, 0.6, 0.4]
    rows = [round(float(container[0].get_ydata()[0])) for container in panel.containers]
    assert rows == [0, 1, 1]
    whisker = panel.containers[0][2][0].get_segments()[0]
    np.testing.assert_allclose(whisker[:, 0], [0.85, 0.93])
    assert {"0.900", "0.600", "0.400"} == {text.get_text() for text in panel.texts}
    assert panel.get_ylim() == (1.5, -0.5)  # the first on top


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluate the runs first"):
        groups_over_training({"ICL": {}}, colours={})
    with pytest.raises(ValueError, match="evaluate the runs first"):
        final_values({"ICL": {}})
