"""Batches are split over the devices, or refused with the arithmetic."""

import jax
import numpy as np
import pytest

from icl_train import data_mesh, shard_batch


def test_each_device_gets_its_rows():
    batch = {"x": np.arange(24).reshape(8, 3), "index": np.arange(8, dtype=np.int64)}
    sharded = shard_batch(batch, data_mesh())
    for name, array in sharded.items():
        np.testing.assert_array_equal(array, batch[name])
        for shard in array.addressable_shards:
            np.testing.assert_array_equal(shard.data, batch[name][shard.index])
            assert shard.data.shape[0] == 2


def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do(problem):
    words = r"divides by the 4 devices of the mesh axis 'data', got 6; use 4 or 8, or a mesh of fewer devices"
    with pytest.raises(ValueError, match=words):
        shard_batch({"x": np.zeros((6, 2))}, data_mesh())
    with pytest.raises(ValueError, match="got 6"):
        problem.run("run", batches=problem.Rows(size=6), mesh=data_mesh())


@pytest.mark.parametrize(
    "batch",
    [{}, {"x": np.zeros(())}, {"x": np.zeros(4), "y": np.zeros(3)}, {"x": np.zeros(4), "y": np.zeros(())}],
)
def test_arrays_without_a_common_leading_dimension_are_refused(batch):
    with pytest.raises(ValueError, match="share their leading dimension"):
        shard_batch(batch, data_mesh())


def test_a_batch_that_is_no_dict_of_arrays_is_refused(problem):
    class Tuples(problem.Rows):
        def __next__(self):
            return tuple(super().__next__().values())

    with pytest.raises(TypeError, match=r"(?s)batch.*(got tuple|Mapping)"):  # ours, or first the annotation's
        problem.run("run", batches=Tuples())


def test_batches_that_end_early_are_refused(problem):
    with pytest.raises(ValueError, match="wanted batches for 10 steps, got 4; repeat the data set"):
        problem.run("run", batches=problem.Rows(end=4))


def test_a_mesh_has_one_axis_over_the_devices_given():
    assert dict(data_mesh().shape) == {"data": 4}
    assert dict(data_mesh(jax.devices()[1:3]).shape) == {"data": 2}
    with pytest.raises(ValueError, match="at least one device"):
        data_mesh([])
