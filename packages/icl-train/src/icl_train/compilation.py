"""Compiling the step ahead of the first batch, and what that took: seconds, and memory on each device."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Memory that a compiled step needs on each device.

    Raises:
        ValueError: If a number is negative.

    >>> print(StepMemory(argument_bytes=12_000_000, output_bytes=12_000_008, alias_bytes=12_000_000,
    ...     temporary_bytes=33_000_000))
    45 MB on each device (12 MB state and batch, 33 MB temporary)
    """

    argument_bytes: int
    """What goes in, state and batch."""

    output_bytes: int
    """What comes out, new state and metrics."""

    alias_bytes: int
    """Of the output, what takes the place of arguments that are donated."""

    temporary_bytes: int
    """What is needed within the step only."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise ValueError(f"wanted {field.name} to be at least 0, got {value}")

    @property
    def result_bytes(self) -> int:
        """Output that needs a place of its own, in bytes."""
        return max(self.output_bytes - self.alias_bytes, 0)

    @property
    def total_bytes(self) -> int:
        """All that the step needs while it runs, in bytes."""
        return self.argument_bytes + self.result_bytes + self.temporary_bytes

    def __str__(self) -> str:
        parts = [f"{_size(self.argument_bytes)} state and batch"]
        if self.result_bytes >= 0.01 * self.total_bytes:  # with donation it is the metrics only, some bytes
            parts.append(f"{_size(self.result_bytes)} results")
        parts.append(f"{_size(self.temporary_bytes)} temporary")
        return f"{_size(self.total_bytes)} on each device ({', '.join(parts)})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileReport:
    """What compiling a step took, and what memory the step will need. Printed as one line.

    Raises:
        ValueError: If the time is negative.

    >>> print(CompileReport(seconds=3.21))
    compiled the step in 3.2 s
    """

    seconds: float
    """Time to trace and compile, or to trace and read from the compilation cache, in seconds."""

    memory: StepMemory | None = None
    """What the step needs on each device, or None where the backend does not say."""

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise ValueError(f"wanted seconds to be at least 0, got {self.seconds}")

    def __str__(self) -> str:
        needs = "" if self.memory is None else f"; it needs {self.memory}"
        return f"compiled the step in {self.seconds:.1f} s{needs}"


class CompiledStep(NamedTuple):
    """A compiled function and what compiling it took.

    Attributes:
        compiled: Called like the jitted function, on arguments of the same shapes, dtypes and shardings only.
        report: Seconds and memory.
    """

    compiled: jax.stages.Compiled
    report: CompileReport


def compile_once(
    jitted: jax.stages.Wrapped, *args: Any, clock: Callable[[], float] = time.perf_counter
) -> CompiledStep:
    """Compile a jitted function for arguments like these, and measure it.

    What comes back never compiles again: where a jitted function would, because a shape or a dtype changed on
    the way, it raises a `TypeError` that says which.

    Args:
        jitted: What `jax.jit` returned.
        *args: Its arguments, or their shapes (`jax.ShapeDtypeStruct`, with a sharding where it matters).
        clock: Returns the time in seconds.

    Returns:
        The compiled function and the report.

    >>> compiled, report = compile_once(jax.jit(lambda x: x + 1), jax.ShapeDtypeStruct((2,), 'float32'))
    >>> compiled(jax.numpy.ones(2)).tolist(), report.memory.argument_bytes
    ([2.0, 2.0], 8)
    """
    begin = clock()
    compiled = jitted.lower(*args).compile()
    seconds = clock() - begin
    return CompiledStep(compiled, CompileReport(seconds=seconds, memory=_memory(compiled)))


def _memory(compiled: jax.stages.Compiled) -> StepMemory | None:
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return StepMemory(
        argument_bytes=analysis.argument_size_in_bytes,
        output_bytes=analysis.output_size_in_bytes,
        alias_bytes=analysis.alias_size_in_bytes,
        temporary_bytes=analysis.temp_size_in_bytes,
    )


def _size(number: int) -> str:
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= 0.9995 * amount:
            return f"{number / amount:.3g} {unit}"
    return f"{number:.0f} bytes"
