"""Which of two predictors models come to, by the size of the pool that they were trained on: the page of a sweep."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import icl_eval as evaluation
from icl_lab.config import ExperimentConfig
from icl_lab.options import option_of
from icl_lab.sweep_preset import Drawn
from icl_lab.sweeps.plan import varied_among
from icl_lab.tasks import SEEN, UNSEEN

_TASKS = "data.num_tasks"
_OF = {SEEN: "tasks of the pool", UNSEEN: "fresh tasks"}
_HALF = 0.5  # of the way from one predictor to the other

Measured = dict[int | None, list[dict[str, evaluation.Result]]]
"""By the size of the pool, None for fresh tasks for ever: the last results of each seed, by their evaluation."""


def check_pool_sizes(run: ExperimentConfig) -> None:
    """Refuse a run that is not measured beside predictors, of which `draw_pool_sizes` has nothing to show.

    Raises:
      ValueError: eval.baseline_count is 0.
    """
    if not option_of(run, "eval.baseline_count"):
        raise ValueError("a sweep over pools wants eval.baseline_count above 0, to ask predictors about tasks; got 0.")


def draw_pool_sizes(
    folder: Path,
    base: ExperimentConfig,
    runs: Sequence[ExperimentConfig],
    *,
    memorising: str,
    generalising: str,
    unit: float = 1.0,
) -> Drawn:
    """Return how far models are from a predictor that remembers the pool and from one that does not, by its size.

    Runs are those whose evaluations on seen and on unseen tasks have the metrics of `icl_eval.evaluate_every_point` or
    `evaluate_every_symbol`, between these two predictors. Where other options vary, there are pictures for each.

    Args:
      folder: of the sweep.
      base: what all runs have in common.
      runs: those that are finished.
      memorising: name of the predictor that remembers the pool.
      generalising: name of the other.
      unit: what distances are divided by, such as the number of dimensions.

    Source: Raventos et al. (2023), arXiv 2306.15063, figure 2; the threshold here is where models are half way between
    the two predictors on fresh tasks.
    """
    pictures, tables, said = [], [], []
    for title, alike in _by_other_options(runs).items():
        measured = _measured(alike)
        pictures += [
            _distances(measured, title, memorising=memorising, generalising=generalising, unit=unit),
            _ways(measured, title, memorising=memorising, generalising=generalising),
        ]
        tables.append(_table(measured, title, memorising=memorising, generalising=generalising, unit=unit))
        said.append(_threshold(measured, title, memorising=memorising, generalising=generalising))
    return Drawn(pictures=pictures, tables=tables, note=" ".join(said), said=said)


def _by_other_options(runs: Sequence[ExperimentConfig]) -> dict[str, list[ExperimentConfig]]:
    options = [option for option in varied_among(runs) if option != _TASKS]
    parts: dict[str, list[ExperimentConfig]] = {}
    for run in runs:
        said = [f"{option.rpartition('.')[2].replace('_', ' ')} {option_of(run, option)}" for option in options]
        parts.setdefault(", ".join(said), []).append(run)
    return parts


def _measured(runs: Sequence[ExperimentConfig]) -> Measured:
    found: Measured = {}
    for run in sorted(runs, key=lambda run: option_of(run, _TASKS) or math.inf):
        latest = evaluation.read_run(run.workdir, arrays=False).latest()
        results = {name: result for name, (_, result) in latest.items()}
        found.setdefault(option_of(run, _TASKS), []).append(results)
    return found


def _numbers(measured: Measured, name: str, metric: str) -> list[list[evaluation.Estimate]]:
    """Return the numbers of the seeds at each size; none where it was not measured, as without a pool."""
    return [
        [seed[name].metrics[metric] for seed in seeds if name in seed and metric in seed[name].metrics]
        for seeds in measured.values()
    ]


def _distances(
    measured: Measured, title: str, *, memorising: str, generalising: str, unit: float
) -> evaluation.Picture:
    panels = {
        words: (
            list(measured),
            {
                f"to {each}": [
                    [seed.value / unit for seed in seeds] for seeds in _numbers(measured, name, f"distance_{each}")
                ]
                for each in (memorising, generalising)
            },
        )
        for name, words in _OF.items()
    }
    return _picture(
        "distances",
        "Distance to both predictors",
        title,
        panels,
        kind="error",
        caption="The mean distance of models to each predictor, over all positions: of seeds their mean in a band from "
        f"the lowest to the highest{f', divided by {unit:g}' if unit != 1 else ''}.",
    )


def _ways(measured: Measured, title: str, *, memorising: str, generalising: str) -> evaluation.Picture:
    series = {
        words: [[seed.value for seed in seeds] for seeds in _numbers(measured, name, "relative_distance")]
        for name, words in _OF.items()
    }
    return _picture(
        "relative_distance",
        f"From {memorising} to {generalising}",
        title,
        {"": (list(measured), series)},
        kind="proportion",
        caption=f"The distance to {memorising} over the sum of both: 0 is {memorising}, 1 is {generalising}.",
    )


def _picture(name: str, heading: str, title: str, panels: Any, *, kind: Any, caption: str) -> evaluation.Picture:
    names = {size: _size(size) for values, _ in panels.values() for size in values}
    alt = "; ".join(
        f"{panel} {series}, {names[size]}: {sum(seeds) / len(seeds):.4g}".strip()
        for panel, (values, of_panel) in panels.items()
        for series, numbers in of_panel.items()
        for size, seeds in zip(values, numbers, strict=True)
        if seeds
    )
    return evaluation.Picture(
        "_".join([name, *title.replace(",", "").split()]).replace("/", "_"),
        ", ".join(filter(None, [heading, title])),
        lambda: evaluation.against_option(panels, names=names, x_label="tasks in the pool", kind=kind),
        caption,
        alt,
        wide=len(panels) > 1,
    )


def _table(measured: Measured, title: str, *, memorising: str, generalising: str, unit: float) -> evaluation.Table:
    metrics = (f"distance_{memorising}", f"distance_{generalising}", "relative_distance")
    heads = (f"to {memorising}", f"to {generalising}", f"from {memorising} to {generalising}")
    header = ("tasks in the pool", "seeds", *(f"{head}, {words}" for words in _OF.values() for head in heads))
    columns = [
        (_numbers(measured, name, metric), 1.0 if metric == metrics[-1] else unit) for name in _OF for metric in metrics
    ]
    rows = [
        (_size(size), str(len(seeds)), *(_mean(numbers[place], by) for numbers, by in columns))
        for place, (size, seeds) in enumerate(measured.items())
    ]
    return evaluation.Table(", ".join(filter(None, ["Distances of models to predictors", title])), header, rows)


def _mean(seeds: Sequence[evaluation.Estimate], unit: float) -> str:
    return f"{sum(seed.value for seed in seeds) / len(seeds) / unit:.4g}" if seeds else ""


def _threshold(measured: Measured, title: str, *, memorising: str, generalising: str) -> str:
    """Say from which size of the pool on models are nearer to the predictor that does not remember it."""
    sizes = [size for size in measured if size is not None]
    numbers = _numbers({size: measured[size] for size in sizes}, UNSEEN, "relative_distance")
    start = f"{title}: " if title else ""
    if not any(numbers):
        return f"{start}no run has a pool and both predictors beside it."
    found = evaluation.crossing([math.log2(size) for size in sizes], numbers, level=_HALF)
    ends = sizes[0], sizes[-1]
    if found.value == math.inf:
        return f"{start}on fresh tasks models are nearer to {memorising} up to {_size(ends[1])} tasks."
    if found.value == -math.inf:
        return f"{start}on fresh tasks models are nearer to {generalising} from {_size(ends[0])} tasks on."
    low, high = (
        f"2^{end:.1f}" if math.isfinite(end) else f"{'below' if end < 0 else 'above'} {_size(ends[end > 0])}"
        for end in found[1:]
    )
    over = "seeds" if any(len(seeds) > 1 for seeds in numbers) else "the tasks of single runs, and not over seeds"
    return (
        f"{start}on fresh tasks models are nearer to {generalising} than to {memorising} from 2^{found.value:.1f} "
        f"tasks on ({low} to {high}, 95 % over {over})."
    )


def _size(tasks: int | None) -> str:
    """Return the size of a pool to read.

    >>> _size(16), _size(12), _size(None)
    ('2^4', '12', 'fresh')
    """
    if tasks is None:
        return "fresh"
    return f"2^{tasks.bit_length() - 1}" if tasks & (tasks - 1) == 0 else f"{tasks:,}"
