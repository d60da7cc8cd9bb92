"""One process's part of a run: batches in, metrics out, actions and checkpoints in between."""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from icl_train.actions import Action, EverySteps, Moment
from icl_train.checkpoints.restoring import Saved
from icl_train.checkpoints.saving import Checkpoints
from icl_train.config import TrainConfig
from icl_train.devices.hosts import max_over_hosts
from icl_train.metrics.meters import Meters
from icl_train.signals import flag_signals
from icl_train.state import TrainState
from icl_train.types import Batch, Batches

_AGREE_EVERY = 10  # dispatches between two times that several hosts ask one another about signals


class _Pending(NamedTuple):
    """Steps that were dispatched, and perhaps not made yet: what is needed should one of them fail."""

    first: int
    scalars: Mapping[str, Array]
    batches: Sequence[Batch]
    positions: Sequence[dict[str, Any]]
    items: int


class TrainingSession:
    """One process's part of a run, from its start or a resume to its end or a signal. A context manager.

    Args:
        config: Length and intervals.
        workdir: Folder of the run, which exists.
        meters: Time, window means and files of the metrics.
        batches: Where batches come from.
        actions: What to do between steps.
        first: Steps already made.
        saved: The checkpoint that the run goes on from, if any.
        identity: What a resume has to have in common with the run, as JSON values.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        workdir: Path,
        meters: Meters,
        batches: Batches,
        actions: Sequence[Action],
        first: int,
        saved: Saved | None,
        identity: Mapping[str, Any],
        clock: Callable[[], float],
    ) -> None:
        self._config, self._meters = config, meters
        self._batches, self._actions = batches, tuple(actions)
        self._pending: _Pending | None = None
        self._positions: list[dict[str, Any]] = []
        self._dispatches, self._identity = 0, dict(identity)
        self.failed: tuple[int, str, dict[str, Any]] | None = None
        self.stopping = 0
        with ExitStack() as stack:
            self._flag = stack.enter_context(flag_signals())
            self._checkpoints = stack.enter_context(
                Checkpoints(
                    workdir,
                    every=config.checkpoint_every,
                    minutes=config.checkpoint_minutes,
                    keep=config.keep_checkpoints,
                    keep_every=config.keep_every,
                    restored=None if saved is None else first,
                    skipped=() if saved is None else saved.skipped,
                    clock=clock,
                )
            )
            stack.enter_context(meters)
            self._bar = stack.enter_context(
                tqdm(
                    desc=workdir.name,
                    total=config.steps,
                    initial=first,
                    unit=" steps",
                    file=sys.stderr,
                    disable=True if jax.process_index() else None,  # None: silent where stderr is no terminal
                    dynamic_ncols=True,
                )
            )
            self._stack = stack.pop_all()

    def next_batches(self, step: int) -> list[Batch]:
        """Return the batches for the steps after ``step``: as many as can be made before something is due.

        Raises:
            ValueError: If there is none.
        """
        count = min(self._config.steps_per_dispatch, self._config.steps - step)
        seconds = self._seconds() if count > 1 else 0.0
        events = (n for n in range(1, count) if self._ends_at(step + n, seconds))
        count = next(events, count)
        batches, self._positions = [], []
        for number in range(step, step + count):
            self._positions.append(copy.deepcopy(self._batches.get_state()))
            try:
                batches.append(next(self._batches))
            except StopIteration:
                raise ValueError(
                    f"wanted batches for {self._config.steps} steps, got {number}; "
                    "repeat the data set (grain: dataset.repeat()) or train for fewer steps"
                ) from None
        return batches

    def record(self, step: int, scalars: Mapping[str, Array], batches: Sequence[Batch], *, items: int) -> None:
        """Take note of the steps after ``step``, which have been dispatched, perhaps not made.

        Their scalars are fetched when the next are dispatched, so that the devices never wait for the host.
        """
        self._settle()
        self._pending = _Pending(step + 1, scalars, batches, self._positions, items)

    def between_steps(self, step: int, state: TrainState) -> bool:
        """Run the actions that are due, then save if a checkpoint is; return whether to stop here."""
        last = step == self._config.steps
        due = self._due(step, self._seconds())
        if due or last:
            self._settle()
            if not self.failed:
                with self._meters.paused():
                    for action in due:
                        action(step, state)
        overdue = self._ask(last)
        if last or self.stopping or overdue or self._checkpoints.is_due(step):
            self._settle()  # first: a line that belongs to this checkpoint must be on disk before it
            if not self.failed:
                self._save(step, state, copy.deepcopy(self._batches.get_state()), is_last=last)
        if self.failed:
            number, _, position = self.failed
            self._save(number - 1, state, position, is_last=False)
        if last or self.stopping or self.failed:
            with self._meters.paused():  # the time that was saved is the time of the run
                self._checkpoints.finish()
            self._ask(True)  # once more: a signal may have come while it was being saved
            return True
        return False

    def _seconds(self) -> float:
        """Return the seconds of training so far, the same on all hosts where an action may depend on them."""
        if jax.process_count() == 1 or all(isinstance(action, EverySteps) for action in self._actions):
            return self._meters.seconds()
        return max_over_hosts(int(1000 * self._meters.seconds())) / 1000

    def _ends_at(self, step: int, seconds: float) -> bool:
        """Return whether something happens between this step and the next."""
        first, last = self._config.profile or (0, 0)
        return step in (first - 1, last) or self._checkpoints.is_due(step) or bool(self._due(step, seconds))

    def _due(self, step: int, seconds: float) -> list[Action]:
        moment = Moment(step, seconds, step == self._config.steps)
        return [action for action in self._actions if action.is_due(moment)]

    def _ask(self, last: bool) -> bool:
        """Learn, with all hosts, whether a signal has come; return whether a checkpoint is overdue."""
        self._dispatches += 1
        if jax.process_count() > 1 and not last and self._dispatches % _AGREE_EVERY:
            return False
        self.stopping, overdue = divmod(
            max_over_hosts(2 * (self._flag.signal or 0) + self._checkpoints.is_overdue()), 2
        )
        return bool(overdue)

    def _settle(self) -> None:
        """Wait for the pending steps, and log them."""
        if self._pending is None or self.failed:
            return
        pending, self._pending = self._pending, None
        values = {name: np.asarray(value, np.float64) for name, value in jax.device_get(dict(pending.scalars)).items()}
        for row, step in enumerate(range(pending.first, pending.first + len(pending.batches))):
            scalars = {name: value[row] for name, value in values.items()}
            if self._config.stop_when_not_finite and self._meters.all_failed(step, scalars):
                self.failed = step, _describe(step, scalars, pending.batches[row]), pending.positions[row]
                return
            self._meters.add(step, scalars, items=pending.items)
        self._bar.set_postfix_str(self._postfix(pending.items), refresh=False)
        self._bar.update(len(pending.batches))

    def _postfix(self, items: int) -> str:
        rate = self._bar.format_dict["rate"]  # steps per second; None until tqdm has measured one
        return self._meters.summary() + (f", {rate * items:,.0f} items/s" if rate else "")

    def _save(self, step: int, state: TrainState, position: dict[str, Any], *, is_last: bool) -> None:
        progress = {"is_last": is_last, "step": step, **self._identity, **self._meters.get_state(step)}
        self._checkpoints.save(state, step=step, data=position, progress=progress)

    def __enter__(self) -> "TrainingSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _describe(step: int, scalars: Mapping[str, Any], batch: Batch) -> str:
    loss, norm = (np.ravel(scalars[name]) for name in ("loss", "gradient_norm"))
    worst = int(np.argmin(np.isfinite(loss) & np.isfinite(norm)))
    index = np.ravel(batch["index"]) if "index" in batch else None
    examples = "" if index is None else f", examples {index.min()} to {index.max()} of the data"
    numbers = f"the loss of step {step} is {loss[worst]:g} and its gradient norm {norm[worst]:g}"
    return f"{numbers}, on batch number {step}{examples}"
