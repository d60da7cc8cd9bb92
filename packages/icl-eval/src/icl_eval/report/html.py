"""A page: Jinja templates, in which every text is escaped that is not HTML already, and figures that stand in it."""

import base64
import dataclasses
import functools
import hashlib
import io
import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.image import imsave

from icl_eval.figures.drawing import encode
from icl_eval.results.estimate import readable
from icl_eval.results.fragments import chance_text, interval
from icl_eval.runs.writing import write_atomically

NOTHING = Markup("")

# What drawing numbers that make no sense can raise.
ODD = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class Part(NamedTuple):
    """A part of a page that its table of contents names; the anchor is of lower-case letters, digits and dashes."""

    title: str
    anchor: str
    content: Markup


def write_page(path: Path, *, title: str, parts: list[Part], script: str | None = None, **words: Any) -> None:
    """Write a page that loads nothing from anywhere, and runs no script but its own: its policy says so.

    The words are those `above` and `below` the `heading`, which is the title if not given, the `lead` before the parts,
    and the `source` and `command` that the page was made from. Without a script it is that of the package.
    """
    script = _resource("report.js") if script is None else script
    if "</" in script or "<!--" in script or "\r" in script:
        raise ValueError("Wanted a script without </, <!-- and carriage returns: HTML would change it or end it there.")
    # Only the script whose hash this is may run, whatever else found its way into the page.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    page = render(
        "page",
        **{"heading": title, "above": "", "below": "", "lead": "", "source": "", "command": ""} | words,
        title=title,
        parts=parts,
        policy=f"{policy}; script-src 'sha256-{digest}'",
        style=Markup(_resource("report.css")),
        script=Markup(script),
    )
    # A half of a surrogate pair, which JSON can hold and UTF-8 cannot, is shown as a question mark.
    write_atomically(path, page.encode(errors="replace"))


def render(template: str, /, **values: Any) -> Markup:
    r"""Return what a template makes of values; text among them is escaped, Markup is not."""
    return Markup(_templates().get_template(f"{template}.html").render(values))


def part(macro: str, /, **values: Any) -> Markup:
    """Return what a macro of parts.html makes of values."""
    return Markup(getattr(_templates().get_template("parts.html").module, macro)(**values))


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("icl_eval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"readable": readable, "interval": interval, "chance": chance_text, "breakable": breakable}
    environment.filters["sortable"] = lambda n: "" if n is None or not math.isfinite(n) else n
    return environment


def _resource(name: str) -> str:
    return (resources.files("icl_eval.report") / name).read_text(encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Figures:
    """Where the figures of a page go: into the folder as PNG files too, if there is one."""

    folder: Path | None = None

    def add(self, name: str, figure: Figure, *, alt: str, caption: str, wide: bool = False) -> Markup:
        """Return a figure to stand in a page, in whose colours it is shown; its name is its own there."""
        if self.folder is not None:
            file = re.sub(r"[^\w .-]", "_", name) + ".png"  # a name of an evaluation may come from a damaged file
            write_atomically(self.folder / file, encode(figure, form="png"))
        svg = encode(figure, form="svg").decode()
        _, box, drawing = re.split(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', svg, maxsplit=1)
        drawing = re.sub(r"<style.*?</style>", "", drawing.removesuffix("</svg>\n"), flags=re.DOTALL)
        drawing = _with_own_ids(drawing, prefix=f"f{hashlib.sha256(ascii(name).encode()).hexdigest()[:8]}")
        return part("figure", box=box, drawing=Markup(drawing), alt=alt, caption=caption, wide=wide)


def _with_own_ids(svg: str, *, prefix: str) -> str:
    """Return an SVG whose ids are its own among several on a page; those that nothing refers to are dropped.

    >>> _with_own_ids('<g id="a"><path id="b"/><use href="#b"/></g>', prefix="f")
    '<g><path id="f-0"/><use href="#f-0"/></g>'
    """
    referred = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    ids = {old: f"{prefix}-{number}" for number, old in enumerate(referred)}
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{ids[found[1]]}"' if found[1] in ids else "", svg)
    return re.sub(r'((?:href="|url\()#)([^")]+)', lambda found: found[1] + ids[found[2]], svg)


def data_uri(content: bytes, media_type: str) -> str:
    """Return the content as an address that needs no request."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def picture(pixels: UInt8[np.ndarray, "H W"]) -> str:
    """Return a grey image as a PNG data address: one pixel per pixel, 0 black and 255 white."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, cmap="gray", vmin=0, vmax=255, format="png")
    return data_uri(buffer.getvalue(), "image/png")


def json_address(value: Any) -> str:
    """Return a value as the address of a JSON file that every reader takes: with null for numbers not finite.

    >>> base64.b64decode(json_address({"loss": [float("nan"), 1]}).split(",")[1])
    b'{"loss": [null, 1]}'
    """
    return data_uri(json.dumps(_finite(value), allow_nan=False).encode(), "application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def breakable(name: str, after: str = ".") -> Markup:
    """Return a name that may wrap after its dots, or after another character.

    >>> breakable("train.steps")
    Markup('train.<wbr>steps')
    """
    return escape(name).replace(after, Markup(f"{after}<wbr>"))
