"""What the tokens run through: the form that every trunk has."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float


@runtime_checkable
class Trunk(Protocol):
    """A sequence model over tokens; bring your own by writing these three."""

    @property
    def is_causal(self) -> bool:
        """Whether an output depends on its own and earlier tokens alone."""

    def apply(
        self, tokens: Float[Array, "B T D"], *, is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B O E"]:
        """Return the outputs for tokens; call inside ``hk.transform_with_state``.

        Args:
          tokens: [B, T, D], in the dtype of the computations.
          is_query: bool [B, T], the tokens that ask: the last alone for a classifier, query points for a regressor.
          is_training: whether dropout acts; it then needs a random key.

        Returns:
          [B, T, E], of a width of the trunk's own; or [B, 1, E], one output for the whole sequence.
        """

    def state_size(self, length: int, width: int) -> int:
        """Return how many numbers carry the past to the last output (Kirsch et al. 2022).

        Args:
          length: T, in tokens.
          width: D, of the tokens.
        """
