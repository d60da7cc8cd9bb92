"""What a run has on disk, and how two runs differ; for ``tools/chaos.py``."""

import hashlib
import json
import math
import re
import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

TIMED = {"time", "steps_per_second", "items_per_second"}
_READING = threading.Lock()


class FailedError(Exception):
    """A trial found that something was lost."""


def whole_checkpoints(workdir: Path) -> dict[int, Path]:
    """Return the folders of the checkpoints that were written to their end, by step, in order."""
    folders = [path for path in (workdir / "checkpoints").glob("*") if path.name.isdigit()]
    return {int(path.name): path for path in sorted(folders, key=lambda path: int(path.name))}


def partial_checkpoints(workdir: Path) -> set[tuple[str, int]]:
    """Return name and inode of the checkpoints that are, or were left, half-written; the first try is none."""
    found = set()
    for path in (workdir / "checkpoints").glob("[0-9]*.orbax-checkpoint-tmp*"):
        try:
            found.add((path.name, path.stat().st_ino))
        except FileNotFoundError:  # finished between the two calls
            continue
    return found


def arrays(checkpoint: Path) -> dict[str, np.ndarray]:
    """Return every array of a checkpoint by name, whatever devices it was saved from."""
    handler, found = ocp.StandardCheckpointHandler(), {}
    here = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    with _READING:
        for item in sorted(path.parent for path in checkpoint.glob("*/_METADATA")):
            wanted = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), handler.metadata(item).tree
            )
            tree = handler.restore(item, args=ocp.args.StandardRestore(wanted))
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                found[item.name + jax.tree_util.keystr(path)] = np.asarray(leaf)
    return found


def metrics(workdir: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def differences(one: Path, other: Path, *, tolerance: float = 0.0) -> list[str]:
    """Return how the arrays of two checkpoints differ, worst first; to the bit without a tolerance."""
    left, right = arrays(one), arrays(other)
    if not left or left.keys() != right.keys():
        return [f"{len(left)} arrays against {len(right)}, not in both: {sorted(left.keys() ^ right.keys())[:5]}"]
    found = []
    for name, array in left.items():
        wanted = right[name]
        if array.shape == wanted.shape and array.dtype == wanted.dtype:
            if array.tobytes() == wanted.tobytes():
                continue
            distance = np.linalg.norm(np.float64(array) - np.float64(wanted)) / (np.linalg.norm(wanted) or 1.0)
            if np.issubdtype(array.dtype, np.floating) and distance <= tolerance:
                continue
            found.append((float(distance), name))
        else:
            found.append((np.inf, name))
    return [f"{name} by {distance:.1e} of its norm" for distance, name in sorted(found, reverse=True)]


def check_same(run: Path, reference: Path, *, steps: int, tolerance: float = 0.0) -> None:
    """Compare a finished run to the reference: arrays, metrics, steps.

    Raises:
        FailedError: If they differ.
    """
    if max(whole_checkpoints(run), default=None) != steps:
        raise FailedError(f"wanted {steps} to be its last checkpoint, found {list(whole_checkpoints(run))}")
    differing = differences(whole_checkpoints(run)[steps], whole_checkpoints(reference)[steps], tolerance=tolerance)
    if differing:
        raise FailedError(f"{len(differing)} arrays differ from the reference's: {'; '.join(differing[:3])}")
    lines, wanted = metrics(run), [line for line in metrics(reference) if line["step"] <= steps]
    if tolerance:  # a run that ends earlier has a last line of its own
        lines, wanted = ([line for line in each if line["step"] % 7 == 0] for each in (lines, wanted))

    def same(got: dict, want: dict) -> bool:
        close = (math.isclose(got[name], want[name], rel_tol=10 * tolerance) for name in want if name in got)
        return got.keys() == want.keys() and all(close)

    pairs = [(got, want) for got, want in zip(lines, wanted, strict=False) if not same(got, want)]
    if pairs or len(lines) != len(wanted):
        raise FailedError(f"metrics: {len(lines)} lines for {len(wanted)}; first that differ: {pairs[:1]}")


def fingerprint(folder: Path) -> dict[str, str]:
    """Return a digest of each file below a folder by its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def is_named(step: int, words: str) -> bool:
    """Return whether a printed line names a checkpoint's step, other than to say that training goes on from it."""
    lines = [line for line in words.splitlines() if not line.startswith(("Resuming", "first step"))]
    return any(re.search(rf"\b{step}\b", line) for line in lines)
