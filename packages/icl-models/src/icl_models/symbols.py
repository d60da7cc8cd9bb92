"""A model of sequences of symbols, which predicts each from those before it."""

import dataclasses
from typing import get_args

import haiku as hk
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from icl_models.capture import tap
from icl_models.contract import check_given, check_known, check_part, check_returned
from icl_models.initialisation import keeping_variance, transform
from icl_models.positions import Positions, add_positions, check_positions
from icl_models.precision import ComputeDtype, computing_in, to_compute_dtype
from icl_models.trunks.transformer import Transformer
from icl_models.trunks.trunk import Trunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolModel:
    """A table of symbols, positions, a causal trunk, and logits of the next symbol at each.

    It is what urns and Markov chains are learned with in context (Wurgaft et al. 2025; Park et al. 2024).

    Attributes:
      num_symbols: V, of all symbols, one that only starts a sequence among them.
      trunk: runs over the symbols; it must be causal.
      width: D, of the vectors of symbols.
      positions: what is added to these to tell where they stand.
      compute_dtype: as in ``SequenceClassifier``.
    """

    num_symbols: int
    trunk: Trunk = Transformer()
    width: int = 64
    positions: Positions = "learned"
    compute_dtype: ComputeDtype = "float32"

    def __post_init__(self) -> None:
        check_part("trunk", self.trunk, Trunk)
        if self.num_symbols < 2 or self.width < 1:
            raise ValueError(
                f"num_symbols must be at least 2 and width at least 1, got {self.num_symbols} and {self.width}."
            )
        check_positions(self.positions)
        if self.compute_dtype not in get_args(ComputeDtype):
            raise ValueError(f"compute_dtype must be one of {get_args(ComputeDtype)}, got {self.compute_dtype!r}.")
        if not self.trunk.is_causal:
            raise ValueError(f"A symbol is predicted from those before it, but {self.trunk} sees it; use a causal one.")

    def build(self) -> hk.TransformedWithState:
        """Return the pair of pure functions ``init`` and ``apply``.

        Returns:
          ``init(rng, symbols) -> (params, state)`` and
          ``apply(params, state, rng, symbols, is_training=False) -> (logits, state)``, with symbols integers [B, T] in
          0..V-1, and logits float32 [B, T, V] of the symbol after each. rng may be None where no dropout acts.

        Raises:
          ValueError: when it is traced, symbols that are no integers [B, T], or a trunk without an output for each.

        >>> import jax, numpy as np
        >>> model, symbols = SymbolModel(num_symbols=9).build(), np.zeros((2, 16), np.int32)
        >>> params, state = jax.jit(model.init)(jax.random.key(0), symbols)
        >>> jax.jit(model.apply)(params, state, None, symbols)[0].shape
        (2, 16, 9)
        """
        return transform(self._logits)

    def _logits(self, symbols: Int[Array | np.ndarray, "B T"], is_training: bool = False) -> Float[Array, "B T V"]:
        check_known(is_training)
        symbols = jnp.asarray(symbols)
        check_given("symbols [B, T]", symbols, (None, None), jnp.integer, "each is one of 0..num_symbols-1")
        with computing_in(self.compute_dtype):
            table = hk.Embed(self.num_symbols, self.width, name="symbols")
            tokens = add_positions(to_compute_dtype(table(symbols)), self.positions, dropout=0.0)
            tokens = tap("tokens", tokens)
            with hk.experimental.name_scope("trunk"):
                outputs = self.trunk.apply(tokens, is_query=jnp.zeros(symbols.shape, bool), is_training=is_training)
        check_returned(self.trunk, "an output for each symbol, [B, T, E]", outputs, (*symbols.shape, None))
        start = keeping_variance(outputs.shape[-1])
        return hk.Linear(self.num_symbols, w_init=start, name="classifier")(outputs.astype(jnp.float32))
