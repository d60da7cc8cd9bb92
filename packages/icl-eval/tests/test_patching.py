"""What each value makes of another run, of a made-up model whose answer is known in closed form."""

import numpy as np
import pytest

from icl_eval import patch_each

L, T, B = 2, 4, 6
FIRST, SECOND = np.arange(B) % 3, (np.arange(B) + 1) % 3
WEIGHTS = np.random.default_rng(0).normal(size=(L, T))
SIZES = np.random.default_rng(1).uniform(1, 2, size=B)


def linear(mask):
    """Each value adds its weight times the sequence's size to the first answer's logit."""
    logits = np.zeros((B, 3))
    logits[np.arange(B), FIRST] = (WEIGHTS * mask).sum() * SIZES
    logits[np.arange(B), SECOND] = 1.0
    return logits


def test_effects_of_a_linear_model_are_its_weights():
    found = patch_each(linear, layers=L, tokens=T, first_answers=FIRST, second_answers=SECOND)
    for layer, token in np.ndindex(L, T):
        each = [WEIGHTS[layer, token] * size for size in SIZES]
        assert found.effects[layer][token].value == pytest.approx(sum(each) / B)
        assert found.effects[layer][token].low <= sum(each) / B <= found.effects[layer][token].high
    np.testing.assert_allclose(found.recovered, WEIGHTS / WEIGHTS.sum(), rtol=1e-9)
    assert found.whole.count == B


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"second_answers": FIRST}, "6 alike"),
        ({"predict": lambda mask: np.zeros((B, 3))}, "the second stays as it was"),
        ({"predict": lambda mask: np.zeros((B + 1, 3))}, "predict gave"),
        ({"layers": 0}, "layers"),
    ],
)
def test_what_cannot_be_is_refused(changed, words):
    options = {"predict": linear, "layers": L, "tokens": T, "first_answers": FIRST, "second_answers": SECOND} | changed
    with pytest.raises(ValueError, match=words):
        patch_each(options.pop("predict"), **options)
