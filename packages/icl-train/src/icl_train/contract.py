"""What a run is given, checked before its first step: each mistake in one line, with what to do."""

from typing import Any

from icl_train.checkpoints.positions import encode

_RESUMABLE = (
    "exact resuming rests on get_state() and set_state(state), see icl_train.Batches: a Grain iterator has them, and "
    "so has a class of ten lines where batch number i is a function of i, as in the README"
)


def check_batches(batches: Any, *, of: str = "") -> None:
    """Check that batches come from an iterator whose position a checkpoint can hold.

    Args:
        batches: What the user gave.
        of: Whose they are, for the error, such as " of member 3".

    Raises:
        TypeError: If it is no iterator, has no position, or one that cannot be saved.
    """
    given = type(batches).__name__
    if not hasattr(batches, "__next__"):
        also = "; give iter(...) of it" if hasattr(batches, "__iter__") else ""
        raise TypeError(f"wanted an iterator of batches{of}, got {given}{also}; {_RESUMABLE}")
    missing = [name for name in ("get_state", "set_state") if not callable(getattr(batches, name, None))]
    if missing:
        raise TypeError(
            f"wanted batches{of} whose position can be saved, got {given} without {' and '.join(missing)}; {_RESUMABLE}"
        )
    encode(batches.get_state())
