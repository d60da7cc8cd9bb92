"""Slower training that shows what goes wrong: without compilation, or stopping where the first NaN is made."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax


@contextmanager
def debugging(*, disable_jit: bool, stop_at_nan: bool) -> Iterator[None]:
    """Run JAX in the calling thread so that mistakes are easier to find, for the length of a ``with`` block.

    With ``stop_at_nan``, a function compiled by `jax.jit` whose output has a NaN is run a second time, one
    operation after the other, and the `FloatingPointError` names the operation that made the first, at the end
    of a traceback through the line of the model it is in. It is for functions called as `jax.jit` returned them: one
    that was compiled ahead of time (``.lower().compile()``) only says that there is a NaN. JAX itself does not
    donate buffers in this mode, so the memory of the state doubles. Loops of `jax.lax` count as one operation
    (``scan``); with ``disable_jit`` as well, the operation inside is named.

    Args:
        disable_jit: Run `jax.jit` functions as plain Python, in which prints and breakpoints work. Many times
            slower.
        stop_at_nan: Raise at the first NaN. It waits for each step, which costs some speed.

    Raises:
        FloatingPointError: From inside the block, at a NaN.

    >>> with debugging(disable_jit=False, stop_at_nan=True):
    ...     try:
    ...         jax.lax.log(-1.0)
    ...     except FloatingPointError as error:
    ...         print(error)
    invalid value (nan) encountered in log
    """
    with ExitStack() as stack:
        if disable_jit:
            stack.enter_context(jax.disable_jit())
        if stop_at_nan:
            stack.enter_context(jax.debug_nans(True))
        yield
