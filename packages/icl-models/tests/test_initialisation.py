import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models.initialisation import transform
from icl_models.precision import computing_in


def forward(inputs):
    """Use every kind of initial values, twice within a stack of layers."""

    def layer(inputs):
        inputs = inputs + hk.Linear(40, name="inner")(inputs)
        return inputs + hk.get_parameter("ones", (40,), init=jnp.ones)[None]

    inputs = hk.layer_stack(2, name="stack")(layer)(inputs)
    inputs = hk.Linear(40, w_init=hk.initializers.TruncatedNormal(3.0), name="wide")(inputs)
    inputs = hk.Linear(40, w_init=hk.initializers.TruncatedNormal(1.0, mean=5.0), name="apart")(inputs)
    inputs = hk.Linear(40, w_init=hk.initializers.RandomUniform(-2.0, 2.0), name="uniform")(inputs)
    hk.set_state("seen", hk.get_state("seen", (), init=jnp.zeros) + 1)
    return inputs


@pytest.fixture(scope="module")
def starts():
    inputs = jnp.ones((1, 40))
    return [
        jax.jit(make(forward).init)(jax.random.key(key), inputs)
        for make, key in ((transform, 0), (transform, 0), (transform, 1), (hk.transform_with_state, 0))
    ]


def test_the_distributions_are_haikus(starts):
    (ours, our_state), _, _, (theirs, their_state) = starts
    assert our_state == their_state
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), ours) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), theirs
    )
    for path, leaves in ours.items():
        for name, leaf in leaves.items():
            other = np.asarray(theirs[path][name])
            if name == "w":
                for one, two in zip(np.reshape(leaf, (-1, 1600)), other.reshape(-1, 1600), strict=True):
                    deviation = two.std()
                    assert abs(one.mean() - two.mean()) < 0.1 * deviation, path
                    assert abs(one.std() / deviation - 1) < 0.1, path
                    assert abs(one.max() / two.max() - 1) < 0.1, path  # where it ends
            else:
                np.testing.assert_array_equal(leaf, other)


def test_all_arrays_are_independent_and_a_function_of_the_key(starts):
    (ours, _), (again, _), (other, _), _ = starts
    jax.tree.map(np.testing.assert_array_equal, ours, again)
    weights = [leaf.reshape(-1, 1600) for path in sorted(ours) for name, leaf in ours[path].items() if name == "w"]
    more = [leaf.reshape(-1, 1600) for path in sorted(other) for name, leaf in other[path].items() if name == "w"]
    correlations = np.corrcoef(np.concatenate([*weights, *more]))
    assert len(correlations) == 10
    assert np.abs(correlations - np.eye(10)).max() < 0.15


def test_they_are_float32_with_another_dtype_of_computation():
    def forward(inputs):
        with computing_in("bfloat16"):
            return hk.Linear(50)(inputs)

    params, _ = transform(forward).init(jax.random.key(0), jnp.ones((1, 30), jnp.bfloat16))
    assert params["linear"]["w"].dtype == jnp.float32
    assert abs(float(params["linear"]["w"].std()) / (0.88 * 30**-0.5) - 1) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_there_is_one_draw_whatever_the_dtype_of_computation(dtype):
    def forward(inputs):
        with computing_in(dtype):
            return hk.layer_stack(3)(lambda inputs: hk.Linear(4)(hk.Linear(5)(inputs)))(inputs)

    inputs = jnp.ones((1, 4), dtype)
    draws = [
        str(jax.make_jaxpr(make(forward).init)(jax.random.key(0), inputs)).count("random_bits")
        for make in (transform, hk.transform_with_state)
    ]
    assert draws[0] == 1 < draws[1]


def test_keys_may_be_numbers_and_must_be_there():
    model = transform(forward)
    of_number, _ = model.init(3, jnp.ones((1, 40)))
    of_key, _ = model.init(jax.random.PRNGKey(3), jnp.ones((1, 40)))
    jax.tree.map(np.testing.assert_array_equal, of_number, of_key)
    with pytest.raises(ValueError, match="RNG"):
        model.init(None, jnp.ones((1, 40)))


def test_without_anything_to_draw_it_is_haikus():
    params, _ = transform(lambda: hk.get_parameter("a", (2,), init=jnp.ones)).init(jax.random.key(0))
    assert params["~"]["a"].tolist() == [1, 1]
