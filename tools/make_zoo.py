"""Make the runs that are published: trained by their commands, and written as plain arrays with hashes.

    python -m tools.make_zoo                     all of them, in runs/zoo and then in zoo
    python -m tools.make_zoo gpicl linear        some
    python -m tools.make_zoo omniglot --to big   4 seeds with 20 checkpoints each, which are too big for the repository

A folder of the zoo is that of a run with ``weights/step-N.npz`` in place of checkpoints; `icl_lab.load_run` and
`icl_lab.Learner.load` read both. A run that is finished is not trained again.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import icl_lab as lab
from experiments.omniglot.presets import PRESETS
from icl_train import checkpoint_steps, restore_model

COPIED = ("config.json", "eval.jsonl", "metrics.jsonl", "measures.json", "summary.json")


class Flagship(NamedTuple):
    """A run that is published.

    Attributes:
      words: what stands after ``python -m experiments.``.
      all_steps: whether every checkpoint is published, not the last alone.
      in_repository: whether it is small enough for the repository.
    """

    words: tuple[str, ...]
    all_steps: bool = False
    in_repository: bool = True


EVERY = str(PRESETS["laptop"].train.steps // 20)
ZOO = {
    "gpicl": Flagship(("gpicl", "laptop")),
    "functions": Flagship(("functions", "laptop")),
    "linear": Flagship(("linear", "laptop")),
    "induction": Flagship(("omniglot", "induction")),
} | {
    f"omniglot_{seed}": Flagship(
        (
            "omniglot",
            "laptop",
            "--train.seed",
            f"{seed}",
            "--train.checkpoint-every",
            EVERY,
            "--train.keep-every",
            EVERY,
        ),
        all_steps=True,
        in_repository=False,
    )
    for seed in range(4)
}


def publish(run: Path, to: Path, *, steps: Sequence[int]) -> int:
    """Write a run as plain arrays, over what was there; return its size in bytes.

    Args:
      run: its folder, with checkpoints of these steps.
      to: the folder of the zoo.
      steps: that are published.

    Raises:
      ValueError: folders that lie within each other, or no steps; nothing is changed then.
    """
    run, to = run.resolve(), to.resolve()
    if run in (to, *to.parents) or to in run.parents:
        raise ValueError(f"wanted a folder apart from the run's, got {to} for {run}; give another --to.")
    if not steps:
        raise ValueError(f"wanted checkpoints to publish, found none in {run}; train it again.")
    made = to.with_name(f"{to.name}.partial")
    shutil.rmtree(made, ignore_errors=True)
    size = _publish(run, made, steps=steps)
    shutil.rmtree(to, ignore_errors=True)
    made.rename(to)
    return size


def _publish(run: Path, to: Path, *, steps: Sequence[int]) -> int:
    to.mkdir(parents=True)
    for name in COPIED:
        if (run / name).is_file():
            shutil.copy(run / name, to / name)
    record = json.loads((to / "config.json").read_text(encoding="utf-8"))
    for private in ("folder", "platform"):  # of the machine that trained it
        record.pop(private, None)
    text = json.dumps(record, indent=2).replace(str(Path.home()), "~")
    (to / "config.json").write_text(text + "\n", encoding="utf-8")
    for step in steps:
        lab.write_weights(to, restore_model(run, step=step))
    return sum(path.stat().st_size for path in to.rglob("*") if path.is_file())


def main(arguments: Sequence[str]) -> None:
    """Train and publish what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"beginnings of: {', '.join(ZOO)}; by default those in the repository")
    parser.add_argument("--runs", type=Path, default=Path("runs", "zoo"), help="where they are trained")
    parser.add_argument("--to", type=Path, default=Path("zoo"), help="where they are published")
    options = parser.parse_args(arguments)
    chosen = {
        name: flagship
        for name, flagship in ZOO.items()
        if (any(map(name.startswith, options.names)) if options.names else flagship.in_repository)
    }
    if not chosen:
        parser.error(f"there is no run of that name; there are {', '.join(ZOO)}")
    for name, flagship in chosen.items():
        run = options.runs / name
        if not (run / "summary.json").is_file():
            experiment, *words = flagship.words
            command = [sys.executable, "-m", f"experiments.{experiment}", *words, "--workdir", str(run), "--resume"]
            subprocess.run(command, check=True)
        steps = checkpoint_steps(run)
        size = publish(run, options.to / name, steps=steps if flagship.all_steps else steps[-1:])
        print(f"{options.to / name}: {len(steps) if flagship.all_steps else 1} checkpoints, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
