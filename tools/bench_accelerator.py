"""What the experiments make of an accelerator, beside what it could do: a table, part by part, within a time limit.

nox -s accelerator, or where the packages are installed or their src folders are on PYTHONPATH:

    python -m tools.bench_accelerator --minutes 6 --to runs/accelerator [--parts floor laptop]

Under six minutes on an H100 or H200, and on two CPU cores, where it does less. Each part has a process and a time limit
of its own: one that crashes or takes too long costs a line. The folder gets table.jsonl, log.txt and, unless
JAX_COMPILATION_CACHE_DIR names another place, the compiled programs: a second run with it is faster.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

ROOT = Path(__file__).parents[1]

PARTS = {
    "floor": 45,
    "host": 45,
    "laptop": 75,
    "all_exemplars": 150,
    "gpicl": 60,
    "functions": 60,
    "gpicl_paper": 75,
    "stages": 90,  # from here on, the parts that have crashed XLA or may
    "members": 120,
    "forms": 240,
}
"""The parts in their order, and the shares of the time that are theirs: each may take twice its share."""

BY_NAME = ("forms",)
"""Parts that run only where they are asked for: those that help to choose how things are computed."""

_LEAST = 10.0  # seconds: no part has anything to show sooner


class Table:
    """Rows, printed aligned and kept as JSON lines; all else that parts print is kept in a log.

    Args:
      folder: of table.jsonl and log.txt, which are begun anew.
    """

    def __init__(self, folder: Path) -> None:
        self._rows: IO[str] = (folder / "table.jsonl").open("w")
        self._log: IO[str] = (folder / "log.txt").open("w")
        self.last = ""  # of the log

    def take(self, part: str, line: str) -> None:
        """Take a line that a part has printed: a row, as `tools.accelerator_rows.row` prints it, or anything."""
        row = as_row(line)
        if row is None:
            self._log.write(f"{part}: {line}")
            self._log.flush()
            self.last = line.strip() or self.last
            return
        self._rows.write(json.dumps({"part": part, **row}) + "\n")
        self._rows.flush()
        print(f"{row['what']:<64}{row['measured']:>24}   {row['beside']}".rstrip(), flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence, which the log has as well."""
        print(sentence, flush=True)
        self._log.write(f"{sentence}\n")
        self._log.flush()

    def close(self) -> None:
        """Close the files."""
        self._rows.close()
        self._log.close()


def as_row(line: str) -> dict[str, Any] | None:
    """Return the row that a line is, or None."""
    with suppress(ValueError):
        row = json.loads(line)
        if isinstance(row, dict) and {"what", "measured", "beside"} <= row.keys():
            return row
    return None


def run_part(part: str, command: Sequence[str], table: Table, *, seconds: float) -> bool:
    """Run a part in a process of its own, for so many seconds at most; return whether it did not crash."""
    begin, over = time.monotonic(), threading.Event()
    # A group of its own, so that it ends with all that it has started.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT,
        process_group=0,
    )  # fmt: skip

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def end_late() -> None:
        over.set()
        end()

    timer = threading.Timer(seconds, end_late)
    timer.start()
    table.last = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            table.take(part, line)
        code = process.wait()
    finally:
        timer.cancel()
        end()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    took = time.monotonic() - begin
    if over.is_set():
        table.say(f"{part}: stopped after its {seconds:.0f} s; what it had measured stands above")
    elif code:
        how = f"with code {code}" if code > 0 else f"by {signal.Signals(-code).name}"
        table.say(f"{part}: ended {how} after {took:.0f} s, see log.txt: {table.last}")
    return not code or over.is_set()


def run_parts(
    shares: Mapping[str, float], command: Callable[[str], Sequence[str]], *, minutes: float, folder: Path
) -> bool:
    """Run parts one after the other, while there is time; return whether none crashed.

    Args:
      shares: of the time, by part.
      command: what runs a part.
      minutes: for all of them.
      folder: see `Table`.
    """
    begin, whole = time.monotonic(), True
    table = Table(folder)
    try:
        table.say(f"{'what':<64}{'measured':>24}   beside")
        for part, share in shares.items():
            left = 60 * minutes - (time.monotonic() - begin)
            limit = 2 * 60 * minutes * share / sum(shares.values())
            if left <= min(_LEAST, limit / 4):
                table.say(f"{part}: skipped, as {max(left, 0):.0f} s are left of {minutes:g} minutes")
                continue
            whole &= run_part(part, command(part), table, seconds=min(limit, left))
        table.say(f"{time.monotonic() - begin:.0f} s in all; {folder} has the table and the log")
    finally:
        table.close()
    return whole


def stop(number: int, frame: FrameType | None) -> None:
    """Leave by way of what ends the part that is running."""
    sys.exit(128 + number)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0, help="for all parts together")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[part for part in PARTS if part not in BY_NAME],
        help=f"which, in the order of all; {', '.join(BY_NAME)} only where asked for",
    )
    parser.add_argument("--to", type=Path, default=Path("runs/accelerator"), help="folder of table, log and cache")
    parser.add_argument("--part", choices=PARTS, help="measure this one in this very process, as rows in JSON")
    options = parser.parse_args(words)
    if not options.minutes > 0:
        parser.error(f"--minutes wants a number above 0, got {options.minutes:g}")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for; return 1 if a part crashed."""
    options = parse(words)
    folder: Path = options.to.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    if options.part:
        from tools import accelerator_parts  # not above: the first process leaves the accelerator alone

        accelerator_parts.PARTS[options.part](folder)
        sys.stdout.flush()
        os._exit(0)  # all is printed; threads that draw further batches are not waited for
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory(prefix="icl-accelerator-") as scratch:
        os.environ["TMPDIR"] = scratch  # for the runs of all parts, those that are killed too
        whole = run_parts(
            {part: share for part, share in PARTS.items() if part in options.parts},
            lambda part: [sys.executable, "-m", "tools.bench_accelerator", "--part", part, "--to", str(folder)],
            minutes=options.minutes,
            folder=folder,
        )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
