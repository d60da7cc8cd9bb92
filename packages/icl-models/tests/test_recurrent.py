import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import GRU, LSTM, OuterProductLSTM, VanillaRNN
from icl_models.capture import instrument

B, T, D, E, K = 2, 3, 5, 6, 4
TRUNKS = {
    "lstm": LSTM(layers=2, hidden=E),
    "gru": GRU(layers=2, hidden=E),
    "vanilla": VanillaRNN(layers=2, hidden=E),
    "outer product": OuterProductLSTM(layers=2, hidden=E, key_size=K),
}
each_trunk = pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS)


def transform(trunk):
    return hk.transform(
        lambda tokens: trunk.apply(tokens, is_query=jnp.zeros(tokens.shape[:2], bool), is_training=True)
    )


def draw(trunk, seed=0):
    """Draw tokens, and parameters that are nowhere zero."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(transform(trunk).init, jax.random.key(0), jnp.zeros((B, T, D)))
    params = jax.tree.map(lambda leaf: jnp.asarray(0.7 * rng.standard_normal(leaf.shape), jnp.float32), shapes)
    return params, jnp.asarray(rng.standard_normal((B, T, D)), jnp.float32)


def haikus(cell):
    """Make the stack of Haiku's own cells."""

    def run(tokens):
        cells = hk.DeepRNN([cell(E) for _ in range(2)])
        return hk.static_unroll(cells, tokens, cells.initial_state(B), time_major=False)[0]

    return hk.transform(run)


def as_haikus(params, cell):
    """Give the parameters of an LSTM, GRU or vanilla RNN the form that Haiku's have."""
    tree = {}
    for number in range(2):
        inputs, hidden = params[f"layer_{number}/input"], params[f"layer_{number}/hidden"]
        path = f"{cell}_{number}" if number else cell
        if cell == "lstm":
            tree[f"{path}/linear"] = {"w": jnp.concatenate([inputs["w"], hidden["w"]]), "b": inputs["b"]}
        elif cell == "gru":
            tree[path] = {"w_i": inputs["w"], "w_h": hidden["w"], "b": inputs["b"]}
        else:
            tree |= {f"{path}/linear": inputs, f"{path}/linear_1": hidden}
    return tree


@pytest.mark.parametrize(("name", "cell"), [("lstm", hk.LSTM), ("gru", hk.GRU), ("vanilla", hk.VanillaRNN)])
def test_it_is_haikus_in_value_and_gradient(name, cell):
    params, tokens = draw(TRUNKS[name])
    path = "vanilla_rnn" if name == "vanilla" else name
    weights = jnp.cos(jnp.arange(B * T * E, dtype=jnp.float32)).reshape(B, T, E)

    def value_and_gradients(model):
        def loss(params, tokens):
            outputs = model.apply(params, None, tokens)
            return (outputs * weights).sum(), outputs

        return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))

    (of_params, of_tokens), outputs = value_and_gradients(transform(TRUNKS[name]))(params, tokens)
    theirs, their_outputs = value_and_gradients(haikus(cell))(as_haikus(params, path), tokens)
    ours = (as_haikus(of_params, path), of_tokens), outputs
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5), ours, (theirs, their_outputs)
    )


def test_they_begin_as_haikus():
    def all_of_them(inputs):
        tokens = inputs[:, None]
        for name, trunk in (("lstm", LSTM), ("gru", GRU), ("vanilla", VanillaRNN)):
            with hk.experimental.name_scope(name):
                trunk(layers=1, hidden=40).apply(tokens, is_query=jnp.zeros((1, 1), bool), is_training=True)
        hk.LSTM(40, name="haikus_lstm")(inputs, hk.LSTMState(jnp.zeros((1, 40)), jnp.zeros((1, 40))))
        hk.GRU(40, name="haikus_gru")(inputs, jnp.zeros((1, 40)))
        hk.VanillaRNN(40, name="haikus_vanilla")(inputs, jnp.zeros((1, 40)))

    params = jax.jit(hk.transform(all_of_them).init)(jax.random.key(0), jnp.zeros((1, 60)))
    spread = {path: float(leaves["w"].std()) for path, leaves in params.items() if "w" in leaves}
    spread |= {f"haikus_gru {name}": float(params["haikus_gru"][name].std()) for name in ("w_i", "w_h")}
    assert not any(leaves["b"].any() for leaves in params.values() if "b" in leaves)
    for path, theirs in {
        "lstm/layer_0/input": "haikus_lstm/linear",
        "lstm/layer_0/hidden": "haikus_lstm/linear",
        "gru/layer_0/input": "haikus_gru w_i",
        "gru/layer_0/hidden": "haikus_gru w_h",
        "vanilla/layer_0/input": "haikus_vanilla/linear",
        "vanilla/layer_0/hidden": "haikus_vanilla/linear_1",
    }.items():
        assert abs(spread[path] / spread[theirs] - 1) < 0.06, path


def test_the_outer_product_lstm_follows_its_equations():
    trunk = TRUNKS["outer product"]
    params, tokens = draw(trunk, seed=1)
    values = np.asarray(tokens, np.float64)
    for layer in range(trunk.layers):
        weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        inputs, hidden = weights[f"layer_{layer}/input"], weights[f"layer_{layer}/hidden"]["w"]
        scale = np.log1p(np.exp(weights[f"layer_{layer}"]["gate_scale"]))
        outputs = np.zeros((B, T, E))
        for b in range(B):
            h, C = np.zeros(E), np.zeros((K, E))
            for t in range(T):
                gates = values[b, t] @ inputs["w"] + inputs["b"] + h @ hidden
                left, right = np.tanh(gates[: 3 * K]).reshape(3, K), np.tanh(gates[3 * K : 3 * (K + E)]).reshape(3, E)
                q, o = gates[3 * (K + E) : 3 * (K + E) + K], gates[3 * (K + E) + K :]
                for k in range(K):
                    for e in range(E):
                        i, g, f = (scale * left[n, k] * right[n, e] for n in range(3))
                        C[k, e] = C[k, e] / (1 + np.exp(-f - 1)) + g / (1 + np.exp(-i))
                h = np.tanh([sum(C[k, e] * q[k] for k in range(K)) for e in range(E)]) / (1 + np.exp(-o))
                outputs[b, t] = h
        values = outputs
    np.testing.assert_allclose(jax.jit(transform(trunk).apply)(params, None, tokens), values, rtol=1e-4, atol=1e-5)


def test_the_memory_is_square_unless_told_otherwise():
    assert OuterProductLSTM(layers=2, hidden=E).state_size(T, D) == 2 * E * E
    assert OuterProductLSTM(layers=2, hidden=E, key_size=K).state_size(T, D) == 2 * E * K


@each_trunk
def test_an_output_depends_on_its_own_and_earlier_tokens_alone(trunk):
    params, tokens = draw(trunk)
    jacobian = jax.jit(jax.jacobian(lambda tokens: transform(trunk).apply(params, None, tokens)))(tokens)
    influence = np.abs(jacobian).sum((2, 5)) > 0  # of [sequence, place] on [sequence, place]
    earlier = np.tril(np.ones((T, T), bool))
    np.testing.assert_array_equal(influence, np.eye(B, dtype=bool)[:, None, :, None] & earlier[None, :, None])
    assert trunk.is_causal is True


def scans(jaxpr):
    return [equation for equation in jaxpr.eqns if equation.primitive.name == "scan"]


@each_trunk
def test_the_state_is_what_the_scans_carry(trunk):
    params, tokens = draw(trunk)
    jaxpr = jax.make_jaxpr(lambda tokens: transform(trunk).apply(params, None, tokens))(tokens).jaxpr
    memories = []
    for equation in scans(jaxpr):
        # What is carried is not stacked: of the same shape in the loop's body, which takes constants first.
        body = equation.params["jaxpr"].jaxpr
        kept, given = (
            [outer.aval for outer, inner in zip(*pair, strict=True) if outer.aval.shape == inner.aval.shape]
            for pair in ((equation.invars, body.invars), (equation.outvars, body.outvars))
        )
        *outputs, memory = kept[-len(given) :]
        assert [output.shape for output in outputs] in ([], [(B, E)])  # which are read from the memory
        memories.append(memory.size // B)
    assert len(memories) == trunk.layers
    assert {trunk.state_size(T, D), trunk.state_size(9 * T, 2 * D)} == {sum(memories)}


@each_trunk
def test_the_program_does_not_grow_with_the_sequence(trunk):
    params, _ = draw(trunk)

    def equations(length):
        tokens = jnp.zeros((B, length, D))
        return len(jax.make_jaxpr(lambda tokens: transform(trunk).apply(params, None, tokens))(tokens).jaxpr.eqns)

    assert equations(5) == equations(50)


@each_trunk
def test_each_layer_can_be_captured_and_replaced(trunk):
    params, tokens = draw(trunk)
    apply = transform(trunk).apply

    @jax.jit
    def both(params, tokens):
        ablate = instrument(apply, replace={"layer_0/hidden": jnp.zeros_like})
        return *instrument(apply, capture=["*"])(params, None, tokens), ablate(params, None, tokens)[0]

    outputs, values, ablated = both(params, tokens)
    assert list(values) == [f"layer_{number}/hidden" for number in range(trunk.layers)]
    np.testing.assert_array_equal(values[f"layer_{trunk.layers - 1}/hidden"], outputs)
    assert {value.shape for value in values.values()} == {(B, T, E)}
    assert not np.allclose(ablated, outputs)
    np.testing.assert_allclose(ablated[0], ablated[1], rtol=1e-6)  # nothing is left of the tokens


@each_trunk
def test_it_computes_in_the_dtype_of_tokens_and_parameters(trunk):
    params, tokens = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), draw(trunk))
    assert jax.eval_shape(transform(trunk).apply, params, None, tokens).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(layers=0), "at least 1, got 0 and 64"),
        (lambda: GRU(hidden=0), "at least 1, got 2 and 0"),
        (lambda: VanillaRNN(hidden=0), "at least 1, got 2 and 0"),
        (lambda: OuterProductLSTM(layers=0), "at least 1"),
        (lambda: OuterProductLSTM(key_size=0), "key_size must be at least 1.*None"),
    ],
)
def test_impossible_stacks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
