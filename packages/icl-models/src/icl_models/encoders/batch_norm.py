"""Batch normalisation with running statistics, given those of the batch."""

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from icl_models.precision import computing_in

_DECAY = 0.9  # of the running statistics, for each training step
_EPSILON = 1e-5


class BatchNorm(hk.Module):
    """``hk.BatchNorm``, its parameters, state and results, in two steps.

    The caller measures the batch, and applies what comes out, so that it can do either where it costs least. At the
    very start the running statistics are mean 0 and variance 1, so that making parameters runs no model.

    Attributes:
      scale: of each channel.
      offset: of each channel.
    """

    def __init__(self, channels: int, name: str, scale_init: hk.initializers.Initializer = jnp.ones) -> None:
        super().__init__(name=name)
        with computing_in("float32"):
            self.scale = hk.get_parameter("scale", (1, 1, 1, channels), init=scale_init)
            self.offset = hk.get_parameter("offset", (1, 1, 1, channels), init=jnp.zeros)

    def __call__(
        self, mean: Float[Array, " C"], variance: Float[Array, " C"], is_training: bool
    ) -> tuple[Float[Array, "1 1 1 C"], Float[Array, "1 1 1 C"]]:
        """Return factor and shift such that ``factor * maps + shift`` is the normalised map.

        Args:
          mean: of the batch, for each channel.
          variance: likewise; a mean of squares can round to less than 0, which counts as 0.
          is_training: whether the statistics of the batch are used, and enter the running ones; else those are used.
        """
        mean, variance = mean.reshape(self.scale.shape), jnp.maximum(variance, 0).reshape(self.scale.shape)
        running_mean = _average("mean_ema", mean, jnp.zeros, is_training)
        running_variance = _average("var_ema", variance, jnp.ones, is_training)
        if not is_training:
            mean, variance = running_mean, running_variance
        factor = self.scale * jax.lax.rsqrt(variance + _EPSILON)
        return factor, self.offset - factor * mean


def _average(
    name: str, value: Float[Array, "1 1 1 C"], init: hk.initializers.Initializer, is_training: bool
) -> Float[Array, "1 1 1 C"]:
    """Return an exponential average without bias to its start, of the value too in training (Kingma and Ba 2015)."""
    with hk.experimental.name_scope(name):
        counter = hk.get_state("counter", (), jnp.int32, init=jnp.zeros)
        hidden = hk.get_state("hidden", value.shape, init=jnp.zeros)
        average = hk.get_state("average", value.shape, init=init)
        if is_training:
            hidden = _DECAY * hidden + (1 - _DECAY) * value
            average = hidden / (1 - _DECAY ** (counter + 1).astype(jnp.float32))
            hk.set_state("counter", counter + 1)
            hk.set_state("hidden", hidden)
            hk.set_state("average", average)
        return average
