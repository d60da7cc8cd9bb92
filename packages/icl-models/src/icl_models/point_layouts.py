"""How the points (x, y) of a task are laid out as tokens. No target of a query is ever among them."""

import dataclasses
from typing import ClassVar, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from icl_models.layouts import interleave


@runtime_checkable
class PointLayout(Protocol):
    """What a layout of points is; bring your own by writing these."""

    @property
    def predicts_context(self) -> bool:
        """Whether a context point is predicted too, from what was before it, and before its own target is seen."""

    def tokens(
        self, inputs: Float[Array, "B N X"], targets: Float[Array, "B N Y"], is_query: Bool[Array, "B N"]
    ) -> tuple[Float[Array, "B T F"], Bool[Array, "B T"]]:
        """Return the tokens, before a matrix makes them as wide as the model, and which of them are of queries.

        Args:
          inputs: [B, N, X].
          targets: [B, N, Y], 0 at queries.
          is_query: bool [B, N].
        """

    def points(self, outputs: Float[Array, "B T E"]) -> Float[Array, "B N E"]:
        """Return the outputs at which points are predicted, of those of all tokens."""

    def num_tokens(self, num_points: int) -> int:
        """Return T, the number of tokens of N points."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedPoints:
    """A point in one token: x, then y or 0 where it is a query, then whether it is one (as Kirsch et al. 2022 mask)."""

    predicts_context: ClassVar[bool] = False  # a context point's own target is in its token

    def tokens(
        self, inputs: Float[Array, "B N X"], targets: Float[Array, "B N Y"], is_query: Bool[Array, "B N"]
    ) -> tuple[Float[Array, "B N F"], Bool[Array, "B N"]]:
        """Return tokens of X + Y + 1 numbers; see ``PointLayout``.

        >>> tokens, _ = MaskedPoints().tokens(
        ...     jnp.array([[[2.0], [3.0]]]), jnp.array([[[5.0], [0.0]]]), jnp.array([[False, True]]))
        >>> tokens[0].tolist()
        [[2.0, 5.0, 0.0], [3.0, 0.0, 1.0]]
        """
        return jnp.concatenate([inputs, targets, is_query[..., None].astype(inputs.dtype)], axis=-1), is_query

    def points(self, outputs: Float[Array, "B N E"]) -> Float[Array, "B N E"]:
        """Return all outputs."""
        return outputs

    def num_tokens(self, num_points: int) -> int:
        """Return N."""
        return num_points


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterleavedPoints:
    """x, y, x, y, ..., x: 2 N - 1 tokens, and a prediction at each x (Garg et al. 2022, section 3).

    Each point is predicted from those before it, whether or not it is a query; the target of a query is 0 in its
    token. Where other points come after queries, a Transformer of the mask "causal_context" does not see these; other
    trunks do. The targets of the last point have no token.

    Garg et al. put y in place of the first entry of an x; here it has an entry of its own, as in ``MaskedPoints``.
    """

    predicts_context: ClassVar[bool] = True

    def tokens(
        self, inputs: Float[Array, "B N X"], targets: Float[Array, "B N Y"], is_query: Bool[Array, "B N"]
    ) -> tuple[Float[Array, "B T F"], Bool[Array, "B T"]]:
        """Return tokens of X + Y numbers; see ``PointLayout``.

        >>> tokens, asks = InterleavedPoints().tokens(
        ...     jnp.array([[[2.0], [3.0]]]), jnp.array([[[5.0], [0.0]]]), jnp.array([[False, True]]))
        >>> tokens[0].tolist(), asks[0].tolist()
        ([[2.0, 0.0], [0.0, 5.0], [3.0, 0.0]], [False, False, True])
        """
        shown = jnp.pad(inputs, ((0, 0), (0, 0), (0, targets.shape[-1])))
        answers = jnp.pad(targets[:, :-1], ((0, 0), (0, 0), (inputs.shape[-1], 0)))
        return interleave(shown, answers), jnp.repeat(is_query, 2, axis=1)[:, :-1]

    def points(self, outputs: Float[Array, "B T E"]) -> Float[Array, "B N E"]:
        """Return every other output, from the first."""
        return outputs[:, ::2]

    def num_tokens(self, num_points: int) -> int:
        """Return 2 N - 1."""
        return 2 * num_points - 1
