"""A bank on the accelerator, so that only the numbers of classes and exemplars travel there; needs jax.

Installed by ``pip install icl-data[jax]``; the rest of the package does without. Stream batches without a bank, put
the bank on the accelerator once, and make the batches there, in the training step::

    stream = iter(batches(BatchSource(sampler=sampler, bank=None, batch_size=32)))
    device = device_bank(bank)

    @jax.jit
    def images_of(device, numbers):
        return expand(device, numbers, transforms=[RandomRareImages(), PixelNoise(scale=0.1)])["images"]

    images = images_of(device, next(stream))

The items are those of ``bank.gather``, to the last bit, and so are the bits that transforms draw. Pass the bank to a
jitted function as an argument, as here: one that it closes over is compiled into it as a constant, hundreds of
megabytes for Omniglot.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Integer, Shaped

from icl_data.bank import SYMMETRIES, ExemplarBank

# jax is imported where it is used and its arrays are Any here, so that tools which import every module can do so
# without it.


class DeviceBank(NamedTuple):
    """The items of an ``ExemplarBank`` and where each class's begin, as jax arrays; made by ``device_bank``.

    It is a pytree: pass it to functions under ``jax.jit``, put it on other devices with ``jax.device_put``.

    Attributes:
      items: the stored items [rows, ...].
      starts: int32 [C], the row of each class's first exemplar.
      counts: int32 [C], how many exemplars each class has.
      symmetries: int32 [C] in 0..7, as in ``ExemplarBank``; None if they are all 0.
    """

    items: Shaped[Any, "rows ..."]
    starts: Int32[Any, " C"]
    counts: Int32[Any, " C"]
    symmetries: Int32[Any, " C"] | None

    @property
    def key(self) -> str:
        """What a batch calls these items, see ``ExemplarBank``."""
        return "images" if self.items.ndim >= 3 else "items"

    def gather(
        self, classes: Integer[Any, "*batch"], exemplars: Integer[Any, "*batch"]
    ) -> Shaped[Any, "*batch_and_item"]:
        """Return the items of (class, exemplar) pairs, traced or not, as ``ExemplarBank.gather`` does.

        Args:
          classes: in 0..C-1.
          exemplars: in 0..counts[class]-1. Compiled code cannot raise, so numbers out of these ranges give the items
            of other exemplars or classes; ``ExemplarBank.gather`` refuses them.

        Returns:
          A jax array [*batch, ...]. Its dtype is that of the items; 64-bit items have become 32-bit ones, unless jax
          was told to keep them (``jax_enable_x64``).
        """
        import jax.numpy as jnp

        classes, exemplars = jnp.asarray(classes), jnp.asarray(exemplars)
        gathered = self.items[self.starts[classes] + exemplars]
        if self.symmetries is None:
            return gathered
        transpose, flip_rows, flip_columns = (
            jnp.asarray(is_done)[self.symmetries[classes]][..., None, None] for is_done in _flips_of_symmetries()
        )
        gathered = jnp.where(transpose, gathered.mT, gathered)
        gathered = jnp.where(flip_rows, gathered[..., ::-1, :], gathered)
        return jnp.where(flip_columns, gathered[..., ::-1], gathered)


def device_bank(bank: ExemplarBank, sharding: Any = None) -> DeviceBank:
    """Return a copy of a bank on the accelerator.

    Args:
      bank: of any items: images with or without symmetries, vectors, numbers.
      sharding: a ``jax.sharding.Sharding`` or device for all its arrays, such as
        ``NamedSharding(mesh, PartitionSpec())`` for a copy on each device; None is jax's default device.

    Raises:
      ValueError: more rows than an int32 can number.
    """
    import jax

    return jax.device_put(bank_arrays(bank), sharding)


def bank_arrays(bank: ExemplarBank) -> DeviceBank:
    """Return what of a bank ``device_bank`` puts on the accelerator, as NumPy arrays; the items are the bank's own.

    Raises:
      ValueError: more rows than an int32 can number.
    """
    if len(bank.items) > np.iinfo(np.int32).max:
        raise ValueError(f"A bank on an accelerator has at most 2**31 - 1 rows, got {len(bank.items)}.")
    starts, counts, symmetries = (array.astype(np.int32) for array in (bank.starts, bank.counts, bank.symmetries))
    return DeviceBank(bank.items, starts, counts, symmetries if symmetries.any() else None)


@functools.cache
def _flips_of_symmetries() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which symmetries have a transposition, a flip of the rows and one of the columns, bool [8] each.

    These three are cheap on an accelerator, where one choice among eight whole turns is not.
    """
    flipped, turns = np.divmod(np.arange(SYMMETRIES), SYMMETRIES // 2)
    transpose = turns % 2 == 1
    # A quarter turn is a transposition and then a flip of the rows, a half turn flips both; flipping the columns
    # beforehand (the left-right flip) is flipping the rows once transposed.
    flip_rows = ((turns == 1) | (turns == 2)) ^ ((flipped == 1) & transpose)
    flip_columns = ((turns == 2) | (turns == 3)) ^ ((flipped == 1) & ~transpose)
    return transpose, flip_rows, flip_columns
