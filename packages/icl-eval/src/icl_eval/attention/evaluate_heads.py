"""An evaluation of attention heads: what each head of a model does on a stream of batches, with intervals."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.attention.scores import SCORES, HeadScores, head_scores, uniform_scores
from icl_eval.attention.token_positions import TokenPositions
from icl_eval.checks import check_whole
from icl_eval.results.collect import Batch, as_array, check_function, collect, first_images, joined
from icl_eval.results.own_measures import OwnMeasure, check_own, own_ratios, own_words
from icl_eval.results.result import Measure, Result
from icl_eval.results.saved_arrays import NO_LABEL, AttentionMaps
from icl_eval.results.tally import Ratio, Tally
from icl_eval.sequences.measures import predicted_label

_UNIFORM = "uniform "  # before the names of what uniform attention would have
_TOLERANCE = 1e-3  # of the sums of probabilities

Attend = Callable[
    [dict[str, Any]], tuple[Float[Array | np.ndarray, "B L H T T"], Float[Array | np.ndarray, "B V"] | None]
]


def evaluate_heads(
    attend: Attend,
    batches: Iterable[Batch],
    positions: TokenPositions,
    *,
    name: str,
    count: int,
    causal: bool = True,
    examples: int = 0,
    possible_labels: Sequence[int] | None = None,
    measures: Mapping[str, OwnMeasure] = {},
) -> Result:
    """Return the scores of the attention heads of a model on exactly `count` sequences.

    Batches go to `attend` whole, so that a jitted one compiles once; of a batch only its scores are kept (see
    `collect`).

    Args:
      attend: gives the attention probabilities [B, L, H, T, T] of all layers and heads, queries by keys, and the
        logits [B, V] of the query or None. It sees the batch with the query's label replaced by 0.
      batches: dicts of arrays with at least `labels` and `classes` [B, S], the query last; and `images`
        uint8 [B, S, H, W] if examples are wanted.
      positions: where items and labels stand among the T tokens.
      name: of the evaluation, such as `heads_fewshot_holdout`.
      count: how many sequences, at least 1.
      causal: whether a token attends to none after it. It decides what uniform attention is.
      examples: of how many of the first sequences to keep the attention, at most `count`.
      possible_labels: what the examples' predictions choose from; None is all V labels. Without logits they are -1.

      measures: of your own, by name: a function of (attention, batch), the batch with its answers, to a number for each
        sequence, [B]; and its words. See `OwnMeasure`.

    Returns:
      The result; examples are under "attention" of its arrays, if some were asked for and their attention is finite.
      Metrics are the means over sequences of `induction_L_H`, `previous_token_L_H` and `same_class_L_H` for layer L and
      head H from 0 (see `scores`); sequences without such a score do not count, and a score that none of them has is
      left out. The chance of each is its value under uniform attention on the same sequences.

    Raises:
      ValueError: if the batches end early or lack a key; if the attention has another shape, or in the first batch is
        no probabilities or not causal although it should be; if the logits have another shape; or if no sequence has
        any score.

    Source: Chan et al. (2022), arXiv 2205.05055, evaluate on 10,000 sequences; the scores are those of `scores`.

    >>> batch = {"labels": np.array([[0, 1, 0]]), "classes": np.array([[7, 8, 7]])}
    >>> looks_at_token_1 = np.zeros((1, 1, 1, 5, 5)) + np.eye(5)[[0, 0, 1, 1, 1]]
    >>> result = evaluate_heads(lambda batch: (looks_at_token_1, None), [batch], TokenPositions((0, 2, 4), (1, 3)),
    ...                         name="heads", count=1)
    >>> result.metrics["induction_0_0"].value, round(result.chance["induction_0_0"], 3)
    (1.0, 0.2)
    """
    check_function(attend, name=f"{name}: attend")
    check_whole(f"{name}: count", count, least=1)
    if not 0 <= examples <= count:
        raise ValueError(f"{name}: wanted examples in 0..{count}, got {examples}.")
    check_own(measures, (), name=name)

    def score(batch: Batch, before: int) -> _Scores:
        classes, attention, logits = _attended(attend, batch, positions, name)
        if not before:
            _check_probabilities(attention, causal, name)
        heads, uniform = _scores(attention, classes, positions=positions, causal=causal)
        kept = _first_rows(batch, attention, logits, possible_labels, examples - before) if before < examples else None
        own = own_ratios(measures, attention, batch, count=len(classes), name=name)
        return _Scores(heads, uniform, own, kept)

    tally, kept = Tally.empty(), list[dict[str, Any]]()
    for scores in collect(score, batches, name=name, count=count):
        found = _measures(scores.heads, scores.uniform)
        check_own(measures, found, name=name)
        tally += Tally.of(found | scores.own)
        kept += [] if scores.examples is None else [scores.examples]
    result = _result(name, tally, own_words(measures))
    if kept:
        rows = joined(kept)
        rows["attention"] = rows["attention"].astype(np.float32)
        if np.isfinite(rows["attention"]).all():
            tokens = {"item_tokens": np.asarray(positions.items), "label_tokens": np.asarray(positions.labels)}
            result = dataclasses.replace(result, arrays={"attention": AttentionMaps(**rows, **tokens)})
    return result


class _Scores(NamedTuple):
    """What is kept of a batch, of the first sequences also what `AttentionMaps` wants."""

    heads: HeadScores
    uniform: HeadScores
    own: dict[str, Ratio]
    examples: dict[str, Any] | None


_predicted_label = jax.jit(predicted_label)


def _attended(
    attend: Attend, batch: Batch, positions: TokenPositions, name: str
) -> tuple[Int[np.ndarray, "B S"], Any, Any]:
    """Return the classes of a batch, with the attention and the logits of a model that did not see the answers."""
    labels, classes = (_of_items(batch, key, len(positions.items), name) for key in ("labels", "classes"))
    hidden = labels.copy()  # the caller's batch keeps its answers
    hidden[:, -1] = 0
    found = attend({**batch, "labels": hidden})
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError(f"{name}: wanted (attention, logits or None); attend gave a {type(found).__name__}.")
    attention, logits = found
    attention = as_array(attention, name=name, who="attend")
    logits = None if logits is None else as_array(logits, name=name, who="attend")
    _check_shapes(attention, logits, len(labels), positions.length, name)
    return classes, attention, logits


@functools.partial(jax.jit, static_argnames=("positions", "causal"))
def _scores(
    attention: Array, classes: Array, *, positions: TokenPositions, causal: bool
) -> tuple[HeadScores, HeadScores]:
    """Return the scores of all heads, and those of uniform attention."""
    return head_scores(attention, classes, positions), uniform_scores(classes, positions, causal=causal)


def _measures(scores: HeadScores, uniform: HeadScores) -> dict[str, Ratio]:
    """Return the scores [B, L, H] by name, and those of uniform attention: a sequence without those has no others."""
    found = {}
    for kind, values in uniform._asdict().items():
        counts = ~np.isnan(values)
        of_heads = np.where(counts[:, None, None], getattr(scores, kind), 0)
        for layer, head in np.ndindex(of_heads.shape[1:]):
            found[f"{kind}_{layer}_{head}"] = Ratio(of_heads[:, layer, head], counts)
        found[f"{_UNIFORM}{kind}"] = Ratio(np.where(counts, values, 0), counts)
    return found


def _of_items(batch: Batch, key: str, items: int, name: str) -> Int[np.ndarray, "B S"]:
    """Return the batch's whole numbers of that key, one for each item."""
    if key not in batch:
        raise ValueError(f"{name}: wanted a batch with '{key}' [B, S], got the keys {sorted(batch)}.")
    values = np.asarray(batch[key])
    if values.ndim != 2 or values.shape[1] != items or values.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: wanted integer {key} [B, {items}], as the token positions are of {items} items, "
            f"got {values.dtype} {list(values.shape)}; make the positions of sequences of that length."
        )
    return values


def _check_shapes(attention: Any, logits: Any, sequences: int, tokens: int, name: str) -> None:
    shape = np.shape(attention)
    if len(shape) != 5 or 0 in shape or (shape[0], *shape[3:]) != (sequences, tokens, tokens):
        raise ValueError(
            f"{name}: wanted attention [{sequences}, L, H, {tokens}, {tokens}], as the token positions are of {tokens} "
            f"tokens; attend gave the shape {list(shape)}."
        )
    if logits is not None and (len(np.shape(logits)) != 2 or len(logits) != sequences):
        raise ValueError(
            f"{name}: wanted the query's logits, [{sequences}, V], or None; attend gave {list(np.shape(logits))}."
        )


def _check_probabilities(attention: Any, causal: bool, name: str) -> None:
    """Refuse scores that are not normalised, and a mask that is not the one that was named."""
    least, lowest, highest, later = map(float, _extremes(attention))
    if not np.isfinite(lowest + highest):  # a model that has come apart: its scores are not finite, and said to be so
        return
    # Rows of bfloat16 sum to 1 within its own precision.
    tolerance = max(_TOLERANCE, float(jnp.finfo(attention.dtype).eps))
    if not (1 - tolerance <= lowest and highest <= 1 + tolerance and least >= 0):
        raise ValueError(
            f"{name}: wanted attention probabilities, each query's row 0 or more with the sum 1; got sums from "
            f"{lowest:.4g} to {highest:.4g}, and entries from {least:.4g}. "
            "Give them after the softmax (or what else makes the sums 1), queries by keys."
        )
    if causal and later > tolerance:
        raise ValueError(
            f"{name}: a token gives {later:.4g} of its attention to one after it; pass causal=False, or give the "
            "attention as queries by keys."
        )


@jax.jit
def _extremes(attention: Array) -> tuple[Array, Array, Array, Array]:
    """Return the least entry, the least and greatest sum of a row, and the greatest entry of a key after its query."""
    probabilities = attention.astype(jnp.float32)
    sums = probabilities.sum(axis=-1)
    return probabilities.min(), sums.min(), sums.max(), jnp.triu(probabilities, 1).max()


def _result(name: str, tally: Tally, own: Mapping[str, Measure]) -> Result:
    """Return the scores and the caller's own measures as metrics, and scores of uniform attention as their chance."""
    estimates = tally.estimates(own)  # all others are means
    found = {key: estimates.pop(key) for key in own if key in estimates}
    uniform = {key.removeprefix(_UNIFORM): estimates.pop(key).value for key in list(estimates) if _UNIFORM in key}
    if not estimates:
        raise ValueError(
            f"{name}: no sequence has a context item of the query's class, nor a label token with one before it, "
            "so that no head has a score; evaluate on few-shot sequences."
        )
    kinds = {key: key.rsplit("_", 2)[0] for key in estimates}
    return Result(
        evaluation=name,
        metrics=estimates | found,
        chance={key: uniform[kind] for key, kind in kinds.items()},
        measures={**{key: SCORES[kind] for key, kind in kinds.items()}, **own},
    )


def _first_rows(
    batch: Batch, attention: Any, logits: Any, possible_labels: Sequence[int] | None, rows: int
) -> dict[str, Any]:
    """Return what `AttentionMaps` wants of the first rows of a batch."""
    images, labels = first_images(batch, rows), np.asarray(batch["labels"][:rows])
    predicted = np.full(len(labels), NO_LABEL, np.int32)
    if logits is not None:
        V = np.shape(logits)[1]
        possible = np.isin(np.arange(V), range(V) if possible_labels is None else list(possible_labels))
        predicted = _predicted_label(logits, possible)[:rows]
    return {"images": images, "labels": labels, "predicted": predicted, "attention": attention[:rows]}
