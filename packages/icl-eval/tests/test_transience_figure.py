import numpy as np
import pytest

from icl_eval import ScalarCurve
from icl_eval.figures.transience import Decline, decline, describe_transience, transience

STEPS = [0.0, 10.0, 100.0, 1000.0, 10000.0]


def curve(values: list[float], *, radius: float = 0.05, chance: float | None = 0.5) -> ScalarCurve:
    line = np.array(values)
    return ScalarCurve(
        steps=np.array(STEPS[: len(line)]), values=line, low=line - radius, high=line + radius, chance=chance
    )


def test_a_fall_is_told_only_if_the_intervals_do_not_overlap() -> None:
    fallen = curve([0.5, 0.6, 0.9, 0.8, 0.7])
    lost = decline(fallen)
    assert lost == Decline(peak_step=100.0, peak=0.9, last_step=10000.0, last=0.7, is_certain=True)
    assert lost is not None and lost.depth == 0.2  # not 0.20000000000000007
    assert "at step 10,000 it is 0.700, 0.200 below its peak" in describe_transience(fallen)
    unsure = curve([0.5, 0.6, 0.9, 0.8, 0.7], radius=0.11)
    assert describe_transience(unsure).endswith("no fall that the intervals can tell")
    unknown = curve([0.5, 0.6, 0.9, 0.8, 0.7], radius=np.nan)
    assert describe_transience(unknown).endswith("no fall that the intervals can tell")


def test_the_first_of_equal_peaks_counts_and_unknown_values_do_not() -> None:
    lost = decline(curve([np.nan, 0.9, 0.9, 0.5, np.nan]))
    assert lost is not None
    assert (lost.peak_step, lost.last_step, lost.last) == (10.0, 1000.0, 0.5)
    assert decline(curve([np.nan, np.nan])) is None
    assert describe_transience(curve([np.nan])) == "not known at any step"


def test_the_axis_is_logarithmic_without_step_zero_and_the_peaks_are_marked() -> None:
    icl, iwl = curve([0.99, 0.6, 0.9, 0.8, 0.7]), curve([0.0, 0.1, 0.2, 0.3, 0.4], chance=0.001)
    (panel,) = transience({"ICL": icl, "IWL": iwl}).axes
    assert panel.get_xscale() == "log"
    lines = {line.get_label(): line.get_xydata() for line in panel.lines}
    np.testing.assert_allclose(lines["ICL"], np.c_[STEPS[1:], icl.values[1:]])
    np.testing.assert_allclose(lines["ICL: peak"], [[100.0, 0.9]])  # not step 0, which is higher
    np.testing.assert_allclose(lines["IWL"], np.c_[STEPS[1:], iwl.values[1:]])
    np.testing.assert_allclose(lines["IWL: peak"], [[10000.0, 0.4]])
    texts = {text.get_text() for text in panel.texts}
    assert texts == {
        *("ICL 0.700", "0.200 below its peak", "IWL 0.400", "ends at its peak", "chance 0.5", "chance 0.001"),
    }


def test_nothing_above_step_zero_is_refused() -> None:
    for curves in ({}, {"ICL": curve([0.5])}, {"ICL": curve([0.5, np.nan])}):
        with pytest.raises(ValueError, match="step above 0"):
            transience(curves)


def test_a_second_axis_counts_sequences_where_the_batch_size_is_known() -> None:
    lines = {"ICL": curve([0.5, 0.6, 0.9])}
    figure = transience(lines, batch_size=32)
    (panel,), (plain,) = figure.axes, transience(lines).axes
    figure.draw_without_rendering()
    (above,) = panel.child_axes
    low, high = panel.get_xlim()
    np.testing.assert_allclose(above.get_xlim(), (32 * low, 32 * high))
    assert above.get_xlabel() == "sequences seen"
    texts = [tick.get_text() for tick in above.get_xticklabels()]
    assert dict(zip(texts, above.get_xticks(), strict=True))["1k"] == 1_000
    assert not plain.child_axes
