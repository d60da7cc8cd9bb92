"""What attention heads do: scores of single sequences, pure functions of attention that run under `jax.jit`.

Attention is queries by keys, probabilities; `heads` is H heads of one layer or L layers of H. Everything is computed in
float32.

An in-context learner can be built of two heads: a *previous-token* head, by which the token that shows a label knows
which item it belongs to, and an *induction* head, by which the query finds the labels of items like itself and copies
them (Olsson et al. 2022, arXiv 2209.11895; in few-shot classification Reddy 2023, arXiv 2312.03002, and Singh et al.
2024, arXiv 2404.07129).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from icl_eval.attention.token_positions import TokenPositions
from icl_eval.results.result import Measure

Attention = Float[Array | np.ndarray, "B *heads T T"]


class HeadScores(NamedTuple):
    """The scores of each sequence and head, 0..1, NaN where a sequence has none.

    Attributes:
      induction: see `induction_score`.
      previous_token: see `previous_token_score`.
      same_class: see `same_class_score`.
    """

    induction: Float[Array | np.ndarray, "B *heads"]
    previous_token: Float[Array | np.ndarray, "B *heads"]
    same_class: Float[Array | np.ndarray, "B *heads"]


def _attention(shown: str, sentence: str) -> Measure:
    return Measure(sentence=sentence, kind="mean", shown=shown, detail=True)


SCORES: Mapping[str, Measure] = {
    "induction": _attention(
        "induction_L_H", "Attention of head H in layer L from the query to the labels of context items of its class."
    ),
    "previous_token": _attention(
        "previous_token_L_H", "Attention of head H in layer L from the label of a context item to the token before it."
    ),
    "same_class": _attention(
        "same_class_L_H", "Attention of head H in layer L from the query to context items of its class."
    ),
}
"""What each score of `HeadScores` is."""


def induction_score(
    attention: Attention, classes: Int[Array | np.ndarray, "B S"], positions: TokenPositions
) -> Float[Array, "B *heads"]:
    """Return the attention of the query to the labels of context items of its class, in all; NaN if there are none.

    A head of score 1 attends only to labels that are the right answer in a few-shot sequence.

    Args:
      attention: probabilities.
      classes: of the items; the labels' meaning in the sequence does not matter.
      positions: where items and labels stand among the tokens.

    Source: the attention pattern is that of Reddy (2023), arXiv 2312.03002, and Singh et al. (2024), arXiv 2404.07129.

    >>> attention = jnp.full((1, 1, 5, 5), 0.2)
    >>> induction_score(attention, jnp.array([[7, 8, 7]]), TokenPositions((0, 2, 4), (1, 3)))
    Array([[0.2]], dtype=float32)
    """
    return _from_query(attention, classes, positions.items[-1], positions.labels)


def same_class_score(
    attention: Attention, classes: Int[Array | np.ndarray, "B S"], positions: TokenPositions
) -> Float[Array, "B *heads"]:
    """Return the attention of the query to the context items of its class, in all; NaN if there are none.

    Where an item and its label share a token this is the induction score.

    Args:
      attention: probabilities.
      classes: of the items.
      positions: where items and labels stand among the tokens.

    >>> attention = jnp.eye(3)[None, None, jnp.array([0, 1, 0])]  # token 2 looks at token 0
    >>> same_class_score(attention, jnp.array([[7, 8, 7]]), TokenPositions((0, 1, 2), (0, 1)))
    Array([[1.]], dtype=float32)
    """
    return _from_query(attention, classes, positions.items[-1], positions.items[:-1])


def previous_token_score(attention: Attention, positions: TokenPositions) -> Float[Array, "B *heads"]:
    """Return the attention from the tokens that show labels to the token before each, on average.

    A label in token 0 has none before it and does not count; NaN if no other label is there.

    Args:
      attention: probabilities.
      positions: where items and labels stand among the tokens.

    Source: Olsson et al. (2022), arXiv 2209.11895, previous token heads.

    >>> attention = jnp.eye(5)[None, None, jnp.array([0, 0, 2, 3, 4])]  # of the label tokens 1 and 3, one looks back
    >>> previous_token_score(attention, TokenPositions((0, 2, 4), (1, 3)))
    Array([[0.5]], dtype=float32)
    """
    tokens = np.array([token for token in positions.labels if token >= 1], int)
    # The mean of no tokens is NaN, as it should be.
    return jnp.sum(attention[..., tokens, tokens - 1].astype(jnp.float32), axis=-1) / jnp.float32(len(tokens))


def head_scores(attention: Attention, classes: Int[Array | np.ndarray, "B S"], positions: TokenPositions) -> HeadScores:
    """Return all scores of each sequence and head.

    Args:
      attention: probabilities.
      classes: of the items.
      positions: where items and labels stand among the tokens; static under `jax.jit`.

    >>> scores = head_scores(jnp.full((4, 2, 8, 5, 5), 0.2), jnp.zeros((4, 3), int), TokenPositions((0, 2, 4), (1, 3)))
    >>> scores.induction.shape
    (4, 2, 8)
    """
    return HeadScores(
        induction=induction_score(attention, classes, positions),
        previous_token=previous_token_score(attention, positions),
        same_class=same_class_score(attention, classes, positions),
    )


def uniform_scores(classes: Int[Array | np.ndarray, "B S"], positions: TokenPositions, *, causal: bool) -> HeadScores:
    """Return what a head scores that attends alike to all tokens it sees, one number [B] for each sequence.

    Args:
      classes: of the items.
      positions: where items and labels stand among the tokens; static under `jax.jit`.
      causal: whether token t sees the tokens 0..t, rather than all.

    >>> scores = uniform_scores(jnp.array([[7, 8, 7]]), TokenPositions((0, 2, 4), (1, 3)), causal=True)
    >>> {name: round(float(score[0]), 3) for name, score in scores._asdict().items()}
    {'induction': 0.2, 'previous_token': 0.375, 'same_class': 0.2}
    """
    seen = np.ones((positions.length, positions.length), np.float32)
    seen = np.tril(seen) if causal else seen
    uniform = jnp.asarray(seen / seen.sum(axis=1, keepdims=True))
    return head_scores(jnp.broadcast_to(uniform[None], (len(classes), *uniform.shape)), classes, positions)


def _from_query(
    attention: Attention, classes: Int[Array | np.ndarray, "B S"], query: int, tokens: Sequence[int]
) -> Float[Array, "B *heads"]:
    """Return the query token's attention to those context `tokens` whose class is the query's."""
    same: Bool[Array, "B C"] = jnp.asarray(classes[:, :-1] == classes[:, -1:])
    row = attention[..., query, np.array(tokens)].astype(jnp.float32)
    heads = (1,) * (row.ndim - 2)
    total = jnp.where(same.reshape(len(same), *heads, -1), row, 0).sum(axis=-1)
    return jnp.where(same.any(axis=-1).reshape(-1, *heads), total, jnp.nan)
