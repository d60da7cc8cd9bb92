"""Sections of a report on task learners: what was made of more examples, and of functions."""

import numpy as np

from icl_eval.figures.tasks import fitted_functions, learning_curves
from icl_eval.report.html import NOTHING, Figures, Markup
from icl_eval.report.words import headlines_first, title, titles
from icl_eval.results.curve import ScalarCurve, course
from icl_eval.results.estimate import readable
from icl_eval.results.saved_arrays import Fits, ShotCurves
from icl_eval.runs.reading import Run

_COLUMNS = 3  # functions of an evaluation that are drawn


def by_examples(run: Run, figures: Figures) -> Markup:
    """Return every measure by the number of examples, drawn, those of headlines first."""
    names = headlines_first(run, run.shots)
    return NOTHING.join(_curves(name, run.shots[name], figures) for name in names)


def _curves(name: str, curves: ShotCurves, figures: Figures) -> Markup:
    measure = curves.measure.replace("_", " ")
    said = "; ".join(f"{line} {course(_known(curve), at='examples')}" for line, curve in curves.curves.items())
    caption = (
        f"The {measure} of the model and of baselines after so many examples of a task. {curves.count:,} tasks per "
        "point, of baselines perhaps fewer; the band is the model's 95 % interval"
    )
    if curves.measure == "squared_error":
        caption += ". The axis is logarithmic and spans at most five decades."
    else:
        has_chance = any(curve.chance is not None for curve in curves.curves.values())
        caption += "; the dotted line is chance." if has_chance else "."
    return figures.add(
        f"shots_{name}",
        learning_curves(curves, title=title(name)),
        alt=f"{title(name)}, {measure} by number of examples: {said}.",
        caption=caption,
    )


def _known(curve: ScalarCurve) -> ScalarCurve:
    """Return the curve where its values are known; as it is if nowhere."""
    return curve.where(np.isfinite(curve.values)) or curve


def fitted(run: Run, figures: Figures) -> Markup:
    """Return functions with what was made of them, drawn, a row for each evaluation."""
    if not run.fits:
        return NOTHING
    shown = titles(list(run.fits))
    said = "; ".join(f"{shown[name]} {_fit_errors(fits)}" for name, fits in run.fits.items())
    return figures.add(
        "fits",
        fitted_functions({shown[name]: fits for name, fits in run.fits.items()}, columns=_COLUMNS),
        alt=f"Functions and their fits; mean squared distance from the truth as drawn: {said}.",
        caption="A row for each family of functions, in each panel another function: the truth, the points that were "
        "shown, and what was made of them. Lines are cut off where they leave the panel.",
        wide=True,
    )


def _fit_errors(fits: Fits) -> str:
    errors = {
        name: float(np.mean((values - fits.truth)[:_COLUMNS] ** 2, dtype=np.float64))
        for name, values in fits.predictions.items()
    }
    return ", ".join(f"{name} {readable(error)}" for name, error in errors.items())
