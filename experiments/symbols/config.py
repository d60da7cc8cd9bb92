"""The configuration of the prediction of symbols, and its presets."""

import dataclasses
from typing import ClassVar, Literal

import icl_lab as lab
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which sequences of symbols are trained on.

    Attributes:
      process: What draws symbols: an urn, each independent of the others; or a Markov chain, each by the one before it.
        Both are drawn from all there are uniformly (Dirichlet of all 1).
      num_symbols: How many symbols there are.
      length: Symbols in a sequence.
      num_tasks: Number of urns or chains in the pool; None makes a fresh one for each sequence, for ever.
      batch_size: Sequences in a training batch, over all devices and hosts.
    """

    process: Literal["urns", "markov"] = "urns"
    num_symbols: int = 8
    length: int = 128
    num_tasks: int | None = 256
    batch_size: int = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A causal Transformer over symbols, with learned positions.

    Attributes:
      width: Width of the tokens.
      layers: Blocks.
      heads: Attention heads.
      mlp_ratio: Hidden units of each block's MLP, in widths.
    """

    width: int = 64
    layers: int = 1
    heads: int = 1
    mlp_ratio: int = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolsConfig(lab.ExperimentConfig):
    """Symbols from urns or Markov chains, each to be predicted from those before; all else is of `ExperimentConfig`.

    Attributes:
      model: A causal Transformer over symbols.
    """

    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks"}

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="cosine", warmup_steps=200)
    train: TrainConfig = TrainConfig(steps=5_000, log_every=100)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig(every=1_000, final_count=1_024)


PRESETS = {
    # Wurgaft et al. (2025): 8 symbols, sequences of 128, one layer of one head and width 64, batches of 64.
    "urns": SymbolsConfig(),
    # Two layers, as it takes to look at what followed a symbol before; the number of symbols is ours.
    "markov": SymbolsConfig(
        data=DataConfig(process="markov", num_symbols=4), model=ModelConfig(layers=2), train=TrainConfig(steps=5_000)
    ),
}
