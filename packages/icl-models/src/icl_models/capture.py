"""Capture of what goes on inside a model by name, and interventions on it.

Trunks hand their values to ``tap`` on the way, which returns them. Outside of ``instrument`` that is all.

Names: of a classifier, ``items`` [B, S, X] (the encoder's vectors); ``tokens`` (the input of the trunk); of a
Transformer, for each layer, ``block_0/query``, ``block_0/key`` and ``block_0/value`` [B, T, H, K] (before any turning
by place), ``block_0/scores`` [B, H, T, T] (queries by keys, before mask and softmax), ``block_0/attention``
[B, H, T, T] (the weights: probabilities, unless attention is "linear_mean"), ``block_0/heads`` [B, T, H, K] (what the
heads give, before the output matrix) and ``block_0/residual`` [B, T, D] (after the block), with ``loop_1/`` before them
where blocks are repeated; of an RNN ``layer_0/hidden`` [B, T, E]; of an MLP ``layer_0/hidden`` [B, hidden units].
"""

import contextlib
import contextvars
import dataclasses
import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state
from jaxtyping import Array, Int, Shaped

Values = dict[str, Array]
Function = Callable[[Array], Array]


def instrument(
    apply: Callable[..., Any], *, capture: Sequence[str] = (), replace: Mapping[str, Function] | None = None
) -> Callable[..., tuple[Any, Values]]:
    """Return a function that runs a model, and also returns inner values or changes them.

    Patterns are those of ``fnmatch``: ``"block_*/attention"`` is the attention of all layers, ``"*"`` is everything.
    What is replaced is captured after that. The new function is as pure as the old: ``jax.jit``, ``jax.grad`` and
    ``jax.vmap`` take it.

    Args:
      apply: a model's ``apply``, or any function that calls one, not yet under ``jax.jit`` or another transformation;
        nor may it put a model that is captured under one, such as ``jax.grad``: do that with the new function.
      capture: names or patterns of the values wanted.
      replace: by name or pattern, a function from a value to another of the same shape and dtype. With several
        patterns for one value their functions follow each other. Where layers are run by one compiled scan, the
        function of one layer is computed in every layer, and used in its own.

    Returns:
      A function of the same arguments that returns what ``apply`` returns, and the captured values by full name.

    Raises:
      ValueError: a function that is jitted already; when it runs: a pattern that matches nothing, a replacement of
        another shape or dtype, or a capture from within a transformation.

    >>> from icl_models import IdentityEncoder, PreviousLabel, SequenceClassifier, Transformer
    >>> model = SequenceClassifier(
    ...     num_labels=3, encoder=IdentityEncoder(), layout=PreviousLabel(), trunk=Transformer(heads=2), width=4
    ... ).build()
    >>> items, labels = np.zeros((1, 5, 2), np.float32), np.zeros((1, 5), np.int32)
    >>> params, state = jax.jit(model.init)(jax.random.key(0), items, labels)
    >>> ablated = instrument(model.apply, capture=["block_1/[ahr]*"], replace={"block_0/heads": jnp.zeros_like})
    >>> (logits, state), values = jax.jit(ablated)(params, state, None, items, labels)
    >>> {name: value.shape for name, value in values.items()}
    {'block_1/attention': (1, 2, 5, 5), 'block_1/heads': (1, 5, 2, 2), 'block_1/residual': (1, 5, 4)}
    """
    if isinstance(apply, jax.stages.Wrapped):
        raise ValueError(
            "A jitted function keeps its inner values to itself. Instrument first: jax.jit(instrument(apply, ...))."
        )

    def instrumented(*args: Any, **kwargs: Any) -> tuple[Any, Values]:
        if _RECORDING.get() is not None:
            raise ValueError("This runs within an instrumented function; give one all that is to capture and replace.")
        recording = _Recording((capture,) if isinstance(capture, str) else tuple(capture), dict(replace or {}))
        token = _RECORDING.set(recording)
        try:
            result = apply(*args, **kwargs)
        finally:
            _RECORDING.reset(token)
        recording.check()
        return result, recording.values

    return instrumented


def tap(name: str, value: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """Return the value, or what replaces it where the model is instrumented.

    Its name is one such as ``"hidden"``; within ``scanned_layers`` the layer's name goes before it.
    """
    recording = _RECORDING.get()
    return value if recording is None else recording.see(name, value)


def is_wanted(name: str) -> bool:
    """Return whether this would be captured or replaced, so that what must be spelt out for it is spelt out."""
    recording = _RECORDING.get()
    return recording is not None and recording.wants(name)


@contextlib.contextmanager
def scanned_layers(layers: Sequence[str], index: Int[Array, ""]) -> Iterator[Values]:
    """Set, for taps in the body of a scan over layers, what goes before their names in each, and which layer runs.

    Yields what is captured in this layer; the scan must return it, stacked, and ``keep_layers`` take it.
    """
    recording, values = _RECORDING.get(), dict[str, Array]()
    if recording is None:
        yield values
        return
    outer, recording.scan = recording.scan, _Scan(layers, index, values)
    try:
        yield values
    finally:
        recording.scan = outer


def keep_layers(layers: Sequence[str], values: Values) -> None:
    """Capture by name what a scan returned for all layers, arrays [layers, ...]."""
    recording = _RECORDING.get()
    if recording is not None:
        for number, layer in enumerate(layers):
            for name, stacked in values.items():
                recording.keep(f"{layer}/{name}", stacked[number])


@dataclasses.dataclass(frozen=True)
class _Scan:
    """The scan over layers whose body is being traced."""

    layers: Sequence[str]
    index: Array
    values: Values


class _Recording:
    """What one call of an instrumented function wants, and what was seen of it; lives while that call is traced."""

    def __init__(self, capture: tuple[str, ...], replace: dict[str, Function]) -> None:
        self._capture, self._replace = capture, replace
        self._names: dict[str, None] = {}  # a set that keeps its order
        self._trace = get_opaque_trace_state(convention="haiku")
        self.values: Values = {}
        self.scan: _Scan | None = None

    def see(self, name: str, value: Array) -> Array:
        names = self._full_names(name)
        for pattern, function in self._replace.items():
            hits = np.array([fnmatch.fnmatchcase(full, pattern) for full in names])
            if hits.any():
                new = _replacement(pattern, function, value)
                value = new if hits.all() else jnp.where(jnp.asarray(hits)[self.scan.index], new, value)  # type: ignore[union-attr]
        if self.scan is None:
            self.keep(name, value)
        elif any(map(self._is_captured, names)):
            self.scan.values[name] = value
        return value

    def keep(self, name: str, value: Array) -> None:
        if not self._is_captured(name):
            return
        if get_opaque_trace_state(convention="haiku") != self._trace:
            raise ValueError(
                f"{name!r} cannot leave a transformation within the function (jax.grad, jax.vmap, jax.jit); "
                "instrument the function that is transformed, and transform what comes out."
            )
        if name in self.values:
            raise ValueError(f"{name!r} came twice: instrument each model of the function by itself.")
        self.values[name] = value

    def wants(self, name: str) -> bool:
        return any(
            fnmatch.fnmatchcase(full, pattern)
            for full in self._full_names(name)
            for pattern in (*self._capture, *self._replace)
        )

    def check(self) -> None:
        for pattern in (*self._capture, *self._replace):
            if not fnmatch.filter(self._names, pattern):
                raise ValueError(f"{pattern!r} matches nothing in this model; it has {', '.join(self._names)}.")

    def _full_names(self, name: str) -> list[str]:
        names = [name] if self.scan is None else [f"{layer}/{name}" for layer in self.scan.layers]
        self._names |= dict.fromkeys(names)
        return names

    def _is_captured(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._capture)


def _replacement(pattern: str, function: Function, value: Array) -> Array:
    new = jnp.asarray(function(value))
    if (new.shape, new.dtype) != (value.shape, value.dtype):
        raise ValueError(
            f"What replaces {pattern!r} must be {value.dtype}{list(value.shape)} as it was, "
            f"got {new.dtype}{list(new.shape)}."
        )
    return new


_RECORDING: contextvars.ContextVar[_Recording | None] = contextvars.ContextVar("recording", default=None)
