"""The model of Nguyen & Reddy (2024): one layer of attention, by the query alone, and an MLP on what it then knows."""

import dataclasses
from typing import ClassVar

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

import icl_models as models


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelBeside:
    """A token for each item: its vector, and beside it its label as a one-hot, zeros for the query.

    Attributes:
      num_labels: V.
    """

    num_labels: int = 2
    leaks_label: ClassVar[bool] = True

    def tokens(
        self,
        vectors: Float[Array, "B S X"],
        labels: Int[Array, "B S"],
        *,
        num_labels: int,
        width: int,
        label_init_std: float,
    ) -> Float[Array, "B S D"]:
        """Return the tokens [B, S, X + V]; there is no table of labels to initialise."""
        shown = jax.nn.one_hot(labels.at[:, -1].set(-1), self.num_labels, dtype=vectors.dtype)
        return jnp.concatenate([vectors, shown], axis=-1)

    def items(self, outputs: Float[Array, "B S E"]) -> Float[Array, "B S E"]:
        """Return all outputs."""
        return outputs

    def item_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 0, 1, ..., S - 1."""
        return tuple(range(num_items))

    def label_tokens(self, num_items: int) -> tuple[int, ...]:
        """Return 0, 1, ..., S - 2: those of the items themselves."""
        return tuple(range(num_items - 1))

    def token_width(self, width: int) -> int:
        """Return the width of an item and its label."""
        return width + self.num_labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryAttention:
    """Layer norm and one head of attention without biases, of the query to all tokens; then a relu network.

    The network is given the query's token and what it attended to. Scores are plain products of query and key, not
    divided by the square root of their size. No other token attends: nothing would read it.

    Attributes:
      hidden: units of each layer of the network.
    """

    hidden: tuple[int, ...] = (512, 512)
    is_causal: ClassVar[bool] = False

    def state_size(self, length: int, width: int) -> int:
        """Return the keys of all tokens, as of a Transformer of one layer."""
        return length * width

    def apply(
        self, tokens: Float[Array, "B T D"], *, is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B 1 E"]:
        """Return the units of the network's last layer, for the query."""
        D = tokens.shape[-1]
        normed = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True, name="attention_norm")(tokens)
        query, key, value = (
            hk.get_parameter(name, [D, D], init=hk.initializers.TruncatedNormal(D**-0.5))
            for name in ("query", "key", "value")
        )
        # (x query) (x' key)^T and the mean of x' value, with the query's side multiplied first: keys and values of all
        # tokens would be most of the arithmetic.
        asked = normed[:, -1] @ query @ key.T
        scores = models.tap("scores", jnp.einsum("bd,btd->bt", asked, normed))
        attention = models.tap("attention", jax.nn.softmax(scores))
        units = tokens[:, -1] + jnp.einsum("bt,btd->bd", attention, normed) @ value
        for number, size in enumerate(self.hidden):
            units = jax.nn.relu(hk.Linear(size, name=f"hidden_{number}")(units))
        return units[:, None]
