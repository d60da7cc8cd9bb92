"""The pictures of properties, and which of the paper's trends hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.properties.settings import PROPERTIES, SETTINGS, Property, PropertyValue, setting_of
from experiments.omniglot.properties.times import times_table

TITLES: dict[Property, tuple[str, str]] = {
    "p_bursty": ("Burstiness", "probability of a bursty sequence"),
    "classes": ("Number of classes", "trained classes"),
    "labels_per_class": ("Labels per class", "labels of each class"),
    "variation": ("Variation within classes", "exemplars of each class"),
    "zipf_exponent": ("Class frequencies", "Zipf exponent"),
}

# Which evaluation and metric make a line; the first metric that a run has.
LINES = {
    "ICL": ("fewshot_holdout", ("accuracy_closed",)),
    "IWL": ("no_support_zipfian", ("accuracy_any_label", "accuracy_open")),
    "IWL, common": ("no_support_common", ("accuracy_open",)),
    "IWL, rare": ("no_support_rare", ("accuracy_open",)),
}


class Trend(NamedTuple):
    """A trend of the paper: between two values of a property, an accuracy rises."""

    line: str
    lower: str
    higher: str


# Chan et al. (2022), figures 2 to 6.
TRENDS: dict[Property, tuple[Trend, ...]] = {
    "p_bursty": (Trend("ICL", "0", "1"), Trend("IWL", "1", "0")),
    "classes": (Trend("ICL", "100", "1,600"), Trend("IWL", "1,600", "100")),
    "labels_per_class": (Trend("ICL", "1", "4"),),
    "variation": (Trend("ICL", "one", "all"), Trend("IWL", "all", "one")),
    "zipf_exponent": (Trend("ICL", "2", "0"), Trend("IWL", "0", "2"), Trend("ICL", "2", "1"), Trend("IWL", "0", "1")),
}

RULE = (
    "A trend holds if the 95 % interval of every seed at the one value lies above those of all seeds at the other, and "
    "is reversed if it lies below; intervals are of the evaluated sequences and know nothing of further seeds."
)

Accuracies = dict[str, list[list[evaluation.Estimate]]]


def draw(folder: Path, base: OmniglotConfig, runs: Sequence[OmniglotConfig]) -> lab.Drawn:
    """Return the figures and tables of the properties that were varied, and write the tables as trends.md.

    Args:
      folder: of the sweep.
      base: what all runs have in common.
      runs: those that are finished.
    """
    found = {name: read(base, name, runs) for name in PROPERTIES}
    accuracies = {name: lines for name, lines in found.items() if _are_varied(lines)}
    rows = [row for name, lines in accuracies.items() for row in judged(name, lines)]
    header = ["property", "the paper's trend", "here", "holds"]
    steps = " or ".join(f"{count:,}" for count in sorted({run.train.steps for run in runs}))
    note = f"{len(runs)} runs, {steps} training steps each. {RULE}"
    times = times_table(base, runs)
    text = [*_markdown(header, rows), "", note, "", *_markdown(times.header, times.rows), ""]
    (folder / "trends.md").write_text("\n".join(text), encoding="utf-8")
    return lab.Drawn(
        pictures=[picture(name, lines, base) for name, lines in accuracies.items()],
        tables=[*([evaluation.Table("Which of the paper's trends hold", header, rows)] if rows else []), times],
        note=note,
        said=[f"{row[0]}: {row[1]}: {row[3]} ({row[2]})" for row in rows],
    )


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]


def _are_varied(lines: Accuracies) -> bool:
    """Return whether there are runs of two values of a property."""
    return any(sum(map(bool, by_value)) > 1 for by_value in lines.values())


def read(base: OmniglotConfig, name: Property, runs: Sequence[OmniglotConfig]) -> Accuracies:
    """Return the accuracies by line, value and seed, of the lines that some run has."""
    found = {
        line: [seeds_of(base, setting, runs, *wanted) for setting in SETTINGS[name]] for line, wanted in LINES.items()
    }
    return {line: by_value for line, by_value in found.items() if any(by_value)}


def seeds_of(
    base: OmniglotConfig, setting: PropertyValue, runs: Sequence[OmniglotConfig], kind: str, metrics: Sequence[str]
) -> list[evaluation.Estimate]:
    """Return an accuracy of each seed of a setting that has it.

    Args:
      base: what all runs have in common.
      setting: which.
      runs: all that are finished.
      kind: the evaluation.
      metrics: the first of these that a run has is taken.
    """
    wanted = lab.with_options(base, setting_of(base, setting))
    estimates = []
    for run in runs:
        if lab.differ_in_seed_alone(run, wanted):
            summary = json.loads((run.workdir / "summary.json").read_text(encoding="utf-8"))
            measured = summary["evaluations"].get(kind, {})
            found = [measured[metric] for metric in metrics if metric in measured][:1]
            estimates += [evaluation.Estimate.from_json(fields) for fields in found]
    return [estimate for estimate in estimates if np.isfinite(estimate.value)]


def picture(name: Property, accuracies: Accuracies, base: OmniglotConfig) -> evaluation.Picture:
    """Return the figure of a property."""
    title, x_label = TITLES[name]
    values = [setting.value for setting in SETTINGS[name]]
    counts = sorted({estimate.count for line in accuracies.values() for seeds in line for estimate in seeds})
    values_of = {
        line: [[estimate.value for estimate in seeds] for seeds in by_value] for line, by_value in accuracies.items()
    }
    said = {
        line: [f"{np.mean(seeds):.3f} at {value}" for value, seeds in zip(values, by_value, strict=True) if seeds]
        for line, by_value in values_of.items()
    }
    return evaluation.Picture(
        name=name,
        title=title,
        draw=lambda: evaluation.against_settings(values, values_of, x_label=x_label, chance=1 / base.data.ways),
        caption=f"Lines go through the means, dots are the seeds, each evaluated on "
        f"{' or '.join(f'{count:,}' for count in counts)} sequences. ICL: closed accuracy on held-out classes. "
        "IWL: open accuracy on trained classes without support; with several labels per class, any of them is right.",
        alt="; ".join(f"{line} {', '.join(numbers)}" for line, numbers in said.items()) + ".",
    )


def judged(name: Property, accuracies: Accuracies) -> list[list[str]]:
    """Return a row for each trend: whether it holds by ``RULE``."""
    values = [setting.value for setting in SETTINGS[name]]
    rows = []
    for line, lower, higher in TRENDS[name]:
        by_value = accuracies.get(line, [[]] * len(values))
        pairs = [(value, by_value[values.index(value)]) for value in (lower, higher)]
        (_, below), (_, above) = pairs
        if not below or not above:
            outcome = "not run"
        elif min(seed.low for seed in above) > max(seed.high for seed in below):
            outcome = "holds"
        elif max(seed.high for seed in above) < min(seed.low for seed in below):
            outcome = "reversed"
        else:
            outcome = "not shown"
        numbers = [f"{'/'.join(f'{seed.value:.3f}' for seed in seeds)} at {value}" for value, seeds in pairs]
        rows.append([TITLES[name][0], f"{line} higher at {higher} than at {lower}", ", ".join(numbers), outcome])
    return rows
