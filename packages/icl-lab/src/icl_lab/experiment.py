"""What an experiment is: a value with all that the driver needs, made from a configuration by one function."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from jax.sharding import PartitionSpec
from jaxtyping import Array, PyTree

from icl_data import Sampler
from icl_eval import Family, Headline, Result
from icl_lab.config import ExperimentConfig
from icl_lab.sweep_preset import SweepPreset
from icl_lab.takes import Takes
from icl_models import TENSOR_PARALLEL, Intervention
from icl_train import FULLY_SHARDED, LossFunction, Rule, Rules

Config = TypeVar("Config", bound=ExperimentConfig)

Predict: TypeAlias = Callable[..., PyTree]
"""``predict(params, model_state, rng, batch) -> outputs``; pure. It may take further arrays after the batch."""

MeasureFn: TypeAlias = Callable[..., Result]
"""``measure(model, *batches, count=count) -> Result``; the model is called with a batch (see `icl_lab.Model`), and
``batches`` are the evaluation's streams. The functions ``evaluate_*`` of icl-eval are such, with their other arguments
filled in by `functools.partial`."""

SHARDING: Rules = (
    *(Rule(name, PartitionSpec(*axes), optional=True) for name, axes in TENSOR_PARALLEL),
    *FULLY_SHARDED,
)
"""How a mesh splits a model of icl-models: over heads and units along "model", and the other side along "fsdp"."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is measured of a model, on which data.

    Attributes:
      name: of the results; that of an evaluation in eval.jsonl.
      streams: names of the streams that the measure is given, one argument for each.
      count: sequences or tasks to measure on.
      measure: from a model and batches to a result.
      family: what it stands together with in a report, or None.
    """

    name: str
    streams: tuple[str, ...]
    count: int
    measure: MeasureFn
    family: Family | None = None


def evaluations(
    names: Iterable[str], measure: MeasureFn, *, count: int, family: Family | None = None
) -> tuple[Evaluation, ...]:
    """Return evaluations that measure alike, each on the stream of its name.

    Args:
      names: of the evaluations, and of their streams.
      measure: takes its ``name`` besides.
      count: sequences or tasks of each.
      family: what they stand together as.
    """
    return tuple(Evaluation(name, (name,), count, functools.partial(measure, name=name), family) for name in names)


@dataclasses.dataclass(frozen=True)
class Experiment(Generic[Config]):
    """One configuration of an experiment: how its model begins, learns, predicts and is measured.

    Members of an ensemble share all of it; only ``samplers`` is asked for each.

    Attributes:
      init: ``init(rng, batch) -> (params, model_state)``, from the first training batch.
      loss_fn: see `icl_train.LossFunction`.
      predict: the model as it is evaluated.
      inputs: keys of a batch that ``predict`` and its kin read.
      samplers: from a configuration to sequences or tasks by the name of their stream; training has "train". Of an
        `icl_data.Expandable` the numbers alone leave the host, and the devices make the arrays.
      at_intervals: evaluations during training.
      at_end: evaluations of the trained model.
      headlines: the numbers that a run is about.
      model: the frozen dataclass of icl-models that ``init`` and ``predict`` come from, or None; run folders record it.
      fingerprints: of data that were read, not made, by name (`icl_data.ExemplarBank.fingerprint`): a run goes on and
        is evaluated with the same alone, wherever they lie.
      learner: the evaluations on seen and on unseen tasks, under these names, if a learner's type can be told.
      takes: the form of somebody's own data that the model takes, so that a run of it is a `Learner`; or None.
      rules: how a mesh splits the parameters.
      interventions: on inner values of the model, those that ``loss_fn`` has of the configuration's ``intervene``;
        others there are refused.
    """

    init: Callable[[Array, Mapping[str, Any]], tuple[PyTree, PyTree]]
    loss_fn: LossFunction
    predict: Predict
    inputs: tuple[str, ...]
    samplers: Callable[[Config], Mapping[str, Sampler]]
    at_intervals: tuple[Evaluation, ...]
    at_end: tuple[Evaluation, ...]
    headlines: tuple[Headline, ...]
    model: Any = None
    fingerprints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    learner: Mapping[str, str] = dataclasses.field(default_factory=dict)
    takes: Takes | None = None
    rules: Rules = SHARDING
    interventions: tuple[Intervention, ...] = ()


@dataclasses.dataclass(frozen=True)
class Definition(Generic[Config]):
    """An experiment before it has a configuration: what `icl_lab.main` runs and a sweep varies.

    Attributes:
      name: heads the names of its run folders, and stands in config.json.
      build: makes the experiment of a configuration; raises ValueError or OSError where that cannot be.
      presets: configurations by name.
      default: the preset of a command line that names none.
      sweeps: sweeps of it by name, which the command line of a sweep may begin with.
    """

    name: str
    build: Callable[[Config], Experiment[Config]]
    presets: Mapping[str, Config]
    default: str = "laptop"
    sweeps: Mapping[str, SweepPreset[Config]] = dataclasses.field(default_factory=dict)
