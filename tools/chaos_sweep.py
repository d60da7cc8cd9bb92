"""Kill the processes of a sweep at random moments; its table must be that of a sweep which nothing disturbed.

Run by ``nox -s chaos`` after the trials of single runs. Two processes share the folder; each is killed again and again,
and begun anew with the same command.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from icl_eval import table

TINY = (
    *("--train.steps", "120", "--train.log-every", "10", "--train.checkpoint-every", "20"),
    *("--eval.every", "40", "--eval.count", "20", "--eval.final-count", "30", "--eval.batch-size", "30"),
    *("--model.width", "16", "--model.layers", "1", "--model.heads", "2", "--data.batch-size", "8"),
    *("--data.points", "8", "--optimizer.warmup-steps", "2", "--no-page"),
)
GRID = (
    *("--grid.data.num-inputs", "1", "2", "--grid.optimizer.learning-rate", "1e-3", "3e-3"),
    *("--seeds", "2", "--members", "2"),  # eight runs in four groups
)
LIMIT = 600.0  # seconds that the undisturbed processes may take


def start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Return a process that runs what is left of the sweep."""
    words = [sys.executable, "-m", "experiments.linear", "sweep", "laptop", *TINY, *GRID, "--workdir", str(folder)]
    with log.open("ab") as said:
        return subprocess.Popen(words, stdout=said, stderr=said)


def finish(processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Wait for processes, which must succeed."""
    for process in processes:
        if (code := process.wait(LIMIT)) != 0:
            sys.exit(f"FAILED: a process of the sweep ended with code {code}; see {log}: {log.read_text()[-600:]}")


def kill_at_random(folder: Path, log: Path, *, kills: int, draw: random.Random) -> int:
    """Kill one of two processes at a random moment, as often as is wanted; return how many kills hit."""
    processes, hits = [start(folder, log), start(folder, log)], 0
    try:
        for number in range(kills):
            time.sleep(draw.uniform(2, 14))
            place = draw.randrange(2)
            how = signal.SIGTERM if number % 3 == 2 else signal.SIGKILL
            if processes[place].poll() is None:
                hits += 1
                processes[place].send_signal(how)
                processes[place].wait(LIMIT)
            processes[place] = start(folder, log)
            print(f"{how.name} to process {place}: {len(list(folder.glob('groups/**/summary.json')))} runs finished")
        finish(processes, log)
    finally:
        for process in processes:
            process.kill()
    finish([start(folder, log)], log)  # takes over what a process that was killed last had begun
    return hits


def rows(folder: Path) -> list[dict[str, object]]:
    """Return the table of a sweep by its columns."""
    found = table(folder)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def main(words: Sequence[str] | None = None) -> None:
    """Run both sweeps and compare their tables; exit with 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="of all moments; random")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="icl-chaos-sweep-") as temporary:
        root = Path(temporary)
        os.environ |= {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"}
        print(f"seed {options.seed}", flush=True)
        finish([start(root / "whole", root / "whole.log")], root / "whole.log")
        log = root / "killed.log"
        hits = kill_at_random(root / "killed", log, kills=options.kills, draw=random.Random(options.seed))
        wanted, found = rows(root / "whole"), rows(root / "killed")
        trained = [line for line in log.read_text().splitlines() if line.startswith("group ")]
        print(f"{hits} kills hit; {len(trained)} times a group was begun or gone on with; {len(found)} rows")
        if wanted != found or len({row["run"] for row in found}) != 8:
            differing = [pair for pair in zip(wanted, found, strict=False) if pair[0] != pair[1]][:1]
            sys.exit(f"FAILED: {len(found)} rows for {len(wanted)}; the first that differ: {differing}")
    print("the table of the sweep that was killed is that of the one that was not")


if __name__ == "__main__":
    main()
