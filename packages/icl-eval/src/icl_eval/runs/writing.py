"""The evaluation's part of a run folder, written: eval.jsonl, measures.json, arrays/*.npz and summary.json.

Every file is either replaced whole or appended to in one write, so a reader never meets half of a number.
"""

import contextlib
import io
import json
import math
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from icl_eval.checks import check_whole
from icl_eval.paths import AnyPath, as_path
from icl_eval.results.result import Result
from icl_eval.results.saved_arrays import KINDS
from icl_eval.runs.learner_type import learner_type
from icl_eval.runs.reading import EVALUATIONS, MEASURES, SUMMARY, Run, read_evaluations, read_run

# How a line begins that was written here, whose name wants no escapes: a run may have thousands of them.
_AS_WRITTEN = re.compile(r'\{"step": (\d+), "evaluation": "([\w-]+)", .*\}$', re.ASCII)


def append_evaluations(folder: AnyPath, *, step: int, results: Iterable[Result]) -> None:
    """Add one line per result to eval.jsonl, its words to measures.json, and its arrays to arrays/.

    A line of the same step and evaluation is replaced, so that evaluating again after a resume leaves no
    duplicates. Several processes may do this in turn: a training run, and one that follows it. Arrays are kept of
    the latest step of an evaluation alone.

    Args:
      folder: the run folder; made if it is not there.
      step: the training step that was evaluated, at least 0.
      results: one per evaluation.

    Raises:
      ValueError: if the step is below 0, or arrays are of a kind, or an evaluation of a name, that no file can have.
    """
    folder = as_path(folder)
    if isinstance(results, Result):
        raise TypeError("Wanted a list of results, got one; pass results=[result].")
    check_whole("step", step, least=0)
    step, results = operator.index(step), list(results)
    arrays = {
        (result.evaluation, kind): (_array_path(folder, kind, result.evaluation), saved)
        for result in results
        for kind, saved in result.arrays.items()
    }
    path = folder / EVALUATIONS
    folder.mkdir(parents=True, exist_ok=True)
    new = {(step, each.evaluation): json.dumps({"step": step} | each.to_json(), allow_nan=False) for each in results}
    added = "".join(f"{line}\n" for line in new.values())
    with _alone(folder):
        before = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
        lines = [(line, _key(line)) for line in _whole_lines(before)]
        kept = [line for line, key in lines if key not in new]
        _merge_measures(folder / MEASURES, results)
        if "".join(kept) == before:  # the usual case: nothing to replace
            with path.open("a", encoding="utf-8") as file:
                file.write(added)
        else:
            write_atomically(path, ("".join(kept) + added).encode(errors="surrogateescape"))
        later = {key[1] for _, key in lines if key is not None and key[0] > step}
        for (evaluation, _), (place, saved) in arrays.items():
            if evaluation not in later:
                content = io.BytesIO()
                saved.save(content)
                write_atomically(place, content.getvalue())


def drop_evaluations_after(folder: AnyPath, *, step: int) -> None:
    """Remove the lines of later steps from eval.jsonl: a run that resumes at `step` evaluates those anew."""
    folder = as_path(folder)
    path = folder / EVALUATIONS
    if path.exists():
        with _alone(folder):
            kept = [
                line
                for line in _whole_lines(path.read_text(encoding="utf-8", errors="surrogateescape"))
                if (key := _key(line)) is None or key[0] <= step
            ]
            write_atomically(path, "".join(kept).encode(errors="surrogateescape"))


def evaluated(folder: AnyPath) -> dict[int, dict[str, int]]:
    """Return the steps that eval.jsonl has evaluations of, in order: the count of each evaluation by its name.

    >>> import tempfile
    >>> from icl_eval import Result, proportion
    >>> folder = Path(tempfile.mkdtemp())
    >>> append_evaluations(folder, step=50, results=[Result("swapped", {"accuracy_open": proportion(3, 9)}, {})])
    >>> evaluated(folder)
    {50: {'swapped': 9}}
    """
    steps: dict[int, dict[str, int]] = {}
    for name, results in read_evaluations(as_path(folder)).items():
        for step, result in results.items():
            steps.setdefault(step, {})[name] = result.count
    return dict(sorted(steps.items()))


def write_summary(folder: AnyPath) -> dict[str, Any]:
    """Write summary.json, which a script or a sweep reads of a run, from what else is in its folder.

    Args:
      folder: the run folder; its config.json names the headlines, the evaluations that tell the kind of learner, and
        the seed.

    Returns:
      What was written: `headlines`, the names of those that were measured, and each by its name; `learner` (`kind`
      and `reason`), if that can be told; `evaluations`, the last of each name, so that the two files cannot disagree;
      `train`, from metrics.jsonl: `steps`, `seconds`, `steps_per_second`, `final_loss`, and `failed_at` for a run
      whose loss was not finite; and `seed`.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if nothing in it belongs to a run.
    """
    folder = as_path(folder)
    with _alone(folder) if folder.is_dir() else contextlib.nullcontext():
        run = read_run(folder)
        latest = {name: result for name, (_, result) in run.latest().items()}
        found = {each.name: estimate for each in run.headlines if (estimate := run.last(each)) is not None}
        summary: dict[str, Any] = {"headlines": list(found)}
        summary |= {name: estimate.to_json() for name, estimate in found.items()}
        if (learner := learner_type(run)) is not None:
            summary["learner"] = {"kind": learner.kind, "reason": learner.reason}
        summary["evaluations"] = {
            name: {metric: estimate.to_json() for metric, estimate in result.metrics.items()}
            for name, result in latest.items()
        }
        summary["train"] = _trained(run)
        summary["seed"] = run.seed
        write_atomically(folder / SUMMARY, (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())
    return summary


def _trained(run: Run) -> dict[str, float | int | None]:
    """Return what the last line of metrics.jsonl says of the training as a whole."""
    failed = [step for step, line in run.metrics.items() if line.get("failed") is True]
    logged = {step: line for step, line in run.metrics.items() if step not in failed}
    if not run.metrics:
        return {}
    last = logged[max(logged)] if logged else {}
    steps, seconds = failed[-1] - 1 if failed else max(logged), _finite(last.get("time"))
    numbers: dict[str, float | int | None] = {
        "steps": steps,
        "seconds": seconds,
        "steps_per_second": steps / seconds if seconds else None,
        "final_loss": _finite(last.get("loss")),
    }
    return numbers | ({"failed_at": failed[-1]} if failed else {})


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is always either the old one or the new one; make its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # the same folder: a rename must not cross file systems
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _merge_measures(path: Path, results: Sequence[Result]) -> None:
    """Add the words of metrics that are new, or say another thing than before."""
    given = {name: words.to_json() for result in results for name, words in result.measures.items()}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}  # what another process left may be damaged
    if known | given != known:
        write_atomically(path, (json.dumps(known | given, indent=1) + "\n").encode())


def _array_path(folder: Path, kind: str, name: str) -> Path:
    """Return where the arrays of an evaluation live in a run folder."""
    if kind not in KINDS or not name or set(name) & set("/\\\0"):
        raise ValueError(
            f"Wanted arrays of a kind of {', '.join(KINDS)} and a name without slashes, got {kind!r} of {name!r}."
        )
    return folder / "arrays" / f"{kind}_{name}.npz"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time change the folder, where the system can."""
    lock = filelock.FileLock(folder / ".lock")
    with contextlib.ExitStack() as held:
        # A file system without locks: better none than no evaluation.
        with contextlib.suppress(OSError, NotImplementedError):
            held.enter_context(lock)
        yield


def _finite(value: Any) -> float | int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def _whole_lines(text: str) -> list[str]:
    """Return the lines; the last one goes if it was cut off in the middle of a write."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
        if _key(lines[-1]) is None:
            del lines[-1]
    return lines


def _key(line: str) -> tuple[int, str] | None:
    """Return the step and the evaluation of a line, or None for one that is not ours to judge."""
    if written := _AS_WRITTEN.match(line):
        return int(written[1]), written[2]
    try:
        fields = json.loads(line)
        return int(fields["step"]), str(fields["evaluation"])
    except (KeyError, TypeError, ValueError):
        return None
