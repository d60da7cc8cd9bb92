"""A regressor of the query points of a task, from its other points (function fitting)."""

import dataclasses
from typing import get_args

import haiku as hk
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from icl_models.capture import tap
from icl_models.contract import check_given, check_known, check_part, check_returned
from icl_models.initialisation import transform
from icl_models.precision import ComputeDtype, computing_in, to_compute_dtype
from icl_models.trunks.transformer import Transformer
from icl_models.trunks.trunk import Trunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointRegressor:
    """Points, a trunk, and a matrix to the targets (the function-fitting form of Kirsch et al. 2022).

    A point (x, y) is one token: x, then y or 0 where it is a query, then whether it is one. There are no positions.
    With the default mask, context sees context, and a query sees context and itself: the order of the context does
    not matter, nor do the other queries.

    Attributes:
      num_outputs: Y, the width of a target.
      trunk: runs over the points, and has an output for each.
      width: D, of the tokens.
      compute_dtype: as in ``SequenceClassifier``.
    """

    num_outputs: int
    trunk: Trunk = Transformer(mask="prefix")
    width: int = 64
    compute_dtype: ComputeDtype = "float32"

    def __post_init__(self) -> None:
        check_part("trunk", self.trunk, Trunk)
        if self.num_outputs < 1 or self.width < 1:
            raise ValueError(f"num_outputs and width must be at least 1, got {self.num_outputs} and {self.width}.")
        if self.compute_dtype not in get_args(ComputeDtype):
            raise ValueError(f"compute_dtype must be one of {get_args(ComputeDtype)}, got {self.compute_dtype!r}.")

    def build(self) -> hk.TransformedWithState:
        """Return the pair of pure functions ``init`` and ``apply``.

        Returns:
          ``init(rng, inputs, targets, is_query) -> (params, state)`` and
          ``apply(params, state, rng, inputs, targets, is_query, is_training=False) -> (predictions, state)``, with
          inputs float32 [B, N, X], targets float32 [B, N, Y], is_query bool [B, N] and predictions float32
          [B, N, Y]. The targets of queries are not read: they may be anything, NaN too. rng may be None where no
          dropout acts.

        Raises:
          ValueError: when it is traced, arrays of other shapes, or a trunk without an output for each point.

        >>> import jax, numpy as np
        >>> model = PointRegressor(num_outputs=1, trunk=Transformer(mask="prefix", heads=2), width=16).build()
        >>> inputs, targets, is_query = np.zeros((2, 9, 3)), np.zeros((2, 9, 1)), np.arange(9)[None].repeat(2, 0) > 5
        >>> inputs, targets = inputs.astype(np.float32), targets.astype(np.float32)
        >>> params, state = jax.jit(model.init)(jax.random.key(0), inputs, targets, is_query)
        >>> jax.jit(model.apply)(params, state, None, inputs, targets, is_query)[0].shape
        (2, 9, 1)
        """
        return transform(self._predictions)

    def _predictions(
        self,
        inputs: Float[Array | np.ndarray, "B N X"],
        targets: Float[Array | np.ndarray, "B N Y"],
        is_query: Bool[Array | np.ndarray, "B N"],
        is_training: bool = False,
    ) -> Float[Array, "B N Y"]:
        check_known(is_training)
        inputs, targets = jnp.asarray(inputs, jnp.float32), jnp.asarray(targets, jnp.float32)
        is_query = jnp.asarray(is_query)
        check_given("inputs [B, N, X]", inputs, (None, None, None), jnp.floating, "with one number to a point X is 1")
        points = inputs.shape[:2]
        check_given(
            "targets [B, N, Y]", targets, (*points, self.num_outputs), jnp.floating, "Y is what num_outputs says"
        )
        check_given("is_query [B, N]", is_query, points, jnp.bool_, "it says of each point whether it is one")
        asks = is_query[..., None]
        with computing_in(self.compute_dtype):
            tokens = jnp.concatenate([inputs, jnp.where(asks, 0.0, targets), asks.astype(inputs.dtype)], axis=-1)
            tokens = tap("tokens", hk.Linear(self.width, name="tokens")(to_compute_dtype(tokens)))
            with hk.experimental.name_scope("trunk"):
                outputs = self.trunk.apply(tokens, is_query=is_query, is_training=is_training)
        what = "an output for each point, [B, N, E], as a Transformer or a recurrent trunk does"
        check_returned(self.trunk, what, outputs, (*points, None))
        return hk.Linear(self.num_outputs, name="regressor")(outputs.astype(jnp.float32))
