import numpy as np
import pytest
from matplotlib.collections import PathCollection

from icl_eval import against_settings

SERIES = {"ICL": [[0.5, 0.6], [], [0.9]], "IWL": [[1.0, 0.8], [0.4], [0.1, 0.3]]}


def test_lines_go_through_the_means_and_every_seed_has_a_dot() -> None:
    (panel,) = against_settings(["0", "0.5", "1"], SERIES, x_label="p_bursty", chance=0.5).axes
    np.testing.assert_allclose(panel.lines[0].get_ydata(), [0.55, np.nan, 0.9])
    np.testing.assert_allclose(panel.lines[1].get_ydata(), [0.9, 0.4, 0.2])
    dots = [np.asarray(dot.get_offsets()) for dot in panel.collections if isinstance(dot, PathCollection)]
    np.testing.assert_allclose(dots[0], [(0, 0.5), (0, 0.6), (2, 0.9)])
    assert len(dots[1]) == 5
    assert [text.get_text() for text in panel.get_xticklabels()] == ["0", "0.5", "1"]


@pytest.mark.parametrize("series", [{}, {"ICL": [[1.0]]}, {str(i): [[1.0]] * 3 for i in range(7)}])
def test_series_that_do_not_fit_are_an_error(series: dict[str, list[list[float]]]) -> None:
    with pytest.raises(ValueError, match=r"Wanted 1\.\.6 series"):
        against_settings(["0", "0.5", "1"], series, x_label="p")
