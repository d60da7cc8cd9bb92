"""What ways of answering do over a long training: when each peaks, and whether it stays."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.sequences import SequenceName

Lines = Mapping[str, tuple[SequenceName, str]]
"""Evaluations with one of their metrics, by the name of a line."""

LEARNING: Lines = {
    "ICL": ("fewshot_holdout", "accuracy_closed"),
    "IWL": ("no_support_zipfian", "accuracy_open"),
}
STRATEGIES: Lines = {
    "ICL": ("distractor_unfixed", "accuracy_in_context"),
    "flip": ("distractor_swapped", "accuracy_in_context"),
    "CIWL": ("label_elsewhere", "accuracy_in_context"),
    "IWL": ("no_support_zipfian", "accuracy_open"),
}
"""The four evaluators of Singh et al. (2025), arXiv 2503.05631."""


def draw(
    folder: Path,
    base: OmniglotConfig,
    runs: Sequence[OmniglotConfig],
    *,
    settings: Callable[[OmniglotConfig], Mapping[str, lab.Setting]],
    lines: Lines,
) -> lab.Drawn:
    """Return a figure of each setting over steps and sequences seen, and a table of peaks and ends.

    Args:
      folder: of the sweep, where the table is written as courses.md.
      base: what all runs have in common.
      runs: those that are finished.
      settings: of the sweep.
      lines: what is drawn.
    """
    header = ("setting", "seeds", *(f"{name}: peak, at sequences seen, final" for name in lines))
    pictures, rows, size = [], [], base.data.batch_size
    for place, (name, setting) in enumerate(settings(base).items()):
        wanted = lab.with_options(base, setting)
        alike = [run for run in runs if lab.differ_in_seed_alone(run, wanted)]
        read = [evaluation.read_run(run.workdir, arrays=False) for run in alike]
        curves = {line: _mean(read, *of) for line, of in lines.items()}
        known = {line: curve for line, curve in curves.items() if curve is not None}
        if known:
            rows.append((name, str(len(read)), *(_told(curves[line], size) for line in lines)))
            pictures.append(_picture(f"course_{place}", name, known, size, seeds=len(read)))
    text = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    (folder / "courses.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return lab.Drawn(
        pictures=pictures,
        tables=[evaluation.Table("What came, and what stayed", header, rows)],
        said=["; ".join(row) for row in rows],
    )


def _mean(read: Sequence[evaluation.Run], name: str, metric: str) -> evaluation.ScalarCurve | None:
    """Return the mean over seeds from step 1 on; None if nothing is known of it."""
    curves = [curve for run in read if (curve := run.evaluation_curve(name, metric)) is not None]
    mean = evaluation.over_seeds(curves)
    return None if mean is None else mean.where((mean.steps > 0) & np.isfinite(mean.values))


def _told(curve: evaluation.ScalarCurve | None, size: int) -> str:
    if curve is None:
        return "not evaluated"
    peak = int(np.argmax(curve.values))
    return f"{curve.values[peak]:.3f}, {curve.steps[peak] * size:,.0f}, {curve.values[-1]:.3f}"


def _picture(
    name: str, title: str, curves: Mapping[str, evaluation.ScalarCurve], size: int, *, seeds: int
) -> evaluation.Picture:
    said = " ".join(f"{line}: {evaluation.describe_transience(curve)}." for line, curve in curves.items())
    bands = "bands are 95 % intervals" if seeds == 1 else f"means of {seeds} seeds, bands from lowest to highest"
    return evaluation.Picture(
        name=name,
        title=title.capitalize(),
        draw=lambda: evaluation.transience(curves, batch_size=size),
        caption=f"By training step and by sequences seen, on a logarithmic axis, with the peak of each; {bands}.",
        alt=said,
    )
