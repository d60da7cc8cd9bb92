"""A classifier of the last item of a sequence, from the item-label pairs before it."""

import dataclasses

import haiku as hk
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from icl_models.encoders import ConvEncoder, Encoder
from icl_models.transformer import Transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceClassifier:
    """Encoder, interleaved tokens, trunk and classifier (Chan et al. 2022, figure 1).

    The tokens are item, label, item, label, ..., query item: 2 S - 1 of them. The label of the query is not among
    them, and the logits are those of the last token.

    Attributes:
      num_labels: V, the number of labels.
      encoder: makes a vector of an item.
      trunk: runs over the tokens.
      width: D, of tokens and trunk.
      label_scale: standard deviation of the label embeddings at initialisation.
    """

    num_labels: int
    encoder: Encoder = ConvEncoder()
    trunk: Transformer = Transformer()
    width: int = 64
    label_scale: float = 0.02

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_labels < 1 or self.width < 1:
            raise ValueError(f"num_labels and width must be at least 1, got {self.num_labels} and {self.width}.")

    def build(self) -> hk.TransformedWithState:
        """Make the pair of pure functions.

        Returns:
          ``init(rng, items, labels) -> (params, state)`` and
          ``apply(params, state, rng, items, labels) -> (logits, state)``, with items [B, S, ...] such as the encoder
          takes (images uint8 [B, S, H, W], for example), labels integers [B, S] in 0..V-1, and logits float32
          [B, V] of the query.

        >>> import jax, numpy as np
        >>> model = SequenceClassifier(num_labels=10).build()
        >>> images, labels = np.zeros((2, 9, 28, 28), np.uint8), np.zeros((2, 9), np.int32)
        >>> params, state = jax.jit(model.init)(jax.random.key(0), images, labels)
        >>> jax.jit(model.apply)(params, state, None, images, labels)[0].shape
        (2, 10)
        """
        return hk.transform_with_state(self._logits)

    def _logits(
        self, items: Shaped[Array | np.ndarray, "B S ..."], labels: Int[Array | np.ndarray, "B S"]
    ) -> Float[Array, "B V"]:
        B, S = items.shape[:2]
        with hk.experimental.name_scope("encoder"):
            vectors = self.encoder.encode(jnp.asarray(items).reshape(B * S, *items.shape[2:]), width=self.width)
        # No query label is looked up: what is not there cannot leak.
        embedding = hk.Embed(
            self.num_labels,
            self.width,
            w_init=hk.initializers.TruncatedNormal(self.label_scale),
            name="labels",
        )
        tokens = interleave(vectors.reshape(B, S, self.width), embedding(jnp.asarray(labels[:, :-1])))
        with hk.experimental.name_scope("trunk"):
            outputs = self.trunk.apply(tokens)
        return hk.Linear(self.num_labels, name="classifier")(outputs[:, -1])


def interleave(items: Float[Array, "B S D"], labels: Float[Array, "B S-1 D"]) -> Float[Array, "B 2*S-1 D"]:
    """Lay item and label vectors out as item, label, item, ..., label, item."""
    B, S, D = items.shape
    pairs = jnp.stack([items[:, :-1], labels], axis=2).reshape(B, 2 * (S - 1), D)
    return jnp.concatenate([pairs, items[:, -1:]], axis=1)
