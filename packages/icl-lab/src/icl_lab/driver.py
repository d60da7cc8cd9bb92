"""What a session of any experiment does: open folders, train a model or an ensemble, evaluate on the way, report."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax
from jaxtyping import Array

import icl_eval as evaluation
import icl_train as training
from icl_lab.checkpoints import evaluate, evaluations_by_name, follow, replay, restore
from icl_lab.experiment import Config, Definition, Experiment
from icl_lab.folders import open_folders
from icl_lab.inspection import inspect
from icl_lab.model import Compiled
from icl_lab.runs import MemberRun, Runs, check_alike, check_streams
from icl_lab.session import check_progress, log_line, one_line_errors, resume_command, session_scope
from icl_lab.streams import TRAIN, make_streams


def execute(
    definition: Definition[Config],
    config: Config,
    members: Sequence[Config],
    *,
    resume_hint: str | None = None,
    actions: Sequence[training.Action] = (),
) -> None:
    """Do what a session asks for: train a model, or the members of an ensemble together, evaluate, and report.

    Args:
      definition: the experiment.
      config: of the session.
      members: the configuration of each member of an ensemble as if it were alone; of a lone run, ``[config]``.
      resume_hint: how its user goes on after a signal; by default with this run alone.
      actions: what is done between steps besides evaluations, and after them, such as `LivePlot`.

    Raises:
      SystemExit: with code 1 or 2, once it is printed why the run cannot begin or go on.
    """
    if config.train.ensemble.members > 1:
        training.use_cpu_cores()
    with session_scope(config):
        with one_line_errors():
            check_progress(config, steps=config.train.steps, saved=training.latest_step(config.workdir))
            runs = prepare(definition, config, members)
            if config.mode == "inspect":
                if training.is_primary_host():
                    to = config.workdir.with_name(f"{config.workdir.name}-data")
                    log_line(inspect(runs, to=to))
                return
        trains = config.mode in ("train", "both")
        with contextlib.ExitStack() as held:
            with one_line_errors():
                if trains:
                    held.enter_context(training.hold_for_training(config.workdir))
                runs = open_folders(definition, runs)
            if trains:
                try:
                    train(runs, resume_hint=resume_hint or resume_command(config), actions=actions)
                except training.NotFiniteError:  # of all members: they say so in their summaries, too
                    for member in runs.members:
                        log_line(summarise(member), member.number)
                    raise
            if config.mode == "follow":
                follow(runs)
            if config.mode == "replay":
                replay(runs)
            for member in runs.members:
                if config.mode in ("eval", "both"):
                    step = None if config.step == "latest" else config.step
                    checkpoint = restore(runs, member, step)
                    log_line("\n".join(evaluate(runs, member, checkpoint, runs.experiment.at_end)), member.number)
                log_line(summarise(member), member.number)


def prepare(definition: Definition[Config], config: Config, members: Sequence[Config]) -> Runs[Config]:
    """Return the runs of a session, once it is known that they can be.

    Args:
      definition: the experiment.
      config: of the session.
      members: of each run, see `execute`.

    Raises:
      ValueError: a model, an optimiser, data or evaluations that cannot be.
      OSError: data that cannot be read.
    """
    is_ensemble, trains = config.train.ensemble.members > 1, config.mode in ("train", "both")
    # What evaluates needs not have the devices of what trains.
    mesh = None if is_ensemble else (config.train.mesh if trains else training.MeshConfig()).build()
    shard = (0, 1) if mesh is None else training.data_shard(mesh)
    experiment = definition.build(members[0])
    of_members = []
    for number, each in enumerate(members):
        samplers = experiment.samplers(each)
        streams = make_streams(samplers, each, shard=shard)
        of_members.append(MemberRun(number if is_ensemble else None, each, samplers, streams))
    compiled = Compiled(experiment.predict, inputs=experiment.inputs, mesh=mesh)
    runs = Runs(config, experiment, of_members, compiled, mesh)
    check_names(experiment, of_members[0].streams)
    check_streams(runs.first, inputs=experiment.inputs)
    check_alike(of_members)
    evaluations_by_name(experiment, config.replay.evaluations)
    params, _ = jax.eval_shape(runs.init, jax.random.key(0))
    config.interventions.check(params, read=experiment.interventions)
    if trains and not training.checkpoint_steps(config.workdir):
        runs.first_init  # noqa: B018  # for its errors: reads what is grafted
    config.optimizer.build(config.train.steps)
    return runs


def check_names(experiment: Experiment[Config], streams: Mapping[str, Any]) -> None:
    """Refuse evaluations of streams that there are not, and headlines that nothing measures."""
    for each in (*experiment.at_intervals, *experiment.at_end):
        if missing := [name for name in each.streams if name not in streams]:
            raise ValueError(
                f"The evaluation {each.name} wants the stream {missing[0]}; there are {', '.join(streams)}."
            )
    measured = {each.name for each in experiment.at_end}
    for headline in experiment.headlines:
        if headline.evaluation not in measured:
            raise ValueError(
                f"The headline {headline.name} is of the evaluation {headline.evaluation}, but at the end there are "
                f"{', '.join(measured) or 'none'}."
            )


def train(runs: Runs[Config], *, resume_hint: str, actions: Sequence[training.Action] = ()) -> None:
    """Train the model, or all members of an ensemble together, from the latest checkpoint.

    Args:
      runs: of the session.
      resume_hint: how its user goes on after a signal.
      actions: what is done between steps besides evaluations.
    """
    config, experiment, asked = runs.config, runs.experiment, runs.config.interventions
    options = dataclasses.replace(config.train, freeze=(*config.train.freeze, *asked.frozen_arrays))
    saved = training.latest_step(config.workdir) or 0
    if training.is_primary_host():
        for member in runs.members:
            evaluation.drop_evaluations_after(member.config.workdir, step=saved)

    def evaluate_all(step: int, state: training.TrainState) -> None:
        # Fetched whole and once: slices of arrays on several devices would be programs over all of them.
        host = jax.device_get(state) if runs.is_ensemble else state
        for place, member in enumerate(runs.members):
            alone = jax.tree.map(lambda leaf, n=place: leaf[n], host) if runs.is_ensemble else state
            if int(alone.step) == step:  # not so for a member that has stopped
                said, *_ = evaluate(runs, member, alone, experiment.at_intervals)
                log_line(f"step {step}: {said}", member.number)

    def optimizer(hyper: Mapping[str, Array]) -> optax.GradientTransformation:
        # What members differ in is in hyper.
        return runs.first.config.optimizer.build(config.train.steps, forgets=bool(asked.forget), **hyper)

    evaluates = [at_moments(config, evaluate_all)] if config.mode == "both" else []
    resident, expand = runs.trained_on
    common: dict[str, Any] = {
        # Once something is saved, what was grafted is in there, and need not be where it was.
        "init": runs.init if saved else runs.first_init,
        "loss_fn": experiment.loss_fn,
        "resident": resident,
        "expand": expand,
        "workdir": config.workdir,
        "actions": [*evaluates, *actions],
        "resume": config.resume,
        "resume_hint": resume_hint,
        "freeze_rows": asked.frozen_layers,
        "forget": asked.forget,
    }
    if not runs.is_ensemble:
        training.train(
            options,
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
    training.train_ensemble(options, optimizer=optimizer, members=members, **common)


def at_moments(config: Config, function: training.ActionFunction) -> training.Action:
    """Return a function as an action that is due whenever a run is evaluated."""
    options = config.eval
    if options.spacing == "equal":
        return training.EverySteps(options.every, function)
    steps = training.spaced_steps(config.train.steps, moments=options.moments, around=options.around)
    return training.AtSteps(steps, function)


def hyperparameters(runs: Runs[Config], config: Config) -> dict[str, float]:
    """Return the settings of a member's optimiser in which the members of its ensemble differ."""
    return {
        name: getattr(config.optimizer, name)
        for name in ("learning_rate", "weight_decay", "eps")
        if len({getattr(other.config.optimizer, name) for other in runs.members}) > 1
    }


def summarise(member: MemberRun[Config]) -> str:
    """Write the summary and the page of a run; return what kind of learner it is, and where the page is."""
    workdir = member.config.workdir
    if not training.is_primary_host():
        return ""
    learner = evaluation.write_summary(workdir).get("learner")
    said = [] if learner is None else [f"{learner['kind']}: {learner['reason']}"]
    if member.config.report:
        said.append(f"report: {evaluation.write_report(workdir)}")
    return "\n".join(said)
