"""A run: everything a run folder says, read with tolerance for what is missing or damaged."""

import contextlib
import dataclasses
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from icl_eval.paths import AnyPath, as_path
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.fragments import chance_text, folded, fragment, interval, named, small_curve, soft, table, title
from icl_eval.results.headline import Headline
from icl_eval.results.result import Kind, Measure, Result
from icl_eval.results.saved_arrays import KINDS, AttentionMaps, Examples, Fits, ShotCurves

CONFIG, METRICS, EVALUATIONS, SUMMARY = "config.json", "metrics.jsonl", "eval.jsonl", "summary.json"
MEASURES = "measures.json"

# What reading a value of JSON that a damaged file holds can raise.
_ODD = (AttributeError, KeyError, TypeError, ValueError, OverflowError)

_LEVELS = 40  # how deep JSON may nest; a run's own needs six

# What reading an .npz file with anything in it can raise.
_DAMAGE = (*_ODD, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder says.

    Attributes:
      name: the folder's name.
      config: config.json; empty if that is missing.
      metrics: the logged training steps, by step.
      evaluations: by evaluation and step, both in order.
      summary: summary.json; empty if that is missing.
      measures: the words of metrics, measures.json, in its order; empty if that is missing.
      examples: sequences with predictions, by evaluation.
      attention: where the model looks in a few sequences, by evaluation.
      shots: measures by the number of examples, by evaluation.
      fits: functions with what was made of them, by evaluation.
      missing: what is not there or could not be read, one sentence each.
    """

    name: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: Mapping[int, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    evaluations: Mapping[str, Mapping[int, Result]] = dataclasses.field(default_factory=dict)
    summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    measures: Mapping[str, Measure] = dataclasses.field(default_factory=dict)
    examples: Mapping[str, Examples] = dataclasses.field(default_factory=dict)
    attention: Mapping[str, AttentionMaps] = dataclasses.field(default_factory=dict)
    shots: Mapping[str, ShotCurves] = dataclasses.field(default_factory=dict)
    fits: Mapping[str, Fits] = dataclasses.field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: headlines with intervals and their course over training, and the loss."""
        rows: list[list[object]] = []
        for headline in self.headlines:
            if (estimate := self.last(headline)) is not None:
                curve = self.evaluation_curve(headline.evaluation, headline.metric)
                chance = None if curve is None else curve.chance
                within = (0.0, 1.0) if self.kind(headline.metric) == "proportion" else None
                words = named(headline.title, headline.sentence), readable(estimate.value), interval(estimate)
                rows.append([*words, chance_text(chance), f"{estimate.count:,}", small_curve(curve, within=within)])
        if (loss := self.training_curve("loss")) is not None:
            rows.append(["training loss", readable(loss.values[-1]), "", "", "", small_curve(loss)])
        steps = max([*self.metrics, *(step for step, _ in self.latest().values())], default=0)
        said = [f"after {steps:,} steps", *([] if self.seed is None else [f"seed {self.seed}"])]
        said += [f"evaluated: {', '.join(self.evaluations)}"] if self.evaluations else []
        header = ["", "value", "95 % interval", "chance", "count", "over training"]
        parts = [title(self.name), soft("; ".join(said)), *([table(header, rows)] if rows else [])]
        missing = table(["not there, or damaged"], [[sentence] for sentence in self.missing])
        return fragment(*parts, *([folded(f"notes ({len(self.missing)})", missing)] if self.missing else []))

    @property
    def headlines(self) -> tuple[Headline, ...]:
        """The numbers that the run is about, as its config.json names them; those that are damaged are left out."""
        given = self.config.get("headlines")
        found = []
        for fields in given if isinstance(given, list) else ():
            with contextlib.suppress(*_ODD):
                found.append(Headline.from_json(fields))
        return tuple(found)

    @property
    def learner(self) -> Mapping[str, str]:
        """The evaluations that tell what kind of learner the model is, under "seen" and "unseen"; none if not known."""
        given = self.config.get("learner")
        known = given.items() if isinstance(given, dict) else ()
        return {kind: name for kind, name in known if isinstance(name, str)}

    @property
    def seed(self) -> int | None:
        """The seed of the run, if its config.json has one."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    def kind(self, metric: str) -> Kind:
        """Return what kind of number a metric is; a proportion if the run does not say."""
        return self.measures[metric].kind if metric in self.measures else "proportion"

    def latest(self) -> dict[str, tuple[int, Result]]:
        """Return the last step and result of each evaluation."""
        return {name: (max(results), results[max(results)]) for name, results in self.evaluations.items()}

    def last(self, headline: Headline) -> Estimate | None:
        """Return the last number of a headline, or None if it was never measured."""
        results = self.evaluations.get(headline.evaluation)
        return results[max(results)].metrics.get(headline.metric) if results else None

    def evaluation_curve(self, evaluation: str, metric: str) -> ScalarCurve | None:
        """Return a metric over the steps that were evaluated, or None if it never was."""
        found = {s: r for s, r in self.evaluations.get(evaluation, {}).items() if metric in r.metrics}
        if not found:
            return None
        estimates = [result.metrics[metric] for result in found.values()]
        return ScalarCurve.of(np.array(list(found)), estimates, chance=found[max(found)].chance.get(metric))

    def training_curve(self, metric: str) -> ScalarCurve | None:
        """Return a logged number over training, or None if it never was logged."""
        logged = {step: line[metric] for step, line in self.metrics.items() if _is_finite(line.get(metric))}
        if not logged:
            return None
        values = np.array(list(logged.values()), np.float64)
        return ScalarCurve(steps=np.array(list(logged), np.float64), values=values, low=values, high=values)


def is_run(folder: Path) -> bool:
    """Return whether anything in a folder belongs to a run."""
    return any((folder / name).is_file() for name in (CONFIG, METRICS, EVALUATIONS, SUMMARY))


def read_run(folder: AnyPath, *, arrays: bool = True) -> Run:
    """Return what a run folder says; whatever is missing or damaged is noted in `missing` and left out.

    Args:
      folder: of the run.
      arrays: whether to read arrays/ too, of which only the page of one run makes anything.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if nothing in it belongs to a run.
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; pass the folder of a run, such as runs/<name>.")
    if not is_run(folder):
        raise ValueError(
            f"{folder} is not a run: it has none of {CONFIG}, {METRICS}, {EVALUATIONS}, {SUMMARY}; "
            "pass the folder of a run, such as runs/<name>."
        )
    missing: list[str] = []
    metrics = dict(_steps(folder / METRICS, missing))
    summary = _read_object(folder / SUMMARY, missing)
    measures = _read_measures(folder / MEASURES, missing)
    evaluations = _read_evaluations(folder / EVALUATIONS, measures, missing) or _summarised(summary, measures)
    return Run(
        name=folder.resolve().name,
        config=_read_object(folder / CONFIG, missing),
        metrics=dict(sorted(metrics.items())),
        evaluations=evaluations,
        summary=summary,
        measures=measures,
        **({kind: _read_arrays(folder, kind, missing) for kind in KINDS} if arrays else {}),
        missing=tuple(missing),
    )


def read_evaluations(folder: Path) -> dict[str, dict[int, Result]]:
    """Return the results in eval.jsonl by evaluation and step, without their words, and none of the rest of the run."""
    return _read_evaluations(folder / EVALUATIONS, {}, [])


def read_shots(folder: Path, evaluation: str) -> ShotCurves | None:
    """Return the measures by number of examples of an evaluation; None if they are not there, or damaged."""
    try:
        return ShotCurves.load(folder / "arrays" / f"shots_{evaluation}.npz")
    except _DAMAGE:
        return None


def _read_measures(path: Path, missing: list[str]) -> dict[str, Measure]:
    """Return the words of metrics; a folder without any, or with damaged ones, is read all the same."""
    measures: dict[str, Measure] = {}
    for name, fields in _read_object(path, missing).items() if path.exists() else ():
        try:
            measures[name] = Measure.from_json(fields)
        except _ODD:
            missing.append(f"{path.name}: what {name[:100]} is is damaged and was left out.")
    return measures


def _read_evaluations(path: Path, measures: Mapping[str, Measure], missing: list[str]) -> dict[str, dict[int, Result]]:
    evaluations: dict[str, dict[int, Result]] = {}
    for step, line in _steps(path, missing):
        try:
            result = Result.from_json(line, measures)
        except _ODD:
            missing.append(f"{path.name}: an evaluation of step {step} is damaged and was left out.")
            continue
        evaluations.setdefault(result.evaluation, {})[step] = result
    return {name: dict(sorted(results.items())) for name, results in sorted(evaluations.items())}


def _summarised(summary: Mapping[str, Any], measures: Mapping[str, Measure]) -> dict[str, dict[int, Result]]:
    """Return the last evaluations from summary.json, for a folder that has lost its eval.jsonl."""
    try:
        step = int(summary["train"]["steps"])
        return {
            str(name): {step: Result.from_json({"evaluation": name, "metrics": metrics}, measures)}
            for name, metrics in summary["evaluations"].items()
        }
    except _ODD:
        return {}


def _read_arrays(folder: Path, kind: str, missing: list[str]) -> Any:
    """Return the arrays of a kind that the folder has, by evaluation."""
    arrays = {}
    for path in sorted((folder / "arrays").glob(f"{kind}_*.npz")):
        try:
            arrays[path.stem.removeprefix(f"{kind}_")] = KINDS[kind].load(path)
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
