import numpy as np
import pytest

from icl_eval import Estimate, Result, encode, proportion
from icl_eval.figures.frequency import by_frequency, deciles


def tenths(missing: int = -1) -> list[Estimate | None]:
    return [None if place == missing else proportion(10 * place, 100) for place in range(10)]


def test_values_and_intervals_stand_at_their_tenths_and_missing_ones_leave_a_gap() -> None:
    (panel,) = by_frequency({"iwl": tenths(missing=3)}).axes
    drawn = panel.containers[0]
    np.testing.assert_allclose(drawn[0].get_xdata(), np.arange(1, 11))
    wanted = np.arange(10) / 10
    wanted[3] = np.nan
    np.testing.assert_allclose(drawn[0].get_ydata(), wanted)
    whisker = drawn[2][0].get_segments()[5]
    known = proportion(50, 100)
    np.testing.assert_allclose(whisker[:, 1], [known.low, known.high])


def test_evaluations_stand_side_by_side_and_are_named_with_their_last_known_value() -> None:
    curves = {"no_support_zipfian": tenths(), "swapped": tenths(missing=9), "c": tenths()}
    (panel,) = by_frequency(curves).axes
    places = [container[0].get_xdata()[0] for container in panel.containers]
    assert places == sorted(places)
    assert len(set(places)) == 3
    assert len({container[0].get_color() for container in panel.containers}) == 3
    texts = [text.get_text() for text in panel.texts]
    assert {"no support", "zipfian: 0.900", "swapped 0.800", "c 0.900"} == set(texts)


def test_an_interval_that_is_not_known_is_left_out() -> None:
    one = Estimate(value=0.5, low=np.nan, high=np.nan, count=1)
    assert encode(by_frequency({"a": [one] * 10}), form="svg")


def test_what_cannot_be_drawn_is_refused() -> None:
    for curves, wanted in (
        ({}, r"1\.\.3 evaluations, got 0"),
        (dict.fromkeys("abcd", tenths()), r"1\.\.3 evaluations, got 4"),
        ({"a": tenths()[:9]}, "wanted 10 estimates"),
        ({"a": [None] * 10}, "got 10 with 0 known"),
    ):
        with pytest.raises(ValueError, match=wanted):
            by_frequency(curves)


def test_deciles_come_from_their_metrics_in_order() -> None:
    metrics = {f"accuracy_open_decile_{place}": proportion(place, 10) for place in (10, 2, 1)}
    found = deciles(Result(evaluation="x", metrics=metrics, chance={}))
    assert found is not None
    assert [None if estimate is None else estimate.value for estimate in found] == [0.1, 0.2, *[None] * 7, 1.0]
