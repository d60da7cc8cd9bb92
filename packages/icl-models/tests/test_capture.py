import dataclasses
import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    LSTM,
    MLP,
    IdentityEncoder,
    Interleaved,
    PointRegressor,
    PreviousLabel,
    SequenceClassifier,
    Transformer,
    capture,
    instrument,
    tap,
)

B, S, V, D, H, K = 2, 4, 3, 8, 2, 3
CONFIG = SequenceClassifier(
    num_labels=V, encoder=IdentityEncoder(), layout=PreviousLabel(), trunk=Transformer(heads=H, key_size=K), width=D
)


@functools.cache
def build(config):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(B, S, D)).astype(np.float32), rng.integers(0, V, (B, S), dtype=np.int32)
    model = config.build()
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.4 * rng.normal(size=leaf.shape), jnp.float32), params)
    return model, params, (state, None, *inputs)


def run(config, **options):
    model, params, inputs = build(config)
    (outputs, _), values = jax.jit(instrument(model.apply, **options))(params, *inputs)
    return outputs, values


def oracle(params, tokens, layers, change=lambda name, value: value):
    """Spell out the causal Transformer; give its output and every value by name."""
    values = {}
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def see(name, value):
        values[name] = change(name, value)
        return values[name]

    def norm(stream, weights):
        stream = stream - stream.mean(-1, keepdims=True)
        stream = stream / np.sqrt((stream**2).mean(-1, keepdims=True) + 1e-5)
        return stream * weights["scale"] + weights["offset"]

    stream = see("tokens", tokens)
    T = stream.shape[1]
    for loop, number in layers:
        prefix = f"block_{number}" if loop is None else f"loop_{loop}/block_{number}"
        block = {
            path.removeprefix("trunk/blocks/"): {name: leaf[number] for name, leaf in part.items()}
            for path, part in params.items()
            if path.startswith("trunk/blocks/")
        }

        def linear(inputs, name, block=block):
            return inputs @ block[name]["w"] + block[name]["b"]

        normed = norm(stream, block["attention_norm"])
        query, key, value = (
            see(f"{prefix}/{name}", linear(normed, name).reshape(B, T, H, K)) for name in ("query", "key", "value")
        )
        products = see(f"{prefix}/scores", np.einsum("bthk,bshk->bhts", query, key) / np.sqrt(K))
        attention = np.zeros((B, H, T, T))
        for t in range(T):
            scores = products[:, :, t, : t + 1]
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            attention[:, :, t, : t + 1] = weights / weights.sum(-1, keepdims=True)
        attention = see(f"{prefix}/attention", attention)
        heads = see(f"{prefix}/heads", np.einsum("bhts,bshk->bthk", attention, value))
        stream = stream + linear(heads.reshape(B, T, H * K), "attention_out")
        if "mlp_in" in block:
            hidden = linear(norm(stream, block["mlp_norm"]), "mlp_in")
            hidden = hidden * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
            stream = stream + linear(hidden, "mlp_out")
        stream = see(f"{prefix}/residual", stream)
    last = norm(stream, params["trunk/final_norm"])[:, -1]
    return last @ params["classifier"]["w"] + params["classifier"]["b"], values


def assert_equal(ours, theirs):
    outputs, values = ours
    expected, expected_values = theirs
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    for name, value in values.items():
        if name == "items":  # the oracle begins with the tokens
            continue
        np.testing.assert_allclose(value, expected_values[name], rtol=1e-3, atol=1e-4, err_msg=name)


TWO_BLOCKS = [(None, 0), (None, 1)]


def test_what_is_captured_is_what_the_definition_gives_and_changes_nothing():
    model, params, inputs = build(CONFIG)
    outputs, values = run(CONFIG, capture="*")
    theirs = oracle(params, np.asarray(values["tokens"], np.float64), TWO_BLOCKS)
    np.testing.assert_array_equal(values["items"], inputs[2])  # the encoder's vectors: it is the identity
    assert set(values) == set(theirs[1]) | {"items"}
    assert_equal((outputs, values), theirs)
    np.testing.assert_allclose(jax.jit(model.apply)(params, *inputs)[0], outputs, rtol=1e-5, atol=1e-5)


def test_a_looped_form_has_names_for_every_loop():
    config = dataclasses.replace(CONFIG, trunk=Transformer(heads=H, key_size=K, mlp=False, num_loops=2))
    outputs, values = run(config, capture="*")
    layers = [(loop, layer) for loop in range(2) for layer in range(2)]
    theirs = oracle(build(config)[1], np.asarray(values["tokens"], np.float64), layers)
    assert set(values) == set(theirs[1]) | {"items"}
    assert_equal((outputs, values), theirs)
    # One loop alone is changed, and is captured as changed.
    outputs, values = run(config, capture="*", replace={"loop_1/block_0/heads": jnp.zeros_like})
    theirs = oracle(
        build(config)[1],
        np.asarray(values["tokens"], np.float64),
        layers,
        lambda name, value: 0 * value if name == "loop_1/block_0/heads" else value,
    )
    assert_equal((outputs, values), theirs)


def shift(attention):
    """Let every token attend to the one before it alone."""
    T = attention.shape[-1]
    return jnp.broadcast_to(jnp.eye(T, k=-1)[None, None], attention.shape)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("tokens", lambda value: value[::-1]),
        ("block_0/attention", shift),
        ("block_1/attention", shift),
        ("block_1/heads", lambda value: value.at[:, :, 1].set(0)),
        ("block_0/residual", lambda value: 2 * value),
    ],
)
def test_a_replacement_does_what_the_same_change_of_the_definition_does(name, function):
    outputs, values = run(CONFIG, capture="*", replace={name: function})
    _, original = run(CONFIG, capture=["tokens"])

    def change(other, value):
        return np.asarray(function(jnp.asarray(value)), np.float64) if other == name else value

    theirs = oracle(build(CONFIG)[1], np.asarray(original["tokens"], np.float64), TWO_BLOCKS, change)
    assert_equal((outputs, values), theirs)
    untouched, _ = run(CONFIG)
    assert not np.allclose(outputs, untouched, atol=1e-3)


def test_replacements_of_one_value_follow_each_other():
    double = run(CONFIG, replace={"block_?/heads": lambda value: value + 1, "block_1/heads": lambda value: 2 * value})
    alone = run(
        CONFIG, replace={"block_0/heads": lambda value: value + 1, "block_1/heads": lambda value: 2 * value + 2}
    )
    np.testing.assert_allclose(double[0], alone[0], rtol=1e-4)


def test_it_is_as_pure_as_apply_under_grad_and_vmap_and_in_a_function_of_ones_own():
    small = dataclasses.replace(CONFIG, trunk=Transformer(heads=H, mlp=False))
    model, params, (state, rng, items, labels) = build(small)

    def apply(params, items):
        return {"logits": model.apply(params, state, rng, items, labels)[0], "more": items.sum()}

    def loss(function, params, items):
        result = function(params, items)
        return jnp.square((result[0] if isinstance(result, tuple) else result)["logits"]).sum()

    captured = instrument(apply, capture=["block_*/attention"])
    ours = jax.jit(jax.grad(functools.partial(loss, captured)))(params, items)
    theirs = jax.jit(jax.grad(functools.partial(loss, apply)))(params, items)
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4), ours, theirs)
    two = jnp.stack([items, 2 * items])
    _, values = jax.jit(jax.vmap(captured, in_axes=(None, 0)))(params, two)
    _, single = jax.jit(captured)(params, two[1])
    assert list(values) == ["block_0/attention", "block_1/attention"]
    np.testing.assert_allclose(values["block_1/attention"][1], single["block_1/attention"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trunk", [Transformer(heads=H), Transformer(heads=H, num_loops=2), LSTM(), MLP()])
def test_off_it_costs_nothing(trunk, monkeypatch):
    config = SequenceClassifier(num_labels=V, encoder=IdentityEncoder(), trunk=trunk, width=D)
    model, params, inputs = build(config)

    def program():
        return str(jax.make_jaxpr(lambda *inputs: model.apply(*inputs))(params, *inputs))

    before = program()
    instrumented = jax.make_jaxpr(instrument(model.apply, capture=["tokens"]))(params, *inputs)
    assert before == program()
    assert str(instrumented) != before  # which has one more output
    for module in ("trunks.transformer", "trunks.attention", "classifier", "trunks.recurrent", "trunks.mlp"):
        monkeypatch.setattr(f"icl_models.{module}.tap", lambda name, value: value)
    assert before == program()


def test_recurrent_trunks_and_mlps_and_regressors_have_names_too():
    config = SequenceClassifier(
        num_labels=V, encoder=IdentityEncoder(), layout=Interleaved(), trunk=LSTM(hidden=5), width=D
    )
    outputs, values = run(config, capture="*")
    assert {name: value.shape for name, value in values.items()} == {
        "items": (B, S, D),
        "tokens": (B, 2 * S - 1, D),
        "layer_0/hidden": (B, 2 * S - 1, 5),
        "layer_1/hidden": (B, 2 * S - 1, 5),
    }
    head = build(config)[1]["classifier"]
    np.testing.assert_allclose(values["layer_1/hidden"][:, -1] @ head["w"] + head["b"][None], outputs, rtol=1e-4)
    model = PointRegressor(num_outputs=1, trunk=Transformer(heads=H, mask="prefix"), width=D).build()
    points = np.zeros((B, 5, 2), np.float32), np.zeros((B, 5, 1), np.float32), np.zeros((B, 5), bool)
    params, state = jax.eval_shape(model.init, jax.random.key(0), *points)
    _, values = jax.eval_shape(instrument(model.apply, capture="block_0/*"), params, state, None, *points)
    assert values["block_0/attention"].shape == (B, H, 5, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"capture": ["block_2/heads"]},
            "'block_2/heads' matches nothing.*has items, tokens, block_0/query, block_1/query, block_0/key",
        ),
        ({"replace": {"attention": jnp.zeros_like}}, "'attention' matches nothing"),
        ({"replace": {"tokens": lambda value: value[:1]}}, r"must be float32\[2, 4, 8\] as it was, got float32\[1"),
        ({"replace": {"*/heads": lambda value: value.astype(jnp.bfloat16)}}, r"'\*/heads' must be float32.*got bfloat"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    model, params, inputs = build(CONFIG)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(instrument(model.apply, **options), params, *inputs)
    assert capture._RECORDING.get() is None  # an error leaves nothing on


def test_what_hides_its_values_is_refused():
    model, params, inputs = build(CONFIG)
    with pytest.raises(ValueError, match="Instrument first"):
        instrument(jax.jit(model.apply))
    nested = instrument(instrument(model.apply, capture=["tokens"]))
    with pytest.raises(ValueError, match="within an instrumented function"):
        jax.eval_shape(nested, params, *inputs)
    twice = instrument(lambda value: tap("x", tap("x", value)), capture=["x"])
    with pytest.raises(ValueError, match="'x' came twice"):
        twice(jnp.zeros(()))


@pytest.mark.parametrize("pattern", ["tokens", "block_0/residual"])
@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad])
def test_a_transformation_within_lets_no_values_out_but_lets_replacements_in(pattern, transform):
    model, params, (state, _, *inputs) = build(CONFIG)

    def apply(params, *inputs):
        def loss(scale):
            return (scale * model.apply(params, state, None, *inputs)[0]).sum()

        return transform(loss)(jnp.ones(()) if transform is not jax.vmap else jnp.ones(2))

    with pytest.raises(ValueError, match=f"'{pattern}' cannot leave a transformation within"):
        instrument(apply, capture=[pattern])(params, *inputs)
    changed, _ = instrument(apply, replace={pattern: jnp.zeros_like})(params, *inputs)
    assert not np.allclose(changed, apply(params, *inputs), atol=1e-4)


def test_outside_of_a_model_a_tap_gives_back_its_value():
    value = jnp.arange(3.0)
    assert tap("any", value) is value
    assert hk.transform(lambda: tap("any", value)).apply({}, None) is value
