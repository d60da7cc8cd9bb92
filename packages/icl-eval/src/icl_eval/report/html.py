"""A page: HTML put together from elements whose text is escaped unless it is HTML already."""

import base64
import hashlib
import html
import io
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.image import imsave

from icl_eval.figures.drawing import DARK, LIGHT, Theme, encode
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.runs.writing import write_atomically


class Html(str):
    """Text that is HTML already; `tag` escapes every other string."""


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """Return an element.

    A trailing underscore frees an attribute's name (`class_`); other underscores become dashes.

    >>> tag("p", "5 < 7 ", tag("b", "always"), class_="note")
    '<p class="note">5 &lt; 7 <b>always</b></p>'
    >>> tag("img", src="a.png", alt="A plot")
    '<img src="a.png" alt="A plot">'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if name in ("img", "source", "meta"):
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    """Return the children one after another, escaped where they are plain text."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def table(header: Iterable[str], rows: Iterable[Iterable[str]], *, label: str, class_: str) -> Html:
    """Return a table whose rows start with a header cell, in a box that scrolls where it is too wide."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = (tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)) for first, *rest in rows)
    whole = tag("table", tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_=f"scroll {class_}", role="region", tabindex="0", aria_label=label)


def breakable(name: str, *, after: str = ".") -> Html:
    """Return a name that may wrap after its dots, or after another character.

    >>> breakable("train.steps")
    'train.<wbr>steps'
    """
    return Html(html.escape(name).replace(after, f"{after}<wbr>"))


def data_uri(content: bytes, media_type: str) -> str:
    """Return the content as an address that needs no request."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def picture(pixels: UInt8[np.ndarray, "H W"]) -> str:
    """Return a grey image as a PNG data address: one pixel per pixel, 0 black and 255 white."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, cmap="gray", vmin=0, vmax=255, format="png")
    return data_uri(buffer.getvalue(), "image/png")


def document(title: str, *, style: str, body: Html, script: str = "") -> str:
    """Return a whole document that may load nothing from anywhere, and run no script but its own: its policy says so.

    Raises:
      ValueError: if the script could not stand in a page as it is.

    >>> "script-src &#x27;sha256-" in document("A page", style="", body=tag("main"), script="let answer = 42;")
    True
    """
    if "</" in script or "<!--" in script or "\r" in script:
        raise ValueError("Wanted a script without </, <!-- and carriage returns: HTML would change it or end it there.")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    if script:
        # Only the script whose hash this is may run, whatever else found its way into the page.
        policy += f"; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    scripts = [tag("script", Html(script))] if script else []
    return f"<!doctype html>\n{tag('html', head, tag('body', body, *scripts), lang='en')}\n"


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


def course(curve: ScalarCurve, *, at: str) -> str:
    """Say from where to where a curve goes, `at` being what its steps are.

    >>> import numpy as np
    >>> course(ScalarCurve(*[np.array([0.0, 50.0])] * 4), at="step")
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
