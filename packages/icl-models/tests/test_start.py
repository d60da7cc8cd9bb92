"""How large parameters are at the start, against the original (google-deepmind/emergent_in_context_learning).

The numbers were measured on a run of its code: its modules/transformer_core.py gives every matrix of a block, and the
label head of Transformers and recurrent networks alike, VarianceScaling(1); the others have Haiku's own start.
"""

import re

import jax
import numpy as np
import pytest

from icl_models import (
    GRU,
    LSTM,
    MLP,
    Concatenated,
    LinearEncoder,
    OuterProductLSTM,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    VanillaRNN,
)

V, D, SIDE = 1623, 64, 33
# Relative, of one measured deviation of n numbers of a normal that is cut at two: their kurtosis is 2.37.
ERROR = (1.37 / 4) ** 0.5
ATTENTION = "self_attention_block/causal_self_attention"
IN_A_BLOCK = {
    "attention_norm": "layer_norm",
    "query": f"{ATTENTION}/linear",
    "key": f"{ATTENTION}/linear_1",
    "value": f"{ATTENTION}/linear_2",
    "attention_out": f"{ATTENTION}/linear_3",
    "mlp_norm": "layer_norm_1",
    "mlp_in": "dense_block/linear",
    "mlp_out": "dense_block/linear_1",
}
OUTSIDE = {"labels": "input_embedder", "trunk/final_norm": "transformer/layer_norm", "classifier": "transformer/linear"}


def start(encoder, **parts):
    """Give the parameters with which a model begins."""
    model = SequenceClassifier(num_labels=V, encoder=encoder, width=D, **parts).build()
    images, labels = np.zeros((1, 2, SIDE, SIDE), np.uint8), np.zeros((1, 2), np.int32)
    return jax.device_get(jax.jit(model.init)(jax.random.key(0), images, labels)[0])


def under_their_names(params):
    """Name our arrays as the original does, one for each block."""
    theirs = {}
    for path, leaves in params.items():
        part = path.removeprefix("trunk/blocks/")
        for name, leaf in leaves.items():
            if part in IN_A_BLOCK:
                for layer, row in enumerate(leaf):
                    block = f"transformer/transformer_block{f'_{layer}' if layer else ''}"
                    theirs[f"{block}/{IN_A_BLOCK[part]}", name] = row
            else:
                module = re.sub("^encoder/resnet", "input_embedder/simple_res_net", OUTSIDE.get(path, path))
                theirs[module, "embs" if path == "labels" else name] = leaf
    return theirs


def test_every_array_starts_as_large_as_the_original_s(original):
    ours = under_their_names(start(ResNetEncoder(), trunk=Transformer(layers=2)))
    listed = {
        (module.replace("/~", ""), name): entry
        for module, entries in original["params"].items()
        for name, entry in entries.items()
    }
    assert {name: leaf.shape for name, leaf in ours.items()} == {name: entry.shape for name, entry in listed.items()}
    for name, entry in listed.items():
        # Both are measured, the listed one to four digits.
        error = 4 * ERROR * (2 / ours[name].size) ** 0.5 * entry.deviation + 5e-5
        assert abs(float(ours[name].std()) - entry.deviation) < error, (name, entry.deviation)


@pytest.mark.parametrize("layers", [2, 12])
def test_blocks_labels_and_head_start_as_the_original_s_whatever_the_number_of_layers(layers):
    params = start(LinearEncoder(), trunk=Transformer(layers=layers))
    deviations = {"query": 0.125, "key": 0.125, "value": 0.125, "attention_out": 0.125, "mlp_in": 0.124}
    for name, deviation in (deviations | {"mlp_out": 0.063}).items():
        for row in params[f"trunk/blocks/{name}"]["w"]:
            assert abs(float(row.std()) / deviation - 1) < 0.03, (name, deviation)
    assert not np.allclose(params["trunk/blocks/query"]["w"][0], params["trunk/blocks/query"]["w"][1])
    assert abs(float(params["classifier"]["w"].std()) - 0.125) < 0.0015
    assert abs(float(params["labels"]["embeddings"].std()) - 0.0176) < 0.0003
    assert abs(float(params["encoder/linear"]["w"].std()) - 0.8796 / SIDE) < 0.001  # Haiku's own: no scale is given


def test_convolutions_start_as_the_original_s():
    params = start(ResNetEncoder(), trunk=MLP(hidden=4))
    for name, deviation in {
        "initial_conv": 0.126,
        "block_group_0/block_0/shortcut_conv": 0.109,
        "block_group_3/block_0/conv_1": 0.073,
        "block_group_3/block_0/shortcut_conv": 0.156,
    }.items():
        assert abs(float(params[f"encoder/resnet/{name}"]["w"].std()) / deviation - 1) < 0.06, name


@pytest.mark.parametrize("trunk", [LSTM, GRU, VanillaRNN, OuterProductLSTM, MLP])
def test_the_label_head_starts_alike_in_all_trunks(trunk):
    params = start(LinearEncoder(), trunk=trunk(layers=1, hidden=64))
    assert abs(float(params["classifier"]["w"].std()) - 0.125) < 0.0015


def test_the_start_goes_with_the_number_of_inputs():
    params = start(LinearEncoder(), layout=Concatenated(), trunk=Transformer(heads=2, key_size=8, mlp_ratio=2))
    inputs = {"query": 128, "attention_out": 16, "mlp_in": 128, "mlp_out": 256}
    for name, fan_in in inputs.items():
        assert abs(float(params[f"trunk/blocks/{name}"]["w"].std()) * fan_in**0.5 - 1) < 0.06, name
    assert abs(float(params["classifier"]["w"].std()) * 128**0.5 - 1) < 0.01
