import numpy as np
import pytest

from icl_eval import Result, proportion
from icl_eval.figures.grid import confusion, confusion_matrix


def result(**metrics: int) -> Result:
    return Result(evaluation="x", metrics={name: proportion(value, 10) for name, value in metrics.items()}, chance={})


def test_the_matrix_is_read_from_its_metrics_true_label_by_predicted() -> None:
    found = confusion_matrix(
        result(
            accuracy_open=1,
            confusion_0_to_0=6, confusion_0_to_1=3, confusion_0_to_other=1, confusion_1_to_0=2, confusion_1_to_other=8,
        )
    )  # fmt: skip
    assert found is not None
    np.testing.assert_allclose(found[0], [[0.6, 0.3, 0.1], [0.2, np.nan, 0.8]])
    assert found[1] == (10, 10)
    assert confusion_matrix(result(accuracy_open=1)) is None


def test_a_label_without_queries_has_none() -> None:
    found = confusion_matrix(result(confusion_0_to_1=6, confusion_0_to_other=4))
    assert found is not None
    assert found[1] == (10, 0)
    assert np.isnan(found[0][1]).all()


def test_shares_stand_in_the_cells_and_counts_at_the_rows() -> None:
    (panel,) = confusion(np.array([[0.9, 0.08, 0.02], [0.25, 0.5, 0.25]]), [1200, 7]).axes
    assert [text.get_text() for text in panel.texts] == ["0.90", "0.08", "0.02", "0.25", "0.50", "0.25"]
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["0 (of 1,200)", "1 (of 7)"]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0", "1", "another\nlabel"]


def test_what_does_not_fit_is_refused() -> None:
    for shares, counts, wanted in (
        (np.zeros((2, 2)), [1, 1], r"W, W \+ 1"),
        (np.zeros((2, 3)), [1], "1 counts"),
        (np.zeros((13, 14)), [1] * 13, r"1\.\.12"),
        (np.zeros((0, 1)), [], r"1\.\.12"),
        (np.full((1, 2), 1.5), [1], r"0\.\.1"),
    ):
        with pytest.raises(ValueError, match=wanted):
            confusion(shares, counts)
