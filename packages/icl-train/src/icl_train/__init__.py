"""A sharded JAX training loop for any pytree of parameters, which can be stopped and resumed exactly.

One axis letter is used in shapes: B, the examples of a batch.
"""

from icl_train.actions import Action, EverySteps, Moment
from icl_train.checkpoints import ModelCheckpoint, latest_step, restore_model
from icl_train.config import TrainConfig
from icl_train.contract import Batch, Batches, Init, LossFunction
from icl_train.loop import TrainResult, train
from icl_train.mesh import data_mesh, shard_batch
from icl_train.metrics_file import METRICS_FILE, drop_lines_after
from icl_train.optimizer import OptimizerConfig, Schedule, learning_rate_schedule
from icl_train.run_folder import CONFIG_FILE, open_run
from icl_train.signals import Interrupted, flag_signals
from icl_train.state import TrainState
from icl_train.step import compile_initial_state, compile_train_step, initial_state, train_step

__all__ = [
    "CONFIG_FILE",
    "METRICS_FILE",
    "Action",
    "Batch",
    "Batches",
    "EverySteps",
    "Init",
    "Interrupted",
    "LossFunction",
    "ModelCheckpoint",
    "Moment",
    "OptimizerConfig",
    "Schedule",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "compile_initial_state",
    "compile_train_step",
    "data_mesh",
    "drop_lines_after",
    "flag_signals",
    "initial_state",
    "latest_step",
    "learning_rate_schedule",
    "open_run",
    "restore_model",
    "shard_batch",
    "train",
    "train_step",
]
