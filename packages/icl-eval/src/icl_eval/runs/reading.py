"""A run: everything a run folder says, read with tolerance for what is missing or damaged."""

import dataclasses
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from icl_eval.results.curve import Curve
from icl_eval.results.result import Result
from icl_eval.results.saved_arrays import AttentionExamples, ByExamples, Examples, Fits

CONFIG, METRICS, EVALUATIONS, SUMMARY = "config.json", "metrics.jsonl", "eval.jsonl", "summary.json"

HEADLINES = {"icl": ("fewshot_holdout", "accuracy_closed"), "iwl": ("no_support_zipfian", "accuracy_open")}
"""Which metric of which evaluation is a run's in-context and in-weights number (Chan et al. 2022).

Where classes have several labels, it is another, `SEVERAL_LABELS`: `Run.headline` tells which."""

SEVERAL_LABELS = {"iwl": "accuracy_any_label"}  # any label of the query's class is right

_Arrays = TypeVar("_Arrays")

_LEVELS = 40  # how deep JSON may nest; a run's own needs six

# What reading an .npz file with anything in it can raise.
_DAMAGE = (
    *(AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError, EOFError, NotImplementedError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder says.

    Attributes:
      name: the folder's name.
      config: config.json; empty if that is missing.
      metrics: the logged training steps, by step.
      evaluations: by evaluation and step, both in order.
      summary: summary.json; empty if that is missing.
      examples: by evaluation.
      by_examples: measures by the number of examples, by evaluation.
      fits: functions with what was made of them, by family.
      attention: where the model looks in a few sequences, by evaluation.
      missing: what is not there or could not be read, one sentence each.
    """

    name: str
    config: Mapping[str, Any]
    metrics: Mapping[int, Mapping[str, Any]]
    evaluations: Mapping[str, Mapping[int, Result]]
    summary: Mapping[str, Any]
    examples: Mapping[str, Examples]
    by_examples: Mapping[str, ByExamples]
    fits: Mapping[str, Fits]
    attention: Mapping[str, AttentionExamples]
    missing: tuple[str, ...]

    def latest(self) -> dict[str, tuple[int, Result]]:
        """Return the last step and result of each evaluation."""
        return {name: (max(results), results[max(results)]) for name, results in self.evaluations.items()}

    def headline(self, name: str) -> tuple[str, str]:
        """Return the evaluation and the metric that are this run's `icl` or `iwl`, measured or not.

        Raises:
          KeyError: if there is no such number.
        """
        evaluation, metric = HEADLINES[name]
        known = {each for result in self.evaluations.get(evaluation, {}).values() for each in result.metrics}
        return evaluation, SEVERAL_LABELS[name] if SEVERAL_LABELS.get(name) in known else metric

    def evaluation_curve(self, evaluation: str, metric: str) -> Curve | None:
        """Return a metric over the steps that were evaluated, or None if it never was."""
        found = {s: r for s, r in self.evaluations.get(evaluation, {}).items() if metric in r.metrics}
        if not found:
            return None
        estimates = [result.metrics[metric] for result in found.values()]
        steps = np.array(list(found), np.float64)
        values, low, high = (
            np.array([getattr(estimate, end) for estimate in estimates], np.float64) for end in ("value", "low", "high")
        )
        return Curve(steps, values, low, high, chance=found[max(found)].chance.get(metric))

    def training_curve(self, metric: str) -> Curve | None:
        """Return a logged number over training, or None if it never was logged."""
        logged = {step: line[metric] for step, line in self.metrics.items() if _is_finite(line.get(metric))}
        if not logged:
            return None
        values = np.array(list(logged.values()), np.float64)
        return Curve(steps=np.array(list(logged), np.float64), values=values, low=values, high=values)


def array_path(folder: Path, kind: str, name: str) -> Path:
    """Return where arrays live in a run folder, such as the `examples` of an evaluation.

    Raises:
      ValueError: if the name would not do as part of a file name.

    >>> array_path(Path("run"), "fits", "two sines").as_posix()
    'run/arrays/fits_two sines.npz'
    """
    if not name or set(name) & set("/\\\0"):
        raise ValueError(f"Wanted a name for {kind} that can stand in a file name, without slashes, got {name!r}.")
    return folder / "arrays" / f"{kind}_{name}.npz"


def read_run(folder: Path) -> Run:
    """Read a run folder; whatever is missing or damaged is noted in `missing` and left out.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if nothing in it belongs to a run.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; pass the folder of a run, such as runs/<name>.")
    if not any((folder / name).is_file() for name in (CONFIG, METRICS, EVALUATIONS, SUMMARY)):
        raise ValueError(
            f"{folder} is not a run: it has none of {CONFIG}, {METRICS}, {EVALUATIONS}, {SUMMARY}; "
            "pass the folder of a run, such as runs/<name>."
        )
    missing: list[str] = []
    metrics = dict(_steps(folder / METRICS, missing))
    summary = _read_object(folder / SUMMARY, missing)
    evaluations = _read_evaluations(folder / EVALUATIONS, missing) or _summarised(summary)
    return Run(
        name=folder.resolve().name,
        config=_read_object(folder / CONFIG, missing),
        metrics=dict(sorted(metrics.items())),
        evaluations=evaluations,
        summary=summary,
        examples=_read_arrays(folder, "examples", Examples.load, missing),
        by_examples=_read_arrays(folder, "by_examples", ByExamples.load, missing),
        fits=_read_arrays(folder, "fits", Fits.load, missing),
        attention=_read_arrays(folder, "attention", AttentionExamples.load, missing),
        missing=tuple(missing),
    )


def _read_evaluations(path: Path, missing: list[str]) -> dict[str, dict[int, Result]]:
    evaluations: dict[str, dict[int, Result]] = {}
    for step, line in _steps(path, missing):
        try:
            result = Result.from_json(line)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            missing.append(f"{path.name}: an evaluation of step {step} is damaged and was left out.")
            continue
        evaluations.setdefault(result.evaluation, {})[step] = result
    return {name: dict(sorted(results.items())) for name, results in sorted(evaluations.items())}


def _summarised(summary: Mapping[str, Any]) -> dict[str, dict[int, Result]]:
    """Return the last evaluations from summary.json, for a folder that has lost its eval.jsonl."""
    try:
        step = int(summary["train"]["steps"])
        return {
            str(name): {step: Result.from_json({"evaluation": name, "metrics": metrics})}
            for name, metrics in summary["evaluations"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return {}


def _read_arrays(folder: Path, kind: str, load: Callable[[Path], _Arrays], missing: list[str]) -> dict[str, _Arrays]:
    arrays: dict[str, _Arrays] = {}
    for path in sorted((folder / "arrays").glob(f"{kind}_*.npz")):
        try:
            arrays[path.stem.removeprefix(f"{kind}_")] = load(path)
        except _DAMAGE:
            missing.append(f"arrays/{path.name}: damaged, so it was left out.")
    return arrays


def _read_text(path: Path, missing: list[str]) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        missing.append(f"{path.name}: not there.")
    except OSError as error:
        missing.append(f"{path.name}: cannot be read ({error.strerror}).")
    return None


def _read_object(path: Path, missing: list[str]) -> dict[str, Any]:
    text = _read_text(path, missing)
    if text is None:
        return {}
    content = _parse(text)
    if content is None:
        missing.append(f"{path.name}: damaged, so it was left out.")
    return content or {}


def _steps(path: Path, missing: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines of a .jsonl file that carry a step."""
    text = _read_text(path, missing) or ""
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        content = _parse(line)
        step = None if content is None else content.get("step")
        if content is not None and isinstance(step, int | float) and _is_finite(step) and 0 <= step < 2**63:
            yield int(step), content
        elif number == len(lines):
            missing.append(f"{path.name}: the last line is half-written and was left out.")
        else:
            missing.append(f"{path.name}: line {number} is damaged and was left out.")


def _parse(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is; None if it is another thing, or nested deeper than any run's."""
    try:
        content = json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and not _is_deep(content) else None


def _whole_number(digits: str) -> int | float:
    # An int of more digits is beyond every float, and arithmetic with one raises where that with inf does not.
    return int(digits) if len(digits) <= 300 else float(digits)


def _is_deep(value: Any, *, levels: int = _LEVELS) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(each, levels=levels - 1) for each in inner)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
