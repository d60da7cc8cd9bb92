"""One table of models; each row runs through the same suite. A new encoder, layout or trunk is a new row.

parameter_trees.txt holds the parameters of each row. Where a change of them is meant, write it anew, and read the
difference: ``python packages/icl-models/tests/test_contract.py``.
"""

import dataclasses
import functools
import itertools
from pathlib import Path

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    GRU,
    LSTM,
    MLP,
    Concatenated,
    ConvEncoder,
    EmbeddingEncoder,
    IdentityEncoder,
    Interleaved,
    LinearEncoder,
    OuterProductLSTM,
    PointRegressor,
    PreviousLabel,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    VanillaRNN,
)

B, S, V, D, SIDE = 2, 4, 5, 8, 12
N, X, Y = 6, 3, 2
LEFT_OUT = np.array([[0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 1]], bool)  # which points are queries
GOLDEN = Path(__file__).parent / "parameter_trees.txt"

TRUNKS = {
    "transformer": Transformer(heads=2, key_size=3, mlp_ratio=2),
    "prefix": Transformer(layers=1, heads=2, mask="prefix"),
    "full": Transformer(layers=1, heads=2, mask="full", mlp_ratio=1),
    "looped attention": Transformer(heads=2, mlp=False, num_loops=2),
    "linear attention": Transformer(heads=2, key_size=3, mlp_ratio=2, attention="linear"),
    "lstm": LSTM(hidden=6),
    "gru": GRU(hidden=6),
    "vanilla rnn": VanillaRNN(layers=1, hidden=6),
    "outer product lstm": OuterProductLSTM(layers=1, hidden=6, key_size=3),
    "mlp": MLP(hidden=6),
}
TRUNKS_OF_ALL_LAYOUTS = ("transformer", "prefix", "lstm", "vanilla rnn", "outer product lstm", "mlp")  # the others: one
LAYOUTS = {"interleaved": Interleaved(), "concatenated": Concatenated(), "previous label": PreviousLabel()}
ENCODERS = {
    "identity": IdentityEncoder(),
    "linear": LinearEncoder(),
    "conv": ConvEncoder(channels=(4, 8), kernels=(3, 3), strides=(2, 2)),
    "embedding": EmbeddingEncoder(num_items=9),
    "resnet": ResNetEncoder(),
}
classifier = functools.partial(SequenceClassifier, num_labels=V, width=D, label_init_std=1.0)
MODELS = {
    f"{trunk} on {layout}": classifier(encoder=IdentityEncoder(), layout=LAYOUTS[layout], trunk=TRUNKS[trunk])
    for trunk, layout in itertools.product(TRUNKS, LAYOUTS)
    if trunk in TRUNKS_OF_ALL_LAYOUTS or layout == "interleaved"
}
MODELS |= {
    f"{name} encoder": classifier(encoder=encoder, trunk=Transformer(layers=1, heads=2), positions=positions)
    for (name, encoder), positions in zip(ENCODERS.items(), ("none", "learned", *["sinusoidal"] * 3), strict=True)
}
MODELS["dropout"] = classifier(
    encoder=IdentityEncoder(), trunk=Transformer(layers=1, heads=2, dropout=0.5), position_dropout=0.5
)
MODELS |= {
    f"{trunk} on points": PointRegressor(num_outputs=Y, width=D, trunk=TRUNKS[trunk])
    for trunk in TRUNKS
    if trunk != "mlp"
}


def draw(config, *, side=SIDE, vectors=D):
    """Draw what a model takes."""
    rng = np.random.default_rng(0)
    if isinstance(config, PointRegressor):
        points = rng.normal(size=(B, N, X + Y)).astype(np.float32)
        return points[..., :X], points[..., X:], LEFT_OUT
    if isinstance(config.encoder, IdentityEncoder):
        items = rng.normal(size=(B, S, vectors)).astype(np.float32)
    elif isinstance(config.encoder, EmbeddingEncoder):
        items = rng.integers(0, 9, (B, S), dtype=np.int32)
    else:
        items = rng.random((B, S, side, side), np.float32)
    return items, rng.integers(0, V, (B, S), dtype=np.int32)


class Row:
    """A model with parameters, inputs and its jitted functions."""

    def __init__(self, config):
        self.config, self.model = config, config.build()
        self.inputs = draw(config)
        params, state = jax.eval_shape(self.model.init, jax.random.key(0), *self.inputs)
        # Not the initial ones, where offsets are zero, so that no gradient vanishes by accident.
        rng = np.random.default_rng(1)
        self.params = jax.tree.map(lambda leaf: jnp.asarray(0.4 * rng.normal(size=leaf.shape), jnp.float32), params)
        self.state = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state)
        self.is_points = isinstance(config, PointRegressor)
        self.outputs = jax.jit(self.eager)

    def eager(self, *inputs):
        return self.model.apply(self.params, self.state, None, *inputs)[0]

    @functools.cached_property
    def normal(self):
        return np.asarray(self.outputs(*self.inputs))

    @functools.cached_property
    def training(self):
        """Give a jitted function of a random key to outputs and gradients of a step of training."""
        items, *rest = self.inputs
        differentiable = np.issubdtype(items.dtype, np.floating)

        def loss(params, items, rng):
            outputs, _ = self.model.apply(params, self.state, rng, items, *rest, True)
            return (outputs * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)).sum(), outputs

        gradients = jax.grad(loss, argnums=(0, 1) if differentiable else (0,), has_aux=True)
        return jax.jit(lambda rng: gradients(self.params, items, rng))


# Which rows are compiled: each part once, as no trunk knows of layouts, nor a layout of trunks. The golden file has
# all of them.
COMPILED = [
    name
    for name in MODELS
    if name.endswith(("interleaved", "encoder")) or name.startswith(("transformer on", "prefix on points", "full on"))
]
COMPILED += ["dropout", "lstm on points"]


@pytest.fixture(params=COMPILED, scope="module")
def row(request):
    return Row(MODELS[request.param])


@pytest.mark.lengthy
def test_shape_dtype_and_one_compilation(row):
    assert row.normal.shape == ((B, N, Y) if row.is_points else (B, V))
    assert row.normal.dtype == jnp.float32
    before = row.outputs._cache_size()
    first, *rest = row.inputs
    changed = row.outputs(first[::-1].copy(), *rest)
    assert row.outputs._cache_size() == before == 1
    assert not np.allclose(changed, row.normal, atol=1e-4)


@pytest.mark.lengthy
def test_jit_changes_nothing(row):
    if not row.is_points and not isinstance(row.config.encoder, IdentityEncoder):
        pytest.skip("convolutions take long, one operation at a time")
    np.testing.assert_allclose(row.eager(*row.inputs), row.normal, rtol=2e-4, atol=2e-5)


@pytest.mark.lengthy
def test_gradients_are_finite_and_none_is_zero_and_no_key_matters_without_dropout(row):
    if row.state:
        pytest.skip("the gradients of the ResNet take long to compile; test_resnet.py holds them to an oracle")
    gradients, outputs = row.training(jax.random.key(0))
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert jnp.isfinite(gradient).all(), path
        # The offset of the keys shifts all scores of a query alike: softmax does not see it.
        if "/key'" not in str(path) or "'b'" not in str(path):
            assert jnp.abs(gradient).max() > 1e-7, path
    again = row.training(jax.random.key(1))[1]
    if row.config is MODELS["dropout"]:
        assert not np.allclose(again, outputs, atol=1e-3)
    else:
        np.testing.assert_array_equal(again, outputs)
        np.testing.assert_allclose(outputs, row.normal, rtol=1e-4, atol=1e-5)


def test_sequences_do_not_see_each_other(row):
    first, *rest = row.inputs
    changed = first.copy()
    changed[1:] = 1 - changed[1:]
    np.testing.assert_allclose(row.outputs(changed, *rest)[0], row.normal[0], rtol=1e-5, atol=1e-5)


def test_every_item_matters_and_every_label_but_that_of_the_query(row):
    if row.is_points:
        pytest.skip("its targets have tests of their own")
    items, labels = row.inputs
    for place in range(S):
        changed = items.copy()
        changed[:, place] = 1 - changed[:, place]
        assert not np.allclose(row.outputs(changed, labels), row.normal, atol=1e-6), place
        changed = labels.copy()
        changed[:, place] = (changed[:, place] + 1) % V
        same = np.array_equal(row.outputs(items, changed), row.normal)
        assert same == (place == S - 1), place


@pytest.mark.lengthy
def test_every_items_logits_are_causal_by_gradients_and_blind_to_its_own_label(row):
    config = row.config
    if row.is_points or not config.trunk.is_causal or config.layout.leaks_label:
        pytest.skip("only the query can be predicted")
    if not isinstance(config.encoder, IdentityEncoder):
        pytest.skip("what comes after the tokens knows nothing of the encoder")
    items, labels = row.inputs
    model = dataclasses.replace(config, outputs="every_item").build()

    def eager(items, labels):
        return model.apply(row.params, row.state, None, items, labels)[0]

    outputs = jax.jit(eager)
    logits = outputs(items, labels)
    assert (logits.shape, logits.dtype) == ((B, S, V), jnp.float32)
    np.testing.assert_allclose(logits[:, -1], row.normal, rtol=1e-5, atol=1e-5)
    for place in range(S):
        changed = labels.copy()
        changed[:, place] = (changed[:, place] + 1) % V
        differs = (np.asarray(outputs(items, changed)) != np.asarray(logits)).any((0, 2))
        assert differs.tolist() == [other > place for other in range(S)]
    # d logits[t] / d item[s], summed over labels and widths.
    jacobian = jax.jit(jax.jacobian(lambda items: eager(items, labels)[0].sum(-1)))(items)[:, 0]
    assert_causal(jnp.abs(jacobian).sum(-1))


def assert_causal(influence):
    """Check that of (later, earlier) pairs all and only those on and below the diagonal count."""
    later = np.triu(np.ones(influence.shape, bool), k=1)
    assert (influence[later] == 0).all()
    assert (influence[~later] > 1e-7).all()


def test_who_sees_which_point_and_no_one_the_target_of_a_query_by_gradients(row):
    if not row.is_points:
        pytest.skip("not for points")
    inputs, targets, is_query = row.inputs
    absent = np.where(is_query[..., None], np.float32(np.nan), targets)
    np.testing.assert_array_equal(row.outputs(inputs, absent, is_query), row.normal)
    jacobian = jax.jit(jax.jacobian(lambda *points: row.eager(*points, is_query)[0].sum(-1), argnums=(0, 1)))
    of_inputs, of_targets = (np.abs(part[:, 0]).sum(-1) for part in jacobian(inputs, absent))
    assert (of_targets[:, is_query[0]] == 0).all()
    assert (of_targets.max(0)[~is_query[0]] > 1e-7).all()
    mask = getattr(row.config.trunk, "mask", "causal")
    if mask == "causal":
        assert_causal(of_inputs)
    else:
        allowed = np.ones((N, N), bool) if mask == "full" else ~is_query[0][None] | np.eye(N, dtype=bool)
        assert (of_inputs[~allowed] == 0).all()
        assert (of_inputs[allowed] > 1e-7).all()


def test_the_order_of_points_does_not_matter_to_a_trunk_without_positions(row):
    if not row.is_points or row.config.trunk.is_causal:
        pytest.skip("the order matters")
    order = [3, 0, 5, 1, 4, 2]
    moved = row.outputs(*(array[:, order] for array in row.inputs))
    np.testing.assert_allclose(moved, row.normal[:, order], rtol=1e-4, atol=1e-5)


def tree(name):
    """List the parameters of a row, and their shapes."""
    config = MODELS[name]
    params, _ = jax.eval_shape(config.build().init, jax.random.key(0), *draw(config))
    return "".join(
        f"{name}: {path} {leaf} {list(array.shape)}\n"
        for path, leaves in sorted(params.items())
        for leaf, array in sorted(leaves.items())
    )


@pytest.mark.lengthy
def test_parameters_are_those_of_the_golden_file():
    assert "".join(map(tree, MODELS)) == GOLDEN.read_text(), f"if this is meant, run python {__file__}"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_all_encoders_and_layouts_go_together_or_say_why_not(encoder, layout):
    # Two thirds of the tracing is left out: what makes tokens does so before the trunk, and alike in init and apply.
    config = classifier(encoder=encoder, layout=layout)
    inputs = draw(config, vectors=D - 1)
    tokens = hk.transform_with_state(lambda *inputs: config._tokens(*map(jnp.asarray, inputs), False))
    if isinstance(encoder, IdentityEncoder) and not isinstance(layout, PreviousLabel):
        with pytest.raises(ValueError, match="item vectors of the model's width 8, got 7"):
            jax.eval_shape(tokens.init, jax.random.key(0), *inputs)
    else:
        jax.eval_shape(tokens.init, jax.random.key(0), *inputs)


@pytest.mark.lengthy
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_all_layouts_and_trunks_go_together_or_say_why_not(layout):
    for trunk, outputs in itertools.product(TRUNKS.values(), ("query", "every_item")):
        options = {"encoder": LinearEncoder(), "layout": layout, "trunk": trunk, "outputs": outputs}
        if outputs == "every_item" and (isinstance(layout, Concatenated) or not trunk.is_causal):
            with pytest.raises(ValueError, match="could be read off its own label"):
                classifier(**options)
            continue
        config = classifier(**options)
        model, inputs = config.build(), draw(config)
        params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
        logits, after = jax.eval_shape(lambda *inputs, model=model: model.apply(*inputs), params, state, None, *inputs)
        assert (logits.shape, logits.dtype) == ((B, V) if outputs == "query" else (B, S, V), jnp.float32)
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)


def test_an_mlp_cannot_give_an_output_for_each_point():
    config = PointRegressor(num_outputs=Y, width=D, trunk=MLP())
    with pytest.raises(
        ValueError, match=r"MLP must return an output for each token.*\[2, 6, any\], got float32\[2, 1, 128\]"
    ):
        jax.eval_shape(config.build().init, jax.random.key(0), *draw(config))


if __name__ == "__main__":
    GOLDEN.write_text("".join(map(tree, MODELS)))
