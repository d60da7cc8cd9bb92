"""The device mesh, and what lies where on it: batches split over ``data``, the state on every device."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

DATA = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a mesh whose one axis, ``data``, runs over the devices.

    Args:
        devices: Devices to use; all that JAX sees if None.

    Returns:
        A mesh with automatic axes: sharding is propagated by the compiler, as ``pjit`` did.

    Raises:
        ValueError: If the list of devices is empty.

    >>> data_mesh().axis_names
    ('data',)
    """
    chosen = list(jax.devices() if devices is None else devices)
    if not chosen:
        raise ValueError("wanted at least one device for the mesh, got none; pass devices=None to use all of them")
    return jax.make_mesh((len(chosen),), (DATA,), axis_types=(AxisType.Auto,), devices=chosen)


def replicated(tree: PyTree, mesh: Mesh) -> PyTree:
    """Return, for each leaf of a tree, the sharding that puts a whole copy of it on every device."""
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda _: sharding, tree)


def batch_size(batch: Mapping[str, np.ndarray]) -> int:
    """Return B, the leading dimension that the arrays of a batch share.

    Raises:
        TypeError: If the batch is not a dict of arrays.
        ValueError: If it is empty, or its arrays have no common leading dimension.

    >>> batch_size({'inputs': np.zeros((32, 3)), 'targets': np.zeros(32)})
    32
    """
    if not isinstance(batch, Mapping) or not all(hasattr(array, "shape") for array in batch.values()):
        raise TypeError(f"wanted a batch that is a dict of NumPy arrays, got {type(batch).__name__}: {batch!r:.80}")
    sizes = {name: array.shape[0] if array.shape else None for name, array in batch.items()}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        raise ValueError(
            f"wanted a batch of arrays [B, ...] that share their leading dimension, got {sizes}; "
            "give every array one row per example"
        )
    return next(iter(sizes.values()))  # type: ignore[return-value]


def shard_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Array]:
    """Put a batch on the devices, each array split over ``data`` on its leading dimension.

    Args:
        batch: Arrays [B, ...] by name.
        mesh: A mesh with a ``data`` axis whose size divides B.

    Returns:
        The same arrays [B, ...] on the devices. The transfer may still be under way.

    Raises:
        TypeError: If the batch is not a dict of arrays.
        ValueError: If the arrays do not share B, or B does not divide by the size of the axis.

    >>> shard_batch({'inputs': np.ones((4, 2))}, data_mesh(jax.devices()[:1]))['inputs'].shape
    (4, 2)
    """
    size, ways = batch_size(batch), mesh.shape[DATA]
    if size % ways:
        raise ValueError(
            f"wanted a batch size that divides by the {ways} devices of the mesh axis {DATA!r}, got {size}; "
            f"use {max(size // ways, 1) * ways} or {(size // ways + 1) * ways}, or a mesh of fewer devices"
        )
    return jax.device_put(dict(batch), NamedSharding(mesh, PartitionSpec(DATA)))
