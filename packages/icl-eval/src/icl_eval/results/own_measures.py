"""Measures of the caller's own, taken in the same pass as those of the package."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from icl_eval.results.collect import as_array
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Measure
from icl_eval.results.tally import HIDDEN, Ratio, Tally

OwnMeasure = tuple[Callable[[Any, Any], Any], Measure]
"""A function of what a model predicted for a batch, and of the batch with its answers, and the words of what it gives.

It gives a number for each sequence or task, [B]; or for each of its items or points, [B, N], which all count alike; or
a `Ratio` of two numbers for each sequence, where they do not. Those of a proportion are in 0..1.
"""


def check_own(own: Mapping[str, OwnMeasure], taken: Collection[str], *, name: str) -> None:
    """Refuse measures that lack words, or have a name that another has or that would hide them."""
    for each, pair in own.items():
        if each in taken:
            raise ValueError(f"{name}: there is a measure {each} already; give yours another name.")
        if not each or each.startswith(HIDDEN):
            raise ValueError(f"{name}: wanted a name of a measure that does not begin with {HIDDEN}, got {each!r}.")
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0]) and isinstance(pair[1], Measure)):
            raise TypeError(f"{name}: wanted the measure {each} as a function and its words, (function, Measure(...)).")


def own_ratios(
    own: Mapping[str, OwnMeasure], predictions: Any, batch: Mapping[str, Any], *, count: int, name: str
) -> dict[str, Ratio]:
    """Return what each of the `count` sequences or tasks of a batch adds to each measure."""
    return {
        each: _ratio(function(predictions, batch), count, name=f"{name}: {each}") for each, (function, _) in own.items()
    }


def _ratio(found: Any, count: int, *, name: str) -> Ratio:
    if isinstance(found, Ratio):
        ratio = Ratio(*(as_array(part, name=name, who="the measure") for part in found))
        shapes = [list(part.shape) for part in ratio]
        if shapes != [[count], [count]]:
            raise ValueError(f"{name}: wanted numerators and denominators [{count}], got the shapes {shapes}.")
        return ratio
    values = as_array(found, name=name, who="the measure")
    if values.ndim not in (1, 2) or len(values) != count or 0 in values.shape:
        raise ValueError(
            f"{name}: wanted a number for each sequence or task, [{count}], for each of its items, [{count}, N], or a "
            f"Ratio; the measure gave the shape {list(values.shape)}."
        )
    values = values.reshape(count, -1)
    return Ratio(values.sum(axis=1), np.full(count, values.shape[1]))


def own_estimates(own: Mapping[str, OwnMeasure], ratios: Mapping[str, Ratio]) -> dict[str, Estimate]:
    """Return the measures with their intervals, but for those that nothing counted in."""
    return Tally.of(ratios).estimates(own_words(own)) if own else {}


def own_words(own: Mapping[str, OwnMeasure]) -> dict[str, Measure]:
    """Return the words of the measures."""
    return {name: words for name, (_, words) in own.items()}
