"""The folders of a session: made, or known to be of these runs, and where results go instead of them."""

import dataclasses
from pathlib import Path
from typing import Any

import icl_eval as evaluation
import icl_models as models
import icl_train as training
from icl_lab.config import MUTABLE
from icl_lab.config_file import to_json
from icl_lab.data_paths import check_data, check_generation, data_paths
from icl_lab.experiment import Config, Definition
from icl_lab.runs import Runs
from icl_lab.streams import TRAIN
from icl_lab.takes import takes_to_json


def open_folders(definition: Definition[Config], runs: Runs[Config]) -> Runs[Config]:
    """Make the folders of runs, or check that they are those of these runs; the first of several hosts does it.

    Args:
      definition: of the experiment.
      runs: of the session.

    Returns:
      The runs, each with the folder where its results go.

    Raises:
      ValueError: folders of other runs, or of runs on other data.
      OSError: a folder that cannot be written to.
    """
    lone = {None: runs.config} if runs.is_ensemble else {}
    configs = lone | {member.number if runs.is_ensemble else None: member.config for member in runs.members}
    if training.is_primary_host():
        for number, config in configs.items():
            _open(definition, runs, config)
            if runs.config.eval_to is not None:
                evaluation.copy_run(config.workdir, _elsewhere(runs.config.eval_to, number))
    training.sync_hosts("the folders are open")
    if runs.config.eval_to is None:
        return runs
    to = runs.config.eval_to
    members = [
        dataclasses.replace(each, config=dataclasses.replace(each.config, workdir=_elsewhere(to, each.number)))
        for each in runs.members
    ]
    return dataclasses.replace(runs, members=members)


def _open(definition: Definition[Config], runs: Runs[Config], config: Config) -> None:
    is_eval, experiment = config.mode in ("eval", "follow", "replay"), runs.experiment
    resume = config.resume or is_eval
    may_move = not resume or check_data(config.workdir, experiment.fingerprints)
    generation = generation_of(runs)
    if resume:
        check_generation(config.workdir, generation)
    metadata: dict[str, Any] = {
        "experiment": definition.name,
        "seed": config.train.seed,
        "generation": generation,
        "headlines": [headline.to_json() for headline in experiment.headlines],
    }
    metadata |= {"data": dict(experiment.fingerprints)} if experiment.fingerprints else {}
    metadata |= {} if experiment.model is None else {"model": models.to_json(experiment.model)}
    metadata |= {"learner": dict(experiment.learner)} if experiment.learner else {}
    metadata |= {} if experiment.takes is None else {"takes": takes_to_json(experiment.takes)}
    metadata |= {} if config.preset is None else {"preset": dataclasses.asdict(config.preset)}
    training.open_run(
        config.workdir,
        to_json(config),
        resume=resume,
        mutable=(*(("eval",) if is_eval else MUTABLE), *(data_paths(config) if may_move else ())),
        read_only=is_eval,
        defaults=to_json(type(config)()),  # type: ignore[call-arg]  # data has a default in all
        metadata=metadata,
    )
    if is_eval and config.eval_to is None:
        training.check_writable(config.workdir)


def generation_of(runs: Runs[Config]) -> int:
    """Return the generation of the sampler that training draws from."""
    return getattr(runs.first.samplers[TRAIN], "generation", 1)


def _elsewhere(to: Path, number: int | None) -> Path:
    return to if number is None else training.member_folder(to, number)
