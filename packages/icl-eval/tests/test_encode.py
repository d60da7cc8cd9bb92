"""What holds of every figure as a file: the same bytes each time, and colours that the page can change."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from icl_eval import (
    AttentionMaps,
    Estimate,
    Fits,
    ScalarCurve,
    ShotCurves,
    SizePoint,
    ablations,
    against_settings,
    against_size,
    attention_map,
    attention_rows,
    by_frequency,
    confusion,
    emergence,
    encode,
    final_values,
    fitted_functions,
    group_colours,
    groups_over_training,
    heads_over_training,
    heat_map,
    learning_curves,
    phase_curve,
    transience,
)
from icl_eval.figures import drawing
from icl_eval.figures.palette import INK, MOST_SHADES, PAPER, SHADE


def curve(last: float) -> ScalarCurve:
    values = np.array([0.5, 0.9, last])
    return ScalarCurve(np.array([0.0, 10.0, 100.0]), values, values - 0.05, values + 0.05, chance=0.5)


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.05, high=value + 0.05, count=99)


def attention(k: float) -> AttentionMaps:
    at = np.random.default_rng(round(1000 * k)).dirichlet(np.ones(3), size=(1, 1, 1, 3))
    return AttentionMaps(
        images=np.eye(4, dtype=np.uint8)[None, None].repeat(2, 1), attention=at, labels=np.array([[1, 1]]),
        predicted=np.array([1]), item_tokens=np.array([0, 2]), label_tokens=np.array([1]),
    )  # fmt: skip


def fits(value: float) -> Fits:
    line = np.array([[0.0, value]])
    predictions = {"model": line, "a": line + 1, "b": line + 2}
    return Fits(context_inputs=line, context_targets=line, inputs=line, truth=line, predictions=predictions)


def groups(value: float) -> Figure:
    names = [str(place) for place in range(9)]
    colours = group_colours(names, grades={name: float(name) for name in names})
    return groups_over_training({"In context": {name: curve(value) for name in names}}, colours=colours)


def cells(value: float) -> Figure:
    return heat_map(
        np.array([[value, np.nan]]), row_names=["a"], column_names=["b", "c"], row_title="r", column_title="c",
        title="t", kinds=[["task memorization", ""]],
    )  # fmt: skip


def phases(value: float) -> Figure:
    rows = np.full((2, 1), value)
    return phase_curve(np.array([1, 64]), rows, rows, rows, chance=0.1, kinds=[["task memorization"], ["undecided"]])


def sizes(value: float) -> Figure:
    return against_size([SizePoint(trunk="LSTM", state_size=9, parameters=99, accuracy=value)], chance=0.1)


FIGURES: dict[str, Callable[[float], Figure]] = {
    "emergence": lambda v: emergence({"ICL": curve(v), "e": curve(v)}, kinds={"e": "error"}, loss=curve(v)),
    "transience": lambda v: transience({"ICL": curve(v)}),
    "groups": groups,
    "final": lambda v: final_values({"ICL": {"a": estimate(v)}, "IWL": {"b": estimate(v)}}, chance=0.5),
    "learning": lambda v: learning_curves(
        ShotCurves(measure="accuracy", curves={"model": curve(v), "3-NN": curve(v)}, count=9), title="t"
    ),
    "fits": lambda v: fitted_functions({"lines": fits(v)}),
    "frequency": lambda v: by_frequency({"iwl": [None] * 9 + [estimate(v)]}),
    "confusion": lambda v: confusion(np.array([[v, 1 - v]]), [4]),
    "heat_map": cells,
    "heads": lambda v: heads_over_training({(0, head): curve(v) for head in range(7)}, title="Induction"),
    "ablations": lambda v: ablations({"icl": estimate(0.9)}, {"icl": {(0, 0): estimate(v), (1, 0): estimate(0.9)}}),
    "attention_rows": lambda v: attention_rows(attention(v), 0, [(0, 0)]),
    "attention_map": lambda v: attention_map(attention(v), 0, 0, 0),
    "phases": phases,
    "sizes": sizes,
    "settings": lambda v: against_settings(["0", "1"], {"ICL": [[v], []]}, x_label="p", chance=0.5),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_bytes_in_colours_that_a_page_can_change(name: str) -> None:
    draw = FIGURES[name]
    svg = encode(draw(0.7), form="svg")
    assert svg == encode(draw(0.7), form="svg") != encode(draw(0.6), form="svg")
    assert b"matplotlib.org" not in svg
    text = re.sub(r'href="data:[^"]*"', "", svg.decode())
    assert "<!--" not in text
    drawn = {colour for style in re.findall(r'(?:style|fill|stroke)="([^"]*)"', text) for colour in colours(style)}
    assert "var(--ink, #1f2328)" in drawn and "var(--paper, #ffffff)" in drawn
    fixed = {colour for colour in drawn if colour.startswith("#")}
    assert not fixed, "colours that would stay as they are on a dark page"


def colours(style: str) -> list[str]:
    return re.findall(r"(?:color-mix\(.*?%\)|var\(--[a-z]+, #[0-9a-f]{6}\)|#[0-9a-f]{3,6}\b)", style)


def test_a_sweep_is_graded_in_css_as_it_is_here() -> None:
    """Where a page leaves the colours as they are, mixing gives those of the PNG."""
    mixed = {colour: css for colour, css in drawing._CSS.items() if css.startswith("color-mix")}
    assert len(mixed) == MOST_SHADES - 2
    for colour, css in mixed.items():
        before, after = (np.array(to_rgb(end)) for end in re.findall(r"#[0-9a-f]{6}", css))
        share = float(css.split(" ")[-1].rstrip("%)")) / 100
        np.testing.assert_allclose(before + share * (after - before), to_rgb(colour), atol=0.011)


@pytest.mark.parametrize("name", ["emergence", "heat_map"])
def test_a_png_is_the_same_each_time_too(name: str) -> None:
    first, second = (encode(FIGURES[name](0.7), form="png") for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


def luminance(colour: str) -> np.ndarray:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


DARK = {"ink": "#e4e7eb", "paper": "#16191d", "shade": "#0067a3"}
LIGHT = {"ink": INK, "paper": PAPER, "shade": SHADE}


@pytest.mark.parametrize("page", [LIGHT, DARK], ids=["light", "dark"])
def test_numbers_can_be_read_on_every_shade_of_a_cell(page: dict[str, str]) -> None:
    ink = luminance(page["ink"])
    for value in np.linspace(0, 1, 21):
        mixed = (1 - value) * np.array(to_rgb(page["paper"])) + value * np.array(to_rgb(page["shade"]))
        levels = sorted([luminance(mixed), ink])
        assert (levels[1] + 0.05) / (levels[0] + 0.05) >= 4.5
