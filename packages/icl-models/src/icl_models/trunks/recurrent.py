"""Recurrent trunks: LSTM, GRU, vanilla RNN, and an LSTM whose memory is a matrix.

Layer by layer: what a layer makes of its inputs is one matrix product for all tokens, and only what needs the token
before is done token by token.
"""

import abc
import dataclasses
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from icl_models.capture import tap
from icl_models.initialisation import keeping_variance

_FORGET_OFFSET = 1.0  # memories are kept at first (Jozefowicz et al. 2015); as Haiku and Sonnet have it


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Recurrent(abc.ABC):
    """A stack of layers over each other, without norm, dropout or skip connection (Chan et al. 2022)."""

    layers: int = 2
    hidden: int = 64

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden) < 1:
            raise ValueError(f"layers and hidden must be at least 1, got {self.layers} and {self.hidden}.")

    @property
    def is_causal(self) -> bool:
        """Whether an output depends on its own and earlier tokens alone: it does."""
        return True

    def state_size(self, length: int, width: int) -> int:
        """Return the units of all layers: what remembers the tokens, however many (Kirsch et al. 2022).

        An LSTM hands its outputs on, too, but those are read from its memories.
        """
        return self.layers * self.hidden

    def apply(
        self, tokens: Float[Array, "B T D"], *, is_query: Bool[Array, "B T"], is_training: bool
    ) -> Float[Array, "B T E"]:
        """Return the outputs of the last layer; see ``Trunk``."""
        for number in range(self.layers):
            with hk.experimental.name_scope(f"layer_{number}"):
                tokens = tap(f"layer_{number}/hidden", self._layer(tokens))
        return tokens

    @abc.abstractmethod
    def _layer(self, inputs: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        """Return the outputs of one layer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTM(_Recurrent):
    """Layers of long short-term memory (Zaremba et al. 2014): the function of ``hk.DeepRNN`` over ``hk.LSTM``.

    With x the input, h the output before and c the memory of a layer::

        i, g, f, o = x W + h U + b
        c <- sigmoid(f + 1) * c + sigmoid(i) * tanh(g)
        h <- sigmoid(o) * tanh(c)

    Attributes:
      layers: how many, at least 1.
      hidden: E, units of each layer.
    """

    def _layer(self, inputs: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        from_inputs, weights = _products(inputs, self.hidden, 4 * self.hidden)

        def step(state: tuple[Array, Array], from_input: Array) -> tuple[tuple[Array, Array], Array]:
            output, memory = state
            write, new, keep, read = jnp.split(from_input + output @ weights, 4, axis=-1)
            memory = jax.nn.sigmoid(keep + _FORGET_OFFSET) * memory + jax.nn.sigmoid(write) * jnp.tanh(new)
            output = jax.nn.sigmoid(read) * jnp.tanh(memory)
            return (output, memory), output

        start = jnp.zeros((len(inputs), self.hidden), from_inputs.dtype)
        return _over_time(step, (start, start), from_inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRU(_Recurrent):
    """Layers of gated recurrent units (Chung et al. 2014, arXiv 1412.3555): ``hk.DeepRNN`` over ``hk.GRU``.

    With x the input and h the output before, which is all that a layer remembers::

        z, r = sigmoid(x W + h U + b)
        a = tanh(x V + (r * h) Q + c)
        h <- (1 - z) * h + z * a

    Attributes:
      layers: how many, at least 1.
      hidden: E, units of each layer.
    """

    def _layer(self, inputs: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        E = self.hidden
        from_inputs = hk.Linear(3 * E, w_init=keeping_variance(inputs.shape[-1]), name="input")(inputs)
        with hk.experimental.name_scope("hidden"):
            weights = hk.get_parameter("w", (E, 3 * E), init=keeping_variance(E))
        of_gates, of_new = weights[:, : 2 * E], weights[:, 2 * E :]

        def step(output: Array, from_input: Array) -> tuple[Array, Array]:
            write, reset = jnp.split(jax.nn.sigmoid(from_input[:, : 2 * E] + output @ of_gates), 2, axis=-1)
            new = jnp.tanh(from_input[:, 2 * E :] + (reset * output) @ of_new)
            output = (1 - write) * output + write * new
            return output, output

        return _over_time(step, jnp.zeros((len(inputs), E), from_inputs.dtype), from_inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VanillaRNN(_Recurrent):
    """Layers of h <- relu(x W + b + h U + d): the function of ``hk.DeepRNN`` over ``hk.VanillaRNN``.

    The two offsets do the work of one; Haiku, and so the paper's parameter count, has both.

    Attributes:
      layers: how many, at least 1.
      hidden: E, units of each layer.
    """

    def _layer(self, inputs: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        from_inputs = hk.Linear(self.hidden, name="input")(inputs)
        with hk.experimental.name_scope("hidden"):
            weights = _weights(self.hidden, self.hidden, fan_in=self.hidden)
            offset = hk.get_parameter("b", (self.hidden,), init=jnp.zeros)

        def step(output: Array, from_input: Array) -> tuple[Array, Array]:
            output = jax.nn.relu(from_input + output @ weights)
            return output, output

        start = jnp.zeros((len(inputs), self.hidden), from_inputs.dtype)
        return _over_time(step, start, from_inputs + offset[None, None])


@dataclasses.dataclass(frozen=True, kw_only=True)
class OuterProductLSTM(_Recurrent):
    """Layers of an LSTM whose memory is a matrix: a recurrent network with a large state (Kirsch et al. 2022).

    A network of this kind remembers K E values with only about 4 (D + E) (E + K) weights. With C [K, E] the memory::

        i', g', f' [K], i", g", f" [E], q [K], o [E] = x W + h U + b
        i, g, f = s tanh(i') tanh(i")^T, s tanh(g') tanh(g")^T, s tanh(f') tanh(f")^T
        C <- sigmoid(f + 1) * C + sigmoid(i) * g
        h <- sigmoid(o) * tanh(C^T q)

    with s = softplus of a learnt number that begins at 0. This is the cell of the paper's published code with one
    head. Ours are that K need not be E, and that the gradient makes the matrices of the gates anew instead of
    keeping them for every token.

    Attributes:
      layers: how many, at least 1.
      hidden: E, units of each layer.
      key_size: K, rows of the memory of each layer; None is E, the paper's choice.
    """

    key_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.key_size is not None and self.key_size < 1:
            raise ValueError(f"key_size must be at least 1, or None for that of hidden, got {self.key_size}.")

    def state_size(self, length: int, width: int) -> int:
        """Return the entries of the matrices of all layers: what remembers the tokens (Kirsch et al. 2022)."""
        return self.layers * self._rows * self.hidden

    @property
    def _rows(self) -> int:
        return self.hidden if self.key_size is None else self.key_size

    def _layer(self, inputs: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        rows, columns = self._rows, self.hidden
        sizes = [*[rows] * 3, *[columns] * 3, rows, columns]
        from_inputs, weights = _products(inputs, columns, sum(sizes))
        scale = jax.nn.softplus(hk.get_parameter("gate_scale", (), init=jnp.zeros)).astype(from_inputs.dtype)

        @jax.checkpoint
        def step(state: tuple[Array, Array], from_input: Array) -> tuple[tuple[Array, Array], Array]:
            output, memory = state
            *sides, query, read = jnp.split(from_input + output @ weights, np.cumsum(sizes[:-1]), axis=-1)
            left, right = ([jnp.tanh(side) for side in three] for three in (sides[:3], sides[3:]))
            write, new, keep = (scale * one[:, :, None] * two[:, None] for one, two in zip(left, right, strict=True))
            memory = jax.nn.sigmoid(keep + _FORGET_OFFSET) * memory + jax.nn.sigmoid(write) * new
            output = jax.nn.sigmoid(read) * jnp.tanh(jnp.einsum("bke,bk->be", memory, query))
            return (output, memory), output

        start = jnp.zeros((len(inputs), columns), from_inputs.dtype)
        memory = jnp.zeros((len(inputs), rows, columns), from_inputs.dtype)
        return _over_time(step, (start, memory), from_inputs)


def _products(inputs: Float[Array, "B T D"], hidden: int, size: int) -> tuple[Float[Array, "B T G"], Array]:
    """Return the inputs' part of all gates, and the weights [E, G] of the part of the output before."""
    # The two make one matrix in Haiku's LSTM, and start as such.
    fan_in = inputs.shape[-1] + hidden
    from_inputs = hk.Linear(size, w_init=hk.initializers.TruncatedNormal(fan_in**-0.5), name="input")(inputs)
    with hk.experimental.name_scope("hidden"):
        return from_inputs, _weights(hidden, size, fan_in=fan_in)


def _weights(rows: int, columns: int, *, fan_in: int) -> Float[Array, "{rows} {columns}"]:
    return hk.get_parameter("w", (rows, columns), init=hk.initializers.TruncatedNormal(fan_in**-0.5))


def _over_time(step: Callable, start: object, inputs: Float[Array, "B T G"]) -> Float[Array, "B T E"]:
    _, outputs = jax.lax.scan(step, start, jnp.moveaxis(inputs, 1, 0))
    return jnp.moveaxis(outputs, 0, 1)
