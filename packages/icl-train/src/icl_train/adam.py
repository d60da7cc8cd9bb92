"""Adam that counts the updates of each parameter by itself."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree


class CountedAdamState(NamedTuple):
    """What `scale_by_counted_adam` remembers, each a pytree like the parameters.

    Attributes:
        count: int32 [], the updates of each array, since it was last forgotten.
        mu: Means of gradients.
        nu: Means of squared gradients.
    """

    count: PyTree
    mu: PyTree
    nu: PyTree


def scale_by_counted_adam(*, b1: float, b2: float, eps: Array | float) -> optax.GradientTransformation:
    """Return `optax.scale_by_adam` with a count for each array, so that its bias correction can begin anew for one.

    Args:
        b1: Decay of the mean of gradients.
        b2: Decay of the mean of squared gradients.
        eps: The term in the denominator.

    >>> optimizer = scale_by_counted_adam(b1=0.9, b2=0.999, eps=1e-8)
    >>> state = optimizer.init({'w': jnp.ones(2)})
    >>> updates, state = optimizer.update({'w': jnp.array([0.5, -4.0])}, state)
    >>> updates['w'].round(4).tolist(), int(state.count['w'])
    ([1.0, -1.0], 1)
    """

    def init(params: PyTree) -> CountedAdamState:
        count = jax.tree.map(lambda _: jnp.zeros((), jnp.int32), params)
        return CountedAdamState(count, optax.tree.zeros_like(params), optax.tree.zeros_like(params))

    def update(updates: PyTree, state: CountedAdamState, params: PyTree = None) -> tuple[PyTree, CountedAdamState]:
        del params
        count = jax.tree.map(optax.safe_increment, state.count)
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)

        def one(n: Array, mean: Array, square: Array) -> Array:
            corrected = optax.tree.bias_correction(square, b2, n)
            return optax.tree.bias_correction(mean, b1, n) / (jnp.sqrt(corrected) + eps)

        return jax.tree.map(one, count, mu, nu), CountedAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)
