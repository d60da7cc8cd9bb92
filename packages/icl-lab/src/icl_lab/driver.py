"""What every experiment does: open the folders, train a model or an ensemble, evaluate on the way, report."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic

import grain
import jax
import optax
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

import icl_eval as evaluation
import icl_models as models
import icl_train as training
from icl_lab.command_line import run, to_json
from icl_lab.config import MUTABLE
from icl_lab.experiment import Config, Definition, Evaluation, Experiment
from icl_lab.inspection import inspect
from icl_lab.model import Compiled, Model
from icl_lab.session import check_progress, log_line, one_line_errors, resume_command, session_scope
from icl_lab.streams import TRAIN, make_streams
from icl_lab.sweeps import Sweep, ensemble_members, run_sweep


@dataclasses.dataclass(frozen=True)
class Member(Generic[Config]):
    """A run, alone or in an ensemble.

    Attributes:
      number: in the ensemble; None for a lone run.
      config: of the run as if it were alone.
      streams: its batches by name.
    """

    number: int | None
    config: Config
    streams: Mapping[str, grain.IterDataset[Any]]


@dataclasses.dataclass(frozen=True)
class Runs(Generic[Config]):
    """Runs of one program in one session.

    Attributes:
      config: what the session asks for.
      experiment: what all runs share.
      members: what they differ in.
      compiled: the functions that evaluation asks.
      mesh: where they are trained or evaluated; None for an ensemble that trains.
    """

    config: Config
    experiment: Experiment[Config]
    members: Sequence[Member[Config]]
    compiled: Compiled
    mesh: Mesh | None

    @property
    def first(self) -> Member[Config]:
        """The lone run, or the first member."""
        return self.members[0]

    @property
    def is_ensemble(self) -> bool:
        """Whether several models are trained together."""
        return self.first.number is not None

    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Return the parameters and the state that a model begins with."""
        return self.experiment.init(rng, next(iter(self.first.streams[TRAIN])))

    def model(self, member: Member[Config], checkpoint: training.ModelCheckpoint | training.TrainState) -> Model:
        """Return the model of a member, as measures ask it."""
        return Model(self.compiled, checkpoint, seed=member.config.train.seed)


def main(definition: Definition[Config], *, description: str | None = None) -> None:
    """Run an experiment as the command line asks; the description heads its help."""
    run(
        lambda config: execute(definition, config, ensemble_members(config)),
        definition.presets,
        name=definition.name,
        default=definition.default,
        description=description,
    )


def execute(definition: Definition[Config], config: Config, members: Sequence[Config]) -> None:
    """Do what a session asks for: train a model, or the members of an ensemble together, evaluate, and report.

    Args:
      definition: the experiment.
      config: of the session.
      members: the configuration of each member of an ensemble as if it were alone; of a lone run, ``[config]``.
    """
    if config.train.ensemble.members > 1:
        training.use_cpu_cores()
    with session_scope(config):
        with one_line_errors():
            saved = training.latest_step(config.workdir)
            check_progress(config, steps=config.train.steps, saved=saved)
            runs = begin(definition, config, members)
            if config.mode == "inspect":
                first = runs.first
                log_line(inspect(runs.experiment, first.config, first.streams, to=config.workdir))
                return
            open_folders(definition, runs)
        if config.mode in ("train", "both"):
            train(runs, saved or 0)
        if config.mode == "follow":
            follow(runs)
        for member in runs.members:
            if config.mode in ("eval", "both"):
                step = None if config.step == "latest" else config.step
                said = evaluate(runs, member, restore(runs, member, step), runs.experiment.at_end)
                log_line(said, member.number)
            log_line(summarise(member), member.number)


def execute_sweep(definition: Definition[Config], sweep: Sweep[Config], *, vary: Iterable[str]) -> None:
    """Run what is not finished of a sweep of an experiment.

    Args:
      definition: the experiment.
      sweep: its settings and seeds.
      vary: beginnings of the dotted names of options that runs in its folder may differ in.
    """
    training.use_cpu_cores()  # before anything else makes JAX look for devices
    run_sweep(
        sweep,
        vary=vary,
        check=lambda config: begin(definition, config, [config]),
        execute=functools.partial(execute, definition),
    )


def begin(definition: Definition[Config], config: Config, members: Sequence[Config]) -> Runs[Config]:
    """Return the runs of a session, once it is known that their model and optimiser can be built."""
    is_ensemble, trains = config.train.ensemble.members > 1, config.mode in ("train", "both")
    # What evaluates needs not have the devices of what trains.
    mesh = None if is_ensemble else (config.train.mesh if trains else training.MeshConfig()).build()
    shard = (0, 1) if mesh is None else training.data_shard(mesh)
    experiment = definition.build(members[0])
    of_members = [
        Member(number if is_ensemble else None, each, make_streams(experiment, each, shard=shard))
        for number, each in enumerate(members)
    ]
    compiled = Compiled(experiment.predict, inputs=experiment.inputs, mesh=mesh)
    runs = Runs(config, experiment, of_members, compiled, mesh)
    jax.eval_shape(runs.init, jax.random.key(0))
    config.optimizer.build(config.train.steps)
    return runs


def open_folders(definition: Definition[Config], runs: Runs[Config]) -> None:
    """Make the folders of runs, or check that they are those of these runs; the first of several hosts does it."""
    configs = [*([runs.config] if runs.is_ensemble else []), *(member.config for member in runs.members)]
    experiment = runs.experiment
    if training.is_primary_host():
        for config in configs:
            is_eval = config.mode in ("eval", "follow")
            metadata: dict[str, Any] = {
                "experiment": definition.name,
                "seed": config.train.seed,
                "headlines": [headline.to_json() for headline in experiment.headlines],
            }
            metadata |= {} if experiment.model is None else {"model": models.to_json(experiment.model)}
            metadata |= {"learner": dict(experiment.learner)} if experiment.learner else {}
            metadata |= {} if config.preset is None else {"preset": dataclasses.asdict(config.preset)}
            training.open_run(
                config.workdir,
                to_json(config),
                resume=config.resume or is_eval,
                mutable=("eval",) if is_eval else MUTABLE,
                read_only=is_eval,
                defaults=to_json(definition.presets[definition.default]),
                metadata=metadata,
            )
    training.sync_hosts("the folders are open")


def train(runs: Runs[Config], saved: int) -> None:
    """Train the model, or all members of an ensemble together, from step ``saved``."""
    config, experiment = runs.config, runs.experiment
    if training.is_primary_host():
        for member in runs.members:
            evaluation.drop_evaluations_after(member.config.workdir, step=saved)

    def evaluate_all(step: int, state: training.TrainState) -> None:
        for place, member in enumerate(runs.members):
            # A member's arrays are taken from the device it is on, as if it were alone.
            alone = jax.device_get(jax.tree.map(lambda leaf, n=place: leaf[n], state)) if runs.is_ensemble else state
            if int(alone.step) == step:  # not so for a member that has stopped
                said = evaluate(runs, member, alone, experiment.at_intervals)
                log_line(f"step {step}: {said}", member.number)

    def optimizer(hyper: Mapping[str, Array]) -> optax.GradientTransformation:
        # What members differ in is in hyper.
        return runs.first.config.optimizer.build(config.train.steps, **hyper)

    actions = [training.EverySteps(config.eval.every, evaluate_all)] if config.mode == "both" else []
    common: dict[str, Any] = {
        "init": runs.init,
        "loss_fn": experiment.loss_fn,
        "workdir": config.workdir,
        "actions": actions,
        "resume": config.resume,
        "resume_hint": resume_command(config),
    }
    if not runs.is_ensemble:
        training.train(
            config.train,
            optimizer=optimizer({}),
            batches=iter(runs.first.streams[TRAIN]),
            init_from=config.init_from,
            rules=experiment.rules,
            **common,
        )
        return
    members = [
        training.Member(each.config.train.seed, iter(each.streams[TRAIN]), hyperparameters(runs, each.config))
        for each in runs.members
    ]
    training.train_ensemble(config.train, optimizer=optimizer, members=members, **common)


def hyperparameters(runs: Runs[Config], config: Config) -> dict[str, float]:
    """Return the settings of a member's optimiser in which the members of its ensemble differ."""
    return {
        name: getattr(config.optimizer, name)
        for name in ("learning_rate", "weight_decay", "eps")
        if len({getattr(other.config.optimizer, name) for other in runs.members}) > 1
    }


def evaluate(
    runs: Runs[Config],
    member: Member[Config],
    checkpoint: training.ModelCheckpoint | training.TrainState,
    evaluations: Sequence[Evaluation],
) -> str:
    """Measure a model, write the results down, and return the headlines among them as a line."""
    model = runs.model(member, checkpoint)
    results = []
    for each in evaluations:
        result = each.measure(model, *(member.streams[name] for name in each.streams), count=each.count)
        results.append(dataclasses.replace(result, family=each.family))
    if training.is_primary_host():
        evaluation.append_evaluations(member.config.workdir, step=int(checkpoint.step), results=results)
    found = {result.evaluation: result.metrics for result in results}
    return "  ".join(
        f"{headline.title}: {found[headline.evaluation][headline.metric]}"
        for headline in runs.experiment.headlines
        if headline.metric in found.get(headline.evaluation, {})
    )


def restore(runs: Runs[Config], member: Member[Config], step: int | None) -> training.ModelCheckpoint:
    """Return the model of a run, or of a member of an ensemble, from a checkpoint, by default the latest."""
    return training.restore_model(runs.config.workdir, init=runs.init, step=step, member=member.number, mesh=runs.mesh)


def follow(runs: Runs[Config]) -> None:
    """Evaluate each checkpoint of a run that another process trains, once, until the run ends."""
    config = runs.config
    timeout = config.follow.timeout_minutes
    announced = training.watch(
        config.workdir, poll_seconds=config.follow.poll_seconds, timeout_seconds=timeout and timeout * 60
    )
    passed_over: set[int] = set()
    while True:
        with one_line_errors():
            latest = next(announced, None)
        if latest is None:
            return
        # Those before it too: a run that was resumed has made some of them again, and dropped their evaluations.
        for step in training.checkpoint_steps(config.workdir):
            if step <= latest and step not in passed_over and not follow_one(runs, step):
                passed_over.add(step)


def follow_one(runs: Runs[Config], step: int) -> bool:
    """Evaluate a checkpoint, of the run's last step as the trained model; return whether it could be read."""
    is_last = training.is_last_checkpoint(runs.config.workdir, step)
    evaluations = runs.experiment.at_end if is_last else runs.experiment.at_intervals
    for member in runs.members:
        found = evaluation.evaluated(member.config.workdir).get(step, {})
        is_evaluated = all(found.get(each.name, 0) >= each.count for each in evaluations)
        if not training.max_over_hosts(int(not is_evaluated)):
            continue  # before this process was started again, or by the one that trains
        try:
            checkpoint = restore(runs, member, step)
        except Exception as error:
            # Deleted by the run meanwhile, or damaged; of anything else the traceback is wanted.
            if not isinstance(error, training.RunError) and step in training.checkpoint_steps(runs.config.workdir):
                raise
            reason = str(error).splitlines()[0][:300]
            log_line(f"step {step}: passed over, since it could not be read: {reason}", member.number)
            return False
        log_line(f"step {step}: {evaluate(runs, member, checkpoint, evaluations)}", member.number)
    return True


def summarise(member: Member[Config]) -> str:
    """Write the summary and the page of a run; return what kind of learner it is, and where the page is."""
    workdir = member.config.workdir
    if not training.is_primary_host():
        return ""
    learner = evaluation.write_summary(workdir).get("learner")
    said = [] if learner is None else [f"{learner['kind']}: {learner['reason']}"]
    if member.config.report:
        said.append(f"report: {evaluation.write_report(workdir)}")
    return "\n".join(said)
