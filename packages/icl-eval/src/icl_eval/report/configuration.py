"""How a run was made: its configuration, and in what it differs from its preset."""

from icl_eval.report.html import NOTHING, Figures, Markup, breakable, json_address, part, render
from icl_eval.runs.options import differences, flatten
from icl_eval.runs.reading import CONFIG, SUMMARY, Run

_ABSENT = "\N{EM DASH}"
_OF_RESULTS = ("headlines", "learner")  # which the page shows


def configuration(run: Run, figures: Figures) -> Markup:
    """Return config.json: the difference from the preset, then all it says, to be unfolded."""
    told = ("config", "versions", "preset", *_OF_RESULTS)
    named = {"Configuration": run.config.get("config"), "Versions": run.config.get("versions")}
    named["Session"] = {key: value for key, value in run.config.items() if key not in told}
    folded = {
        title: [(breakable(name), option) for name, option in flatten(value)] for title, value in named.items() if value
    }
    preset, found = _differences(run)
    return render("configuration", folded=folded, preset=preset, differences=found) if folded else NOTHING


def _differences(run: Run) -> tuple[str, list[tuple[Markup, str, str]] | None]:
    """Return the name of the run's preset, and in what the run differs; None where it does not say."""
    preset, config = run.config.get("preset"), run.config.get("config")
    if not isinstance(preset, dict) or not isinstance(preset.get("config"), dict) or not isinstance(config, dict):
        return "", None
    rows = [
        (breakable(option), _ABSENT if theirs is None else theirs, _ABSENT if ours is None else ours)
        for option, ours, theirs in differences(config, preset["config"])
    ]
    return str(preset.get("name", "without a name")), rows


def downloads(run: Run, figures: Figures) -> Markup:
    """Return summary.json, config.json and the results of all evaluations to download, those that there are."""
    evaluations = [
        {"step": step} | result.to_json() for results in run.evaluations.values() for step, result in results.items()
    ]
    offered = {SUMMARY: run.summary, CONFIG: run.config, "evaluations.json": evaluations}
    files = {name: json_address(content) for name, content in offered.items() if content}
    return part("downloads", files=files) if files else NOTHING
