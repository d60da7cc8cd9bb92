"""What every experiment does: open the folders, train a model or an ensemble, evaluate on the way, report."""

import abc
import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import grain
import jax
import optax
import tqdm
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PyTree

import command_line
import icl_eval as evaluation
import icl_train as training

MAY_CHANGE = (
    *(f"train.{name}" for name in ("steps", "log_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints")),
    *(f"train.{name}" for name in ("keep_every", "mesh", "profile", "tensorboard", "steps_per_dispatch")),
    "eval",
)


# How a mesh's axes split the Transformer: over heads and units along "model", and the other side along "fsdp".
SPLIT_BY = (
    training.Rule(r"blocks/(query|key|value|mlp_in)/w$", PartitionSpec(None, "fsdp", "model")),
    training.Rule(r"blocks/(query|key|value|mlp_in)/b$", PartitionSpec(None, "model")),
    training.Rule(r"blocks/(attention_out|mlp_out)/w$", PartitionSpec(None, "model", "fsdp")),
    *training.FULLY_SHARDED,
)

Model = training.ModelCheckpoint | training.TrainState
Config = TypeVar("Config", bound=Any)


class Run(abc.ABC, Generic[Config]):
    """One model of an experiment, alone or as a member of an ensemble: how it begins, learns and is evaluated.

    Attributes:
      rules: how a mesh splits the parameters.
      config: of the run.
      streams: batches by name, those of training under "train".
    """

    rules: ClassVar[training.Rules] = SPLIT_BY
    config: Config
    streams: dict[str, grain.IterDataset]

    @abc.abstractmethod
    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Make the parameters and the state of the model."""

    @abc.abstractmethod
    def loss_fn(
        self, params: PyTree, state: PyTree, rng: Array, batch: Any
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        """Give the loss, metrics and new state of the model on a batch."""

    @abc.abstractmethod
    def evaluate(self, model: Model, *, count: int, final: bool) -> str:
        """Evaluate on ``count`` sequences of each kind, write the results down, and say what matters most."""

    @abc.abstractmethod
    def make_streams(self, config: Config) -> dict[str, grain.IterDataset]:
        """Make the batches of a configuration."""

    def verdict(self) -> evaluation.Judgement | None:
        """Say what kind of learner the last evaluation shows, if that can be said of this experiment."""
        return None

    def is_evaluated(self, step: int, *, count: int, final: bool) -> bool:
        """Tell whether eval.jsonl has a step's evaluations already, of so many sequences."""
        return not final and evaluation.evaluated_steps(self.config.workdir).get(step, 0) >= count

    def member(self, config: Config) -> "Run[Config]":
        """Give a run of the same model and items with another seed and other data, compiled with this one."""
        other = copy.copy(self)
        other.config, other.streams = config, other.make_streams(config)
        return other

    def report(self, result: training.TrainResult | None, member: int) -> str:
        """Write the summary, with the figures of the training or those that it has, and the page; say where."""
        workdir = self.config.workdir
        if not training.is_first():
            return ""
        trained: dict[str, float | int | None] | None = None
        if result is not None:
            trained = {name: getattr(result, name) for name in ("steps", "seconds", "steps_per_second")}
            trained |= {"final_loss": result.final_losses[member]}
            if member in result.failed:
                trained |= {"steps": result.failed[member] - 1, "failed_at": result.failed[member]}
        evaluation.write_summary(workdir, train=trained, seed=self.config.train.seed, verdict=self.verdict())
        return f"report: {evaluation.write_report(workdir)}"


def execute(config: Any, members: Sequence[Any], make: Callable[[Any, Mesh | None], Run]) -> None:
    """Do what a session asks for: train a model, or the members of an ensemble together, evaluate, and report.

    Args:
      config: of the session.
      members: the configuration of each member of an ensemble as if it were alone; of a lone model, ``[config]``.
      make: builds the run of a configuration, on a mesh unless it is a member.
    """
    is_ensemble = config.train.ensemble.members > 1
    if is_ensemble:
        training.use_cpu_cores()
    with command_line.session(config), command_line.one_line_endings():
        with command_line.one_line_errors():
            saved = training.latest_step(config.workdir)
            command_line.check_progress(config, steps=config.train.steps, saved=saved)
            trains = config.mode in ("train", "both")
            # What evaluates needs not have the devices of what trains.
            mesh = None if is_ensemble else (config.train.mesh if trains else training.MeshConfig()).build()
            first = make(members[0], mesh)
            jax.eval_shape(first.init, jax.random.key(0))
            runs = [first, *map(first.member, members[1:])]
            first.config.optimizer.build(config.train.steps)
            open_folders([config, *members] if is_ensemble else members)
        result = train(config, runs, saved or 0) if trains else None
        if config.mode == "follow":
            follow(config, runs, mesh)
        for number, run in enumerate(runs):
            if config.mode in ("eval", "both"):
                step = None if config.step == "latest" else config.step
                model = restore(config, run, number, step=step, mesh=mesh)
                say(run.evaluate(model, count=config.eval.final_count, final=True), number if is_ensemble else None)
            say(run.report(result, number), number if is_ensemble else None)


def follow(config: Any, runs: Sequence[Run], mesh: Mesh | None) -> None:
    """Evaluate each checkpoint of a run that another process trains, once, until the run ends."""
    timeout = config.follow.timeout_minutes
    announced = training.watch(
        config.workdir, poll_seconds=config.follow.poll_seconds, timeout_seconds=timeout and timeout * 60
    )
    passed_over: set[int] = set()
    while True:
        with command_line.one_line_errors():
            latest = next(announced, None)
        if latest is None:
            return
        # Those before it too: a run that was resumed has made some of them again, and dropped their evaluations.
        for step in training.checkpoint_steps(config.workdir):
            if step <= latest and step not in passed_over and not follow_one(config, runs, mesh, step):
                passed_over.add(step)


def follow_one(config: Any, runs: Sequence[Run], mesh: Mesh | None, step: int) -> bool:
    """Evaluate a checkpoint, of the run's last step as the trained model; give whether it could be read."""
    final = training.is_last_checkpoint(config.workdir, step)
    count = config.eval.final_count if final else config.eval.count
    for number, run in enumerate(runs):
        member = number if len(runs) > 1 else None
        if not training.agree(int(not run.is_evaluated(step, count=count, final=final))):
            continue  # before this process was started again, or by the one that trains
        try:
            model = restore(config, run, number, step=step, mesh=mesh)
        except Exception as error:
            # Deleted by the run meanwhile, or damaged; of anything else the traceback is wanted.
            if not isinstance(error, training.RunError) and step in training.checkpoint_steps(config.workdir):
                raise
            say(f"step {step}: passed over, since it could not be read: {str(error).splitlines()[0][:300]}", member)
            return False
        say(f"step {step}: {run.evaluate(model, count=count, final=final)}", member)
    return True


def restore(config: Any, run: Run, number: int, *, step: int | None, mesh: Mesh | None) -> training.ModelCheckpoint:
    """Read the model of a run, or of a member of an ensemble, from a checkpoint, by default the latest."""
    member = number if config.train.ensemble.members > 1 else None
    return training.restore_model(config.workdir, init=run.init, step=step, member=member, mesh=mesh)


def open_folders(configs: Sequence[Any]) -> None:
    """Make the folders of runs, or check that they are those of these runs; the first of several hosts does it."""
    if training.is_first():
        for config in configs:
            is_eval = config.mode in ("eval", "follow")
            training.open_run(
                config.workdir,
                command_line.to_json(config),
                resume=config.resume or is_eval,
                may_change=("eval",) if is_eval else MAY_CHANGE,
                read_only=is_eval,
                defaults=command_line.to_json(type(config)()),
                about={} if config.preset is None else {"preset": dataclasses.asdict(config.preset)},
            )
    training.wait_for_all("the folders are open")


def train(config: Any, runs: Sequence[Run], saved: int) -> training.TrainResult:
    """Train the model, or all members of an ensemble together."""
    first, is_ensemble = runs[0], len(runs) > 1
    if training.is_first():
        for run in runs:
            evaluation.drop_evaluations_after(run.config.workdir, step=saved)

    def evaluate(step: int, state: training.TrainState) -> None:
        for number, run in enumerate(runs):
            # A member's arrays are taken from the device it is on, as if it were alone.
            model = jax.device_get(jax.tree.map(lambda leaf, n=number: leaf[n], state)) if is_ensemble else state
            if int(model.step) != step:  # a member that has stopped
                continue
            said = run.evaluate(model, count=config.eval.count, final=False)
            say(f"step {step}: {said}", number if is_ensemble else None)

    def optimizer(hyper: Mapping[str, Array]) -> optax.GradientTransformation:
        return first.config.optimizer.build(config.train.steps, **hyper)  # what members differ in is in hyper

    actions = [training.EverySteps(config.eval.every, evaluate)] if config.mode == "both" else []
    common: dict[str, Any] = {
        "init": first.init,
        "loss_fn": first.loss_fn,
        "workdir": config.workdir,
        "actions": actions,
        "resume": config.resume,
        "resume_hint": command_line.resume_command(config),
    }
    if not is_ensemble:
        return training.train(
            config.train,
            optimizer=optimizer({}),
            batches=iter(first.streams["train"]),
            start_from=config.start_from,
            rules=first.rules,
            **common,
        )
    members = [
        training.Member(run.config.train.seed, iter(run.streams["train"]), hyperparameters(runs, run)) for run in runs
    ]
    return training.train_ensemble(config.train, optimizer=optimizer, members=members, **common)


def hyperparameters(runs: Sequence[Run], run: Run) -> dict[str, float]:
    """Give the settings of a member's optimiser in which the members of its ensemble differ."""
    names = ("learning_rate", "weight_decay", "eps")
    return {
        name: getattr(run.config.optimizer, name)
        for name in names
        if len({getattr(other.config.optimizer, name) for other in runs}) > 1
    }


def say(message: str, member: int | None) -> None:
    """Print a line, of a member of an ensemble with its number, on the first of several hosts."""
    if message and training.is_first():
        tqdm.tqdm.write(message if member is None else f"member {member}: {message}")
