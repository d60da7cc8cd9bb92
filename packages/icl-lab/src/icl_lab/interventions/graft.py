"""Parameters that a run takes from another one before its first step."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import jax
from jaxtyping import Array, PyTree

import icl_train as training
from icl_lab.saved_models import read_model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graft:
    """Take parameters of another run, and train them on or not.

    Attributes:
      run: folder of the other run, or of a member of an ensemble; with checkpoints, or with weights as plain arrays.
      params: pattern (a regular expression, looked for anywhere in names such as 'trunk/blocks/query/w') of these.
      step: of its checkpoint; None for the latest.
      layers: of parameters that are stacks of layers, [layers, ...], which layers are taken; () for whole arrays.
      frozen: whether they stay as they are.

    Raises:
      ValueError: negative layers, or a pattern that is no regular expression.

    >>> Graft(run=Path("runs/x"), params="/blocks/", layers=(1,), frozen=True).step is None
    True
    """

    run: Path
    params: str
    step: int | None = None
    layers: tuple[int, ...] = ()
    frozen: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.params)
        except re.error as error:
            raise ValueError(f"params is to be a regular expression, got {self.params!r}: {error}.") from error
        if min(self.layers, default=0) < 0:
            raise ValueError(f"layers are counted from 0, got {self.layers}.")


def grafted(init: training.Init, grafts: Sequence[Graft]) -> training.Init:
    """Return an ``init`` that makes a model with parameters of other runs, which are read now.

    Raises:
      FileNotFoundError: there is no such run or checkpoint.
      ValueError: a pattern that matches nothing, or what the other model has not, or not in that shape.
      icl_train.RunError: a damaged checkpoint, or an ensemble of which no member is named.
    """
    taken = [(each, read_model(training.expanded(each.run), each.step).params) for each in grafts]
    if not taken:
        return init

    def init_with(rng: Array) -> tuple[PyTree, PyTree]:
        params, state = init(rng)
        for each, other in taken:
            try:
                params = training.graft(params, other, pattern=each.params, rows=each.layers)
            except ValueError as error:
                raise ValueError(f"The graft of {each.run} does not fit: {error}.") from error
        return params, state

    jax.eval_shape(init_with, jax.random.key(0))
    return init_with
