"""Parameters of another model, by name and by row, against assignments written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from icl_train import graft

MINE = {"blocks": {"w": np.zeros((3, 2), np.float32), "b": np.zeros(3, np.float32)}, "head": np.zeros(2, np.float32)}
THEIRS = {"blocks": {"w": np.arange(8.0).reshape(4, 2), "b": np.arange(3.0)}, "head": np.ones(3), "more": np.ones(1)}


def test_what_matches_is_the_other_models_and_all_else_stays():
    found = graft(MINE, THEIRS, pattern="b$")
    np.testing.assert_array_equal(found["blocks"]["b"], [0, 1, 2])
    assert found["blocks"]["b"].dtype == jnp.float32
    assert found["blocks"]["w"] is MINE["blocks"]["w"] and found["head"] is MINE["head"]


def test_rows_are_taken_by_their_places_also_of_a_deeper_stack():
    found = graft(MINE, THEIRS, pattern="^blocks/", rows=(2, 0))
    np.testing.assert_array_equal(found["blocks"]["w"], [[0, 1], [0, 0], [4, 5]])
    np.testing.assert_array_equal(found["blocks"]["b"], [0, 0, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "tail"}, "pattern that matches a parameter, got 'tail'; the parameters are blocks/b"),
        ({"pattern": "head"}, r"'head' of the shape \[2\] of the other model, which has \[3\]"),
        ({"pattern": "w", "rows": (3,)}, "rows of 'blocks/w' below 3, got 3"),
        ({"pattern": "more"}, "pattern that matches a parameter"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        graft(MINE, THEIRS, **options)


def test_what_the_other_model_has_not_is_refused_with_what_it_has():
    with pytest.raises(ValueError, match="wanted 'more' of the other model, which has blocks/b, blocks/w, head"):
        graft(THEIRS, MINE, pattern="more")
    with pytest.raises(ValueError, match=r"shape \[4, 2\] with rows \[3\] of the other model, which has \[3, 2\]"):
        graft(THEIRS, MINE, pattern="w", rows=(3,))
