"""A process without what a terminal has: nobody reads what it says, and Python runs with -O and JAX with 64 bits."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    CLASSIFIERS,
    REGRESSORS,
    Evaluation,
    TrainedMLP,
    __main__,
    append_evaluations,
    context_baselines,
    evaluate,
    evaluate_functions,
    evaluate_labels,
    labels_by_position,
    write_report,
    write_summary,
)


class Gone:
    """A stream whose reader is gone, or whose disk is full."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error

    def fileno(self) -> int:
        raise self.error


GONE = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("I/O operation on closed file")]


@pytest.mark.parametrize("stream", [*map(Gone, GONE), None], ids=["pipe", "disk", "closed", "none"])
def test_a_report_that_nobody_can_be_told_of_is_a_report(
    stream: Any, run: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "stdout", stream)
        broken.setattr(sys, "stderr", stream)
        codes = [__main__.main(["report", str(run)]), __main__.main(["report", str(run / "nowhere")])]
    assert codes == [0, 2]
    assert (run / "report.html").exists()


@pytest.mark.lengthy
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_process_with_full_disks_for_what_it_says_leaves_with_0_and_the_same_page(run: Path, tmp_path: Path) -> None:
    """With -O, under which asserts do nothing, and 64-bit numbers in JAX."""
    expected, to = write_report(run).read_bytes(), tmp_path / "to"
    command = [sys.executable, "-O", "-m", "icl_eval", "report", str(run), "--to", str(to)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=os.environ | {"JAX_ENABLE_X64": "1"}, stdout=full, stderr=full, check=False)
    assert done.returncode == 0
    assert (to / "report.html").read_bytes() == expected


def test_an_evaluation_says_nothing_by_itself(tmp_path: Path, undrawn: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Not even of a fit that did not converge: what is not written cannot fail."""
    generator = np.random.default_rng(0)
    batch = {
        "labels": generator.integers(2, size=(6, 5), dtype=np.int32),
        "items": generator.normal(size=(6, 5, 3)),
        "inputs": generator.normal(size=(6, 5, 3)),
        "targets": np.full((6, 5, 1), np.inf),
        "is_query": np.tile(np.arange(5) > 3, (6, 1)),
    }
    batch["targets"][:, :4] = generator.normal(size=(6, 4, 1)) * 1e6
    quick = REGRESSORS | {"trained MLP": TrainedMLP(hidden=2, steps=2)}
    regressors = {name: each.predict for name, each in quick.items()}
    classifiers = {
        name: lambda items, labels, positions, each=each: labels_by_position(
            each, items, labels, num_labels=2, positions=positions
        )
        for name, each in CLASSIFIERS.items()
    }
    logits = np.full((6, 5, 2), np.nan)
    results = [
        evaluate(lambda _: logits, [batch], Evaluation("a", range(2)), count=6, baselines=context_baselines()),
        evaluate_functions(lambda _: logits[..., :1], [batch], name="b", count=6, baselines=regressors),
        evaluate_labels(lambda _: logits, [batch], name="c", count=6, num_labels=2, baselines=classifiers),
    ]
    append_evaluations(tmp_path, step=1, results=results)
    write_summary(tmp_path)
    write_report(tmp_path)
    assert capfd.readouterr() == ("", "")
