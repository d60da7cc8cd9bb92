"""One model of experiments/omniglot.py: how it begins, what it is trained on, and how it is evaluated."""

import copy
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

import command_line
import icl_data as data
import icl_eval as evaluation
import icl_train as training
from omniglot_parts import make_evaluations, make_model, make_streams, training_loss
from omniglot_presets import OmniglotConfig

MAY_CHANGE = (
    *(f"train.{name}" for name in ("steps", "log_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints")),
    *(f"train.{name}" for name in ("keep_every", "mesh", "profile", "tensorboard", "steps_per_dispatch")),
    "eval",
)


def open_folders(configs: Sequence[OmniglotConfig]) -> None:
    """Make the folders of runs, or check that they are those of these runs; the first of several hosts does it."""
    if training.is_first():
        for config in configs:
            is_eval = config.mode == "eval"
            training.open_run(
                config.workdir,
                command_line.to_json(config),
                resume=config.resume or is_eval,
                may_change=("eval",) if is_eval else MAY_CHANGE,
            )
    training.wait_for_all("the folders are open")


class OmniglotRun:
    """A run, alone or as a member of an ensemble.

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
        self.streams = make_streams(config, bank, split, shard=(0, 1) if mesh is None else training.data_shard(mesh))
        self._model = make_model(config.model, bank, split)
        self._evaluations = make_evaluations(config, split)
        evaluated = make_model(config.model, bank, split, is_training=False)

        def logits(params: PyTree, state: PyTree, seed: Array | np.uint32, items: Any, labels: Any) -> Array:
            # Only item dropout, which is noise in the data, reads the key: the same for all batches.
            return evaluated.apply(params, state, jax.random.key(seed), items, labels)[0]

        # With several hosts, each evaluates everything, and needs every logit.
        whole = None if mesh is None or jax.process_count() == 1 else NamedSharding(mesh, PartitionSpec())
        self._logits = jax.jit(logits, out_shardings=whole)
        jax.eval_shape(self.init, jax.random.key(0))

    def member(self, config: OmniglotConfig) -> "OmniglotRun":
        """Give a run of the same model and images with another seed and other shares, compiled with this one."""
        other = copy.copy(self)
        other.config, other.streams = config, make_streams(config, self._bank, self._split)
        return other

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

    def evaluate(self, model: training.ModelCheckpoint | training.TrainState, *, count: int) -> str:
        """Evaluate on ``count`` sequences of each kind, write the results down, and give the two that matter most.

        If the run keeps an average of its parameters, that is what is evaluated.
        """
        seed = np.uint32(self.config.train.seed)
        params, state = model.params if model.ema is None else model.ema, model.model_state

        def predict(batch: Any) -> Array:
            return self._logits(params, state, seed, batch[self._key], batch["labels"])

        shown = min(4, count) if self._key == "images" else 0
        results = [
            evaluation.evaluate(predict, self.streams[kind.name], kind, count=count, examples=shown)
            for kind in self._evaluations
        ]
        if training.is_first():
            evaluation.append_evaluations(self.config.workdir, step=int(model.step), results=results)
            evaluation.save_examples(self.config.workdir, results)
        few_shot, no_support = (result.metrics for result in results[:2])
        return f"ICL {few_shot['accuracy_closed']}  IWL {no_support['accuracy_open']}"

    def report(self, result: training.TrainResult | None, member: int) -> str:
        """Write the summary, with the figures of the training or those that it has, and the page; say where."""
        workdir = self.config.workdir
        if not training.is_first():
            return ""
        if result is None:
            trained = evaluation.read_run(workdir).summary.get("train", {})
        else:
            trained = {name: getattr(result, name) for name in ("steps", "seconds", "steps_per_second")}
            trained |= {"final_loss": result.final_losses[member]}
            if member in result.failed:
                trained |= {"steps": result.failed[member] - 1, "failed_at": result.failed[member]}
        evaluation.write_summary(workdir, train=trained, seed=self.config.train.seed)
        return f"report: {evaluation.write_report(workdir)}"
