"""Parts of a report that several of its sections are made of: cards, plots, and numbers put into words."""

import math
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from icl_eval.curve import Curve
from icl_eval.drawing import DARK, LIGHT, Theme, encode
from icl_eval.estimate import Estimate, readable
from icl_eval.page import Html, data_uri, tag
from icl_eval.run_folder import write_atomically


def card(title: str, *, value: str, said: Html, meaning: str, kind: str) -> Html:
    """Return a headline: a value, what is known about it, and what it means; `kind` chooses its colour.

    >>> card("Unseen tasks", value="0.6", said=tag("p", "of 9"), meaning="New ones.", kind="icl")[:29]
    '<section class="number icl"><'
    """
    return tag(
        "section",
        tag("h2", title),
        tag("p", value, class_="value"),
        said,
        tag("p", meaning, class_="soft"),
        class_=f"number {kind}",
    )


def plot(
    folder: Path, name: str, draw: Callable[[Theme], Figure], *, alt: str, caption: str, kind: str = "plot"
) -> Html:
    """Draw for light and for dark pages, save the light figure as figures/<name>.png, and return both to be shown."""
    light, dark = draw(LIGHT), draw(DARK)
    write_atomically(folder / "figures" / f"{name}.png", encode(light, form="png"))
    return embedded(light, dark, alt=alt, caption=caption, kind=kind)


def embedded(light: Figure, dark: Figure, *, alt: str, caption: str, kind: str = "plot") -> Html:
    """Return a figure of a page that shows whichever of two fits the colours that its reader prefers."""
    source, shown = (data_uri(encode(figure, form="svg"), "image/svg+xml") for figure in (dark, light))
    image = tag(
        "picture",
        tag("source", media="(prefers-color-scheme: dark)", srcset=source),
        tag("img", src=shown, alt=alt),
    )
    return tag("figure", image, tag("figcaption", caption), class_=kind)


def against(estimate: Estimate, chance: float) -> Html:
    """Say what the interval allows to say about chance, and no more."""
    verdict = "above" if estimate.low > chance else "below" if estimate.high < chance else "not distinguishable from"
    return tag("b", f"{verdict} chance ({chance_text(chance)})")


def interval(estimate: Estimate) -> str:
    r"""Return the interval with a proper dash.

    >>> interval(Estimate(value=0.5, low=0.4, high=0.6, count=9)) == "0.400\N{EN DASH}0.600"
    True
    """
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return estimate.interval
    return f"{readable(estimate.low)}\N{EN DASH}{readable(estimate.high)}"


def chance_text(chance: float | None) -> str:
    """Return chance to two digits, or nothing where there is none.

    >>> chance_text(1 / 3), chance_text(None)
    ('0.33', '')
    """
    return "" if chance is None else f"{chance:.2g}"


def course(curve: Curve, *, at: str) -> str:
    """Say from where to where a curve goes, `at` being what its steps are.

    >>> import numpy as np
    >>> course(Curve(*[np.array([0.0, 50.0])] * 4), at="step")
    'from 0 at step 0 to 50.000 at step 50'
    """
    first, last = (f"{readable(curve.values[place])} at {at} {curve.steps[place]:,.0f}" for place in (0, -1))
    return f"from {first} to {last}"


def title(name: str) -> str:
    """Return a name of files and evaluations as words.

    >>> title("random_mlp_tanh")
    'Random mlp tanh'
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
