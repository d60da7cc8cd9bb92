"""How a run was made: its configuration, and in what it differs from its preset."""

import json
import math
from pathlib import Path
from typing import Any

from icl_eval.report.html import Html, breakable, data_uri, table, tag
from icl_eval.runs.options import differences, flatten
from icl_eval.runs.reading import CONFIG, SUMMARY, Run

_ABSENT = "\N{EM DASH}"


def setting(run: Run, folder: Path) -> Html:
    """Show config.json: the difference from the preset, then all it says, to be unfolded."""
    named = {"Configuration": run.config.get("config"), "Versions": run.config.get("versions")}
    rest = {key: value for key, value in run.config.items() if key not in ("config", "versions", "preset")}
    folded = [
        tag("details", tag("summary", title), _settings(title, value))
        for title, value in (named | {"Session": rest}).items()
        if value
    ]
    return Html(_difference(run) + "".join(folded))


def _difference(run: Run) -> Html:
    """Say in what the run differs from its preset; nothing where it does not say which that was."""
    preset, config = run.config.get("preset"), run.config.get("config")
    if not isinstance(preset, dict) or not isinstance(preset.get("config"), dict) or not isinstance(config, dict):
        return Html("")
    name = str(preset.get("name", "without a name"))
    rows = [
        [breakable(option), _ABSENT if theirs is None else theirs, _ABSENT if ours is None else ours]
        for option, ours, theirs in differences(config, preset["config"])
    ]
    if not rows:
        return tag("p", f"As preset {name}.")
    said = tag("p", f"Differs from preset {name} in:")
    return Html(said + table(["option", f"preset {name}", "this run"], rows, label="Difference", class_="difference"))


def _settings(title: str, value: Any) -> Html:
    rows = [[breakable(name), setting] for name, setting in flatten(value)]
    return table(["name", "value"], rows, label=title, class_="settings")


def downloads(run: Run, folder: Path) -> Html:
    """Offer summary.json, config.json and the results of all evaluations, those that there are."""
    evaluations = [
        {"step": step} | result.to_json() for results in run.evaluations.values() for step, result in results.items()
    ]
    offered = {SUMMARY: run.summary, CONFIG: run.config, "evaluations.json": evaluations}
    links = [
        tag("a", name, download=name, href=data_uri(json_bytes(content), "application/json"))
        for name, content in offered.items()
        if content
    ]
    return tag("ul", *(tag("li", link) for link in links), class_="downloads") if links else Html("")


def json_bytes(value: Any) -> bytes:
    """Return the value as JSON that every reader takes: with null for numbers that are not finite.

    >>> json_bytes({"loss": [float("nan"), 1]})
    b'{"loss": [null, 1]}'
    """
    return json.dumps(_finite(value), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
