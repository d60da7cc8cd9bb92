import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models.encoders.max_pool import max_pool_compared, max_pool_xla


def value_and_gradient(max_pool, maps):
    """Give the maxima, and the gradient of a sum in which each of them counts for another whole number."""

    def loss(maps):
        pooled = max_pool(maps)
        return (pooled * jnp.arange(pooled.size, dtype=pooled.dtype).reshape(pooled.shape)).sum(), pooled

    return jax.jit(jax.grad(loss, has_aux=True))(maps)


@pytest.mark.parametrize("values", [1, 3, 1_000])  # of few there are many equal ones, of one all are
@pytest.mark.parametrize("sides", [(53, 53), (14, 15), (7, 8), (1, 2), (3, 1)])
def test_compared_and_the_librarys_are_the_same_and_so_are_their_gradients(sides, values):
    # Whole numbers, so that sums are exact and no order of them is another.
    maps = np.random.default_rng(0).integers(-values, 0, (2, *sides, 3)).astype(np.float32)
    ours, theirs = (value_and_gradient(pool, maps) for pool in (max_pool_compared, max_pool_xla))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_so_they_are_for_members_by_vmap():
    maps = np.random.default_rng(0).integers(0, 3, (4, 2, 9, 9, 3)).astype(np.float32)
    ours, theirs = (
        jax.jit(jax.vmap(lambda maps, pool=pool: value_and_gradient(pool, maps)))(maps)
        for pool in (max_pool_compared, max_pool_xla)
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_the_gradient_keeps_a_byte_for_each_maximum_and_not_the_map():
    maps = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
    kept = jax.eval_shape(lambda maps: jax.vjp(max_pool_compared, maps)[1], maps)
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(kept) if leaf.ndim] == [((2, 8, 8, 3), jnp.uint8)]
