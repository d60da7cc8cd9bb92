"""The configuration of the functions experiment, and its presets."""

import dataclasses
from typing import ClassVar, Literal

import icl_lab as lab
from icl_data import KNOWN_FAMILIES, Activation, Family, Linear, RandomMLP
from icl_train import OptimizerConfig, TrainConfig

TaskName = Literal["mlp", "notebook", "sigmoid_15", "relu_15_5_10_4_1", "relu_15_20_1"]

# The distributions of the notebook that this experiment grew from: all weights and biases N(0, 1), and a sigmoid at the
# end of those with 15 inputs, so that their targets lie in 0..1.
NAMED_TASKS: dict[TaskName, RandomMLP] = {
    "notebook": RandomMLP(hidden=(16, 16, 16), activations=("tanh", "swish", "relu"), divide_by_fan_in=False),
    "sigmoid_15": RandomMLP(num_inputs=15, hidden=(), output_activation="sigmoid", divide_by_fan_in=False),
    "relu_15_5_10_4_1": RandomMLP(
        num_inputs=15, hidden=(5, 10, 4), activations="relu", output_activation="sigmoid", divide_by_fan_in=False
    ),
    "relu_15_20_1": RandomMLP(
        num_inputs=15, hidden=(20,), activations="relu", output_activation="sigmoid", divide_by_fan_in=False
    ),
}

TRANSFER: dict[str, Family] = KNOWN_FAMILIES | {"line": Linear(slopes=(0.1, 0.5))}
"""What can be tested on; the notebook's two are sine and line."""

NORMAL_INPUTS = frozenset({"sigmoid_15", "relu_15_5_10_4_1", "relu_15_20_1", "line"})
"""What is asked at standard normal points, as in the notebook, whatever else is."""

_READ_BY = dict.fromkeys(
    ("num_inputs", "hidden", "activation", "weight_scale", "bias_scale", "inputs"), ("tasks", ("mlp",))
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which functions are trained on, at which points, and which are tested on.

    Attributes:
      tasks: Distribution of the networks that make tasks: mlp as the next options say, or one of the notebook's.
      num_inputs: For mlp: inputs of a function.
      hidden: For mlp: units of each hidden layer.
      activation: For mlp: of the hidden layers; mixed draws one for each layer of each task.
      weight_scale: For mlp: range of the standard deviation of weights, drawn for each task, times the root of a
        layer's inputs.
      bias_scale: For mlp: range of the standard deviation of biases, drawn for each task.
      inputs: For mlp: inputs uniform in -1..1, or standard normal.
      noise: Standard deviation of noise on all targets, before they are standardised.
      standardise: Shift and scale targets so that those of the context have mean 0 and variance 1; by default for mlp
        alone: the notebook does not.
      num_tasks: Number of tasks in the pool; None makes fresh ones for ever.
      points: Points of a task, queries included.
      queries: Points that are queries: in evaluations, and in training unless the next option says otherwise.
      query_fraction: In training, smallest and largest share of points that are queries, at random places; None for as
        above.
      query_positions: In training, where that many queries are: the last points, or any; the model does not see the
        order.
      transfer: Known families to be tested on, none of them trained on; by default all that have as many inputs, or
        can.
      batch_size: Tasks in a training batch, over all devices and hosts.
    """

    tasks: TaskName = "mlp"
    num_inputs: int = 1
    hidden: tuple[int, ...] = (32, 32)
    activation: Activation = "tanh"
    weight_scale: tuple[float, float] = (1.0, 8.0)
    bias_scale: tuple[float, float] = (1.0, 1.0)
    inputs: Literal["uniform", "normal"] = "uniform"
    noise: float = 0.0
    standardise: bool | None = None
    num_tasks: int | None = None
    points: int = 48
    queries: int = 8
    query_fraction: tuple[float, float] | None = None
    query_positions: Literal["last", "random"] = "last"
    transfer: tuple[str, ...] = ()
    batch_size: int = 32

    def __post_init__(self) -> None:
        """Refuse options that nothing would read, and families that there are not."""
        lab.check_read("data", self, _READ_BY)
        unknown = [name for name in self.transfer if name not in TRANSFER]
        if unknown:
            raise ValueError(f"data.transfer knows {', '.join(TRANSFER)}, got {', '.join(unknown)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Transformer over points, without positions.

    Attributes:
      width: Width of the tokens.
      layers: Blocks.
      heads: Attention heads.
      key_size: Size of each head's keys; by default width / heads.
      num_loops: How often the blocks run in a row, with the same parameters.
      compute_dtype: Of the computations; parameters are float32.
    """

    width: int = 64
    layers: int = 4
    heads: int = 4
    key_size: int | None = None
    num_loops: int = 1
    compute_dtype: Literal["float32", "bfloat16"] = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionsConfig(lab.ExperimentConfig):
    """Learning functions from their points: trained on random networks, tested on what was never seen.

    All else is of `ExperimentConfig`.

    Attributes:
      model: A Transformer over points, without positions.
    """

    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks", "data.noise"}

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="cosine", warmup_steps=200)
    train: TrainConfig = TrainConfig(steps=3_000)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig()


_LAPTOP = FunctionsConfig()

PRESETS = {
    "laptop": _LAPTOP,
    # The notebook's own setting with its defects mended: fresh weights for each task, a prediction for each query.
    "notebook": FunctionsConfig(
        data=DataConfig(tasks="notebook", points=500, queries=16, num_tasks=400, transfer=("sine", "line")),
        model=ModelConfig(width=16, layers=8, heads=2, key_size=16, num_loops=3),
        optimizer=OptimizerConfig(schedule="cosine", warmup_steps=200),
        train=TrainConfig(steps=4_000),
    ),
    "full": FunctionsConfig(
        data=DataConfig(hidden=(64, 64), activation="mixed", points=128, queries=16, batch_size=256),
        model=ModelConfig(width=256, layers=12, heads=8),
        optimizer=OptimizerConfig(schedule="cosine", learning_rate=3e-4, warmup_steps=4_000),
        train=TrainConfig(steps=200_000, log_every=100, checkpoint_every=5_000),
        eval=lab.TaskEvalConfig(every=5_000, final_count=8_192),
    ),
}
