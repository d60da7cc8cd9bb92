"""Kills training runs at random moments, damages their checkpoints, and checks that nothing is ever lost.

Run by ``nox -s chaos``; about 5 minutes on two cores. One run of ``chaos_child.py`` that nothing disturbs is the
reference. Every trial disturbs another such run, resumes it, and wants its last checkpoint and its metrics to be
those of the reference to the last bit. What follows ``--`` goes to every child: ``nox -s chaos -- -- --pause 0.02``.
"""

import argparse
import dataclasses
import functools
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tools.chaos_checks import FailedError, check_same, fingerprint, is_named, metrics, whole_checkpoints
from tools.chaos_process import LANDINGS, MOMENTS, Child

TOLERANCE = 1e-4  # of the norm of an array, after 20 steps on two devices instead of one
EXTRA_STEPS = 20
STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
DAMAGES = ("truncate", "delete", "flip", "empty")
Trial = Callable[[Path, int, np.random.Generator], str]


def damage(checkpoint: Path, kind: str, generator: np.random.Generator) -> str:
    """Damage one file of a checkpoint; return what was done."""
    files = [path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.stat().st_size]
    if kind == "empty":
        files = [path for path in files if "metadata" in path.name.lower()]
    sizes = np.array([path.stat().st_size for path in files])
    # Half the time by size, so that the arrays, few large files among many small ones, are hit too.
    by_size = generator.random() < 0.5
    path = files[generator.choice(len(files), p=sizes / sizes.sum() if by_size else None)]
    size = path.stat().st_size
    position = 0 if kind == "empty" else int(generator.integers(size))
    content = bytearray(path.read_bytes())
    match kind:
        case "delete":
            path.unlink()
        case "truncate" | "empty":
            path.write_bytes(content[:position])
        case "flip":
            content[position] ^= 1 << int(generator.integers(8))
            path.write_bytes(content)
    return f"{kind} {checkpoint.name}/{path.relative_to(checkpoint)}, {size} bytes, at {position}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trials:
    """All kinds of trials. A trial gets an empty folder and a generator, and raises `FailedError` or returns a note.

    Attributes:
        root: Where everything is written.
        steps: Steps of a run.
        extra: Options for every child.
        limit: Seconds that a child may take.
        reference: The run that nothing disturbed, with all its checkpoints.
        kills: Where the kills so far have hit.
    """

    root: Path
    steps: int
    extra: Sequence[str]
    limit: float
    reference: Path
    kills: list[str] = dataclasses.field(default_factory=list)

    def start(self, run: Path, *words: str, steps: int | None = None, piped: bool = False) -> Child:
        """Start a child."""
        return Child(run, [f"--steps={steps or self.steps}", *words, *self.extra], limit=self.limit, piped=piped)

    def kill_once(self, run: Path, moment: str, first: int, draw: np.random.Generator, *, last: int = 0) -> str:
        """Start or resume a run and kill it, at the step ``first`` or later if the moment is one of training."""
        first = max(first, max(whole_checkpoints(run), default=0) + 1)
        child = self.start(run, "--resume") if run.exists() else self.start(run)
        child.strike(signal.SIGKILL, moment, first=min(first, self.steps), last=last or self.steps, draw=draw)
        landed = child.landed()
        self.kills.extend([landed] if landed else [])
        return f"{landed or 'after its end'} ({max(whole_checkpoints(run), default='nothing')} saved)"

    def kill(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Kill it, once to three times, and let it finish."""
        moments = [MOMENTS[int(draw.integers(3))] for _ in range(int(draw.choice([1, 2, 3], p=[0.5, 0.3, 0.2])))]
        if number % 3 == 0:  # a checkpoint for sure, and not the first: there is something to lose
            moments[0] = "checkpoint"
        firsts = [11 if number % 3 == 0 else 1] * len(moments)
        places = [self.kill_once(folder / "run", *each, draw) for each in zip(moments, firsts, strict=True)]
        self.start(folder / "run", "--resume").finish()
        check_same(folder / "run", self.reference, steps=self.steps)
        return "killed " + ", ".join(places)

    def terminate(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Stop it by SIGTERM, SIGHUP or SIGUSR1, and let it finish."""
        run, stop = folder / "run", STOPS[number % 3]
        child = self.start(run)
        moment = "checkpoint" if number % 2 == 0 else "running"
        child.strike(stop, moment, first=1, last=int(0.8 * self.steps), draw=draw)
        return f"{stop.name}: {self.check_stopped(run, child, stop)}"

    def check_stopped(self, run: Path, child: Child, stop: signal.Signals) -> str:
        """Check that a signal stopped a run with its last step saved, and let it finish."""
        if (code := child.end()) != 128 + stop:
            raise FailedError(f"wanted exit code {128 + stop} after {stop.name}, got {code}: {child.words()[-600:]}")
        saved, logged = max(whole_checkpoints(run), default=0), max([line["step"] for line in metrics(run)], default=0)
        if not logged <= saved < logged + 7:
            raise FailedError(f"wanted the step of the stop to be saved, but {saved} is, and {logged} was logged")
        self.start(run, "--resume").finish()
        check_same(run, self.reference, steps=self.steps)
        return f"stopped after step {saved}"

    def hush(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Kill who reads what it prints, alone or with a signal, as Ctrl+C does; let it finish."""
        run, stop = folder / "run", (signal.SIGINT, signal.SIGHUP, None)[number % 3]
        child = self.start(run, piped=True)
        child.reach("checkpoint" if number % 2 else "running", first=1, last=int(0.8 * self.steps), draw=draw)
        if stop is None:
            child.hush()
            child.finish()
            check_same(run, self.reference, steps=self.steps)
            return "went on to its end"
        for act in draw.permutation(np.array([child.hush, functools.partial(child.send, stop)], dtype=object)):
            act()
        return f"and {stop.name}: {self.check_stopped(run, child, stop)}"

    def second(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Start a second trainer in the same folder, which must be refused; the first is not to notice."""
        run = folder / "run"
        children = [self.start(run, "--resume")]
        children[0].reach(MOMENTS[number % 3], first=1, last=self.steps // 2, draw=draw)
        children.append(self.start(run, "--resume"))
        codes = [child.end() for child in children]
        refused = [child.words() for child, code in zip(children, codes, strict=True) if code]
        if len(refused) > 1 or not all("which trains there" in words for words in refused):
            raise FailedError(f"wanted one of two trainers to be refused, got exit codes {codes}: {refused}")
        if not refused and "already has its" not in children[1].words():
            raise FailedError(f"two trained in one folder: {children[1].words().strip()[-600:]}")
        check_same(run, self.reference, steps=self.steps)
        return f"exit codes {codes}"

    def devices(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Kill it on one device, and make some more steps on two."""
        run = folder / "run"
        self.kill_once(run, "running", 17, draw, last=self.steps - 2 * EXTRA_STEPS)
        steps = min(max(whole_checkpoints(run)) + EXTRA_STEPS, self.steps)
        words = self.start(run, "--resume", "--devices=2", steps=steps).finish()
        if "on 2 device(s)" not in words:
            raise FailedError(f"wanted it to train on two devices: {words.strip()[-600:]}")
        check_same(run, self.reference, steps=steps, tolerance=TOLERANCE)
        return f"two devices from step {steps - EXTRA_STEPS} to {steps}"

    def prepare(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Make a killed run with two whole checkpoints or more, for the trials that damage them."""
        self.kill_once(folder / "run", MOMENTS[1 + number % 2], 35, draw, last=self.steps - 10)
        if len(whole_checkpoints(folder / "run")) < 2:
            raise FailedError(f"wanted two whole checkpoints, found {list(whole_checkpoints(folder / 'run'))}")
        return f"has checkpoints {list(whole_checkpoints(folder / 'run'))}"

    def damaged(self, kind: str, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Damage the newest checkpoint of a killed run, and let it finish."""
        run = folder / "run"
        shutil.copytree(self.root / f"prepare-{number}" / "run", run)
        newest, checkpoint = list(whole_checkpoints(run).items())[-1]
        done = damage(checkpoint, kind, draw)
        before = fingerprint(checkpoint)
        try:
            words = self.start(run, "--resume").finish()
            check_same(run, self.reference, steps=self.steps)
            resumed = re.search(r"^Resuming .*after step (\d+)", words, re.MULTILINE)
            if resumed and int(resumed[1]) == newest:
                return f"{done}: made no difference"
            if not is_named(newest, words):
                raise FailedError(f"checkpoint {newest} was passed over without a word: {words.strip()[-600:]}")
            if before not in [fingerprint(path) for path in checkpoint.parent.glob(f"{newest}*")]:
                raise FailedError(f"the content of the damaged checkpoint {newest} is no longer there as it was")
        except FailedError as error:
            raise FailedError(f"{done}: {error}") from error
        return f"{done}: skipped"

    def refuse(self, folder: Path, number: int, draw: np.random.Generator) -> str:
        """Damage all checkpoints of a killed run, which must then refuse to go on and change nothing."""
        run = folder / "run"
        shutil.copytree(self.root / f"prepare-{number}" / "run", run)
        for path in [file for each in whole_checkpoints(run).values() for file in each.rglob("*") if file.is_file()]:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        before = {step: fingerprint(path) for step, path in whole_checkpoints(run).items()}
        lines = (run / "metrics.jsonl").read_bytes()
        child = self.start(run, "--resume")
        code, words = child.end(), child.words()
        if code <= 0 or child.has_stepped():
            raise FailedError(f"wanted it to refuse, got exit code {code}: {words.strip()[-600:]}")
        if before != {step: fingerprint(path) for step, path in whole_checkpoints(run).items()}:
            raise FailedError("it changed or removed damaged checkpoints")
        if lines != (run / "metrics.jsonl").read_bytes():
            raise FailedError("it refused, but changed metrics.jsonl")
        silent = [step for step in before if not is_named(step, words)]
        if silent:
            raise FailedError(f"it refused, but did not name the checkpoints {silent}: {words.strip()[-600:]}")
        return f"refused checkpoints {list(before)}"


def attempt(trial: Trial, *, folder: Path, number: int, seed: Sequence[int], keep: bool) -> str | None:
    """Make a trial, say how it went, and return what failed, if anything did."""
    folder.mkdir()
    try:
        note = trial(folder, number, np.random.default_rng(seed))
    except Exception as error:  # the other trials go on, whatever it was
        words = str(error) if isinstance(error, FailedError) else traceback.format_exc()
        print(f"FAILED {folder}: {words}", flush=True)
        return words
    print(f"{folder.name}: {note}", flush=True)
    if not keep:
        shutil.rmtree(folder)
    return None


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line: what is ours, and what every child gets."""
    words = list(words)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=30, help="trials with SIGKILL")
    parser.add_argument("--damage", type=int, default=6, help="trials of each way to damage a checkpoint, and 1 of all")
    parser.add_argument("--terminate", type=int, default=6, help="trials with SIGTERM, SIGHUP and SIGUSR1")
    parser.add_argument("--hush", type=int, default=6, help="trials without a reader of what is printed")
    parser.add_argument("--second", type=int, default=6, help="trials with a second trainer in the folder")
    parser.add_argument("--devices", type=int, default=3, help="trials that go on with two devices")
    parser.add_argument("--steps", type=int, default=200, help="steps of a run, a multiple of 10")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="of all choices; random")
    parser.add_argument("--workers", type=int, default=2, help="children at once")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a child may take")
    parser.add_argument("--keep", type=Path, help="a new folder for everything; kept")
    parser.add_argument("--reference", type=Path, help="compare to this run, which has all its checkpoints")
    return parser.parse_args(words[:cut]), words[cut + 1 :]


def prepare_environment(root: Path) -> None:
    """Set what children inherit: CPU devices, one cache of compiled programs, and where to find their modules."""
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(root / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "OPENBLAS_NUM_THREADS": "1",  # no thread in the process that is forked
        # Of the lock of a progress bar, which what is killed cannot give back.
        "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    multiprocessing.set_forkserver_preload(["tools.chaos_child"])


def plan(trials: Trials, options: argparse.Namespace) -> list[list[tuple[str, Trial, int]]]:
    """List the trials as (kind, trial, number), in phases of which each needs the one before."""
    kinds: list[tuple[str, Trial, int]] = [
        ("kill", trials.kill, options.times),
        ("terminate", trials.terminate, options.terminate),
        ("hush", trials.hush, options.hush),
        ("second", trials.second, options.second),
        ("devices", trials.devices, options.devices),
        *((kind, functools.partial(trials.damaged, kind), options.damage) for kind in DAMAGES),
        ("refuse", trials.refuse, min(options.damage, 1)),
    ]
    first: list[tuple[str, Trial, int]] = [("prepare", trials.prepare, number) for number in range(options.damage)]
    return [first, [(kind, trial, number) for kind, trial, count in kinds for number in range(count)]]


def make_all(trials: Trials, options: argparse.Namespace) -> Counter[tuple[str, bool]]:
    """Make the trials, some at once; return how many of each kind failed (True) or passed (False)."""
    outcomes: Counter[tuple[str, bool]] = Counter()
    with ThreadPoolExecutor(options.workers) as pool:
        for phase in plan(trials, options):
            jobs = {}
            for place, (kind, trial, number) in enumerate(phase):
                jobs[place] = pool.submit(
                    attempt,
                    trial,
                    folder=trials.root / f"{kind}-{number}",
                    number=number,
                    seed=(options.seed, number, *kind.encode()),
                    keep=options.keep is not None or kind == "prepare",
                )
            for place, job in jobs.items():
                outcomes[phase[place][0], job.result() is not None] += 1
    return outcomes


def summarise(outcomes: Counter[tuple[str, bool]], kills: Sequence[str]) -> None:
    """Print the tables of trials and of kills."""
    print(f"\n{'trial':<12}{'passed':>8}{'failed':>8}")
    for kind in dict.fromkeys(kind for kind, _ in outcomes):
        print(f"{kind:<12}{outcomes[kind, False]:>8}{outcomes[kind, True]:>8}")
    places = ", ".join(f"{kills.count(place)} {place}" for place in LANDINGS)
    print(f"{len(kills)} kills hit: {places}")


def main() -> None:
    """Make the reference and all trials; exit with 1 if one failed."""
    options, extra = parse(sys.argv[1:])
    began = time.monotonic()
    if options.keep:
        options.keep.mkdir(parents=True)
    root = options.keep.resolve() if options.keep else Path(tempfile.mkdtemp(prefix="icl-chaos-"))
    prepare_environment(root)
    print(f"seed {options.seed}, in {root}", flush=True)
    (root / "reference").mkdir()
    reference = options.reference or root / "reference" / "run"
    trials = Trials(root=root, steps=options.steps, extra=extra, limit=options.limit, reference=reference)
    if not options.reference:
        trials.start(reference, "--keep=100000").finish()
    outcomes = make_all(trials, options)
    summarise(outcomes, trials.kills)
    failures = sum(count for (_, failed), count in outcomes.items() if failed)
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s, {failures} failed")
    if failures:
        sys.exit(1)
    if not options.keep:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
