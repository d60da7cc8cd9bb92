"""An evaluation: a predictor and a stream of batches become accuracies and a loss, with intervals."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from icl_eval.estimate import Estimate, mean, proportion
from icl_eval.examples import Examples
from icl_eval.measures import Scores, score

Batch = Mapping[str, Any]
Predictor = Callable[[dict[str, Any]], Float[Array | np.ndarray, "B V"]]

_score = jax.jit(score)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A kind of sequence to be evaluated on.

    Attributes:
      name: as it stands in eval.jsonl and in file names, such as `fewshot_holdout`: letters, digits, _, -.
      possible_labels: what the query's label can be here, and so what the closed accuracy chooses from:
        0..ways-1 for few-shot sequences, the ordered labels of common, rare or both for no-support ones.

    Raises:
      ValueError: if the name would not do as a file name, or the labels are none, negative or not distinct.

    >>> Evaluation("fewshot_holdout", range(2))
    Evaluation(name='fewshot_holdout', possible_labels=(0, 1))
    """

    name: str
    possible_labels: Sequence[int]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(f"Wanted an evaluation name of letters, digits, _ and -, got {self.name!r}.")
        labels = tuple(int(label) for label in self.possible_labels)
        if not labels or min(labels) < 0 or len(set(labels)) < len(labels):
            raise ValueError(
                f"{self.name}: wanted one or more distinct possible labels, each 0 or more, "
                f"got {_some(labels)}; for few-shot sequences pass range(ways)."
            )
        object.__setattr__(self, "possible_labels", labels)


@dataclasses.dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
      evaluation: its name.
      metrics: `accuracy_closed`, `accuracy_open` (both in 0..1) and `loss` (nats), each with its interval.
      chance: what guessing uniformly gives, for those metrics that have such a number.
      examples: the first few sequences, if they were asked for; not part of the JSON form.
    """

    evaluation: str
    metrics: Mapping[str, Estimate]
    chance: Mapping[str, float]
    examples: Examples | None = None

    def __str__(self) -> str:
        return f"{self.evaluation}: " + ", ".join(f"{name} {estimate}" for name, estimate in self.metrics.items())

    @property
    def count(self) -> int:
        """How many sequences were evaluated."""
        return max(estimate.count for estimate in self.metrics.values())

    def to_json(self) -> dict[str, Any]:
        """Return {"evaluation", "count", "chance", "metrics"}, ready for `json.dumps`."""
        metrics = {name: estimate.to_json() for name, estimate in self.metrics.items()}
        return {
            "evaluation": self.evaluation,
            "count": self.count,
            "chance": dict(self.chance),
            "metrics": metrics,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Result":
        """Return what `to_json` wrote; raise AttributeError, KeyError, TypeError or ValueError if not."""
        metrics = {str(name): Estimate.from_json(estimate) for name, estimate in fields["metrics"].items()}
        if not metrics:
            raise ValueError("Wanted at least one metric, got none.")
        chance = {str(name): float(value) for name, value in fields.get("chance", {}).items()}
        return cls(evaluation=str(fields["evaluation"]), metrics=metrics, chance=chance)


def evaluate(
    predict: Predictor, batches: Iterable[Batch], evaluation: Evaluation, *, count: int, examples: int = 0
) -> Result:
    """Evaluate a predictor on exactly `count` sequences.

    Batches go to `predict` whole, so that a jitted predictor compiles once; the surplus rows of the last
    one are dropped from the results. No batch is drawn beyond those needed. The scores of a batch are
    fetched only after the next one was dispatched, so a device is kept busy.

    Args:
      predict: gives the logits [B, V] of the query. It sees the batch with the query's label replaced by 0:
        a model that reads the answer gains nothing by it.
      batches: dicts of arrays with at least `labels` [B, S], the query last; and `images` [B, S, H, W],
        uint8 or floats of 0..1, if examples are wanted.
      evaluation: its name, and the possible labels.
      count: how many sequences, at least 1.
      examples: how many of the first sequences to keep in the result, at most `count`.

    Raises:
      ValueError: if the batches end early, lack a key, or hold a query's label that is not possible;
        or if the logits are not of shape [B, V] with V above every possible label.

    >>> labels = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 0]])
    >>> result = evaluate(lambda batch: np.eye(2)[batch["labels"][:, 1]], [{"labels": labels}],
    ...                   Evaluation("copies_last_label", range(2)), count=2)
    >>> print(result.metrics["accuracy_closed"])
    1.000 (0.342-1.000, n=2)
    """
    if count < 1 or not 0 <= examples <= count:
        raise ValueError(f"{evaluation.name}: wanted count >= 1 and examples in 0..count, got {count} and {examples}.")
    scores: list[Scores] = []
    kept: list[Batch] = []
    taken = 0
    for batch in batches:
        logits, targets = _predict(predict, batch, evaluation, needed=count - taken)
        scores.append(_score(logits, targets, _possible(evaluation, logits.shape[1])))
        if taken < examples:
            kept.append(batch)
        taken += len(targets)
        if len(scores) > 1:
            scores[-2] = jax.device_get(scores[-2])
        if taken >= count:
            break
    if taken < count:
        raise ValueError(
            f"{evaluation.name}: wanted {count} sequences, but the batches ended after {taken}; "
            f"pass more batches (a repeating stream, say) or count={taken}."
        )
    everything = Scores(*(np.concatenate(parts)[:count] for parts in zip(*jax.device_get(scores), strict=True)))
    return Result(
        evaluation=evaluation.name,
        metrics={
            "accuracy_closed": proportion(int(everything.correct_closed.sum()), count),
            "accuracy_open": proportion(int(everything.correct_open.sum()), count),
            "loss": mean(np.asarray(everything.loss)),
        },
        chance={"accuracy_closed": 1 / len(evaluation.possible_labels), "accuracy_open": 1 / logits.shape[1]},
        examples=_examples(kept, everything, examples) if examples else None,
    )


def _predict(
    predict: Predictor, batch: Batch, evaluation: Evaluation, *, needed: int
) -> tuple[Float[Array | np.ndarray, "B V"], Int[np.ndarray, " B"]]:
    """Return the logits and the targets of one batch, after checking both."""
    if "labels" not in batch:
        raise ValueError(f"{evaluation.name}: wanted a batch with 'labels' [B, S], got the keys {sorted(batch)}.")
    labels = np.array(batch["labels"])  # a copy: the caller's batch keeps its answers
    if labels.ndim != 2 or labels.shape[1] < 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{evaluation.name}: wanted integer labels [B, S], got {labels.dtype} {labels.shape}.")
    targets = labels[:, -1].astype(np.int32)
    labels[:, -1] = 0
    impossible = np.setdiff1d(targets[:needed], evaluation.possible_labels)
    if impossible.size:
        raise ValueError(
            f"{evaluation.name}: a query has the label {impossible[0]}, which is not among the possible "
            f"labels {_some(evaluation.possible_labels)}; extend possible_labels or check the labelling."
        )
    logits = predict({**batch, "labels": labels})
    shape = np.shape(logits)
    if len(shape) != 2 or shape[0] != len(targets) or shape[1] <= max(evaluation.possible_labels):
        raise ValueError(
            f"{evaluation.name}: wanted the query's logits, [{len(targets)}, V] with V above "
            f"{max(evaluation.possible_labels)}; predict gave the shape {list(shape)}."
        )
    return logits, targets


def _possible(evaluation: Evaluation, label_count: int) -> Bool[np.ndarray, " V"]:
    possible = np.zeros(label_count, bool)
    possible[list(evaluation.possible_labels)] = True
    return possible


def _examples(kept: Sequence[Batch], scores: Scores, count: int) -> Examples:
    """Put the first `count` sequences of the kept batches beside their predictions."""
    if any("images" not in batch for batch in kept):
        raise ValueError(
            f"Examples want 'images' uint8 [B, S, H, W] in a batch, got the keys {sorted(kept[0])}; "
            "add them or pass examples=0."
        )
    return Examples(
        images=_to_uint8(np.concatenate([np.asarray(batch["images"]) for batch in kept])[:count]),
        labels=np.concatenate([np.asarray(batch["labels"]) for batch in kept])[:count],
        predicted_closed=np.asarray(scores.predicted_closed[:count]),
        predicted_open=np.asarray(scores.predicted_open[:count]),
    )


def _to_uint8(images: Shaped[np.ndarray, "K S H W"]) -> Shaped[np.ndarray, "K S H W"]:
    """Make grey levels of floats; noise beyond 0..1 is cut off."""
    return np.round(images.clip(0, 1) * 255).astype(np.uint8) if images.dtype.kind == "f" else images


def _some(labels: Sequence[int]) -> str:
    """Name the labels, without listing thousands."""
    shown = ", ".join(str(label) for label in itertools.islice(labels, 5))
    return f"{shown}, ... ({len(labels)} in all)" if len(labels) > 5 else shown or "none"
