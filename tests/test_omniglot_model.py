"""The options of a model of omniglot: each builds, goes with the others, and changes something."""

import dataclasses
import typing

import jax
import numpy as np
import pytest

from experiments.omniglot import model as parts
from experiments.omniglot.config import ModelConfig
from experiments.omniglot.data import make_classes
from experiments.omniglot.presets import PRESETS

pytestmark = pytest.mark.lengthy

MODEL = ModelConfig(encoder="linear", layers=1, width=16)
INPUTS = jax.ShapeDtypeStruct((2, 9, 28, 28), np.uint8), jax.ShapeDtypeStruct((2, 9), np.int32)
CHOICES = typing.get_type_hints(ModelConfig)


def of(model):
    return dataclasses.replace(PRESETS["laptop"], model=model)


@pytest.fixture(scope="module")
def classes():
    data = dataclasses.replace(PRESETS["laptop"].data, characters=12, augmented=True, holdout=32)
    return make_classes(data)


@pytest.mark.parametrize("layout", typing.get_args(CHOICES["layout"]))
@pytest.mark.parametrize("trunk", typing.get_args(CHOICES["trunk"]))
def test_every_trunk_goes_with_every_layout(trunk, layout, classes):
    bank, split = classes
    model = parts.make_model(of(dataclasses.replace(MODEL, trunk=trunk, layout=layout)), bank, split).build()
    params, state = jax.eval_shape(model.init, jax.random.key(0), *INPUTS)
    assert jax.eval_shape(model.apply, params, state, None, *INPUTS)[0].shape == (2, split.num_positions)


@pytest.mark.parametrize("loss", typing.get_args(CHOICES["loss"]))
def test_evaluation_takes_the_parameters_of_training_and_gives_the_query(loss, classes):
    config = dataclasses.replace(MODEL, loss=loss, context_weight=0.5 if loss == "weighted" else 0.0)
    classifier = parts.make_model(of(config), *classes)
    trained, evaluated = classifier.build(), dataclasses.replace(classifier, outputs="query").build()
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 28, 28), dtype=np.uint8)
    labels = np.arange(18, dtype=np.int32).reshape(2, 9)
    params, state = jax.jit(trained.init)(jax.random.key(0), images, labels)
    of_all, of_query = (model.apply(params, state, None, images, labels)[0] for model in (trained, evaluated))
    np.testing.assert_allclose(of_all.reshape(2, -1, of_all.shape[-1])[:, -1], of_query, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 2}, {"heads": 2}, {"num_loops": 2}, {"positions": "learned"}, {"layout": "concatenated"},
        {"encoder": "conv"}, {"trunk": "mlp"}, {"width": 32}, {"dropout": 0.5}, {"item_dropout": 0.5},
        {"position_dropout": 0.5}, {"label_init_std": 0.1}, {"loss": "weighted"}, {"loss": "every_item"},
        {"loss": "weighted", "context_weight": 0.5}, {"compute_dtype": "bfloat16"}, {"key_size": 5},
        {"mask": "prefix"}, {"mask": "full"}, {"attention_only": True}, {"rotary": 100.0}, {"projection_bias": False},
        {"mlp_ratio": 2},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_changes_what_is_computed(changes, classes):
    def program_of(config):
        model = parts.make_model(of(config), *classes).build()

        def loss_at_the_start(key, images, labels):
            params, state = model.init(key, images, labels)
            logits, _ = model.apply(params, state, key, images, labels, is_training=True)
            return parts.training_loss(config, logits, labels)

        return str(jax.make_jaxpr(loss_at_the_start)(jax.random.key(0), *INPUTS))

    *others, last = changes
    changed = dataclasses.replace(MODEL, **changes)
    without = dataclasses.replace(MODEL, **{name: changes[name] for name in others})
    assert program_of(changed) != program_of(without), last
