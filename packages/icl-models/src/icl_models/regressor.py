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
from icl_models.point_layouts import MaskedPoints, PointLayout
from icl_models.positions import Positions, add_positions, check_positions
from icl_models.precision import ComputeDtype, computing_in, to_compute_dtype
from icl_models.trunks.transformer import Transformer
from icl_models.trunks.trunk import Trunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointRegressor:
    """Points, a trunk, and a matrix to the targets (the function-fitting form of Kirsch et al. 2022).

    With the default layout, mask and positions, context sees context, and a query sees context and itself: the order
    of the context does not matter, nor do the other queries. With ``InterleavedPoints()`` and a causal trunk every
    point is predicted from those before it, as in Garg et al. (2022), who have learned positions.

    Attributes:
      num_outputs: Y, the width of a target.
      trunk: runs over the tokens, and has an output for each.
      layout: makes tokens of points.
      positions: what is added to the tokens to tell where they stand.
      width: D, of the tokens.
      compute_dtype: as in ``SequenceClassifier``.
    """

    num_outputs: int
    trunk: Trunk = Transformer(mask="prefix")
    layout: PointLayout = MaskedPoints()
    positions: Positions = "none"
    width: int = 64
    compute_dtype: ComputeDtype = "float32"

    def __post_init__(self) -> None:
        for name, protocol in (("trunk", Trunk), ("layout", PointLayout)):
            check_part(name, getattr(self, name), protocol)
        if self.num_outputs < 1 or self.width < 1:
            raise ValueError(f"num_outputs and width must be at least 1, got {self.num_outputs} and {self.width}.")
        check_positions(self.positions)
        if self.compute_dtype not in get_args(ComputeDtype):
            raise ValueError(f"compute_dtype must be one of {get_args(ComputeDtype)}, got {self.compute_dtype!r}.")
        if self.layout.predicts_context and not self.trunk.is_causal:
            raise ValueError(
                f"With {self.layout} a point could be read off its own target, which it sees by {self.trunk}; use a "
                'causal trunk, such as Transformer(mask="causal_context"), or the layout MaskedPoints.'
            )

    def build(self) -> hk.TransformedWithState:
        """Return the pair of pure functions ``init`` and ``apply``.

        Returns:
          ``init(rng, inputs, targets, is_query) -> (params, state)`` and
          ``apply(params, state, rng, inputs, targets, is_query, is_training=False) -> (predictions, state)``, with
          inputs float32 [B, N, X], targets float32 [B, N, Y], is_query bool [B, N] and predictions float32
          [B, N, Y], those of context points meaningful where ``layout.predicts_context``. The targets of queries are
          not read: they may be anything, NaN too. rng may be None where no dropout acts.

        Raises:
          ValueError: when it is traced, arrays of other shapes, or a trunk without an output for each token.

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
        shown = jnp.where(is_query[..., None], 0.0, targets)
        with computing_in(self.compute_dtype):
            features, asks = self.layout.tokens(inputs, shown, is_query)
            shape = inputs.shape[0], self.layout.num_tokens(inputs.shape[1]), None
            check_returned(self.layout, "tokens [B, T, F] as num_tokens says", features, shape)
            tokens = hk.Linear(self.width, name="tokens")(to_compute_dtype(features))
            tokens = tap("tokens", add_positions(tokens, self.positions, dropout=0.0))
            with hk.experimental.name_scope("trunk"):
                outputs = self.trunk.apply(tokens, is_query=asks, is_training=is_training)
        what = "an output for each token, [B, T, E], as a Transformer or a recurrent trunk does"
        check_returned(self.trunk, what, outputs, (*tokens.shape[:2], None))
        outputs = self.layout.points(outputs)
        check_returned(self.layout, "outputs [B, N, E] at the points", outputs, (*points, None))
        return hk.Linear(self.num_outputs, name="regressor")(outputs.astype(jnp.float32))
