"""A run from its folder: model, parameters, predictions, metrics and data, as a notebook begins with them."""

import dataclasses
import functools
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, PyTree

import icl_eval as evaluation
import icl_models as models
import icl_train as training
from icl_data import Sampler, ShownBatch, show
from icl_lab.config_file import read_config
from icl_lab.data_paths import check_data, check_generation
from icl_lab.driver import prepare
from icl_lab.experiment import Definition
from icl_lab.folders import generation_of
from icl_lab.options import with_options
from icl_lab.runs import Runs
from icl_lab.saved_models import read_model, run_steps
from icl_lab.streams import TRAIN
from icl_lab.takes import Takes, takes_from_json

ENTRY_POINTS = "icl_lab.experiments"
"""The group of entry points under which an installed project names its experiments."""


def load_run(
    folder: str | Path,
    *,
    step: int | None = None,
    experiment: Definition[Any] | None = None,
    types: Iterable[type] = (),
    options: Mapping[str, Any] | None = None,
) -> "LoadedRun":
    """Return a run, or a member of an ensemble, with the model of one of its checkpoints.

    Model, parameters and predictions come from the recorded model of icl-models alone; data and evaluations need the
    experiment.

    Args:
      folder: of the run; with checkpoints, or with weights as plain arrays.
      step: of the checkpoint; the latest if None.
      experiment: that made the run. None takes one that is installed, an entry point of the group
        ``icl_lab.experiments`` of the run's name, where data or evaluations are asked for.
      types: classes of one's own that the recorded model may have, see `icl_models.from_json`.
      options: in which data and evaluations are to differ from the run's, by their dotted names: where data are that
        have moved, say.

    Raises:
      FileNotFoundError: there is no such run or checkpoint.
      ValueError: a damaged record, or a model that is no part of icl-models; the folder of an ensemble.
      icl_train.RunError: a checkpoint that was asked for, or all of them, are damaged.
    """
    folder = training.expanded(folder).resolve()
    record = _record(folder)
    if "model" not in record:
        raise ValueError(f"{folder} has no record of a model of icl-models; give Experiment.model when it is trained.")
    model = models.from_json(record["model"], types=types)
    if training.member_folder(folder, 0).is_dir():
        raise ValueError(f"{folder} is an ensemble; give the folder of a member, such as {folder}/member-000.")
    checkpoint, steps = read_model(folder, step), tuple(run_steps(folder))
    return LoadedRun(folder, record, model, checkpoint, steps, experiment, tuple(types), dict(options or {}))


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run and the model of one of its checkpoints; `load_run` makes it.

    Attributes:
      folder: of the run.
      record: what its config.json says.
      model: the frozen dataclass of icl-models.
      checkpoint: step, parameters and state.
      checkpoints: the steps that there are.
      experiment: that was given, or None.
      types: classes of one's own that were given.
      options: in which data and evaluations differ from the run's.
    """

    folder: Path
    record: Mapping[str, Any] = dataclasses.field(repr=False)
    model: Any
    checkpoint: training.ModelCheckpoint = dataclasses.field(repr=False)
    checkpoints: tuple[int, ...]
    experiment: Definition[Any] | None = dataclasses.field(default=None, repr=False)
    types: tuple[type, ...] = dataclasses.field(default=(), repr=False)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def step(self) -> int:
        """Steps made when the parameters were saved."""
        return self.checkpoint.step

    @property
    def config(self) -> Mapping[str, Any]:
        """The options of the run, nested as on the command line."""
        return self.record["config"]

    @property
    def params(self) -> PyTree:
        """The parameters; where the run keeps an average of them, that."""
        return self.checkpoint.params if self.checkpoint.ema is None else self.checkpoint.ema

    @property
    def state(self) -> PyTree:
        """The model state, such as statistics of batch norm."""
        return self.checkpoint.model_state

    @property
    def takes(self) -> Takes | None:
        """The form of somebody's own data that the model takes, if the run says it."""
        return takes_from_json(self.record["takes"]) if "takes" in self.record else None

    def _repr_html_(self) -> str:
        """Return headlines and their curves, as a notebook shows them."""
        return self.results._repr_html_()

    def show(self, batch: Mapping[str, Any], *, count: int = 4) -> ShownBatch:
        """Return the first sequences or tasks of a batch to look at; see `icl_data.show`."""
        return show(batch, count=count)

    def at(self, step: int) -> "LoadedRun":
        """Return the same run with the model of another checkpoint."""
        return load_run(self.folder, step=step, experiment=self.experiment, types=self.types, options=self.options)

    def predict(self, batch: Mapping[str, Any]) -> Array:
        """Return what the model makes of a batch: logits, or the targets of all points.

        Args:
          batch: ``images`` or ``items``, and ``labels``, for a classifier of sequences; ``inputs``, ``targets`` and
            ``is_query`` for a regressor of points. It may have more.

        Returns:
          float32 [B, V], or [B, S, V] of a classifier of every item; [B, N, Y].
        """
        return self._predict(self.params, self.state, self._arguments(batch))

    def instrument(
        self,
        batch: Mapping[str, Any],
        *,
        capture: Sequence[str] = (),
        replace: Mapping[str, Callable[[Array], Array]] | None = None,
    ) -> tuple[Array, dict[str, Array]]:
        """Return predictions and inner values by name, some of them replaced on the way; see `icl_models.instrument`.

        Args:
          batch: as for `predict`.
          capture: names or patterns of the values wanted.
          replace: by name or pattern, a function from a value to another.
        """
        apply = models.instrument(self.model.build().apply, capture=capture, replace=replace)

        def asked(params: PyTree, state: PyTree, arguments: Sequence[Any]) -> tuple[Array, dict[str, Array]]:
            (predictions, _), values = apply(params, state, jax.random.key(0), *arguments)
            return predictions, values

        return jax.jit(asked)(self.params, self.state, self._arguments(batch))

    def patching(
        self, source: Mapping[str, Any], batch: Mapping[str, Any], *, names: Sequence[str]
    ) -> Callable[[Any], Array]:
        """Return what a batch is predicted as with inner values taken from another; see `icl_models.patching`.

        Args:
          source: the batch whose values are taken.
          batch: the one that is predicted, of the same size.
          names: of L values, such as ``[f"block_{layer}/residual" for layer in range(2)]``.

        Returns:
          A function of a mask, bool [L, T] by value and token, that gives predictions; `icl_eval.patch_each` asks it
          for each alone, where predictions are logits of the query.
        """
        patched = models.patching(self.model.build().apply, names=names)
        first, second = (
            (self.params, self.state, jax.random.key(0), *self._arguments(each)) for each in (source, batch)
        )

        @jax.jit
        def predict(first: Any, second: Any, mask: Any) -> Array:
            return patched(first, second, mask)[0]

        return functools.partial(predict, first, second)

    @functools.cached_property
    def results(self) -> evaluation.Run:
        """What the folder says of training and evaluations."""
        return evaluation.read_run(self.folder)

    def metrics(self, *, last: bool = False) -> evaluation.RunTable:
        """Return a table of all evaluated steps, or of the last alone; `to_pandas` makes a DataFrame of it."""
        return evaluation.table(self.folder, last=last)

    def sampler(self, stream: str = TRAIN) -> Sampler:
        """Return what makes the sequences or tasks of a stream: ``run.sampler("train").sample(np.arange(8))``.

        Raises:
          ValueError: the experiment is not there, or has no such stream.
        """
        samplers = self._runs.first.samplers
        if stream not in samplers:
            raise ValueError(f"There is no stream {stream!r}; there are {', '.join(samplers)}.")
        return samplers[stream]

    def evaluate(self, *names: str, count: int | None = None) -> list[evaluation.Result]:
        """Return results of evaluations of this checkpoint, computed anew; nothing is written.

        Args:
          names: of evaluations; none for those at intervals.
          count: sequences or tasks of each; by default as many as the run asks for.

        Raises:
          ValueError: the experiment is not there, or has no such evaluation; data that are not those of the run.
        """
        runs = self._runs
        at_intervals = {each.name: each for each in runs.experiment.at_intervals}
        known = {each.name: each for each in runs.experiment.at_end} | at_intervals
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"There is no evaluation {unknown[0]!r}; there are {', '.join(known)}.")
        model, member = runs.model(runs.first, self.checkpoint), runs.first
        return [
            each.measure(
                model,
                *(runs.batches(member, stream, step=int(self.checkpoint.step)) for stream in each.streams),
                count=each.count if count is None else count,
            )
            for each in (known[name] for name in names or at_intervals)
        ]

    @functools.cached_property
    def _runs(self) -> Runs[Any]:
        definition = self.experiment or installed_experiment(str(self.record.get("experiment")))
        of = type(definition.presets[definition.default])
        config = with_options(read_config(self.folder, of, name=definition.name), self.options)
        config = dataclasses.replace(config, mode="eval")
        runs = prepare(definition, config, [config])
        check_data(self.folder, runs.experiment.fingerprints)
        check_generation(self.folder, generation_of(runs))
        return runs

    @functools.cached_property
    def _predict(self) -> Callable[..., Array]:
        apply = self.model.build().apply

        def predict(params: PyTree, state: PyTree, arguments: Sequence[Any]) -> Array:
            return apply(params, state, jax.random.key(0), *arguments)[0]

        return jax.jit(predict)

    def _arguments(self, batch: Mapping[str, Any]) -> list[Any]:
        is_regressor = isinstance(self.model, models.PointRegressor)
        items = "images" if "images" in batch else "items"
        names = ("inputs", "targets", "is_query") if is_regressor else (items, "labels")
        if missing := [name for name in names if name not in batch]:
            raise ValueError(f"A {type(self.model).__name__} wants {', '.join(names)} of a batch, got no {missing[0]}.")
        return [batch[name] for name in names]


def installed_experiment(name: str) -> Definition[Any]:
    """Return the experiment of a name that an installed project offers.

    Raises:
      ValueError: none does.
    """
    found = [each for each in importlib.metadata.entry_points(group=ENTRY_POINTS) if each.name == name]
    if not found:
        raise ValueError(
            f"The experiment {name} is not installed, and data and evaluations are its own; give it: "
            "load_run(folder, experiment=DEFINITION)."
        )
    definition = found[0].load()
    if not isinstance(definition, Definition):
        raise ValueError(f"The entry point {name} of {ENTRY_POINTS} must be an icl_lab.Definition, got {definition!r}.")
    return definition


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"wanted the folder of a run, got {folder}, which has no config.json.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise ValueError(f"{path} does not describe a run: it has no options under config.")
    return record
