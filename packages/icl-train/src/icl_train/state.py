"""The state of a training run: everything on the device that one step turns into the next."""

from typing import NamedTuple

from jaxtyping import Array, Int32, PyTree


class TrainState(NamedTuple):
    """Everything that a step reads and replaces. A pytree.

    There is no random key in it: the randomness of step n is a function of (seed, n), see `train_step`.

    Attributes:
        step: int32 [], the number of steps made; 0 at initialisation.
        params: Parameters, any pytree of arrays.
        model_state: What the model carries from step to step without a gradient (batch statistics); may be
            empty.
        opt_state: State of the optax transformation.
        ema: Exponential moving average of the parameters, or None if none is kept.
    """

    step: Int32[Array, "*members"]
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    ema: PyTree = None
