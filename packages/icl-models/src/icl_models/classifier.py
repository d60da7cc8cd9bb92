"""A classifier of the items of a sequence, from the item-label pairs before them."""

import dataclasses
from typing import Literal, get_args

import haiku as hk
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from icl_models.capture import tap
from icl_models.contract import check_given, check_known, check_part, check_returned
from icl_models.encoders.encoders import ConvEncoder, Encoder
from icl_models.initialisation import keeping_variance, transform
from icl_models.layouts import Interleaved, Layout
from icl_models.positions import Positions, add_positions, check_positions
from icl_models.precision import ComputeDtype, computing_in, to_compute_dtype
from icl_models.trunks.transformer import Transformer
from icl_models.trunks.trunk import Trunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceClassifier:
    """Encoder, token layout, positions, trunk and classifier (Chan et al. 2022, figure 1; Kirsch et al. 2022).

    The label of the query is not among the tokens.

    Attributes:
      num_labels: V, the number of labels.
      encoder: makes a vector of an item.
      layout: makes tokens of item vectors and labels.
      trunk: runs over the tokens.
      width: D, of item and label vectors.
      positions: what is added to the tokens to tell where they stand; one-hot ones come behind them.
      outputs: which items are predicted. "query": the last. "every_item": all, each from what came before it.
      label_init_std: standard deviation of the label vectors at initialisation.
      item_dropout: rate at which entries of the item vectors fall to 0. It is noise in the data, as in the code of Chan
        et al. (2022), and acts in evaluation too.
      position_dropout: rate at which entries of the position vectors fall to 0, in training.
      compute_dtype: of the activations, and of the parameters where they are used; they are kept in float32. With
        "bfloat16" the statistics of norms, softmax and the logits are in float32 all the same.
    """

    num_labels: int
    encoder: Encoder = ConvEncoder()
    layout: Layout = Interleaved()
    trunk: Trunk = Transformer()
    width: int = 64
    positions: Positions = "sinusoidal"
    outputs: Literal["query", "every_item"] = "query"
    label_init_std: float = 0.02
    item_dropout: float = 0.0
    position_dropout: float = 0.0
    compute_dtype: ComputeDtype = "float32"

    def __post_init__(self) -> None:
        for name, protocol in (("encoder", Encoder), ("layout", Layout), ("trunk", Trunk)):
            check_part(name, getattr(self, name), protocol)
        if self.num_labels < 1 or self.width < 1:
            raise ValueError(f"num_labels and width must be at least 1, got {self.num_labels} and {self.width}.")
        if self.label_init_std <= 0:
            raise ValueError(f"label_init_std must be above 0, got {self.label_init_std}.")
        for name in ("item_dropout", "position_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}.")
        check_positions(self.positions)
        choices = {"outputs": Literal["query", "every_item"], "compute_dtype": ComputeDtype}
        for name, values in choices.items():
            if getattr(self, name) not in get_args(values):
                raise ValueError(f"{name} must be one of {get_args(values)}, got {getattr(self, name)!r}.")
        if self.outputs == "every_item" and (self.layout.leaks_label or not self.trunk.is_causal):
            part = self.layout if self.layout.leaks_label else self.trunk
            raise ValueError(
                f'With outputs="every_item" an item could be read off its own label, which it sees by {part}; use '
                'outputs="query", or the layout Interleaved or PreviousLabel with a causal trunk.'
            )

    def build(self) -> hk.TransformedWithState:
        """Return the pair of pure functions ``init`` and ``apply``.

        Returns:
          ``init(rng, items, labels) -> (params, state)`` and
          ``apply(params, state, rng, items, labels, is_training=False) -> (logits, state)``, with items [B, S, ...]
          such as the encoder takes (images uint8 [B, S, H, W], for example), labels integers [B, S] in 0..V-1, and
          logits float32 [B, V] of the query, or [B, S, V] of every item. Training is what makes dropout act, and
          batch norm take the statistics of the batch and keep them in the state. rng may be None where no dropout acts.

        Raises:
          ValueError: when it is traced, items that the encoder does not take, labels that are no integers or of another
            shape, or a part that returns another shape than its protocol says.

        >>> import jax, numpy as np
        >>> model = SequenceClassifier(num_labels=10).build()
        >>> images, labels = np.zeros((2, 9, 28, 28), np.uint8), np.zeros((2, 9), np.int32)
        >>> params, state = jax.jit(model.init)(jax.random.key(0), images, labels)
        >>> jax.jit(model.apply)(params, state, None, images, labels)[0].shape
        (2, 10)
        """
        return transform(self._logits)

    def _logits(
        self,
        items: Shaped[Array | np.ndarray, "B S ..."],
        labels: Int[Array | np.ndarray, "B S"],
        is_training: bool = False,
    ) -> Float[Array, "B *S V"]:
        check_known(is_training)
        items, labels = jnp.asarray(items), jnp.asarray(labels)
        check_given("labels [B, S]", labels, items.shape[:2], jnp.integer, "there is one in 0..V-1 for each item")
        with computing_in(self.compute_dtype):
            tokens = tap("tokens", self._tokens(items, labels, is_training))
            B, T, _ = tokens.shape
            is_query = jnp.broadcast_to(jnp.arange(T)[None] == T - 1, (B, T))
            with hk.experimental.name_scope("trunk"):
                outputs = self.trunk.apply(tokens, is_query=is_query, is_training=is_training)
        if self.outputs == "query":
            check_returned(self.trunk, "outputs [B, T, E] or [B, 1, E]", outputs, (B, T, None), (B, 1, None))
            outputs = outputs[:, -1]
        else:
            check_returned(self.trunk, "outputs [B, T, E]", outputs, (B, T, None))
            outputs = self.layout.items(outputs)
            check_returned(self.layout, "outputs [B, S, E] at the items", outputs, (*labels.shape, None))
        start = keeping_variance(outputs.shape[-1])
        return hk.Linear(self.num_labels, w_init=start, name="classifier")(outputs.astype(jnp.float32))

    def _tokens(
        self, items: Shaped[Array, "B S ..."], labels: Int[Array, "B S"], is_training: bool
    ) -> Float[Array, "B T D"]:
        B, S = labels.shape
        with hk.experimental.name_scope("encoder"):
            flat = items.reshape(B * S, *items.shape[2:])
            vectors = self.encoder.encode(flat, width=self.width, is_training=is_training)
        check_returned(self.encoder, "vectors [N, X]", vectors, (B * S, None))
        vectors = to_compute_dtype(vectors).reshape(B, S, -1)
        if self.item_dropout:
            vectors = hk.dropout(hk.next_rng_key(), self.item_dropout, vectors)
        vectors = tap("items", vectors)
        tokens = self.layout.tokens(
            vectors, labels, num_labels=self.num_labels, width=self.width, label_init_std=self.label_init_std
        )
        shape = B, self.layout.item_tokens(S)[-1] + 1, self.layout.token_width(self.width)
        check_returned(self.layout, "tokens [B, T, D] as item_tokens and token_width say", tokens, shape)
        dropout = self.position_dropout if is_training else 0.0
        return add_positions(tokens, self.positions, dropout=dropout)
