"""A sharded JAX training loop for any pytree of parameters, which can be stopped and resumed exactly.

One axis letter is used in shapes: B, the examples of a batch.
"""

from icl_train.actions import Action, ActionFunction, AtSteps, EverySteps, Moment
from icl_train.checkpoints.restoring import ModelCheckpoint, checkpoint_steps, latest_step, restore_model, warm_start
from icl_train.checkpoints.watch import is_last_checkpoint, watch
from icl_train.config import TrainConfig
from icl_train.devices.compile_cache import default_compile_cache, use_compile_cache
from icl_train.devices.debugging import debugging
from icl_train.devices.hosts import (
    HostsConfig,
    abort_job_on_error,
    is_primary_host,
    max_over_hosts,
    start_hosts,
    sync_hosts,
)
from icl_train.devices.mesh import MeshConfig, data_shard, put_whole
from icl_train.devices.sharding_rules import (
    FULLY_SHARDED,
    REPLICATED,
    LargestDimension,
    Rule,
    Rules,
    describe,
    shardings,
)
from icl_train.dispatch.forgetting import Forget
from icl_train.dispatch.pace import StepsPerDispatch
from icl_train.dispatch.program import CompiledTraining, StepFn, StepSpec, compile_single
from icl_train.dispatch.step import StepConfig, initial_state, train_step
from icl_train.ensemble import EnsembleBatches, EnsembleConfig, Member, OptimizerOf, compile_ensemble, use_cpu_cores
from icl_train.errors import CheckpointError, Interrupted, NotFiniteError, RunError
from icl_train.grafting import graft
from icl_train.log import say
from icl_train.loop import TrainResult, train, train_ensemble
from icl_train.metrics.metrics_file import METRICS_FILE, drop_lines_after
from icl_train.optimizer import OptimizerConfig, Schedule, learning_rate_schedule
from icl_train.paths import Rows
from icl_train.run_folder import check_is_run, check_writable, expanded, has_run, member_folder, open_run
from icl_train.signals import flag_signals
from icl_train.spacing import Spacing, spaced_steps
from icl_train.state import TrainState
from icl_train.trainer_lock import Hold, hold_for_training, is_held
from icl_train.types import Batch, Batches, Expand, Init, LossFunction

__all__ = [
    "FULLY_SHARDED",
    "METRICS_FILE",
    "REPLICATED",
    "Action",
    "ActionFunction",
    "AtSteps",
    "Batch",
    "Batches",
    "CheckpointError",
    "CompiledTraining",
    "EnsembleBatches",
    "EnsembleConfig",
    "EverySteps",
    "Expand",
    "Forget",
    "Hold",
    "HostsConfig",
    "Init",
    "Interrupted",
    "LargestDimension",
    "LossFunction",
    "Member",
    "MeshConfig",
    "ModelCheckpoint",
    "Moment",
    "NotFiniteError",
    "OptimizerConfig",
    "OptimizerOf",
    "Rows",
    "Rule",
    "Rules",
    "RunError",
    "Schedule",
    "Spacing",
    "StepConfig",
    "StepFn",
    "StepSpec",
    "StepsPerDispatch",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "abort_job_on_error",
    "check_is_run",
    "check_writable",
    "checkpoint_steps",
    "compile_ensemble",
    "compile_single",
    "data_shard",
    "debugging",
    "default_compile_cache",
    "describe",
    "drop_lines_after",
    "expanded",
    "flag_signals",
    "graft",
    "has_run",
    "hold_for_training",
    "initial_state",
    "is_held",
    "is_last_checkpoint",
    "is_primary_host",
    "latest_step",
    "learning_rate_schedule",
    "max_over_hosts",
    "member_folder",
    "open_run",
    "put_whole",
    "restore_model",
    "say",
    "shardings",
    "spaced_steps",
    "start_hosts",
    "sync_hosts",
    "train",
    "train_ensemble",
    "train_step",
    "use_compile_cache",
    "use_cpu_cores",
    "warm_start",
    "watch",
]
