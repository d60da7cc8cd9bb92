import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import Transformer, instrument
from icl_models.trunks.attention import attend, visible

B, T, D, H, K = 2, 5, 6, 2, 3
IS_QUERY = np.array([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0]], bool)
LINEAR = ("linear", "linear_mean")


def draw(trunk):
    """Give the trunk as a function of parameters and tokens, with parameters that are nowhere zero."""
    rng = np.random.default_rng(0)
    tokens = jnp.asarray(rng.normal(size=(B, T, D)), jnp.float32)
    model = hk.without_apply_rng(
        hk.transform(lambda tokens: trunk.apply(tokens, is_query=jnp.asarray(IS_QUERY), is_training=False))
    )
    params = jax.eval_shape(model.init, jax.random.key(0), tokens)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32), params)
    return model, params, tokens


def phi(values, attention):
    return np.where(values > 0, values + 1, np.exp(np.minimum(values, 0))) if attention == "linear" else values


class Memory:
    """What one head keeps of tokens: it is written token by token, and read by a query."""

    def __init__(self, attention):
        self.attention, self.matrix, self.norm, self.tokens = attention, np.zeros((K, K)), np.zeros(K), 0

    def write(self, key, value):
        key = phi(key, self.attention)
        self.matrix, self.norm, self.tokens = self.matrix + np.outer(key, value), self.norm + key, self.tokens + 1

    def read(self, query):
        query = phi(query, self.attention)
        return query @ self.matrix / (query @ self.norm if self.attention == "linear" else self.tokens)

    @property
    def size(self):
        """Numbers that are kept; how many tokens there were is known from the place."""
        return self.matrix.size + (self.norm.size if self.attention == "linear" else 0)


@pytest.mark.parametrize("attention", LINEAR)
@pytest.mark.parametrize("mask", ["causal", "prefix", "full"])
def test_it_reads_a_memory_of_the_tokens_seen(mask, attention):
    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=(3, B, T, H, K)).astype(np.float32)
    seen = np.asarray(visible(mask, jnp.asarray(IS_QUERY)))
    expected = np.zeros((B, T, H, K))
    for b, t, h in np.ndindex(B, T, H):
        memory = Memory(attention)
        for s in np.flatnonzero(seen[b, t]):
            memory.write(key[b, s, h], value[b, s, h])
        expected[b, t, h] = memory.read(query[b, t, h])
    heads = attend(
        *map(jnp.asarray, (query, key, value)), mask=mask, is_query=jnp.asarray(IS_QUERY), attention=attention
    )
    np.testing.assert_allclose(heads, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_loops", [1, 2])
@pytest.mark.parametrize("attention", LINEAR)
def test_the_trunk_runs_token_by_token_with_a_state_of_the_size_said(attention, num_loops):
    trunk = Transformer(layers=2, heads=H, key_size=K, mlp=False, attention=attention, num_loops=num_loops)
    model, params, tokens = draw(trunk)
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def norm(stream, scale, offset):
        stream = stream - stream.mean()
        return stream / np.sqrt((stream**2).mean() + 1e-5) * scale + offset

    def linear(inputs, name, layer):
        return inputs @ weights[f"blocks/{name}"]["w"][layer] + weights[f"blocks/{name}"]["b"][layer]

    expected = np.zeros((B, T, D))
    for b in range(B):
        state = [[Memory(attention) for _ in range(H)] for _ in range(trunk.layers * num_loops)]
        for t in range(T):
            stream = np.asarray(tokens[b, t], np.float64)
            for number, memories in enumerate(state):
                layer = number % trunk.layers
                of_norm = weights["blocks/attention_norm"]
                normed = norm(stream, of_norm["scale"][layer], of_norm["offset"][layer])
                query, key, value = (linear(normed, name, layer).reshape(H, K) for name in ("query", "key", "value"))
                for head, memory in enumerate(memories):
                    memory.write(key[head], value[head])
                read = [memory.read(query[head]) for head, memory in enumerate(memories)]
                stream = stream + linear(np.concatenate(read), "attention_out", layer)
            expected[b, t] = norm(stream, **weights["final_norm"])
        assert sum(memory.size for memories in state for memory in memories) == trunk.state_size(T, D)
    np.testing.assert_allclose(jax.jit(model.apply)(params, tokens), expected, rtol=1e-3, atol=1e-4)
    assert trunk.state_size(T, D) == trunk.state_size(9 * T, D)


@pytest.mark.parametrize("mask", ["causal", "prefix", "full"])
def test_its_weights_can_be_captured_and_replaced(mask):
    trunk = Transformer(layers=1, heads=H, key_size=K, mask=mask, attention="linear")
    model, params, tokens = draw(trunk)

    def to_itself(attention):
        return jnp.broadcast_to(jnp.eye(T)[None, None], attention.shape)

    @jax.jit
    def all_three(tokens):
        replace = {"*/attention": to_itself}
        return (
            model.apply(params, tokens),
            instrument(model.apply, capture=["*"])(params, tokens),
            instrument(model.apply, capture=["*"], replace=replace)(params, tokens),
        )

    plain, (outputs, values), (_, replaced) = all_three(tokens)
    np.testing.assert_allclose(outputs, plain, rtol=1e-5, atol=1e-5)
    attention, seen = values["block_0/attention"], visible(mask, jnp.asarray(IS_QUERY))[:, None]
    np.testing.assert_array_equal(attention > 0, np.broadcast_to(seen, (B, H, T, T)))
    np.testing.assert_allclose(attention.sum(-1), 1, rtol=1e-5)
    alone, unmixed = values["block_0/heads"], replaced["block_0/heads"]  # now each token has its own value
    np.testing.assert_allclose(np.einsum("bhqs,bshk->bqhk", attention, unmixed), alone, rtol=1e-4, atol=1e-5)


def test_a_mean_is_a_step_of_gradient_descent():
    # Von Oswald et al. (2023), proposition 1: keys are inputs, values targets, and a query has an input alone.
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 1, T, 1, K)).astype(np.float32)
    is_query = np.arange(T)[None] == T - 1
    targets[is_query] = 0

    def loss(weights):
        return jnp.square(inputs[0, :, 0] @ weights - targets[0, :, 0]).sum(-1).mean() / 2

    step = -jax.grad(loss)(jnp.zeros((K, K)))
    inputs, targets = jnp.asarray(inputs), jnp.asarray(targets)
    heads = attend(inputs, inputs, targets, mask="prefix", is_query=jnp.asarray(is_query), attention="linear_mean")
    np.testing.assert_allclose(heads[0, -1, 0], inputs[0, -1, 0] @ step, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [-80.0, -30.0, 0.0, 1e4])
def test_weights_and_their_gradients_are_right_whatever_the_size_of_queries_and_keys(size):
    key = size + jnp.arange(3.0)[None, :, None, None]
    value = jnp.arange(3.0)[None, :, None, None]

    def last(key):
        heads = attend(key, key, value, mask="causal", is_query=jnp.zeros((1, 3), bool), attention="linear")
        return heads[0, 2, 0, 0]

    # With one feature the query cancels out, and weights are phi(key) / sum of phi(key).
    positive = np.asarray(phi(key, "linear"), np.float64)[0, :, 0, 0]
    expected = positive @ np.arange(3) / positive.sum()
    slopes = np.minimum(positive, 1)
    found, gradient = jax.jit(jax.value_and_grad(last))(key)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    of_keys = slopes * (np.arange(3) - expected) / positive.sum()
    np.testing.assert_allclose(gradient[0, :, 0, 0], of_keys, rtol=1e-3, atol=1e-7)


def test_keys_that_are_too_small_for_float32_are_seen_alike():
    key = jnp.full((1, 3, 1, 1), -200.0)

    def last(key):
        value = jnp.arange(3.0)[None, :, None, None]
        return attend(key, key, value, mask="causal", is_query=jnp.zeros((1, 3), bool), attention="linear")[0, :, 0, 0]

    np.testing.assert_allclose(last(key), [0, 0.5, 1])
    assert np.isfinite(jax.jacobian(last)(key)).all()


@pytest.mark.parametrize("attention", LINEAR)
def test_sums_are_of_more_digits_than_bfloat16_has(attention):
    # Ones are added up to 256 in bfloat16, and no further.
    ones, is_query = jnp.ones((1, 600, 1, 1), jnp.bfloat16), jnp.zeros((1, 600), bool)

    def heads(values):
        return attend(values, values, values, mask="causal", is_query=is_query, attention=attention)

    assert heads(ones).dtype == jnp.bfloat16
    np.testing.assert_allclose(heads(ones).astype(jnp.float32), 1, rtol=0.01)
    equations = jax.make_jaxpr(heads)(ones).jaxpr.eqns
    products = [equation.outvars[0].aval.dtype for equation in equations if equation.primitive.name == "dot_general"]
    assert products == [jnp.float32, jnp.bfloat16]  # of queries and keys; of weights and values


def test_parameters_are_those_of_a_softmax():
    trunk = Transformer(heads=H, key_size=K)
    shapes = [
        jax.tree.map(jnp.shape, draw(dataclasses.replace(trunk, attention=attention))[1])
        for attention in ("softmax", *LINEAR)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_attention_of_another_kind_is_refused(unchecked):
    with pytest.raises(ValueError, match=r"attention must be one of .*'linear', 'linear_mean'.*, got 'none'"):
        Transformer(attention="none")
