"""A figure of accuracies against the value of a setting: what a property of the data does to ICL and IWL."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedFormatter, FixedLocator

from icl_eval.drawing import DOTTED, LIGHT, MARKERS, Theme, accuracy_axis, label_at_right, prepare
from icl_eval.estimate import readable


def against_settings(
    values: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    x_label: str,
    chance: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw accuracies against the values of a setting: a line through the means, a faint dot for each seed.

    Args:
      values: of the setting, as they stand beneath the axis, in order.
      series: by name, up to six; for each value the accuracies of its seeds, none for one that was not run.
      x_label: what the setting is.
      chance: of the first series, as a dotted line.
      theme: the colours.

    Raises:
      ValueError: no values, no series or too many, or a series of another length.

    Source: Chan et al. (2022), figures 2 to 6.

    >>> figure = against_settings(["0", "1"], {"ICL": [[0.5, 0.5], [0.9, 0.8]]}, x_label="p_bursty", chance=0.5)
    >>> [float(height) for height in figure.axes[0].lines[0].get_ydata()]
    [0.5, 0.8500000000000001]
    """
    colours = (theme.icl, theme.iwl, *theme.others)
    lengths = {len(accuracies) for accuracies in series.values()}
    if not values or not 1 <= len(series) <= len(colours) or lengths != {len(values)}:
        raise ValueError(
            f"Wanted 1..{len(colours)} series, each with accuracies for the values {list(values)}, got "
            f"{ {name: len(accuracies) for name, accuracies in series.items()} }."
        )
    figure = Figure(figsize=(4.6, 3.0), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    accuracy_axis(panel, theme)
    panel.set_xlabel(x_label, color=theme.ink, fontsize=9.5)
    panel.set_xlim(-0.3, len(values) - 0.7)
    panel.xaxis.set_major_locator(FixedLocator(range(len(values))))
    panel.xaxis.set_major_formatter(FixedFormatter(list(values)))
    labels: list[tuple[float, str, str, bool]] = []
    for (name, accuracies), colour, marker in zip(series.items(), colours, MARKERS, strict=False):
        means = np.array([np.mean(seeds) if len(seeds) else np.nan for seeds in accuracies])
        panel.plot(range(len(values)), means, color=colour, marker=marker, markersize=4.5, linewidth=1.7, clip_on=False)
        places = [place for place, seeds in enumerate(accuracies) for _ in seeds]
        heights = [accuracy for seeds in accuracies for accuracy in seeds]
        panel.scatter(places, heights, color=colour, marker=marker, s=14, alpha=0.35, linewidths=0, clip_on=False)
        if known := [float(mean) for mean in means if np.isfinite(mean)]:
            labels.append((known[-1], f"{name} {readable(known[-1])}", colour, True))
    if chance is not None:
        panel.axhline(chance, color=colours[0], linewidth=1, linestyle=DOTTED)
        labels.append((chance, f"chance {chance:.2g}", colours[0], False))
    label_at_right(panel, labels)
    return figure
