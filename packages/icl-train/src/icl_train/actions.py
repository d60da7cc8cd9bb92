"""What happens now and then during training: evaluation, a printed sample, a snapshot."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from icl_train.checks import as_whole
from icl_train.state import TrainState


class Moment(NamedTuple):
    """When, in the course of a run, an action is asked whether it is due.

    Attributes:
        step: Steps made so far, at least 1.
        seconds: Seconds of training so far, over all sessions of the run, time in actions left out.
        is_last: Whether this was the last step of the run.
    """

    step: int
    seconds: float
    is_last: bool


@runtime_checkable
class Action(Protocol):
    """Something the loop does between two steps, when it is due.

    Actions run before the checkpoint of their step is saved, so a run that is killed in between does them
    again and none is ever missed. Their time counts neither as training time nor in steps per second. The
    state is donated to the next step: copy (``jax.device_get``) what should outlive the call.
    """

    def is_due(self, moment: Moment) -> bool:
        """Return whether to run then. Pure, and the same on all hosts: it is asked about steps to come, too."""

    def __call__(self, step: int, state: TrainState) -> Any:
        """Do it, given the number of steps made and the state after them."""


ActionFunction: TypeAlias = Callable[[int, TrainState], Any]
"""Called with the number of steps made and the state after them; what it returns is dropped."""


@dataclasses.dataclass(frozen=True)
class EverySteps:
    """Calls a function each time the number of steps made is a multiple of ``steps``.

    Attributes:
        steps: Steps from call to call, at least 1.
        function: Called as ``function(step, state)``; what it returns is dropped.
        at_end: Also call it after the last step of the run, multiple or not (but once).

    Raises:
        ValueError: If ``steps`` is below 1.

    >>> report = EverySteps(100, lambda step, state: print('after', step))
    >>> [step for step in (1, 100, 250) if report.is_due(Moment(step, 0.0, is_last=step == 250))]
    [100, 250]
    """

    steps: int
    function: ActionFunction
    at_end: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", as_whole("the steps between two calls of an action", self.steps, least=1))

    def is_due(self, moment: Moment) -> bool:
        """Return whether the step is a multiple, or the last."""
        return moment.step % self.steps == 0 or (self.at_end and moment.is_last)

    def __call__(self, step: int, state: TrainState) -> Any:
        """Call the function."""
        return self.function(step, state)


@dataclasses.dataclass(frozen=True)
class AtSteps:
    """Calls a function after some steps, such as `spaced_steps`.

    Attributes:
        steps: Numbers of steps made, each at least 1; those beyond the run's length never come.
        function: Called as ``function(step, state)``; what it returns is dropped.
        at_end: Also call it after the last step of the run, listed or not (but once).

    Raises:
        ValueError: If a step is below 1.

    >>> report = AtSteps((1, 10, 100), lambda step, state: print('after', step))
    >>> [step for step in (1, 5, 100, 250) if report.is_due(Moment(step, 0.0, is_last=step == 250))]
    [1, 100, 250]
    """

    steps: Collection[int]
    function: ActionFunction
    at_end: bool = True

    def __post_init__(self) -> None:
        steps = frozenset(as_whole("a step after which an action is called", step, least=1) for step in self.steps)
        object.__setattr__(self, "steps", steps)

    def is_due(self, moment: Moment) -> bool:
        """Return whether the step is one of them, or the last."""
        return moment.step in self.steps or (self.at_end and moment.is_last)

    def __call__(self, step: int, state: TrainState) -> Any:
        """Call the function."""
        return self.function(step, state)


def as_actions(given: Sequence[Action | ActionFunction]) -> tuple[Action, ...]:
    """Return actions, of which plain functions are called after every step.

    Raises:
        TypeError: If one is neither.

    >>> as_actions([print]) == (EverySteps(1, print),)
    True
    """
    if not isinstance(given, Sequence):
        raise TypeError(f"wanted a list of actions, got {type(given).__name__}; put it into one")
    return tuple(map(_as_action, given))


def _as_action(given: Any) -> Action:
    if isinstance(given, type) or not callable(given):
        raise TypeError(f"wanted an action or a function of step and state, got {given!r}")
    return given if hasattr(given, "is_due") else EverySteps(1, given)
