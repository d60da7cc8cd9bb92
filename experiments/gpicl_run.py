"""One model of experiments/gpicl.py: its data, how it begins, what it is trained on, and how it is evaluated."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any

import grain
import haiku as hk
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree
from sklearn.datasets import load_digits

import icl_data as data
import icl_eval as evaluation
import icl_models as models
import icl_train as training
from experiment import Model, Run
from gpicl_presets import DataConfig, GpiclConfig, ModelConfig

Sets = dict[str, tuple[data.ExemplarBank, data.ExemplarBank]]
"""Labelled sets by name, as vectors: images to train on, and the others. The first is the one that is trained on."""

BASELINES = ("1-NN", "3-NN", "ridge", "logistic regression", "majority label")


def make_sets(config: DataConfig) -> Sets:
    """Read the labelled sets, and make vectors of their images: each by a way that is fitted to its first part."""
    tfds = functools.partial(data.bank_from_tfds, split="train", data_dir=config.tfds_dir.expanduser())
    if config.source == "digits":
        digits = load_digits()
        banks = {"digits": data.bank_from_labels((digits.images * 15).astype(np.uint8), digits.target)}
    elif config.source == "idx":
        assert config.images is not None and config.labels is not None
        banks = {"idx": _read_idx(config.images, config.labels)}
    elif config.source == "tfds":
        banks = {_name(config.tfds): tfds(config.tfds)}
    else:
        banks = {"glyphs": data.glyphs(config.glyphs)}
    pairs = zip(config.also_idx[::2], config.also_idx[1::2], strict=True)
    others = [(_name(f"{images.parent.name}_{images.name}"), _read_idx(images, labels)) for images, labels in pairs]
    others += [(_name(name), tfds(name)) for name in config.also_tfds]
    names = [*banks, *(name for name, _ in others), "random"]
    if len(set(names)) < len(names):
        raise ValueError(f"Labelled sets want names of their own, by folder and file, got {', '.join(names)}.")
    banks |= dict(others)
    side = config.side or next(iter(banks.values())).items.shape[1]
    sets = {}
    for name, bank in banks.items():
        grey = dataclasses.replace(bank, items=data.resize(_grey(bank.items), side))
        first, second = grey.split_exemplars(config.test_share)
        vectors = data.fit_vectors(first.every_item(), components=config.components)
        sets[name] = (vectors.apply(first), vectors.apply(second))
    (trained, _), *_ = sets.values()
    dimensions = trained.items.shape[1]
    random = data.random_vectors(trained.num_classes, exemplars=2, dimensions=dimensions)
    return sets | {"random": (random, random)}


def _name(path: str) -> str:
    """Make the name of an evaluation of that of a file or set."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.removesuffix(".gz"))


def _read_idx(images: Path, labels: Path) -> data.ExemplarBank:
    return data.bank_from_labels(data.read_idx(images), data.read_idx(labels))


def _grey(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 3 else np.round(images.mean(axis=-1)).astype(np.uint8)


class GpiclRun(Run[GpiclConfig]):
    """A model of this experiment.

    Args:
      config: of the run.
      sets: the labelled sets.
      mesh: where it is trained; None for a member of an ensemble.
    """

    def __init__(self, config: GpiclConfig, sets: Sets, mesh: Mesh | None) -> None:
        """Build streams and model."""
        self.config, self._sets = config, sets
        self._shard = (0, 1) if mesh is None else training.data_shard(mesh)
        self._num_labels = config.data.ways or next(iter(sets.values()))[0].num_classes
        self._model = make_model(config.model, self._num_labels)
        self.streams = self.make_streams(config)
        self._latest: dict[str, evaluation.Result] = {}

        def logits(params: PyTree, state: PyTree, items: Any, labels: Any) -> Array:
            return self._model.apply(params, state, None, items, labels)[0]

        # With several hosts, each evaluates everything, and needs every logit.
        whole = None if mesh is None or jax.process_count() == 1 else NamedSharding(mesh, PartitionSpec())
        self._logits = jax.jit(logits, out_shardings=whole)

    def samplers(self, config: GpiclConfig) -> dict[str, data.ProjectedSampler]:
        """Make the sequences of training and of each evaluation."""
        trained, *others = self._sets
        options = config.data
        sampler = functools.partial(
            data.ProjectedSampler, ways=self._num_labels, length=options.length, seed=config.train.seed
        )
        # Of fresh tasks, those that were seen before the first evaluation.
        early = min(config.train.steps, config.eval.every)
        seen = data.Tasks(count=options.num_tasks or early * options.batch_size)
        unseen = data.Tasks(first=data.UNSEEN)
        first, second = self._sets[trained]
        return {
            "train": sampler(bank=first, tasks=data.Tasks(count=options.num_tasks), identity=options.identity),
            "seen_tasks": sampler(bank=second, tasks=seen, stream="seen_tasks"),
            "unseen_tasks": sampler(bank=second, tasks=unseen, stream="unseen_tasks"),
            "seen_tasks_seen_images": sampler(bank=first, tasks=seen, stream="seen_tasks_seen_images"),
            "unseen_tasks_seen_images": sampler(bank=first, tasks=unseen, stream="unseen_tasks_seen_images"),
        } | {
            f"unseen_data_{name}": sampler(bank=self._sets[name][1], tasks=unseen, stream=f"unseen_data_{name}")
            for name in others
        }

    def make_streams(self, config: GpiclConfig) -> dict[str, grain.IterDataset]:
        """Make the batches of them."""
        options = config.data
        return {
            name: data.batches(
                data.BatchSource(
                    sampler=made,
                    bank=None,
                    batch_size=options.batch_size if name == "train" else config.eval.batch_size,
                    shard=self._shard[0] if name == "train" else 0,
                    shard_count=self._shard[1] if name == "train" else 1,
                )
            )
            for name, made in self.samplers(config).items()
        }

    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Make the parameters and the state of the model."""
        batch = next(iter(self.streams["train"]))
        return self._model.init(rng, batch["items"], batch["labels"])

    def loss_fn(
        self, params: PyTree, state: PyTree, rng: Array, batch: Any
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        """Give the loss, metrics and new state of the model on a batch."""
        logits, state = self._model.apply(params, state, rng, batch["items"], batch["labels"], is_training=True)
        if self.config.model.trunk == "mlp":
            loss, metrics = models.query_cross_entropy(logits, batch["labels"][:, -1])
        else:
            loss, metrics = models.every_item_cross_entropy(logits, batch["labels"])
        return loss, (metrics, state)

    def evaluate(self, model: Model, *, count: int, final: bool) -> str:
        """Evaluate on ``count`` sequences of each kind: on seen and unseen tasks, and at the end on all others too."""
        params, state = model.params if model.ema is None else model.ema, model.model_state

        def predict(batch: Any) -> Array:
            logits = self._logits(params, state, batch["items"], batch["labels"])
            return logits[:, None] if logits.ndim == 2 else logits

        names = [name for name in self.streams if name != "train"]
        results = []
        for name in names if final and self.config.eval.elsewhere else names[:2]:
            result, curves = evaluation.evaluate_labels(
                predict,
                self.streams[name],
                name=name,
                count=count,
                num_labels=self._num_labels,
                **(self._baselines(min(count, self.config.eval.baseline_count)) if final else {}),
            )
            results.append(result)
            if training.is_first():
                evaluation.save_by_examples(self.config.workdir, name, curves)
        if training.is_first():
            evaluation.append_evaluations(self.config.workdir, step=int(model.step), results=results)
        seen, unseen = results[:2]
        self._latest = {"seen": seen, "unseen": unseen}
        said = f"seen tasks {seen.metrics['accuracy_last']}  unseen tasks {unseen.metrics['accuracy_last']}"
        return f"{said}  {evaluation.judge_labels(seen, unseen).verdict}" if final else said

    def _baselines(self, count: int) -> dict[str, Any]:
        """Say what the model is compared with, at a few positions."""
        if not count:
            return {}
        length = self.config.data.length
        last = range(length - max(1, length // 8), length)  # what the model's last accuracy is the mean over
        positions = sorted({2**power for power in range(length.bit_length()) if 2**power < length} | set(last))
        asked = {name: functools.partial(self._ask, evaluation.CLASSIFIERS[name]) for name in BASELINES}
        return {"baselines": asked, "baseline_positions": positions, "baseline_count": count}

    def _ask(self, classifier: Any, items: np.ndarray, labels: np.ndarray, positions: Any) -> np.ndarray:
        return evaluation.labels_by_position(
            classifier, items, labels, num_labels=self._num_labels, positions=positions
        )

    def verdict(self) -> evaluation.Judgement | None:
        """Say what kind of learner this is."""
        if not self._latest:
            return None
        return evaluation.judge_labels(self._latest["seen"], self._latest["unseen"])


def make_model(config: ModelConfig, num_labels: int) -> hk.TransformedWithState:
    """Build the classifier of every item, or of the query alone where the trunk has but one output."""
    return model_config(config, num_labels).build()


def model_config(config: ModelConfig, num_labels: int) -> models.SequenceClassifier:
    """Give the classifier's parts."""
    layers, hidden = config.layers, config.width
    trunks: dict[str, models.Trunk] = {
        "transformer": models.Transformer(layers=layers, heads=config.heads, key_size=config.key_size),
        "lstm": models.LSTM(layers=layers, hidden=hidden),
        "vanilla_rnn": models.VanillaRNN(layers=layers, hidden=hidden),
        "outer_product_lstm": models.OuterProductLSTM(layers=layers, hidden=hidden),
        "mlp": models.MLP(layers=layers, hidden=hidden),
    }
    return models.SequenceClassifier(
        num_labels=num_labels,
        encoder=models.IdentityEncoder(),
        layout=models.PreviousLabel(),
        trunk=trunks[config.trunk],
        width=config.width,
        positions=config.positions,
        outputs="query" if config.trunk == "mlp" else "every_item",
        compute_dtype=config.compute_dtype,
    )
