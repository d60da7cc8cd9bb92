"""The device mesh, and how batches lie on it.

A mesh has up to three axes: ``data`` (each device has rows of its own, and a copy of the state), ``fsdp``
(rows of its own and a part of the state) and ``model`` (the same rows, and a part of the state).
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from icl_train.checks import as_whole

DATA, FSDP, MODEL = "data", "fsdp", "model"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Sizes of the axes of a mesh, whose product is the number of devices.

    Attributes:
        data: Devices that each have rows of a batch and a copy of the state; -1: as many as there are for the other
            two.
        fsdp: Devices that each have rows of a batch and a part of the state (fully sharded data parallel).
        model: Devices that share rows, and each have a part of the state (tensor parallel).

    Raises:
        ValueError: If a size is neither positive nor, for ``data``, -1.

    >>> dict(MeshConfig(data=1).build(jax.devices()[:1]).shape)
    {'data': 1, 'fsdp': 1, 'model': 1}
    """

    data: int = -1
    fsdp: int = 1
    model: int = 1

    def __post_init__(self) -> None:
        for name, least in ((DATA, -1), (FSDP, 1), (MODEL, 1)):
            size = as_whole(f"the size of the mesh axis {name!r}", getattr(self, name), least=least)
            if size == 0:
                raise ValueError(f"wanted the size of the mesh axis {name!r} to be at least 1 or -1, got 0")
            object.__setattr__(self, name, size)

    def build(self, devices: Sequence[jax.Device] | None = None) -> Mesh:
        """Return the mesh.

        Args:
            devices: Devices to use; all that JAX sees, on all hosts, if None.

        Returns:
            A mesh with automatic axes: sharding is propagated by the compiler, as ``pjit`` did.

        Raises:
            ValueError: If the sizes do not multiply to the number of devices.
        """
        chosen = list(jax.devices() if devices is None else devices)
        others = self.fsdp * self.model
        data = len(chosen) // others if self.data == -1 else self.data
        if not chosen or data * others != len(chosen):
            rest = f"{len(chosen)} does not divide by {others}" if self.data == -1 else f"that is {data * others}"
            raise ValueError(
                f"wanted a mesh of {len(chosen)} devices, got data x fsdp x model = "
                f"{'?' if self.data == -1 else data} x {self.fsdp} x {self.model}, and {rest}; "
                "choose sizes whose product is the number of devices"
            )
        return jax.make_mesh(
            (data, self.fsdp, self.model), (DATA, FSDP, MODEL), axis_types=(AxisType.Auto,) * 3, devices=chosen
        )


def row_axes(mesh: Mesh) -> tuple[str, ...]:
    """Return the axes of a mesh over which the rows of a batch are split."""
    return tuple(name for name in mesh.axis_names if name in (DATA, FSDP))


def row_ways(mesh: Mesh) -> int:
    """Return into how many parts the rows of a batch are split."""
    return math.prod(mesh.shape[name] for name in row_axes(mesh))


def data_shard(mesh: Mesh) -> tuple[int, int]:
    """Return which part of every batch this process has to make, for ``BatchSource(shard=..., shard_count=...)``.

    The rows of a batch are cut into ``shard_count`` equal parts in their order. Processes whose devices differ
    only along ``model`` make the same part.

    Args:
        mesh: The mesh of the run.

    Returns:
        Number of the part, from 0 on, and how many there are; (0, 1) on one host.

    Raises:
        ValueError: If the rows of a process's devices are not next to one another.

    >>> data_shard(MeshConfig().build())
    (0, 1)
    """
    order = [*row_axes(mesh), *(name for name in mesh.axis_names if name not in row_axes(mesh))]
    devices = mesh.devices.transpose([mesh.axis_names.index(name) for name in order]).reshape(row_ways(mesh), -1)
    own = [row for row, group in enumerate(devices) if any(d.process_index == jax.process_index() for d in group)]
    whole = bool(own) and own == list(range(own[0], own[0] + len(own)))
    if not whole or own[0] % len(own) or len(devices) % len(own):
        raise ValueError(
            f"wanted each process to have neighbouring rows of a batch, got parts {own} of {len(devices)} for process "
            f"{jax.process_index()}; give the axes data and fsdp sizes that fill whole hosts"
        )
    return own[0] // len(own), len(devices) // len(own)


def batch_size(batch: Mapping[str, np.ndarray]) -> int:
    """Return B, the leading dimension that the arrays of a batch share.

    Raises:
        TypeError: If the batch is not a dict of arrays of numbers.
        ValueError: If it is empty, or its arrays have no common leading dimension.

    >>> batch_size({'inputs': np.zeros((32, 3)), 'targets': np.zeros(32)})
    32
    """
    if not isinstance(batch, Mapping) or not all(hasattr(array, "shape") for array in batch.values()):
        raise TypeError(f"wanted a batch that is a dict of NumPy arrays, got {type(batch).__name__}: {batch!r:.80}")
    for name, array in batch.items():
        if np.dtype(array.dtype).kind in "OSUMm":
            raise TypeError(f"wanted a batch of numbers, got {name} of dtype {array.dtype}; give it as numbers")
    sizes = {name: array.shape[0] if array.shape else None for name, array in batch.items()}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        raise ValueError(
            f"wanted a batch of arrays [B, ...] that share their leading dimension, got {sizes}; "
            "give every array one row per example"
        )
    return next(iter(sizes.values()))  # type: ignore[return-value]


def check_divides(size: int, mesh: Mesh) -> None:
    """Check that the devices of this process can share a number of rows.

    Raises:
        ValueError: With the sizes that would do.
    """
    ways = row_ways(mesh) // data_shard(mesh)[1]
    if size % ways:
        raise ValueError(
            f"wanted a batch size that divides by the {ways} devices of this process that share its rows, got {size}; "
            f"use {max(size // ways, 1) * ways} or {(size // ways + 1) * ways}, or a mesh of fewer devices"
        )


def put_rows(arrays: dict[str, np.ndarray], mesh: Mesh, spec: PartitionSpec) -> dict[str, Array]:
    """Return whole arrays, of which this process has put its part on its devices."""
    sharding = NamedSharding(mesh, spec)
    if jax.process_count() == 1:
        return jax.device_put(arrays, sharding)
    return {name: jax.make_array_from_process_local_data(sharding, array) for name, array in arrays.items()}


def put_whole(tree: PyTree, mesh: Mesh) -> PyTree:
    """Return arrays of which every device of a mesh has a copy. Each process has all, or they are there already."""
    sharding = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Any) -> Array:
        if jax.process_count() == 1 or not getattr(leaf, "is_fully_addressable", True):
            return jax.device_put(leaf, sharding)
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

    return jax.tree.map(put, tree)
