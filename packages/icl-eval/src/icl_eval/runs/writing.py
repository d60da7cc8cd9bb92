"""The evaluation's part of a run folder, written: eval.jsonl, arrays/*.npz and summary.json.

Every file is either replaced whole or appended to in one write, so a reader never meets half of a number.
"""

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from icl_eval.results.result import Result
from icl_eval.results.saved_arrays import AttentionExamples, ByExamples, Examples, Fits
from icl_eval.runs.learner_type import Judgement
from icl_eval.runs.reading import EVALUATIONS, HEADLINES, SUMMARY, array_path, read_run

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def append_evaluations(folder: Path, *, step: int, results: Iterable[Result]) -> None:
    """Add one line per result to eval.jsonl.

    A line of the same step and evaluation is replaced, so that evaluating again after a resume leaves no
    duplicates. Several processes may do this in turn: a training run, and one that follows it.

    Args:
      folder: the run folder; made if it is not there.
      step: the training step that was evaluated, at least 0.
      results: one per evaluation.
    """
    results = list(results)
    if step < 0:
        raise ValueError(f"Wanted a step of 0 or more, got {step}.")
    path = folder / EVALUATIONS
    folder.mkdir(parents=True, exist_ok=True)
    new = {(step, result.evaluation): _line({"step": step} | result.to_json()) for result in results}
    with _alone(folder):
        before = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
        kept = [line for line in _whole_lines(before) if _key(line) not in new]
        if "".join(kept) == before:  # the usual case: nothing to replace
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(new.values()))
        else:
            write_atomically(path, "".join([*kept, *new.values()]).encode(errors="surrogateescape"))


def drop_evaluations_after(folder: Path, *, step: int) -> None:
    """Remove the lines of later steps from eval.jsonl: a run that resumes at `step` evaluates those anew."""
    path = folder / EVALUATIONS
    if path.exists():
        with _alone(folder):
            kept = [
                line
                for line in _whole_lines(path.read_text(encoding="utf-8", errors="surrogateescape"))
                if (key := _key(line)) is None or key[0] <= step
            ]
            write_atomically(path, "".join(kept).encode(errors="surrogateescape"))


def evaluated_steps(folder: Path) -> dict[int, int]:
    """Return the steps that eval.jsonl has evaluations of, in order, each with the most sequences of one of them.

    >>> import tempfile
    >>> from icl_eval import Result, proportion
    >>> folder = Path(tempfile.mkdtemp())
    >>> append_evaluations(folder, step=50, results=[Result("swapped", {"accuracy_open": proportion(3, 9)}, {})])
    >>> evaluated_steps(folder)
    {50: 9}
    """
    steps: dict[int, int] = {}
    if _has_evaluations(folder):
        for results in read_run(folder).evaluations.values():
            for step, result in results.items():
                steps[step] = max(steps.get(step, 0), result.count)
    return dict(sorted(steps.items()))


def save_examples(folder: Path, results: Iterable[Result]) -> None:
    """Write the examples that results kept to arrays/examples_<evaluation>.npz, over older ones."""
    for result in results:
        if result.examples is not None:
            _save_arrays(array_path(folder, "examples", result.evaluation), result.examples)


def save_by_examples(folder: Path, name: str, curves: ByExamples) -> None:
    """Write measures by the number of examples to arrays/by_examples_<name>.npz, over older ones.

    Args:
      folder: the run folder; made if it is not there.
      name: of the evaluation.
      curves: what `evaluate_labels` or `evaluate_functions` gave.

    Raises:
      ValueError: if the name would not do as part of a file name.

    >>> import numpy as np, tempfile
    >>> from icl_eval import Curve
    >>> line = np.arange(3.0)
    >>> folder = Path(tempfile.mkdtemp())
    >>> curves = ByExamples(measure="accuracy", curves={"model": Curve(line, line, line, line)}, count=9)
    >>> save_by_examples(folder, "seen_tasks", curves)
    >>> [path.name for path in (folder / "arrays").iterdir()]
    ['by_examples_seen_tasks.npz']
    """
    _save_arrays(array_path(folder, "by_examples", name), curves)


def save_fits(folder: Path, name: str, fits: Fits) -> None:
    """Write fitted functions to arrays/fits_<name>.npz, over older ones.

    Args:
      folder: the run folder; made if it is not there.
      name: of the family of functions.
      fits: the functions, and what was made of them.

    Raises:
      ValueError: if the name would not do as part of a file name.

    >>> import numpy as np, tempfile
    >>> row = np.zeros((1, 4))
    >>> folder = Path(tempfile.mkdtemp())
    >>> fits = Fits(context_inputs=row, context_targets=row, inputs=row, truth=row, predictions={"model": row})
    >>> save_fits(folder, "sines", fits)
    >>> [path.name for path in (folder / "arrays").iterdir()]
    ['fits_sines.npz']
    """
    _save_arrays(array_path(folder, "fits", name), fits)


def save_attention(folder: Path, name: str, examples: AttentionExamples) -> None:
    """Write where a model looks to arrays/attention_<name>.npz, over older ones.

    Args:
      folder: the run folder; made if it is not there.
      name: of the evaluation that the sequences are of.
      examples: what `evaluate_heads` gave.

    Raises:
      ValueError: if the name would not do as part of a file name.
    """
    _save_arrays(array_path(folder, "attention", name), examples)


def write_summary(
    folder: Path, *, train: Mapping[str, float | int | None] | None, seed: int, verdict: Judgement | None = None
) -> dict[str, Any]:
    """Write summary.json: what a script or a sweep reads of a run.

    The evaluations are the last of each name in eval.jsonl, so the two files cannot disagree. `icl` is the
    closed accuracy of `fewshot_holdout`, `iwl` the open accuracy of `no_support_zipfian`; a run that did
    not evaluate one leaves it out.

    Args:
      folder: the run folder.
      train: plain numbers: `steps`, `seconds`, `steps_per_second`, `final_loss`; None keeps those that are there.
      seed: the seed of the run.
      verdict: what the model has learnt, if that was judged: `verdict` and `reason` of the summary's `verdict`.

    Returns:
      What was written.
    """
    summary: dict[str, Any] = {}
    latest: dict[str, Result] = {}
    if _has_evaluations(folder):
        run = read_run(folder)
        latest = {name: result for name, (_, result) in run.latest().items()}
        for headline in HEADLINES:
            evaluation, metric = run.headline(headline)
            if evaluation in latest and metric in latest[evaluation].metrics:
                summary[headline] = latest[evaluation].metrics[metric].to_json()
    if verdict is not None:
        summary["verdict"] = dataclasses.asdict(verdict)
    summary["evaluations"] = {
        name: {metric: estimate.to_json() for metric, estimate in result.metrics.items()}
        for name, result in latest.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        kept = read_run(folder).summary.get("train", {}) if train is None and (folder / SUMMARY).exists() else {}
        numbers = kept if train is None else train
        items = numbers.items() if isinstance(numbers, Mapping) else ()  # what another process left may be damaged
        summary["train"] = {name: _finite(value) for name, value in items if isinstance(value, int | float | None)}
        summary["seed"] = seed
        write_atomically(folder / SUMMARY, (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())
    return summary


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is always either the old one or the new one; make its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # the same folder: a rename must not cross file systems
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _save_arrays(path: Path, arrays: Examples | ByExamples | Fits | AttentionExamples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}_{path.name}")  # still .npz, or NumPy would add it
    try:
        arrays.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time change eval.jsonl, where the system can: by a lock on the folder itself."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: better none than no evaluation
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, allow_nan=False) + "\n"


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None


def _has_evaluations(folder: Path) -> bool:
    return (folder / EVALUATIONS).exists()


def _whole_lines(text: str) -> list[str]:
    """Split into lines; the last one goes if it was cut off in the middle of a write."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
        if _key(lines[-1]) is None:
            del lines[-1]
    return lines


def _key(line: str) -> tuple[int, str] | None:
    """Return the step and the evaluation of a line, or None for one that is not ours to judge."""
    try:
        fields = json.loads(line)
        return int(fields["step"]), str(fields["evaluation"])
    except (KeyError, TypeError, ValueError):
        return None
