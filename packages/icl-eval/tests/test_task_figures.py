import dataclasses
import itertools

import numpy as np
import pytest

from icl_eval import ScalarCurve
from icl_eval.figures.tasks import fitted_functions, learning_curves
from icl_eval.results.saved_arrays import Fits, ShotCurves


def curve(values: list[float], *, steps: list[float] | None = None, chance: float | None = None) -> ScalarCurve:
    array = np.array(values)
    at = np.arange(float(len(values))) if steps is None else np.array(steps)
    return ScalarCurve(steps=at, values=array, low=array * 0.9, high=array * 1.1, chance=chance)


def fits(functions: int = 3, *, seed: int = 0, scale: float = 1.0) -> Fits:
    generator = np.random.default_rng(seed)
    truth = scale * generator.normal(size=(functions, 7))
    shown = np.sort(generator.uniform(-1, 1, (functions, 4)), axis=1)
    return Fits(
        context_inputs=shown,
        context_targets=scale * generator.normal(size=shown.shape),
        inputs=np.tile(np.linspace(-1, 1, 7), (functions, 1)),
        truth=truth,
        predictions={"model": truth + 1, "constant": truth * 0, "3-NN": truth - 1, "Gaussian process": truth * 2},
    )


CURVES = {"model": curve([0.1, 0.5, 0.8], chance=0.1), "3-NN": curve([0.1, 0.6], steps=[0.0, 2.0])}
ACCURACIES = ShotCurves(measure="accuracy", curves=CURVES, count=64)
ERRORS = ShotCurves(measure="squared_error", curves=CURVES, count=64)


@pytest.mark.parametrize("drawn", [ACCURACIES, ERRORS])
def test_lines_are_the_curves_that_were_given(drawn: ShotCurves) -> None:
    figure = learning_curves(drawn, title="Unseen tasks")
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.lines}
    for name, given in CURVES.items():
        np.testing.assert_array_equal(lines[name].get_xdata(), given.steps)
        np.testing.assert_array_equal(lines[name].get_ydata(), given.values)
    assert lines["model"].get_linewidth() > lines["3-NN"].get_linewidth()
    assert len(panel.collections) == 1  # the band is the model's alone
    assert panel.get_yscale() == ("linear" if drawn.measure == "accuracy" else "log")
    assert panel.get_xlim() == (0, 2)
    level = "chance 0.1" if drawn.measure == "accuracy" else "best constant 0.1"
    assert {text.get_text() for text in panel.texts} == {"model 0.800", "3-NN 0.600", level}
    assert panel.get_title(loc="left") == "Unseen tasks"


def test_labels_of_many_baselines_do_not_overlap_and_stay_inside() -> None:
    many = {"model": curve([1.0, 0.1])} | {
        f"baseline {number}": curve([1.0, 0.1 + 0.001 * number]) for number in range(14)
    }
    for measure in ("accuracy", "squared_error"):
        figure = learning_curves(ShotCurves(measure=measure, curves=many, count=9), title="Many")
        figure.draw_without_rendering()
        boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
        assert len(boxes) == 15
        assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes))
        assert all(box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
        looks = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines}  # type: ignore[attr-defined]
        assert len(looks) == 15


@pytest.mark.parametrize("values", [[0.5], [np.nan, np.nan], [0.0, 0.0], [1.0, 1e-28], [0.2, np.nan, 0.3]])
@pytest.mark.parametrize("measure", ["accuracy", "squared_error"])
def test_odd_curves_are_drawn(values: list[float], measure: str) -> None:
    odd = ShotCurves(measure=measure, curves={"model": curve(values), "ridge": curve(values)}, count=1)
    figure = learning_curves(odd, title="Odd")
    figure.draw_without_rendering()
    assert len(figure.axes[0].lines) >= 2


def test_an_error_of_almost_nothing_does_not_flatten_the_others() -> None:
    exact = ShotCurves(
        measure="squared_error", curves={"model": curve([1.0, 0.1]), "exact": curve([1.0, 1e-28])}, count=9
    )
    (panel,) = learning_curves(exact, title="Linear").axes
    low, high = panel.get_ylim()
    assert 0.99e-5 < low / high < 1.01e-5
    assert "exact 1e-28" in {text.get_text() for text in panel.texts}


def test_context_sizes_in_octaves_are_drawn_in_octaves() -> None:
    sizes = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    (panel,) = learning_curves(
        ShotCurves(measure="accuracy", curves={"model": curve([0.5] * 8, steps=sizes)}, count=9), title="Sizes"
    ).axes
    assert panel.get_xscale() == "symlog"
    assert [float(text.get_text()) for text in panel.get_xticklabels()] == sizes
    assert learning_curves(ACCURACIES, title="Even").axes[0].get_xscale() == "linear"


def test_a_panel_shows_truth_context_model_and_the_first_two_baselines() -> None:
    given = fits()
    figure = fitted_functions({"sines": given})
    assert len(figure.axes) == 3
    for number, panel in enumerate(figure.axes):
        lines = {line.get_label(): line.get_ydata() for line in panel.lines}
        assert set(lines) == {"truth", "context", "model", "constant", "3-NN"}
        np.testing.assert_array_equal(lines["truth"], given.truth[number])
        np.testing.assert_array_equal(lines["context"], given.context_targets[number])
        np.testing.assert_array_equal(lines["model"], given.predictions["model"][number])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["truth", "context", "model", "constant", "3-NN"]


def test_twelve_families_get_a_row_each_with_their_names() -> None:
    families = {f"family_of_functions_{number}": fits(5, seed=number, scale=10.0**number) for number in range(12)}
    figure = fitted_functions(families)
    assert len(figure.axes) == 12 * 3
    names = [panel.get_ylabel().replace("\n", " ") for panel in figure.axes[::3]]
    assert names == [name.replace("_", " ") for name in families]
    figure.draw_without_rendering()
    boxes = [panel.yaxis.label.get_window_extent() for panel in figure.axes[::3]]
    assert all(box.x0 >= 0 for box in boxes)
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))


def test_families_of_different_size_and_fits_that_fail_are_drawn() -> None:
    lost = dataclasses.replace(fits(1), predictions={"model": np.full((1, 7), np.nan), "odd": np.full((1, 7), 1e9)})
    figure = fitted_functions({"few": lost, "many": fits(2)})
    figure.draw_without_rendering()
    assert [panel.axison for panel in figure.axes] == [True, False, True, True]
    assert max(figure.axes[0].get_ylim()) < 1e3
    with pytest.raises(ValueError, match="families and columns, got 0 and 3"):
        fitted_functions({})
