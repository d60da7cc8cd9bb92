"""Batches are split over the devices, or refused with the arithmetic."""

import jax
import numpy as np
import optax
import pytest

from icl_train import MeshConfig, StepSpec, compile_single, data_shard

FOUR = jax.devices()[:4]


@pytest.fixture
def put(problem):
    """``put(batch, mesh)``: the arrays of a batch on the devices, as the loop puts them there: [1, B, ...]."""
    spec = StepSpec(problem.init, problem.loss_fn, optax.identity())
    return lambda batch, mesh: compile_single(spec, seed=0, mesh=mesh).to_devices([batch], 1)


def test_each_device_gets_its_rows(put):
    batch = {"x": np.arange(24).reshape(8, 3), "index": np.arange(8, dtype=np.int64)}
    sharded = put(batch, MeshConfig().build(FOUR))
    for name, array in sharded.items():
        np.testing.assert_array_equal(array, batch[name][None])
        for shard in array.addressable_shards:
            np.testing.assert_array_equal(shard.data, batch[name][None][shard.index])
            assert shard.data.shape[:2] == (1, 2)


def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do(problem, put):
    words = r"divides by the 4 devices of this process that share its rows, got 6; use 4 or 8, or a mesh"
    with pytest.raises(ValueError, match=words):
        put({"x": np.zeros((6, 2))}, MeshConfig().build(FOUR))
    with pytest.raises(ValueError, match="got 6"):
        problem.run("run", batches=problem.Rows(size=6), mesh=MeshConfig().build(FOUR))


@pytest.mark.parametrize(
    "batch",
    [{}, {"x": np.zeros(())}, {"x": np.zeros(4), "y": np.zeros(3)}, {"x": np.zeros(4), "y": np.zeros(())}],
)
def test_arrays_without_a_common_leading_dimension_are_refused(batch, put):
    with pytest.raises(ValueError, match="share their leading dimension"):
        put(batch, MeshConfig().build())


def test_a_batch_that_is_no_dict_of_arrays_is_refused(problem):
    class Tuples(problem.Rows):
        def __next__(self):
            return tuple(super().__next__().values())

    with pytest.raises(TypeError, match=r"(?s)(batch.*got tuple|Mapping)"):  # ours, or first the annotation's
        problem.run("run", batches=Tuples())


def test_batches_that_end_early_are_refused(problem):
    with pytest.raises(ValueError, match="wanted batches for 10 steps, got 4; repeat the data set"):
        problem.run("run", batches=problem.Rows(end=4))


def test_a_mesh_has_the_sizes_asked_for():
    assert dict(MeshConfig().build(FOUR).shape) == {"data": 4, "fsdp": 1, "model": 1}
    assert dict(MeshConfig().build(jax.devices()[1:3]).shape) == {"data": 2, "fsdp": 1, "model": 1}
    assert dict(MeshConfig(fsdp=2, model=2).build(FOUR).shape) == {"data": 1, "fsdp": 2, "model": 2}
    assert dict(MeshConfig(data=2, fsdp=2).build(FOUR).shape) == {"data": 2, "fsdp": 2, "model": 1}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"data": 3}, r"a mesh of 4 devices, got data x fsdp x model = 3 x 1 x 1, and that is 3"),
        ({"data": 2, "model": 4}, r"2 x 1 x 4, and that is 8"),
        ({"fsdp": 3}, r"\? x 3 x 1, and 4 does not divide by 3"),
    ],
)
def test_sizes_that_do_not_multiply_to_the_devices_are_refused_with_the_arithmetic(sizes, words):
    with pytest.raises(ValueError, match=words):
        MeshConfig(**sizes).build(FOUR)


@pytest.mark.parametrize("sizes", [{"data": 0}, {"data": -2}, {"fsdp": 0}, {"model": -1}, {"model": True}])
def test_sizes_that_no_mesh_has_are_refused(sizes):
    with pytest.raises(ValueError, match=rf"size of the mesh axis {next(iter(sizes))!r} to be .*at least (1|-1)"):
        MeshConfig(**sizes)


def test_no_devices_are_refused():
    with pytest.raises(ValueError, match="a mesh of 0 devices"):
        MeshConfig().build([])


def test_rows_are_split_over_data_and_fsdp_and_shared_along_model(put):
    batch = {"x": np.arange(16).reshape(8, 2)}
    sharded = put(batch, MeshConfig(data=1, fsdp=2, model=2).build(FOUR))["x"]
    assert [shard.data.shape for shard in sharded.addressable_shards] == [(1, 4, 2)] * 4
    assert len({str(shard.index) for shard in sharded.addressable_shards}) == 2
    np.testing.assert_array_equal(sharded[0], batch["x"])
    assert data_shard(MeshConfig(fsdp=2).build()) == (0, 1)
