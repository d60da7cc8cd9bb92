"""Runs in the form of table 1 of Kirsch et al. (2022), with the paper's numbers below them where the set is the same.

    python -m experiments.gpicl.table runs/x runs/y-seed0 runs/y-seed1
    python -m experiments.gpicl.table runs/x --same idx MNIST     its files are MNIST's, which their names do not say

It prints Markdown. Runs that differ in nothing but their seed are one row.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.gpicl.data import OTHER
from experiments.gpicl.shifts import LONGER, SHIFTED

PaperSet = Literal["MNIST", "Fashion", "KMNIST", "Random", "CIFAR10", "SVHN"]

PAPER: dict[str, tuple[float, ...]] = {
    "SGD": (70.31, 50.78, 37.89, 100, 14.84, 10.16),
    "MAML": (53.71, 48.44, 36.33, 99.80, 17.38, 11.33),
    "VSML": (79.04, 68.49, 54.69, 100, 24.09, 17.45),
    "LSTM": (25.39, 28.12, 18.10, 58.72, 12.11, 11.07),
    "Transformer": (73.70, 62.24, 53.39, 100, 19.40, 14.58),
}
"""Table 1 there, a number for each `PaperSet`: % right at the 100th item, the mean of 3 seeds."""

KNOWN: dict[str, PaperSet] = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion",
    "kmnist": "KMNIST",
    "random": "Random",
    "cifar10": "CIFAR10",
    "svhn_cropped": "SVHN",
}
"""Which of our sets are the paper's, by the names that TFDS has for them."""

MODEL = "model"  # whose curve is not a baseline's

TRAINED = " (trained)"  # after the title of a set that runs were trained on, with other images
_PLACES = {"MNIST" + TRAINED: 0} | {name: place for place, name in enumerate(get_args(PaperSet)) if place}

_NOTE = (
    "Ours: % right at the last item, number {items}, with the 95 % interval over tasks; in `longer`, at "
    "the last of those; of several seeds their mean, "
    "the lowest and the highest. The paper's: % right at the 100th item, means of 3 seeds, of models that were trained "
    "on tasks of MNIST with 10 labels. An asterisk: the mean of the last eighth of the items, where no more was kept."
)


class Number(NamedTuple):
    """An accuracy, and whether it is that of the last item alone."""

    value: float
    low: float
    high: float
    is_last: bool


Column = dict[str, Number]
"""Accuracies in one evaluation, by who has them: the model, then baselines."""


def table(runs: Sequence[evaluation.Run], *, same: Mapping[str, PaperSet] | None = None) -> str:
    """Return the tables of runs, in Markdown: of labelled sets, and of shifted tasks where they were measured.

    Args:
      runs: as `icl_eval.read_run` gives them, of different names.
      same: which of our sets is which of the paper's, by names such as ``idx``, besides `KNOWN`.

    Raises:
      ValueError: two runs have one name, or a run has no evaluation of unseen tasks.
    """
    for run in runs:
        if lab.UNSEEN not in run.latest():
            raise ValueError(f"The run {run.name} has no evaluation of {lab.UNSEEN}; let it finish, or evaluate it.")
    groups = {f"{group.name}{_chance(group.runs[0])}": group.runs for group in evaluation.group_runs(runs)}
    items = sorted({int(run.shots[lab.UNSEEN].curves[MODEL].steps[-1]) + 1 for run in runs if lab.UNSEEN in run.shots})
    known = KNOWN | dict(same or {})
    sets = {name: [_columns(run, _sets(run, known)) for run in each] for name, each in groups.items()}
    shifts = {name: [_columns(run, _shifts(run)) for run in each] for name, each in groups.items()}
    parts = [_NOTE.format(items=" or ".join(map(str, items)) or "unknown"), _markdown(sets, PAPER)]
    if any(column for each in shifts.values() for column in each):
        parts += ["Unseen tasks that differ from those of training in one thing:", _markdown(shifts, {})]
    return "\n\n".join(parts)


def _sets(run: evaluation.Run, known: Mapping[str, PaperSet]) -> dict[str, str]:
    """Return the evaluations on labelled sets by the titles of their columns, the set that was trained on first."""
    options = run.config.get("config", {}).get("data", {})
    trained = str(options.get("tfds" if options.get("source") == "tfds" else "source", lab.UNSEEN))
    others = {name.removeprefix(OTHER): name for name in run.latest() if name.startswith(OTHER)}
    titles = {known.get(own, own): name for own, name in others.items()}
    return {known.get(trained, trained) + TRAINED: lab.UNSEEN} | titles


def _chance(run: evaluation.Run) -> str:
    chance = run.latest()[lab.UNSEEN][1].chance.get("accuracy_last")
    return "" if chance is None else f", chance {100 * chance:.0f}"


def _shifts(run: evaluation.Run) -> dict[str, str]:
    names = [name for name in run.latest() if name.startswith((SHIFTED, LONGER))]
    return {name.removeprefix(SHIFTED).replace("_", " "): name for name in names}


def _columns(run: evaluation.Run, titles: Mapping[str, str]) -> dict[str, Column]:
    return {title: _column(run, name) for title, name in titles.items()}


def _column(run: evaluation.Run, name: str) -> Column:
    if name in run.shots:
        curves = run.shots[name].curves.items()
        return {who: Number(curve.values[-1], curve.low[-1], curve.high[-1], True) for who, curve in curves}
    last = run.latest()[name][1].metrics["accuracy_last"]
    return {MODEL: Number(last.value, last.low, last.high, False)}


def _markdown(groups: Mapping[str, Sequence[dict[str, Column]]], paper: Mapping[str, Sequence[float]]) -> str:
    """Return a table: the model of each group and the baselines beside it, then the paper's rows."""
    titles = list(dict.fromkeys(title for runs in groups.values() for run in runs for title in run))
    rows = [["", *titles]]
    for name, runs in groups.items():
        for who in dict.fromkeys(who for run in runs for column in run.values() for who in column):
            beside = f"{who}, beside {name}" if len(groups) > 1 else who
            cells = ([run[title][who] for run in runs if who in run.get(title, {})] for title in titles)
            rows.append([name if who == MODEL else beside, *map(_cell, cells)])
    for name, numbers in paper.items() if "MNIST" + TRAINED in titles else ():
        known = (f"{numbers[_PLACES[title]]:.2f}" if title in _PLACES else "" for title in titles)
        rows.append([f"{name} (paper)", *known])
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *others])


def _cell(seeds: Sequence[Number]) -> str:
    """Return the number of a run with its interval, or the mean of several with the lowest and the highest."""
    if not seeds:
        return ""
    values = [seed.value for seed in seeds]
    low, high = (seeds[0].low, seeds[0].high) if len(seeds) == 1 else (min(values), max(values))
    mark = "" if all(seed.is_last for seed in seeds) else "*"
    return f"{100 * np.mean(values):.1f}{mark} ({100 * low:.1f}-{100 * high:.1f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of run folders, and return the exit code: 2 for one that cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.gpicl.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", help="the run folders, such as runs/x; seeds of one run are one row")
    parser.add_argument(
        "--same",
        nargs=2,
        action="append",
        default=[],
        metavar=("SET", "PAPER"),
        help=f"a set of these runs, and which of the paper's it is: {', '.join(get_args(PaperSet))}",
    )
    options = parser.parse_args(arguments)
    with lab.one_line_errors():
        for own, name in options.same:
            if name not in get_args(PaperSet):
                raise ValueError(f"--same {own} {name}: the paper has {', '.join(get_args(PaperSet))}.")
        lab.say(table([evaluation.read_run(folder) for folder in options.folders], same=dict(options.same)))
    return 0


if __name__ == "__main__":
    main()
