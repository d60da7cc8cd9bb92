from typing import get_args

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from icl_models import ConvEncoder, ResNetEncoder
from icl_models.encoders.convolution import CONVOLUTIONS
from icl_models.encoders.forms import ConvolutionForm, Forms, StemForm, computing_by, current_forms
from icl_models.encoders.stem import STEMS


def program(encoder, forms):
    """Give what an encoder computes, as text."""

    def encode(images):
        with computing_by(forms):
            return encoder.encode(images, width=64, is_training=True)

    model = hk.transform_with_state(encode)
    images = jnp.zeros((2, 33, 33))
    return str(jax.make_jaxpr(lambda: model.init(jax.random.key(0), images))())


def test_every_form_has_its_function():
    assert list(CONVOLUTIONS) == list(get_args(ConvolutionForm))
    assert list(STEMS) == list(get_args(StemForm))


@pytest.mark.parametrize(
    ("encoder", "field", "forms"),
    [
        (ConvEncoder(), "convolution", CONVOLUTIONS),
        (ResNetEncoder(), "block", CONVOLUTIONS),
        (ResNetEncoder(), "stem", STEMS),
    ],
)
def test_every_form_is_another_program(encoder, field, forms):
    assert len({program(encoder, Forms(**{field: form})) for form in forms}) == len(forms)


def test_cpus_have_forms_of_their_own_and_all_else_computes_by_xla(monkeypatch):
    for backend in ("cpu", "gpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        cpu = Forms(convolution="product", block="banded", stem="chunks")
        assert current_forms() == (cpu if backend == "cpu" else Forms())
        with computing_by(Forms(stem="compared")):
            assert current_forms() == Forms(stem="compared")


def test_nothing_stays_set_after_an_error():
    before = current_forms()
    with pytest.raises(RuntimeError), computing_by(Forms(block="product")):
        raise RuntimeError
    assert current_forms() == before


@pytest.mark.usefixtures("unchecked")
def test_a_form_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"stem must be one of \('xla', 'compared'.*got 'banded'"):
        Forms(stem="banded")
