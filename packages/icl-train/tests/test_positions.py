"""The position of an iterator comes back from a checkpoint as it was, and of the type that it was."""

import json
import math

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_train.positions import decode, encode

NUMBERS = st.sampled_from(["u1", "<i8", ">i4", "f4", "<f8", "?", "c8", "<U3", "S2"]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=2, max_side=3, min_side=0))
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
LEAVES = PLAIN | st.binary() | NUMBERS | NUMBERS.filter(np.size).map(lambda array: array.reshape(-1)[0])
KEYS = st.text() | st.sampled_from(["$type", "base64", "values", "items"]) | st.integers() | st.binary()


def inside(keys, leaves):
    return st.recursive(
        leaves, lambda each: st.lists(each) | st.lists(each).map(tuple) | st.dictionaries(keys, each), max_leaves=8
    )


def same(one, other):
    """Whether two values are equal to the last bit, also where Python thinks 1 == 1.0 == True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, np.generic)):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, one.items(), other.items()))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return repr(one) == repr(other)


@given(inside(KEYS, LEAVES))
def test_any_position_comes_back_through_json(position):
    assert same(decode(json.loads(json.dumps(encode(position)))), position)


@given(
    st.recursive(
        PLAIN, lambda each: st.lists(each) | st.dictionaries(st.text().filter(lambda key: key != "$type"), each)
    )
)
def test_what_json_can_hold_is_written_as_it_is_and_so_read_as_before(position):
    assert same(encode(position), position) and same(decode(position), position)


def test_a_dict_that_looks_like_an_encoded_value_is_no_such_value():
    disguised = {"$type": "bytes", "base64": "YWJj"}
    assert decode(encode(disguised)) == disguised and decode(disguised) == b"abc"
    assert decode(encode(encode(b"abc"))) == disguised
    with pytest.raises(ValueError, match="known, got 'code'"):
        decode({"$type": "code"})


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ({"a": [1, {2}]}, r"got set in get_state\(\)\['a'\]\[1\]; give bytes"),
        ((object(),), r"got object in get_state\(\)\[0\]"),
        (np.array([None]), r"got ndarray in get_state\(\);"),
        (print, r"got builtin_function_or_method in"),
    ],
)
def test_what_cannot_be_held_is_refused_by_its_place(position, words):
    with pytest.raises(TypeError, match=words):
        encode(position)


class Numbers:
    def __repr__(self):  # by which Grain knows its source again
        return "Numbers()"

    def __len__(self):
        return 4096

    def __getitem__(self, index):
        inputs = np.random.default_rng(int(index)).normal(size=3).astype(np.float32)
        return {"inputs": inputs, "targets": inputs.sum()}


def loader():
    """The older half of Grain, whose position is bytes, over rows that are shuffled."""
    grain = pytest.importorskip("grain")
    shard = grain.sharding.NoSharding()
    sampler = grain.samplers.IndexSampler(4096, shuffle=True, seed=0, shard_options=shard)
    batch = grain.transforms.Batch(8, drop_remainder=True)
    return iter(grain.DataLoader(data_source=Numbers(), sampler=sampler, operations=[batch], worker_count=0))


def test_a_run_on_a_grain_data_loader_resumes_exactly(problem):
    assert isinstance(loader().get_state(), bytes)
    whole = problem.run("whole", batches=loader())
    problem.run("parts", batches=loader(), steps=5)
    parts = problem.run("parts", batches=loader(), resume=True)
    assert problem.same(parts.state, whole.state)
    assert problem.untimed(problem.folder / "parts")[-1] == problem.untimed(problem.folder / "whole")[-1]


def test_a_position_of_numpys_comes_back_as_it_was(problem):
    """The state of NumPy's older generator is an array of 624 words."""

    class Drawn(problem.Rows):
        generator = np.random.RandomState(0)

        def __next__(self):
            inputs = self.generator.normal(size=(8, 3)).astype(np.float32)
            return {"inputs": inputs, "targets": inputs.sum(1)}

        def get_state(self):
            return self.generator.get_state()

        def set_state(self, state):
            self.generator = np.random.RandomState(1)
            self.generator.set_state(state)

    whole = problem.run("whole", batches=Drawn())
    Drawn.generator = np.random.RandomState(0)
    problem.run("parts", batches=Drawn(), steps=5)
    assert problem.same(problem.run("parts", batches=Drawn(), resume=True).state, whole.state)
