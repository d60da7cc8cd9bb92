"""How a run was made: its configuration, and in what it differs from its preset."""

from pathlib import Path
from typing import Any

from icl_eval.page import Html, breakable, table, tag
from icl_eval.run import Run

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


def differences(value: Any, other: Any) -> list[tuple[str, str | None, str | None]]:
    """Return the options in which two configurations differ: name, the one's, the other's; None where it has none.

    >>> differences({"train": {"steps": 9}, "seed": 0}, {"train": {"steps": 7, "rate": 1}, "seed": 0})
    [('train.steps', '9', '7'), ('train.rate', None, '1')]
    """
    ones, others = dict(flatten(value)), dict(flatten(other))
    names = dict.fromkeys([*ones, *others])
    return [(name, ones.get(name), others.get(name)) for name in names if ones.get(name) != others.get(name)]


def flatten(value: Any, *, name: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested JSON with dotted names, as the command line spells them.

    >>> flatten({"train": {"steps": 2000, "mesh": []}, "seed": 0})
    [('train.steps', '2000'), ('train.mesh', '[]'), ('seed', '0')]
    """
    if isinstance(value, dict) and value:
        return [
            leaf for key, inner in value.items() for leaf in flatten(inner, name=f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        return [leaf for place, inner in enumerate(value) for leaf in flatten(inner, name=f"{name}[{place}]")]
    return [(name, ", ".join(map(str, value)) if isinstance(value, list) and value else str(value))]


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
