"""One model of experiments/omniglot.py: how it begins, what it is trained on, and how it is evaluated."""

from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_train as training
from experiment import Model, Run
from omniglot_evaluation import Evaluator
from omniglot_parts import make_model, make_streams, training_loss
from omniglot_presets import OmniglotConfig


class OmniglotRun(Run[OmniglotConfig]):
    """A model of this experiment.

    Args:
      config: of the run.
      bank: the images.
      split: their classes.
      mesh: where it is trained; None for a member of an ensemble.
    """

    def __init__(
        self, config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit, mesh: Mesh | None
    ) -> None:
        """Build streams and model, and refuse a model that cannot be built."""
        self.config, self._bank, self._split, self._key = config, bank, split, bank.key
        self._shard = (0, 1) if mesh is None else training.data_shard(mesh)
        self.streams = self.make_streams(config)
        self._model = make_model(config, bank, split).build()
        # With several hosts, each evaluates everything, and needs every logit.
        whole = None if mesh is None or jax.process_count() == 1 else NamedSharding(mesh, PartitionSpec())
        self._evaluator = Evaluator(config, bank, split, whole)

    def make_streams(self, config: OmniglotConfig) -> dict[str, grain.IterDataset]:
        """Make the batches of training and of each evaluation."""
        return make_streams(config, self._bank, self._split, shard=self._shard)

    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Make the parameters and the state of the model."""
        batch = next(iter(self.streams["train"]))
        return self._model.init(rng, batch[self._key], batch["labels"])

    def loss_fn(
        self, params: PyTree, state: PyTree, rng: Array, batch: Any
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        """Give the loss, metrics and new state of the model on a batch."""
        logits, state = self._model.apply(params, state, rng, batch[self._key], batch["labels"], is_training=True)
        loss, metrics = training_loss(self.config.model, logits, batch["labels"])
        return loss, (metrics, state)

    def is_evaluated(self, step: int, *, count: int, final: bool) -> bool:
        """Tell whether eval.jsonl has all evaluations of a step, each of so many sequences."""
        wanted = self._evaluator.counts(count=count, final=final)
        evaluated = evaluation.read_run(self.config.workdir).evaluations
        found = {name: results[step].count for name, results in evaluated.items() if step in results}
        return all(found.get(name, 0) >= wanted[name] for name in wanted)

    def evaluate(self, model: Model, *, count: int, final: bool) -> str:
        """Evaluate on ``count`` sequences of each kind, write the results down, and give the two that matter most.

        If the run keeps an average of its parameters, that is what is evaluated.
        """
        params, state = model.params if model.ema is None else model.ema, model.model_state
        results, attention = self._evaluator.evaluate(
            (params, state, np.uint32(self.config.train.seed)), self.streams, count=count, final=final
        )
        if training.is_first():
            folder, step = self.config.workdir, int(model.step)
            is_latest = step >= max(evaluation.evaluated_steps(folder), default=0)
            evaluation.append_evaluations(folder, step=step, results=results)
            if is_latest:
                evaluation.save_examples(folder, results)
                if attention is not None:
                    evaluation.save_attention(folder, "fewshot_holdout", attention)
        few_shot, no_support = (result.metrics for result in results[:2])
        chance = f"  (chance of ICL: {1 / self.config.data.ways:g})" if final else ""
        in_weights = no_support.get("accuracy_any_label", no_support["accuracy_open"])
        return f"ICL {few_shot['accuracy_closed']}  IWL {in_weights}{chance}"
