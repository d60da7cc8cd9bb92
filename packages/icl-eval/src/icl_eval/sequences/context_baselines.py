"""Baselines that see one sequence: the query's label from the context alone, without any training.

`classifiers` are learners of tasks, in NumPy, with any items hidden and one-hot labels. These name one query per
sequence in bulk on the accelerator, and nothing here grows with the number of labels, which can be 13,000.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from icl_eval.results.collect import Batch

Labels = Int[Array | np.ndarray, "B S"]

_LARGEST = np.iinfo(np.int32).max


def nearest(vectors: Num[Array | np.ndarray, "B S *X"], labels: Labels) -> Int[Array, " B"]:
    """Return the label of the context item nearest to the query, by Euclidean distance; of equals the earlier item's.

    Distances are sums of squared differences: equal items are at distance 0, and near ties are not misordered, which
    a.a - 2 a.b + b.b does not promise. For bytes they are exact, in int32, up to 33,025 pixels, so that equally far
    black-and-white images are ties. All else is float32. Images are flattened; the query's label is not read.

    >>> nearest(jnp.array([[[0.0], [1.0], [0.8]]]), jnp.array([[5, 3, 0]]))
    Array([3], dtype=int32)
    """
    return _nearest(*_checked(vectors, labels))


def prototype(vectors: Num[Array | np.ndarray, "B S *X"], labels: Labels) -> Int[Array, " B"]:
    """Return the label whose context items have the mean nearest to the query; of equals the one that comes first.

    Means and distances are float32, the distances sums of squared differences. Sums of bytes are exact. Images are
    flattened; the query's label is not read.

    Source: Snell, Swersky and Zemel (2017), arXiv 1703.05175, prototypical networks.

    >>> prototype(jnp.array([[[0.0], [4.0], [1.5], [1.6]]]), jnp.array([[5, 5, 3, 0]]))
    Array([3], dtype=int32)
    """
    return _prototype(*_checked(vectors, labels))


def majority(labels: Labels) -> Int[Array, " B"]:
    """Return the label that most context items have; the lowest of equals. The query's label is not read.

    >>> majority(jnp.array([[5, 3, 3, 0], [5, 3, 4, 0]]))
    Array([3, 3], dtype=int32)
    """
    _check_labels(labels)
    return _majority(jnp.asarray(labels))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextBaseline:
    """A rule that names the query of each sequence of a batch, with its words.

    Attributes:
      title: its name in tables.
      sentence: what it answers.
      predict: from a batch to the label of its queries, int32 [B].
    """

    title: str
    sentence: str
    predict: Callable[[Batch], Int[Array, " B"]]

    def __call__(self, batch: Batch) -> Int[Array, " B"]:
        """Return the labels of the queries."""
        return self.predict(batch)


def context_baselines(
    embed: Callable[[Batch], Float[Array | np.ndarray, "B S X"]] | None = None, *, pixels: bool = True
) -> dict[str, ContextBaseline]:
    """Return baselines by name, each a function from a batch to the label of its queries, int32 [B].

    They are `nearest_pixels` and `prototype_pixels` of what the batch has under `images`, or else `items`;
    `nearest_embedding` and `prototype_embedding` of what `embed` gives, each of which calls it; and `majority`.

    Args:
      embed: gives a vector of each item of a batch, such as a model's encoder; None leaves its two baselines out.
      pixels: whether to give the two of pixels; they mean nothing where items are only numbered.

    >>> batch = {"items": np.array([[[0.0], [1.0], [0.8]]]), "labels": np.array([[5, 3, 0]])}
    >>> {name: int(baseline(batch)[0]) for name, baseline in context_baselines().items()}
    {'nearest_pixels': 3, 'prototype_pixels': 3, 'majority': 3}
    """
    found: dict[str, ContextBaseline] = {}
    if pixels:
        found["nearest_pixels"] = ContextBaseline(
            title="nearest image",
            sentence="Baseline: the label of the context image nearest in pixels.",
            predict=lambda batch: nearest(_pixels(batch), batch["labels"]),
        )
        found["prototype_pixels"] = ContextBaseline(
            title="nearest mean image",
            sentence="Baseline: the label whose mean context image is nearest in pixels.",
            predict=lambda batch: prototype(_pixels(batch), batch["labels"]),
        )
    if embed is not None:
        found["nearest_embedding"] = ContextBaseline(
            title="nearest embedding",
            sentence="Baseline: the label of the context item nearest in the model's embedding.",
            predict=lambda batch: nearest(embed(batch), batch["labels"]),
        )
        found["prototype_embedding"] = ContextBaseline(
            title="nearest mean embedding",
            sentence="Baseline: the label whose mean context embedding is nearest.",
            predict=lambda batch: prototype(embed(batch), batch["labels"]),
        )
    found["majority"] = ContextBaseline(
        title="most frequent label",
        sentence="Baseline: the label that stands in the context most often.",
        predict=lambda batch: majority(batch["labels"]),
    )
    return found


def _pixels(batch: Batch) -> Any:
    for key in ("images", "items"):
        if key in batch:
            return batch[key]
    raise ValueError(
        f"Baselines of pixels want 'images' or 'items' in a batch, got the keys {sorted(batch)}; pass pixels=False."
    )


@jax.jit
def _nearest(vectors: Num[Array, "B S *X"], labels: Int[Array, "B S"]) -> Int[Array, " B"]:
    vectors = vectors.reshape(*labels.shape, -1)
    if vectors.dtype == jnp.uint8 and vectors.shape[-1] * 255**2 <= _LARGEST:
        vectors = vectors.astype(jnp.int32)
    else:
        vectors = vectors.astype(jnp.float32)
    return _label_at_least_distance(vectors[:, :-1], vectors[:, -1:], labels)


@jax.jit
def _prototype(vectors: Num[Array, "B S *X"], labels: Int[Array, "B S"]) -> Int[Array, " B"]:
    vectors = vectors.astype(jnp.float32).reshape(*labels.shape, -1)
    same = _same_label(labels)
    # One prototype per context item, so that labels need no table: items of one label share theirs.
    sums = jnp.einsum("bij,bjx->bix", same.astype(jnp.float32), vectors[:, :-1], precision=jax.lax.Precision.HIGHEST)
    means = sums / same.sum(axis=-1, keepdims=True)
    return _label_at_least_distance(means, vectors[:, -1:], labels)


@jax.jit
def _majority(labels: Int[Array, "B S"]) -> Int[Array, " B"]:
    counts = _same_label(labels).sum(axis=-1)
    most = counts == counts.max(axis=-1, keepdims=True)
    return jnp.where(most, labels[:, :-1], _LARGEST).min(axis=-1).astype(jnp.int32)


def _same_label(labels: Int[Array, "B S"]) -> Bool[Array, "B C C"]:
    return labels[:, :-1, None] == labels[:, None, :-1]


def _label_at_least_distance(
    points: Num[Array, "B C X"], query: Num[Array, "B 1 X"], labels: Int[Array, "B S"]
) -> Int[Array, " B"]:
    """Return the label of the first of the points nearest to the query."""
    closest = jnp.square(points - query).sum(axis=-1).argmin(axis=-1)
    return jnp.take_along_axis(labels, closest[:, None], axis=1)[:, 0].astype(jnp.int32)


def _checked(vectors: Any, labels: Any) -> tuple[Num[Array, "B S *X"], Int[Array, "B S"]]:
    """Return the arrays on the device."""
    _check_labels(labels)
    shape = np.shape(vectors)
    if len(shape) < 3 or shape[:2] != np.shape(labels):
        raise ValueError(
            f"Wanted vectors [B, S, X] or images [B, S, H, W] for labels {list(np.shape(labels))}, "
            f"got the shape {list(shape)}."
        )
    return jnp.asarray(vectors), jnp.asarray(labels)


def _check_labels(labels: Any) -> None:
    if len(np.shape(labels)) != 2 or np.shape(labels)[1] < 2:
        raise ValueError(
            f"Wanted labels [B, S] of a query and at least one context item, got the shape {list(np.shape(labels))}."
        )
