"""Run the paper's presets at their true size for a few steps: train, save, resume, evaluate; time, memory, projection.

nox -s full, or nox -s full -- identical symbolic; about ten minutes on two cores. Glyphs of Omniglot's number and size
stand in for Omniglot, which is a download.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

GLYPHS = ("--data.source", "glyphs", "--data.characters", "1623", "--data.polarity", "ink_is_one")
STAND_INS = {"all_exemplars": GLYPHS, "augmented": GLYPHS, "identical": GLYPHS, "symbolic": ()}
PAPER_STEPS = 500_000
STEPS = 3


class Cost(NamedTuple):
    """What a command took.

    Attributes:
      seconds: from its start to its end.
      megabytes: its greatest resident memory.
    """

    seconds: float
    megabytes: float


def run(*words: str) -> Cost:
    """Run the experiment to its end.

    Raises:
      SystemExit: it failed; what it printed is printed.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.omniglot", *words], stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)  # subprocess itself does not tell the memory
        if status:
            printed.seek(0)
            sys.exit(f"{' '.join(words)} failed:\n{printed.read()}")
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Cost(time.perf_counter() - start, kilobytes * 1024 / 1e6)


def try_preset(preset: str, folder: Path) -> None:
    """Train, save, resume and evaluate; print a line."""
    workdir = str(folder / preset)
    each_step = ("--train.log-every", "1")
    first = run(
        preset, *STAND_INS[preset], "--workdir", workdir, "--mode", "train", *each_step, "--train.steps", str(STEPS)
    )
    second = run(workdir, "--resume", "--mode", "train", "--train.steps", str(2 * STEPS))
    third = run(workdir, "--mode", "eval", "--eval.final-count", "64")
    lines = [json.loads(line) for line in Path(workdir, "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 2 * STEPS + 1)), lines
    summary = json.loads(Path(workdir, "summary.json").read_text())
    assert summary["icl"]["count"] == 64, summary
    step = statistics.median(1 / line["steps_per_second"] for line in lines)
    megabytes = max(cost.megabytes for cost in (first, second, third))
    print(
        f"{preset:<16}{step:>10.2f} s{megabytes:>14,.0f} MB{step * PAPER_STEPS / 86_400:>12.1f} days"
        f"{first.seconds:>12.0f} s{second.seconds:>10.0f} s{third.seconds:>10.0f} s",
        flush=True,
    )


def main(presets: list[str]) -> None:
    """Try each preset."""
    unknown = set(presets) - set(STAND_INS)
    if unknown:
        sys.exit(f"The presets are {', '.join(STAND_INS)}; got {', '.join(sorted(unknown))}.")
    columns = f"{'a step':>12}{'memory':>17}{'500,000 steps':>17}{'first run':>14}{'resumed':>12}{'evaluated':>12}"
    print(f"{'preset':<16}{columns}")
    with tempfile.TemporaryDirectory(prefix="icl-full-") as folder:
        for preset in presets or STAND_INS:
            try_preset(preset, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
