"""What the size of a model buys: accuracy on unseen tasks against state size and parameters (Kirsch et al. 2022)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.gpicl.config import GpiclConfig
from experiments.gpicl.data import make_sets, read_banks
from experiments.gpicl.model import make_model

# Sizes that overlap: the state of an LSTM is its units, that of a Transformer grows with the sequence, and that of the
# last two with the square of their width.
WIDTHS: Mapping[lab.TrunkName, tuple[int, ...]] = {
    "transformer": (16, 32, 64, 128),
    "lstm": (16, 32, 64, 128),
    "gru": (16, 32, 64, 128),
    "mlp": (32, 128, 256),
    "outer_product_lstm": (8, 16, 32, 64),
    "linear_attention": (16, 32, 64, 128),
}


def named_settings(config: GpiclConfig) -> Mapping[str, lab.Setting]:
    """Return the settings by trunk and width, such as "lstm=64"."""
    return {
        f"{trunk}={width}": {"model.trunk": trunk, "model.width": width}
        for trunk, widths in WIDTHS.items()
        for width in widths
    }


def draw(folder: Path, base: GpiclConfig, runs: Sequence[GpiclConfig]) -> lab.Drawn:
    """Return the accuracies of all models against both of their sizes, the mean over the seeds of each.

    Args:
      folder: of the sweep.
      base: what all runs have in common.
      runs: those that are finished.
    """
    trained, _ = next(iter(make_sets(base.data, read_banks(base.data)).values()))
    dimensions, num_labels = trained.items.shape[1], base.data.ways or trained.num_classes
    groups = by_setting(runs)
    points = size_points(groups, num_labels, dimensions)
    said = [
        f"{point.trunk} of width {group[0].model.width}: state {point.state_size:,}, parameters {point.parameters:,}, "
        f"unseen {point.accuracy:.3f} over {len(group)} seeds"
        for point, group in zip(points, groups, strict=True)
    ]
    return lab.Drawn(pictures=[picture(points, 1 / num_labels)] if points else [], said=said)


def by_setting(runs: Sequence[GpiclConfig]) -> list[list[GpiclConfig]]:
    """Return runs that differ in nothing but their seed together, in their order."""
    groups: list[list[GpiclConfig]] = []
    for run in runs:
        alike = next((group for group in groups if lab.differ_in_seed_alone(group[0], run)), None)
        if alike is None:
            groups.append([run])
        else:
            alike.append(run)
    return groups


def unseen_accuracy(run: GpiclConfig) -> float:
    """Return the accuracy on unseen tasks that the summary of a finished run has."""
    summary = json.loads((run.workdir / "summary.json").read_text(encoding="utf-8"))
    value = summary["evaluations"]["unseen_tasks"]["accuracy_last"]["value"]
    return float("nan") if value is None else float(value)


def size_points(
    groups: Sequence[Sequence[GpiclConfig]], num_labels: int, dimensions: int
) -> list[evaluation.SizePoint]:
    """Return the models of the picture of sizes, one for all seeds of a setting."""
    return [
        _size_point(group[0], num_labels, dimensions, accuracy=float(np.mean([unseen_accuracy(run) for run in group])))
        for group in groups
    ]


def _size_point(config: GpiclConfig, num_labels: int, dimensions: int, *, accuracy: float) -> evaluation.SizePoint:
    model = make_model(config.model, num_labels)
    items = jax.ShapeDtypeStruct((1, config.data.length, dimensions), jnp.float32)
    return evaluation.SizePoint(
        trunk=config.model.trunk.replace("_", " "),
        state_size=models.state_size(model, config.data.length),
        parameters=models.parameter_count(model, items),
        accuracy=accuracy,
    )


def picture(points: Sequence[evaluation.SizePoint], chance: float, *, of: str = "") -> evaluation.Picture:
    """Return the picture of sizes; ``of`` says which runs they are."""
    told = [
        f"{point.trunk} of state {point.state_size:,} and {point.parameters:,} parameters: {point.accuracy:.2f}"
        for point in points
    ]
    return evaluation.Picture(
        "sizes",
        "Sizes",
        lambda: evaluation.against_size(points, chance=chance),
        f"Accuracy on unseen tasks{of}, against the sizes of their models: how many numbers carry what was read, and "
        "how many parameters there are. Spearman's rank correlation of each stands above, with its 95 % interval.",
        "; ".join(told),
    )
