"""Token layouts: how the items and labels of a sequence are laid out as tokens. No query label is ever among them."""

import dataclasses
from typing import ClassVar, Protocol, runtime_checkable

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Vectors = Float[Array, "B S X"]
Labels = Int[Array, "B S"]


@runtime_checkable
class Layout(Protocol):
    """What a layout is; bring your own by writing these. The query is the last item, and its token the last token."""

    @property
    def leaks_label(self) -> bool:
        """Whether the output for a context item has seen that item's label, so that the query alone is predicted."""

    def tokens(
        self, vectors: Vectors, labels: Labels, *, num_labels: int, width: int, label_init_std: float
    ) -> Float[Array, "B T D"]:
        """Return the tokens; call inside ``hk.transform``.

        Args:
          vectors: of the items, [B, S, X].
          labels: of the items, integers [B, S] in 0..V-1; that of the query must not matter.
          num_labels: V.
          width: of the model.
          label_init_std: standard deviation of label vectors at initialisation.

        Returns:
          [B, T, token_width(width)].
        """

    def items(self, outputs: Float[Array, "B T E"]) -> Float[Array, "B S E"]:
        """Return the outputs at which the items are predicted, of those of all tokens."""

    def item_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return which token holds each of S items, in rising order; T is one more than the last."""

    def label_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return which token shows the label of each of the S - 1 context items; none shows the query's."""

    def token_width(self, width: int) -> int:
        """Return D, the width of the tokens, for that of the model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interleaved:
    """Item, label, item, label, ..., query item: 2 S - 1 tokens (Chan et al. 2022, figure 1)."""

    leaks_label: ClassVar[bool] = False  # the label comes after the item

    def tokens(
        self, vectors: Vectors, labels: Labels, *, num_labels: int, width: int, label_init_std: float
    ) -> Float[Array, "B T D"]:
        """Return the tokens of items of the model's width, with labels by the table ``labels`` [V, D]."""
        _check_width(vectors, width, "Interleaved")
        # No query label is looked up: what is not there cannot leak.
        return interleave(vectors, _look_up(labels[:, :-1], num_labels, width, label_init_std))

    def items(self, outputs: Float[Array, "B T E"]) -> Float[Array, "B S E"]:
        """Return every other output, from the first."""
        return outputs[:, ::2]

    def item_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 0, 2, ..., 2 S - 2."""
        return tuple(range(0, 2 * num_items, 2))

    def label_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 1, 3, ..., 2 S - 3."""
        return tuple(range(1, 2 * num_items - 1, 2))

    def token_width(self, width: int) -> int:
        """Return the width of the model."""
        return width


class _TokenForEachItem:
    """What layouts of S tokens share."""

    def items(self, outputs: Float[Array, "B S E"]) -> Float[Array, "B S E"]:
        """Return all outputs."""
        return outputs

    def item_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 0, 1, ..., S - 1."""
        return tuple(range(num_items))

    def token_width(self, width: int) -> int:
        """Return the width of the model."""
        return width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Concatenated(_TokenForEachItem):
    """Item and label side by side in one token, twice as wide as the model (Chan et al. 2022, appendix).

    In place of the query's label stands a vector of its own, the last row of the table. A context item's label is in
    its own token, so that only the query can be predicted.
    """

    leaks_label: ClassVar[bool] = True

    def tokens(
        self, vectors: Vectors, labels: Labels, *, num_labels: int, width: int, label_init_std: float
    ) -> Float[Array, "B S D"]:
        """Return the tokens of items of the model's width, with labels by the table ``labels`` [V + 1, D / 2]."""
        _check_width(vectors, width, "Concatenated")
        shown = labels.at[:, -1].set(num_labels)
        return jnp.concatenate([vectors, _look_up(shown, num_labels + 1, width, label_init_std)], axis=-1)

    def label_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 0, 1, ..., S - 2: those of the items themselves."""
        return tuple(range(num_items - 1))

    def token_width(self, width: int) -> int:
        """Return two widths of the model."""
        return 2 * width


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreviousLabel(_TokenForEachItem):
    """Each item with the one-hot label of the item before it, made a token by one matrix (Kirsch et al. 2022).

    Before the first item there is no label: zeros. There is no table of label vectors, so label_init_std is not used.
    """

    leaks_label: ClassVar[bool] = False  # the label comes with the next item

    def tokens(
        self, vectors: Vectors, labels: Labels, *, num_labels: int, width: int, label_init_std: float
    ) -> Float[Array, "B S D"]:
        """Return the tokens, by the matrix ``tokens``; see ``Layout``. The item vectors may have any width."""
        before = jax.nn.one_hot(labels[:, :-1], num_labels, dtype=vectors.dtype)
        before = jnp.pad(before, ((0, 0), (1, 0), (0, 0)))
        return hk.Linear(width, name="tokens")(jnp.concatenate([vectors, before], axis=-1))

    def label_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 1, 2, ..., S - 1: those of the items that come next."""
        return tuple(range(1, num_items))


def interleave(items: Float[Array, "B S D"], labels: Float[Array, "B S-1 D"]) -> Float[Array, "B 2*S-1 D"]:
    """Return item and label vectors laid out as item, label, item, ..., label, item."""
    B, S, D = items.shape
    pairs = jnp.stack([items[:, :-1], labels], axis=2).reshape(B, 2 * (S - 1), D)
    return jnp.concatenate([pairs, items[:, -1:]], axis=1)


def _look_up(labels: Int[Array, "B L"], rows: int, width: int, scale: float) -> Float[Array, "B L D"]:
    return hk.Embed(rows, width, w_init=hk.initializers.TruncatedNormal(scale), name="labels")(labels)


def _check_width(vectors: Vectors, width: int, layout: str) -> None:
    if vectors.shape[-1] != width:
        raise ValueError(
            f"{layout} wants item vectors of the model's width {width}, got {vectors.shape[-1]}; use "
            f"width={vectors.shape[-1]}, an encoder that makes vectors of that width, or the layout PreviousLabel."
        )
