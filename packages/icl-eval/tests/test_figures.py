import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest

from icl_eval import ScalarCurve, emergence
from icl_eval.figures.line_ends import spread
from icl_eval.figures.palette import INK


def curve(points: int, *, chance: float | None = 0.5) -> ScalarCurve:
    steps, values = np.arange(float(points)), np.linspace(0.5, 0.9, points)
    return ScalarCurve(steps=steps, values=values, low=values - 0.05, high=values + 0.05, chance=chance)


def test_lines_are_named_in_the_figure_with_their_last_values_and_chance() -> None:
    figure = emergence({"ICL": curve(5), "IWL": dataclasses.replace(curve(5), chance=0.001)})
    (panel,) = figure.axes
    assert {text.get_text() for text in panel.texts} == {
        "ICL 0.900",
        "IWL 0.900",
        "chance 0.5",
        "chance 0.001",
    }
    assert panel.get_xlabel() == "training step"


def test_what_guessing_gives_is_drawn_once_where_it_is_the_same() -> None:
    same = emergence({"ICL": curve(5), "IWL": curve(5)}).axes[0]
    assert [text.get_text() for text in same.texts].count("chance 0.5") == 1
    (chance,) = [text for text in same.texts if text.get_text() == "chance 0.5"]
    assert chance.get_color() == INK
    apart = emergence({"ICL": curve(5), "IWL": curve(5, chance=0.2)}).axes[0]
    named = {text.get_text(): text.get_color() for text in apart.texts}
    assert (named["chance 0.5"], named["chance 0.2"]) == (named["ICL 0.900"], named["IWL 0.900"])


def test_errors_have_a_logarithmic_panel_of_their_own_with_the_best_constant() -> None:
    curves = {"Unseen": curve(3, chance=1.0), "Accuracy": curve(3)}
    errors, accuracies, loss = emergence(curves, kinds={"Unseen": "error"}, loss=curve(3)).axes
    assert errors.get_yscale() == "log"
    assert {text.get_text() for text in errors.texts} == {"Unseen 0.900", "best constant 1"}
    assert accuracies.get_yscale() == loss.get_yscale() == "linear"
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), curve(3).values)


def test_means_take_what_room_they_need() -> None:
    (panel,) = emergence({"Bits": ScalarCurve(*[np.array([10.0, 20.0])] * 4)}, kinds={"Bits": "mean"}).axes
    assert panel.get_ylim() == (9.5, 20.5)


def test_labels_do_not_overlap_even_if_all_lines_end_together() -> None:
    figure = emergence({"ICL": curve(5, chance=0.9), "IWL": curve(5, chance=0.89)}, loss=curve(5))
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("points", [1, 2, 61])
def test_short_and_long_curves_and_unknown_values_are_drawn(points: int) -> None:
    unknown = dataclasses.replace(curve(points), values=np.full(points, np.nan))
    figure = emergence({"ICL": unknown}, loss=curve(points, chance=None))
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts] == ["chance 0.5"]


def test_a_single_step_stands_alone_on_its_axis() -> None:
    figure = emergence({"ICL": curve(1)})
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    assert [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high] == [0]
    longer = emergence({"ICL": curve(1)}, loss=curve(5)).axes[0]
    assert longer.get_xlim()[1] > 3  # the loss goes on


def test_every_part_may_be_left_out_but_not_all() -> None:
    assert len(emergence({}, loss=curve(3)).axes) == 1
    assert len(emergence({"ICL": curve(3)}, loss=curve(3)).axes) == 2
    with pytest.raises(ValueError, match="got 0"):
        emergence({})


def test_spread_keeps_order_and_distance() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        heights = sorted(generator.random(4).tolist())
        moved = spread(heights, gap=0.1, low=0.0, high=1.0)
        assert all(np.diff(moved) > 0.1 - 1e-9)
        assert -1e-9 < moved[0] <= moved[-1] < 1 + 1e-9


def test_a_curve_wants_columns_of_one_length() -> None:
    with pytest.raises(ValueError, match="as many values"):
        ScalarCurve(steps=np.zeros(0), values=np.zeros(0), low=np.zeros(0), high=np.zeros(0))


def test_smoothing_a_constant_changes_nothing() -> None:
    flat = ScalarCurve(*[np.full(50, 3.0)] * 4)
    np.testing.assert_allclose(flat.smoothed(window=7).values, 3.0)


def test_importing_and_drawing_leave_no_global_matplotlib_state() -> None:
    program = (
        "import sys, numpy as np, icl_eval\n"
        "from icl_eval import ScalarCurve, emergence, encode\n"
        "encode(emergence({'ICL': ScalarCurve(*[np.arange(3.0)] * 4)}), form='svg')\n"
        "import matplotlib\n"
        "assert matplotlib.rcParams['svg.hashsalt'] is None\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'sklearn' not in sys.modules\n"
        "assert not {'icl_data', 'icl_models', 'icl_train', 'haiku'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
