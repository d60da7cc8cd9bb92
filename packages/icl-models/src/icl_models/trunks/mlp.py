"""An MLP over a whole sequence at once."""

import dataclasses

import haiku as hk
import jax
from jaxtyping import Array, Bool, Float

from icl_models.capture import tap


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP:
    """Layers of a matrix and relu over all tokens laid end to end (Kirsch et al. 2022).

    It knows sequences of one length only, and has one output for each: what is predicted of it is the query.

    Attributes:
      layers: how many, at least 1.
      hidden: E, units of each layer.
    """

    layers: int = 2
    hidden: int = 128

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden) < 1:
            raise ValueError(f"layers and hidden must be at least 1, got {self.layers} and {self.hidden}.")

    @property
    def is_causal(self) -> bool:
        """Whether an output depends on its own and earlier tokens alone: it does not."""
        return False

    def state_size(self, length: int, width: int) -> int:
        """Return how many numbers carry the tokens to the output: the units of the first layer.

        Whatever enters the layers after it has passed through them (our reading of Kirsch et al. 2022, who have a
        state size for recurrent networks and Transformers only).
        """
        return self.hidden

    def apply(
        self, tokens: Float[Array, "B T D"], *, is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B 1 E"]:
        """Return one output for the whole sequence; see ``Trunk``."""
        outputs = tokens.reshape(len(tokens), -1)
        for number in range(self.layers):
            outputs = jax.nn.relu(hk.Linear(self.hidden, name=f"layer_{number}")(outputs))
            outputs = tap(f"layer_{number}/hidden", outputs)
        return outputs[:, None]
