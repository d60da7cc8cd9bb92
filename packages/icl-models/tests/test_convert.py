import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import ReferenceClassifier

from icl_models import (
    LSTM,
    Concatenated,
    EmbeddingEncoder,
    LinearEncoder,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    VanillaRNN,
    from_original,
    query_cross_entropy,
)

B, S, V, D = 2, 3, 7, 16
# What is compared is computed once: to compile it well takes longer than to run it.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def pair(*, side=6, width=D, **options):
    """Describe a model of the original, and ours; and give the shape of its items."""
    original = ReferenceClassifier(num_labels=V, heads=4, width=width, **options)
    trunk = {
        "transformer": Transformer(layers=original.layers, heads=4),
        "lstm": LSTM(layers=original.layers, hidden=width),
        "vanilla_rnn": VanillaRNN(layers=original.layers, hidden=width),
    }[original.trunk]
    encoder = {
        "resnet": ResNetEncoder(flatten=original.flatten),
        "linear": LinearEncoder(),
        "embedding": EmbeddingEncoder(num_items=V),
    }[original.encoder]
    ours = SequenceClassifier(num_labels=V, encoder=encoder, trunk=trunk, width=width)
    if original.concatenate:
        ours = SequenceClassifier(num_labels=V, encoder=encoder, trunk=trunk, width=width, layout=Concatenated())
    return original, ours, (B, S) if original.encoder == "embedding" else (B, S, side, side)


PAIRS = {
    "12 layers": pair(encoder="linear"),
    "concatenated": pair(encoder="linear", layers=2, concatenate=True),
    "lstm, concatenated": pair(encoder="linear", trunk="lstm", layers=3, concatenate=True),
    "lstm": pair(encoder="linear", trunk="lstm", layers=2),
    "vanilla rnn, embedding": pair(encoder="embedding", trunk="vanilla_rnn", layers=2),
    "resnet": pair(layers=2, side=33),
    "resnet laid flat": pair(layers=2, side=97, width=64, flatten=True),
}


@functools.cache
def draw(original, shape):
    """Draw items and labels, and parameters and a state for the original that are nowhere 0 or 1."""
    rng = np.random.default_rng(0)
    items = rng.integers(0, V if len(shape) == 2 else 256, shape, dtype=np.int32)
    items = jnp.asarray(items if len(shape) == 2 else items.astype(np.uint8))
    labels = jnp.asarray(rng.integers(0, V, (B, S), dtype=np.int32))
    params, state = jax.eval_shape(lambda: plainly(original.build().init)(jax.random.key(0), items, labels, True))

    def parameter(path, leaf):
        return jnp.asarray((path[1].key == "scale") + 0.4 * rng.standard_normal(leaf.shape), leaf.dtype)

    params = jax.tree_util.tree_map_with_path(parameter, params)
    state = jax.tree.map(lambda leaf: jnp.asarray(0.5 + 5 * rng.random(leaf.shape), leaf.dtype), state)
    return params, state, items, labels


def plainly(function):
    """Let what is written plainly add arrays of different ranks."""

    def allowed(*inputs):
        with jax.numpy_rank_promotion("allow"):
            return function(*inputs)

    return allowed


def run(function, *inputs):
    return jax.jit(function).lower(*inputs).compile(compiler_options=QUICKLY)(*inputs)


def assert_close(ours, theirs):
    """Check that the difference is at most 1e-4 of the greatest entry of an array, or 1e-6 of that of all of them."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    floor = 1e-6 * max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(theirs))
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=max(1e-4 * float(np.abs(two).max()), floor))


@pytest.mark.lengthy
@pytest.mark.parametrize("name", [name for name in PAIRS if name != "12 layers"])
def test_the_logits_are_the_same(name):
    original, ours, shape = PAIRS[name]
    params, state, items, labels = draw(original, shape)
    our_params, our_state = from_original(params, state)
    is_training = (
        not original.flatten
    )  # the ResNets, of which one has the statistics of the batch, one those of the state

    def logits(model, params, state):
        return plainly(model.build().apply)(params, state, None, items, labels, is_training)

    theirs, their_state = run(lambda *trees: logits(original, *trees), params, state)
    results = run(lambda *trees: logits(ours, *trees), our_params, our_state)
    assert float(np.ptp(theirs, axis=0).max()) > 0.05  # the sequences are told apart
    assert_close(results, (theirs, from_original(params, their_state)[1]))


def test_so_are_the_gradients():
    original, ours, shape = PAIRS["concatenated"]
    params, state, items, labels = draw(original, shape)

    def gradients(model):
        def loss(params):
            logits, _ = plainly(model.build().apply)(params, state, None, items, labels, True)
            return query_cross_entropy(logits, labels[:, -1])[0]

        return jax.grad(loss)

    theirs = run(gradients(original), params)
    assert_close(run(gradients(ours), from_original(params, state)[0]), from_original(theirs, state)[0])


def test_of_12_layers_each_comes_to_its_place():
    original, _, shape = PAIRS["12 layers"]
    params, state, _, _ = draw(original, shape)
    ours, _ = from_original(params, state)
    for number in range(12):
        block = f"{BLOCK}_{number}" if number else BLOCK
        query = params[f"{block}/self_attention_block/causal_self_attention/linear"]["w"]
        np.testing.assert_array_equal(ours["trunk/blocks/query"]["w"][number], query)
        for name, leaf in params[f"{block}/dense_block/linear_1"].items():
            np.testing.assert_array_equal(ours["trunk/blocks/mlp_out"][name][number], leaf)


def test_arrays_of_other_floats_become_float32():
    params, state, _, _ = draw(PAIRS["lstm"][0], PAIRS["lstm"][2])
    with jax.enable_x64(True):
        wide = {
            path: {name: np.asarray(leaf, float) for name, leaf in leaves.items()} for path, leaves in params.items()
        }
        assert {leaf.dtype for leaf in jax.tree.leaves(from_original(wide, state))} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", PAIRS)
def test_it_fits_our_model_in_shape_and_size(name):
    original, ours, shape = PAIRS[name]
    params, state, items, labels = draw(original, shape)
    model = ours.build()
    wanted = jax.eval_shape(lambda: model.init(jax.random.key(0), items, labels))
    converted = from_original(without_tildes(params), without_tildes(state))  # with them, they run above
    assert jax.tree.map(jnp.shape, converted) == jax.tree.map(jnp.shape, wanted)


def test_the_oracle_has_the_names_and_shapes_of_the_original(original):
    """The list is of 2 layers; the tildes are Haiku's."""
    model = ReferenceClassifier(num_labels=1623, layers=2).build()
    items, labels = jnp.zeros((1, 2, 33, 33), jnp.uint8), jnp.zeros((1, 2), int)
    trees = jax.eval_shape(lambda: plainly(model.init)(jax.random.key(0), items, labels, True))
    for tree, listed in zip(trees, (original["params"], original["state"]), strict=True):
        shapes = {path: {name: leaf.shape for name, leaf in leaves.items()} for path, leaves in tree.items()}
        assert shapes == {path: {name: leaf.shape for name, leaf in leaves.items()} for path, leaves in listed.items()}


ENCODERS = {
    "resnet": (ResNetEncoder(), {}),
    "linear": (LinearEncoder(), {"input_embedder/linear": {"w": (33 * 33, 64), "b": (64,)}}),
    "embedding": (EmbeddingEncoder(num_items=1623), {"input_embedder/embed": {"embeddings": (1623, 64)}}),
}


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_tree_of_the_original_s_names_and_shapes_is_read_with_and_without_state(original, name, with_state):
    encoder, modules = ENCODERS[name]
    rng = np.random.default_rng(0)
    params, state = (
        {
            path: {
                name: np.int32(3) if name == "counter" else rng.random(leaf.shape, np.float32)
                for name, leaf in leaves.items()
            }
            for path, leaves in original[kind].items()
        }
        for kind in ("params", "state")
    )
    if modules:
        params = {path: leaves for path, leaves in params.items() if "simple_res_net" not in path}
        params |= {path: {name: rng.random(shape) for name, shape in rows.items()} for path, rows in modules.items()}
        state = {}
    ours, our_state = from_original(params, state if with_state else None)
    model = SequenceClassifier(num_labels=1623, encoder=encoder, trunk=Transformer(layers=2)).build()
    items = np.zeros((1, 2), np.int32) if name == "embedding" else np.zeros((1, 2, 33, 33), np.uint8)
    wanted = jax.eval_shape(lambda: model.init(jax.random.key(0), items, np.zeros((1, 2), np.int32)))
    described = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (ours, our_state))
    assert described == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), wanted)
    if name == "resnet":
        stem = "resnet/initial_batchnorm"
        theirs = params[f"input_embedder/{stem.replace('resnet/', 'simple_res_net/~/')}"]["scale"]
        np.testing.assert_array_equal(ours[f"encoder/{stem}"]["scale"], theirs)
        if not with_state:  # as at the start: mean 0, variance 1
            means, variances = (our_state[f"encoder/{stem}/{part}_ema"]["average"] for part in ("mean", "var"))
            assert not means.any() and (variances == 1).all()


def without_tildes(tree):
    return {path.replace("~/", ""): {name: np.asarray(leaf) for name, leaf in tree[path].items()} for path in tree}


BLOCK = "transformer/transformer_block"


def change(tree, path, name=None, array=None):
    """Copy a tree without a module or one of its arrays, or with another array."""
    leaves = {} if name is None else {key: leaf for key, leaf in tree.get(path, {}).items() if key != name}
    leaves |= {} if array is None else {name: array}
    return {key: leaf for key, leaf in tree.items() if key != path} | ({path: leaves} if leaves else {})


@pytest.mark.parametrize(
    ("name", "path", "leaf", "array", "message"),
    [
        ("concatenated", "input_embedder", "embs", None, "'embs' of 'input_embedder' is missing"),
        ("concatenated", f"{BLOCK}_1/layer_norm_1", "scale", None, f"'scale' of '{BLOCK}_1/layer_norm_1' is missing"),
        ("concatenated", f"{BLOCK}/layer_norm", None, None, f"of '{BLOCK}/layer_norm' is missing"),
        ("concatenated", "transformer/layer_norm", None, None, "of 'transformer/layer_norm' is missing"),
        ("concatenated", "input_embedder", "embs", np.zeros((V + 2, D)), "each of the 7 labels .* got 9"),
        ("concatenated", "transformer/linear", "w", np.zeros((9, V)), "a row for each of 32 units, got 9"),
        ("concatenated", "transformer/linear", "w", np.zeros((32, 3)), r"must be \[any, 7\], got \[32, 3\]"),
        (
            "concatenated",
            "input_embedder/linear",
            "b",
            np.zeros(3),
            r"'b' of 'input_embedder/linear' .* \[16\], got \[3\]",
        ),
        (
            "concatenated",
            f"{BLOCK}/dense_block/linear",
            "w",
            np.zeros((128, 32)),
            r"must be \[32, 128\], got \[128, 32\]",
        ),
        (
            "concatenated",
            f"{BLOCK}/dense_block/linear_2",
            "w",
            np.zeros(3),
            "has what no model of ours has: 'w' of .*_2'",
        ),
        ("concatenated", "rnn/lstm/linear", "w", np.zeros((3, 3)), r"just one of \['transformer/.*', .*, got 2"),
        (
            "concatenated",
            "input_embedder/linear",
            None,
            None,
            r"just one of \['input_embedder/simple_res_net', .*, got 0",
        ),
        ("lstm, concatenated", "rnn/lstm_1/linear", None, None, "of 'rnn/lstm_1/linear' is missing"),
        ("lstm, concatenated", "rnn/lstm_1/linear", "w", np.zeros((48, 64)), r"must be \[32, 64\], got \[48, 64\]"),
        (
            "vanilla rnn, embedding",
            "rnn/vanilla_rnn/linear_1",
            "b",
            None,
            "'b' of 'rnn/vanilla_rnn/linear_1' is missing",
        ),
        ("resnet", "input_embedder/simple_res_net/~/initial_conv", "w", None, "initial_conv' is missing"),
        (
            "concatenated",
            "input_embedder/linear",
            None,
            None,
            "got 0; it has input_embedder, transformer/layer_norm, transformer/linear, transformer/transformer_block",
        ),
    ],
)
def test_a_tree_that_is_not_the_originals_is_refused(name, path, leaf, array, message):
    params, state, _, _ = draw(PAIRS[name][0], PAIRS[name][2])
    with pytest.raises(ValueError, match=message):
        from_original(change(params, path, leaf, array), state)


@pytest.mark.parametrize(
    ("name", "path", "leaf", "array", "message"),
    [
        (
            "resnet",
            "initial_batchnorm/~/mean_ema",
            "average",
            None,
            "'average' of .* is missing from the original's state",
        ),
        ("resnet", "initial_batchnorm/~/mean_ema", "hidden", np.zeros(64), r"must be \[1, 1, 1, 64\], got \[64\]"),
        ("resnet", "final_batchnorm/~/mean_ema", "hidden", np.zeros(64), "original's state has what no .* 'hidden' of"),
        ("lstm", "initial_batchnorm/~/mean_ema", "hidden", np.zeros(64), "original's state has what no .* 'hidden' of"),
    ],
)
def test_so_is_such_a_state(name, path, leaf, array, message):
    params, state, _, _ = draw(PAIRS[name][0], PAIRS[name][2])
    with pytest.raises(ValueError, match=message):
        from_original(params, change(state, f"input_embedder/simple_res_net/~/{path}", leaf, array))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([np.zeros(3)], r"params must be \{module: \{name: array\}\}, got list"),
        (({}, {}), "got tuple"),
        ({"embs": np.zeros((3, 3))}, "got dict with 'embs'"),
        ({"params": {"input_embedder": {"embs": np.zeros((3, 3))}}}, "'input_embedder' of 'params' .* got dict with"),
        ({"input_embedder": {"embs": "far away"}}, "an array of numbers, got str"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_tree_of_modules_is_refused(params, message):
    with pytest.raises(TypeError, match=message):
        from_original(params, {})
