"""Experiments on in-context learning as values: one driver, one command line, one sweep for all of them."""

import importlib
from typing import TYPE_CHECKING, Any

from icl_lab.at_step import AtStep
from icl_lab.command_line import parse, run
from icl_lab.config import EvalConfig, ExperimentConfig, TaskEvalConfig, VaryConfig, check_read
from icl_lab.config_file import read_config, to_json
from icl_lab.driver import execute
from icl_lab.experiment import SHARDING, Definition, Evaluation, Experiment, MeasureFn, Predict, evaluations
from icl_lab.finished import is_finished
from icl_lab.interventions.asked import Interventions, interventions_of
from icl_lab.interventions.graft import Graft
from icl_lab.interventions.words import intervention_of, words_of
from icl_lab.live_plot import LivePlot
from icl_lab.loaded_run import LoadedRun, load_run
from icl_lab.main import execute_sweep, main
from icl_lab.model import Model
from icl_lab.options import Setting, option_of, with_options
from icl_lab.pool_sizes import check_pool_sizes, draw_pool_sizes
from icl_lab.session import FollowConfig, Preset, SessionConfig, log_line, one_line_errors, say
from icl_lab.streams import TRAIN, make_streams
from icl_lab.sweep_preset import Drawn, SweepPreset
from icl_lab.sweeps.folder import finished_runs
from icl_lab.sweeps.plan import Sweep, SweepGroup, differ_in_seed_alone, ensemble_members, varied_among
from icl_lab.sweeps.running import run_sweep
from icl_lab.takes import Takes, TakesPoints, TakesVectors
from icl_lab.tasks import (
    POOL,
    SEEN,
    SEEN_AND_UNSEEN,
    UNSEEN,
    PoolSampler,
    Regression,
    context_sizes,
    read_pool,
    regression,
    task_pools,
)
from icl_lab.trunks import TRANSFORMERS, TrunkName, make_trunk
from icl_lab.weights import read_weights, weight_steps, write_weights

if TYPE_CHECKING:
    from icl_lab.learners.classifier import InContextClassifier
    from icl_lab.learners.learner import Learner
    from icl_lab.learners.regressor import InContextRegressor

__all__ = [
    "POOL",
    "SEEN",
    "SEEN_AND_UNSEEN",
    "SHARDING",
    "TRAIN",
    "TRANSFORMERS",
    "UNSEEN",
    "AtStep",
    "Definition",
    "Drawn",
    "EvalConfig",
    "Evaluation",
    "Experiment",
    "ExperimentConfig",
    "FollowConfig",
    "Graft",
    "InContextClassifier",
    "InContextRegressor",
    "Interventions",
    "Learner",
    "LivePlot",
    "LoadedRun",
    "MeasureFn",
    "Model",
    "PoolSampler",
    "Predict",
    "Preset",
    "Regression",
    "SessionConfig",
    "Setting",
    "Sweep",
    "SweepGroup",
    "SweepPreset",
    "Takes",
    "TakesPoints",
    "TakesVectors",
    "TaskEvalConfig",
    "TrunkName",
    "VaryConfig",
    "check_pool_sizes",
    "check_read",
    "context_sizes",
    "differ_in_seed_alone",
    "draw_pool_sizes",
    "ensemble_members",
    "evaluations",
    "execute",
    "execute_sweep",
    "finished_runs",
    "intervention_of",
    "interventions_of",
    "is_finished",
    "load_run",
    "log_line",
    "main",
    "make_streams",
    "make_trunk",
    "one_line_errors",
    "option_of",
    "parse",
    "read_config",
    "read_pool",
    "read_weights",
    "regression",
    "run",
    "run_sweep",
    "say",
    "task_pools",
    "to_json",
    "varied_among",
    "weight_steps",
    "with_options",
    "words_of",
    "write_weights",
]

_LEARNERS = {"InContextClassifier": "classifier", "InContextRegressor": "regressor", "Learner": "learner"}


def __getattr__(name: str) -> Any:
    """Return a learner; importing scikit-learn takes as long as all else here, so it waits until one is asked for."""
    if name not in _LEARNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.learners.{_LEARNERS[name]}"), name)
