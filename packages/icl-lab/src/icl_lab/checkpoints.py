"""What is measured of checkpoints: of one, of each as another process saves it, or of all that there are."""

import dataclasses
import math
from collections.abc import Collection, Sequence

import icl_eval as evaluation
import icl_train as training
from icl_lab.experiment import Config, Evaluation, Experiment
from icl_lab.finished import is_finished
from icl_lab.runs import MemberRun, Runs
from icl_lab.session import log_line, one_line_errors


def evaluate(
    runs: Runs[Config],
    member: MemberRun[Config],
    checkpoint: training.ModelCheckpoint | training.TrainState,
    evaluations: Sequence[Evaluation],
) -> list[str]:
    """Measure a model and write the results down.

    Args:
      runs: of the session.
      member: whose model it is.
      checkpoint: its parameters.
      evaluations: what to measure.

    Returns:
      Lines to read: the headlines, then the results of each family, beside their baselines.
    """
    model, results = runs.model(member, checkpoint), []
    for each in evaluations:
        asked = (runs.batches(member, name, step=int(checkpoint.step)) for name in each.streams)
        result = each.measure(model, *asked, count=each.count)
        if result.evaluation != each.name:
            raise ValueError(f"The measure of {each.name} gave a result of {result.evaluation}; name it alike.")
        results.append(dataclasses.replace(result, family=each.family or result.family))
    if training.is_primary_host():
        evaluation.append_evaluations(member.config.workdir, step=int(checkpoint.step), results=results)
    found = {result.evaluation: result for result in results}
    headlines = [
        headline
        for headline in runs.experiment.headlines
        if headline.evaluation in found and headline.metric in found[headline.evaluation].metrics
    ]
    line = "  ".join(f"{each.title}: {found[each.evaluation].metrics[each.metric]}" for each in headlines)
    return [line, *(family_line(result) for result in results if result.family is not None)]


def family_line(result: evaluation.Result) -> str:
    """Return the first metric of a result beside those of its baselines, and which of these is best, as one line."""
    principal = next(iter(result.metrics))
    named = {"model": principal} | {
        words.baseline: name
        for name, words in result.measures.items()
        if words.baseline and name.startswith(principal) and name in result.metrics
    }
    found = {who: result.metrics[name].value for who, name in named.items()}
    values = "  ".join(f"{who} {value:.4f}" for who, value in found.items())
    known = {who: value for who, value in found.items() if who != "model" and not math.isnan(value)}
    if not known:
        return f"{result.evaluation:28}{values}"
    words = result.measures.get(principal)
    best = min if words is not None and words.kind == "error" else max
    return f"{result.evaluation:28}{values}  best baseline: {best(known, key=lambda who: known[who])}"


def restore(runs: Runs[Config], member: MemberRun[Config], step: int | None) -> training.ModelCheckpoint:
    """Return the model of a run, or of a member of an ensemble, from a checkpoint, by default the latest.

    Args:
      runs: of the session.
      member: which of them.
      step: of the checkpoint.
    """
    return training.restore_model(
        runs.config.workdir, init=runs.traced_init, step=step, member=member.number, mesh=runs.mesh
    )


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
        # What was measured on the way may have the names and counts of the end, but a summary comes after the end.
        is_evaluated &= not is_last or is_finished(member.config)
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
        said = "\n".join(evaluate(runs, member, checkpoint, evaluations))
        log_line(f"step {step}: {said}", member.number)
    return True


def replay(runs: Runs[Config]) -> None:
    """Make evaluations of all checkpoints of runs, but for those that were made of as much or more.

    Args:
      runs: of the session, whose configuration names the evaluations.
    """
    chosen = evaluations_by_name(runs.experiment, runs.config.replay.evaluations)
    runs = dataclasses.replace(runs, keeps_numbers=True)  # the same sequences for every checkpoint
    made = [evaluation.evaluated(member.config.workdir) for member in runs.members]
    steps = training.checkpoint_steps(runs.config.workdir)
    for step in steps:
        for member, found in zip(runs.members, made, strict=True):
            missing = [each for each in chosen if found.get(step, {}).get(each.name, 0) < each.count]
            if training.max_over_hosts(len(missing)):
                replay_one(runs, member, step, missing)


def replay_one(runs: Runs[Config], member: MemberRun[Config], step: int, evaluations: Sequence[Evaluation]) -> None:
    """Evaluate a checkpoint and say what came of it; of a damaged one, that it is damaged."""
    try:
        checkpoint = restore(runs, member, step)
    except training.RunError as error:
        log_line(f"step {step}: passed over: {str(error).splitlines()[0][:300]}", member.number)
        return
    said, *_ = evaluate(runs, member, checkpoint, evaluations)
    log_line(f"step {step}: {said or ', '.join(each.name for each in evaluations)}", member.number)


def evaluations_by_name(experiment: Experiment[Config], names: Collection[str]) -> Sequence[Evaluation]:
    """Return the evaluations of these names, or those that are made during training if there are no names.

    Raises:
      ValueError: there is none of such a name.
    """
    known = {each.name: each for each in (*experiment.at_end, *experiment.at_intervals)}
    if missing := [name for name in names if name not in known]:
        raise ValueError(
            f"--replay.evaluations {' '.join(names)}: there is no {missing[0]}; there are {', '.join(known)}."
        )
    return [known[name] for name in dict.fromkeys(names)] or experiment.at_intervals
