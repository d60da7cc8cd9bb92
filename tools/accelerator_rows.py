"""Rows of the table of `tools.bench_accelerator`, and the times in them."""

import functools
import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jaxtyping import PyTree


def row(what: str, measured: float | str, unit: str = "", *, beside: str = "") -> None:
    """Print a row of the table."""
    value = None if isinstance(measured, str) else measured
    text = measured if isinstance(measured, str) else f"{rounded(measured)} {unit}".rstrip()
    print(json.dumps({"what": what, "measured": text, "beside": beside, "value": value, "unit": unit}), flush=True)


def rounded(number: float) -> str:
    """Return a number with three digits, or as a whole one.

    >>> rounded(1839.4), rounded(0.01234), rounded(5.8)
    ('1,839', '0.0123', '5.80')
    """
    return f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"


def accelerated() -> bool:
    """Return whether this is more than a CPU."""
    return jax.default_backend() != "cpu"


def seconds_of(call: Callable[[], Any], *, calls: int = 1, lasting: float = 1.0) -> float:
    """Return the seconds of a call: the median over rounds of several, whose last is waited for, after a first one."""
    jax.block_until_ready(call())
    rounds: list[float] = []
    end = time.perf_counter() + lasting
    while not rounds or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(calls):
            result = call()
        jax.block_until_ready(result)
        rounds.append((time.perf_counter() - begin) / calls)
    return statistics.median(rounds)


def in_turns(calls: Mapping[str, Callable[[], Any]], *, turn: float = 0.02, lasting: float = 1.0) -> dict[str, float]:
    """Return the seconds of each call: the median over its turns, so that a drifting machine is fair to all.

    Args:
      calls: by name; none is called for the first time.
      turn: seconds of a turn, about, of which each holds at least one call.
      lasting: seconds for each, about.
    """
    counts: dict[str, int] = {}
    for name, call in calls.items():
        begin = time.perf_counter()
        jax.block_until_ready(call())
        counts[name] = max(1, round(turn / (time.perf_counter() - begin)))
    turns: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + lasting * len(calls)
    while calls and (not turns[name] or time.perf_counter() < end):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(counts[name]):
                result = call()
            jax.block_until_ready(result)
            turns[name].append((time.perf_counter() - begin) / counts[name])
    return {name: statistics.median(values) for name, values in turns.items()}


def compiled(function: Callable, *inputs: PyTree) -> Callable[[], Any]:
    """Return a call of a function, compiled."""
    return functools.partial(jax.jit(function).lower(*inputs).compile(), *inputs)


def chained(function: Callable[..., Any], value: PyTree) -> Callable[[], Any]:
    """Return a call of a function, each of what the one before returned."""
    latest = [value]

    def call() -> Any:
        latest[0] = function(latest[0])
        return latest[0]

    return call


def h200(figure: str) -> str:
    """Return in words what one H200 gave, with jax 0.11.2 and float32 at XLA's default precision."""
    return f"H200: {figure}" if figure else ""
