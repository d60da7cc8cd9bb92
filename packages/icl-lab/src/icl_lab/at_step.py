"""Evaluations on what depends on how far the model was trained."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Integer

from icl_data import Sampler
from icl_data.batch import Batch


@dataclasses.dataclass(frozen=True, eq=False)
class AtStep:
    """A stream that is another one for the model of each step, such as what training sees at that step.

    Itself a sampler, it makes what there is at step 0; the driver asks for that of the step.

    Attributes:
      make: from a step to the sampler of the sequences or tasks that the model of that step is evaluated on.

    >>> from icl_data import FunctionSampler, Sine, Tasks
    >>> growing = AtStep(lambda step: FunctionSampler(family=Sine(), tasks=Tasks(count=1 + step)))
    >>> growing.make(3).tasks.count, growing.sample(np.arange(5))["task"].tolist()
    (4, [0, 0, 0, 0, 0])
    """

    make: Callable[[int], Sampler]

    @functools.cached_property
    def _first(self) -> Sampler:
        return self.make(0)

    @property
    def block_size(self) -> int:
        """How many are best made in one call."""
        return self._first.block_size

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return those with these indices, of step 0."""
        return self._first.sample(indices)
