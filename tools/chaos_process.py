"""A training process that can be killed at a chosen kind of moment; for ``tools/chaos.py``."""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools import chaos_child
from tools.chaos_checks import FailedError, partial_checkpoints

MOMENTS = ("start", "checkpoint", "running")
LANDINGS = ("before the first step of a session", "during a checkpoint", "elsewhere")


def run_child(words: Sequence[str], log: str, reader: "multiprocessing.SimpleQueue[int] | None") -> None:
    """Be the child: train, with all that is printed in a file; by way of ``tee``, whose number is told the reader."""
    with Path(log).open("wb") as file:
        output = file.fileno()
        if reader is not None:
            tee = subprocess.Popen(["tee", log], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            assert tee.stdin is not None
            output = tee.stdin.fileno()
            reader.put(tee.pid)
        os.dup2(output, 1)
        os.dup2(output, 2)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup makes all that it starts deaf to it
    faulthandler.enable(file=2)  # what hangs is ended by SIGABRT and then says where
    chaos_child.main(words)


class Child:
    """A process that trains, and what can befall it.

    Args:
        workdir: Its run.
        words: The rest of its command line.
        limit: Seconds after which it is taken to hang.
        piped: Whether what it prints goes through another process, which `hush` kills.
    """

    def __init__(self, workdir: Path, words: Sequence[str], *, limit: float, piped: bool = False) -> None:
        self.workdir, self._limit, self._deadline = workdir, limit, time.monotonic() + limit
        self.log = workdir.parent / f"session-{len(list(workdir.parent.glob('*.log'))) + 1}.log"
        self.log.touch()
        self._partial = partial_checkpoints(workdir)
        # Forked from a process that has imported jax but not woken it, which spares seconds of importing each time.
        context = multiprocessing.get_context("forkserver")
        self._reader = context.SimpleQueue() if piped else None
        arguments = ([str(workdir), *words], str(self.log), self._reader)
        self._process = context.Process(target=run_child, args=arguments, daemon=True)
        self._process.start()

    def words(self) -> str:
        """Return what it has printed so far, without the name of its folder, which has numbers in it."""
        return self.log.read_text(errors="replace").replace(str(self.workdir), "RUN")

    def has_stepped(self) -> bool:
        """Return whether it has made a step."""
        return "first step" in self.words()

    def new_partial(self) -> set[tuple[str, int]]:
        """Return the half-written checkpoints that are its own."""
        return partial_checkpoints(self.workdir) - self._partial

    def wait_until(self, happened: Callable[[], bool]) -> bool:
        """Wait for something; return whether it happened before the process ended."""
        while not happened():
            if not self._process.is_alive():
                return happened()
            if time.monotonic() > self._deadline:
                self.send(signal.SIGABRT)
                self._process.join(10)
                self._process.kill()
                raise FailedError(f"still running after {self._limit:.0f} s; see the end of {self.log}")
            time.sleep(0.001)
        return True

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def end(self) -> int:
        """Wait for its end; return its exit code, or minus the signal that ended it."""
        self.wait_until(lambda: self._process.exitcode is not None)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def finish(self) -> str:
        """Wait for its end, which must be a success; return what it printed."""
        code = self.end()
        if code != 0:
            raise FailedError(f"exit code {code}, and last words: {self.words().strip()[-600:]}")
        return self.words()

    def hush(self) -> None:
        """Kill the process that reads what it prints."""
        assert self._reader is not None
        os.kill(self._reader.get(), signal.SIGKILL)

    def strike(self, number: signal.Signals, moment: str, *, first: int, last: int, draw: np.random.Generator) -> None:
        """Send a signal at a random moment of a kind; with the steps from first to last as targets."""
        self.reach(moment, first=first, last=last, draw=draw)
        self.send(number)

    def reach(self, moment: str, *, first: int, last: int, draw: np.random.Generator) -> None:
        """Wait for a random moment of a kind; with the steps from first to last as targets."""
        target, fraction, delayed = int(draw.integers(first, last + 1)), float(draw.random()), draw.random() < 0.5
        match moment:
            case "start":
                began = time.monotonic()
                self.wait_until(lambda: self.has_stepped() or time.monotonic() > began + 2 * fraction)
            case "checkpoint":
                self.wait_until(lambda: any(int(name.split(".")[0]) >= target for name, _ in self.new_partial()))
                time.sleep(0.08 * fraction if delayed else 0.0)
            case "running":
                self.wait_until(lambda: self.has_stepped() and self._logged(target // 7))
                self.wait_until(lambda: not self.new_partial())  # checkpoints take most of the time
                time.sleep(0.06 * fraction)

    def landed(self) -> str | None:
        """Return where the SIGKILL hit, or None if the process had ended before it."""
        if self.end() != -signal.SIGKILL:
            self.finish()
            return None
        if self.new_partial():
            return LANDINGS[1]
        return LANDINGS[2] if self.has_stepped() else LANDINGS[0]

    def _logged(self, lines: int) -> bool:
        path = self.workdir / "metrics.jsonl"
        return path.exists() and path.read_bytes().count(b"\n") >= lines
