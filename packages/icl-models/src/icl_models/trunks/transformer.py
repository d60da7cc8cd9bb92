"""A pre-norm Transformer (Vaswani et al. 2017; as in Chan et al. 2022, appendix)."""

import dataclasses
from typing import get_args

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from icl_models.capture import Values, keep_layers, scanned_layers, tap
from icl_models.initialisation import keeping_variance
from icl_models.precision import layer_norm
from icl_models.trunks.attention import Attention, Mask, attend, rotated

_FEW = 2  # layers that a CPU runs faster without a loop, by a third; with 4 and 12 the loop is the faster

# Patterns on names of parameters, and by dimension the axis of a device mesh that splits it: heads and hidden units
# along "model" (Shoeybi et al. 2019, arXiv 1909.08053), the other side along "fsdp".
TENSOR_PARALLEL: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"blocks/(query|key|value|mlp_in)/w$", (None, "fsdp", "model")),
    (r"blocks/(query|key|value|mlp_in)/b$", (None, "model")),
    (r"blocks/(attention_out|mlp_out)/w$", (None, "model", "fsdp")),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer:
    """Blocks of self-attention and an MLP on the residual stream, then a layer norm. It adds no positions itself.

    The blocks are one compiled scan, so that each of their parameters is one array [layers, ...]. They start alike
    whatever their number.

    Attributes:
      layers: number of blocks, at least 1.
      heads: number of attention heads.
      key_size: K, of each head's queries, keys and values; None for width / heads, which must then be whole.
      mlp_ratio: hidden units of the MLP, in widths.
      mask: what a token sees. "causal": itself and what is before it. "causal_context": itself and what is before it
        but for queries. "prefix": itself and all tokens but queries (so context sees context, and no one sees another's
        query). "full": everything.
      attention: what a token makes of what it sees, with weights w of values v. "softmax": w = softmax(q k / sqrt(K)).
        "linear": w ~ phi(q) phi(k) with the sum 1, phi = elu + 1 (Katharopoulos et al. 2020, arXiv 2006.16236, without
        their code's addend 1e-6). "linear_mean": the mean of (q k) v over the tokens seen, as theories of in-context
        learning have it (von Oswald et al. 2023, arXiv 2212.07677; Lu et al. 2024, arXiv 2405.11751); their w may be
        negative, and no probabilities.
      rotary: base of the angles by which queries and keys are turned, two numbers at a time, in proportion to where
        their token stands, so that attention sees distances (Su et al. 2021, arXiv 2104.09864, who take 10,000); None
        turns nothing. K must be even.
      projection_bias: whether queries, keys and values have biases; Singh et al. (2024, arXiv 2404.07129) have none.
      mlp: whether blocks have an MLP; without, this is an attention-only Transformer (Elhage et al. 2021).
      num_loops: how often the blocks are run in a row, with the same parameters: a looped Transformer if 2 or more.
      dropout: rate at which entries of what attention and MLP add to the stream fall to 0, in training.
    """

    layers: int = 2
    heads: int = 8
    key_size: int | None = None
    mlp_ratio: int = 4
    mask: Mask = "causal"
    attention: Attention = "softmax"
    rotary: float | None = None
    projection_bias: bool = True
    mlp: bool = True
    num_loops: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("layers", "heads", "key_size", "mlp_ratio", "num_loops")}
        for name, size in sizes.items():
            if size is not None and size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        if self.mask not in get_args(Mask):
            raise ValueError(f"mask must be one of {get_args(Mask)}, got {self.mask!r}.")
        if self.attention not in get_args(Attention):
            raise ValueError(f"attention must be one of {get_args(Attention)}, got {self.attention!r}.")
        if self.rotary is not None and not 1 < self.rotary < float("inf"):
            raise ValueError(f"rotary must be a base above 1, such as 10_000, or None, got {self.rotary}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}.")

    @property
    def is_causal(self) -> bool:
        """Whether an output depends on its own and earlier tokens alone."""
        return self.mask in ("causal", "causal_context")

    def state_size(self, length: int, width: int) -> int:
        """Return the key size of all heads, times layers (each time they run), times length (Kirsch et al. 2022).

        Linear attention remembers sums over tokens instead, whatever the length: of each head, that of the products of
        key and value [K, K], and if its weights are to have the sum 1, that of the keys [K].

        >>> Transformer(layers=4, heads=8, key_size=32).state_size(100, 256)
        102400
        >>> Transformer(layers=4, heads=8, key_size=32, attention="linear").state_size(100, 256)
        33792
        """
        key_size = self._key_size(width)
        remembered = {"softmax": length, "linear": key_size + 1, "linear_mean": key_size}[self.attention]
        return self.heads * key_size * self.layers * self.num_loops * remembered

    def apply(
        self, tokens: Float[Array, "B T D"], *, is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B T D"]:
        """Return the residual stream after all blocks, normalised, in the tokens' dtype; see ``Trunk``.

        Raises:
          ValueError: a width that the heads do not divide, or an odd key size that would be turned.
        """
        if self._key_size(tokens.shape[-1]) % 2 and self.rotary is not None:
            raise ValueError(f"rotary turns two numbers of a key at a time, got {self._key_size(tokens.shape[-1])}.")
        # A scan's body has one name for the taps of all layers; these are their full ones, in the order they run.
        names = [f"block_{layer}" for layer in range(self.layers)]
        if self.num_loops > 1:
            names = [f"loop_{loop}/{name}" for loop in range(self.num_loops) for name in names]

        def block(stream: Array, number: Array) -> tuple[Array, Values]:
            with scanned_layers(names, number) as values:
                return self._block(stream, is_query, is_training), values

        unroll = self.layers if self.layers <= _FEW else 1
        stack = hk.layer_stack(self.layers, with_per_layer_inputs=True, unroll=unroll, name="blocks")(block)
        numbers = jnp.arange(len(names)).reshape(self.num_loops, self.layers)
        if self.num_loops == 1 or hk.running_init():  # the first loop makes the parameters of all
            stream, values = stack(tokens, numbers[0])
        else:
            stream, values = hk.scan(stack, tokens, numbers)
            values = {name: value.reshape(len(names), *value.shape[2:]) for name, value in values.items()}
        keep_layers(names, values)
        return layer_norm(stream, "final_norm")

    def _block(
        self, stream: Float[Array, "B T D"], is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B T D"]:
        B, T, D = stream.shape

        def linear(inputs: Array, size: int, name: str, *, bias: bool = True) -> Array:
            return hk.Linear(size, with_bias=bias, w_init=keeping_variance(inputs.shape[-1]), name=name)(inputs)

        def add(update: Array) -> Array:
            if is_training and self.dropout:
                update = hk.dropout(hk.next_rng_key(), self.dropout, update)
            return stream + update

        normed, key_size = layer_norm(stream, "attention_norm"), self._key_size(D)
        query, key, value = (
            tap(name, projected.reshape(B, T, self.heads, key_size))
            for name in ("query", "key", "value")
            for projected in [linear(normed, self.heads * key_size, name, bias=self.projection_bias)]
        )
        if self.rotary is not None:
            query, key = (rotated(each, base=self.rotary) for each in (query, key))
        heads = tap("heads", attend(query, key, value, mask=self.mask, is_query=is_query, attention=self.attention))
        stream = add(linear(heads.reshape(B, T, -1), D, "attention_out"))
        if self.mlp:
            hidden = linear(layer_norm(stream, "mlp_norm"), self.mlp_ratio * D, "mlp_in")
            stream = add(linear(jax.nn.gelu(hidden), D, "mlp_out"))
        return tap("residual", stream)

    def _key_size(self, width: int) -> int:
        if self.key_size is None and width % self.heads:
            raise ValueError(
                f"The width of the tokens must be a multiple of heads={self.heads}, got {width}; or give a key_size."
            )
        return self.key_size or width // self.heads
