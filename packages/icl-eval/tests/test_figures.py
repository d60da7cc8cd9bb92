import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest

from icl_eval import DARK, ScalarCurve, comparison, emergence, encode
from icl_eval.figures import drawing


def curve(points: int, *, chance: float | None = 0.5) -> ScalarCurve:
    steps, values = np.arange(float(points)), np.linspace(0.5, 0.9, points)
    return ScalarCurve(steps=steps, values=values, low=values - 0.05, high=values + 0.05, chance=chance)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_numbers_give_the_same_bytes(form: str) -> None:
    drawn = [encode(emergence(icl=curve(9), iwl=curve(9), loss=curve(200, chance=None)), form=form) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != encode(emergence(icl=curve(9), iwl=None), form=form)
    assert b"matplotlib.org" not in drawn[0]


def test_lines_are_named_in_the_figure_with_their_last_values_and_chance() -> None:
    figure = emergence(icl=curve(5), iwl=dataclasses.replace(curve(5), chance=0.001), theme=DARK, x_label="seconds")
    (panel,) = figure.axes
    assert {text.get_text() for text in panel.texts} == {
        "ICL 0.900",
        "IWL 0.900",
        "chance 0.5",
        "chance 0.001",
    }
    assert panel.get_xlabel() == "seconds"


def test_runs_are_compared_by_name_against_one_chance() -> None:
    figure = comparison({"Transformer": curve(5), "LSTM": curve(7), "RNN": curve(3)}, title="ICL")
    (panel,) = figure.axes
    texts = [text.get_text() for text in panel.texts]
    assert sorted(texts) == ["LSTM 0.900", "RNN 0.900", "Transformer 0.900", "chance 0.5"]
    assert len({line.get_color() for line in panel.lines}) == 4
    apart = {"one": curve(5, chance=0.5), "two": curve(5, chance=0.2)}
    assert {"chance 0.5", "chance 0.2"} < {text.get_text() for text in comparison(apart, title="ICL").axes[0].texts}
    for count in (0, 7):
        with pytest.raises(ValueError, match=rf"1\.\.6 curves to compare, got {count}"):
            comparison({str(number): curve(2) for number in range(count)}, title="ICL")


def test_labels_do_not_overlap_even_if_all_lines_end_together() -> None:
    figure = emergence(icl=curve(5, chance=0.9), iwl=curve(5, chance=0.89), loss=curve(5))
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("points", [1, 2, 61])
def test_short_and_long_curves_and_unknown_values_are_drawn(points: int) -> None:
    unknown = dataclasses.replace(curve(points), values=np.full(points, np.nan))
    assert encode(emergence(icl=unknown, iwl=None, loss=curve(points, chance=None)), form="png")


def test_every_part_may_be_left_out_but_not_all() -> None:
    assert len(emergence(icl=None, iwl=None, loss=curve(3)).axes) == 1
    assert len(emergence(icl=curve(3), iwl=None, loss=curve(3)).axes) == 2
    with pytest.raises(ValueError, match="at least one"):
        emergence(icl=None, iwl=None)


def test_spread_keeps_order_and_distance() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        heights = sorted(generator.random(4).tolist())
        moved = drawing.spread(heights, gap=0.1, low=0.0, high=1.0)
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
        "encode(emergence(icl=ScalarCurve(*[np.arange(3.0)] * 4), iwl=None), form='svg')\n"
        "import matplotlib\n"
        "assert matplotlib.rcParams['svg.hashsalt'] is None\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'sklearn' not in sys.modules\n"
        "assert not {'icl_data', 'icl_models', 'icl_train', 'haiku'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
