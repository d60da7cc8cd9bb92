"""A run: what it is made of, what is due in it and when, and how it ends."""

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from tqdm import tqdm

from icl_train.actions import Action, AtSteps, EverySteps, Moment
from icl_train.checkpoints.restoring import Saved
from icl_train.checkpoints.saving import Checkpoints
from icl_train.config import TrainConfig
from icl_train.devices.hosts import max_over_hosts
from icl_train.devices.mesh import batch_size
from icl_train.dispatch.program import CompiledTraining, kind
from icl_train.dispatch.put_back import PutBack
from icl_train.errors import Interrupted, NotFiniteError
from icl_train.log import STDERR, logger
from icl_train.metrics.meters import Meters
from icl_train.metrics.step_log import Failure
from icl_train.paths import named_leaves
from icl_train.state import TrainState
from icl_train.types import Batch

_SECONDS_IN_NOTEBOOK = 1.0  # from one drawing of the bar to the next
_WIDTH_IN_NOTEBOOK = 100  # characters, which fit the cells of Jupyter and Colab


class Run(NamedTuple):
    """What a run is made of.

    Attributes:
        config: Length, seed and intervals.
        program: Its compiled functions.
        batches: Where its data come from.
        workdir: Its folder.
        actions: What is done between steps.
        resume_hint: How its user goes on after a signal.
        clock: Returns the time in seconds.
        members: Seed and hyper-parameters of each member of an ensemble; None for a lone model.
    """

    config: TrainConfig
    program: CompiledTraining
    batches: PutBack
    workdir: Path
    actions: tuple[Action, ...]
    resume_hint: str
    clock: Callable[[], float]
    members: Sequence[Mapping[str, Any]] | None = None

    def checkpoints(self, saved: Saved | None) -> Checkpoints:
        """Return its checkpoints, those after the one that it goes on from."""
        return Checkpoints(
            self.workdir,
            every=self.config.checkpoint_every,
            minutes=self.config.checkpoint_minutes,
            keep=self.config.keep_checkpoints,
            keep_every=self.config.keep_every,
            at=self.config.spaced_checkpoints(),
            restored=None if saved is None else saved.progress.step,
            skipped=() if saved is None else saved.skipped,
            clock=self.clock,
        )

    def bar(self, first: int) -> tqdm:
        """Return a progress bar that begins after the step ``first``, silent where nobody looks on.

        In a notebook it is text, too: widgets want a package that need not be there, and are lost when it is saved.
        """
        is_notebook = STDERR.is_notebook()
        return tqdm(
            desc=self.workdir.name,
            total=self.config.steps,
            initial=first,
            unit=" steps",
            file=STDERR,
            disable=bool(jax.process_index()) or not STDERR.is_watched(),
            # A notebook keeps every line that was drawn over, and its width is not that of the server's terminal.
            mininterval=_SECONDS_IN_NOTEBOOK if is_notebook else 0.1,
            ncols=_WIDTH_IN_NOTEBOOK if is_notebook else None,
            dynamic_ncols=not is_notebook,
        )

    def until_due(self, step: int, *, most: int, checkpoints: Checkpoints, meters: Meters) -> int:
        """Return how many steps, ``most`` or fewer, can be dispatched at once: until something happens after one."""
        count = min(most, self.config.steps - step)
        seconds = self.seconds(meters) if count > 1 else 0.0
        first, last = self.config.profile or (0, 0)
        for now in range(step + 1, step + count):
            if now in (first - 1, last) or checkpoints.is_due(now) or self.due(now, seconds):
                return now - step
        return count

    def take(self, step: int, *, count: int, positions: list[Any]) -> list[Batch]:
        """Return the batches of up to ``count`` steps after ``step``; note in ``positions`` where each began.

        They are fewer, at least one, where an error comes or a batch of another kind: then it is the next one's turn.
        """
        batches: list[Batch] = []
        # All hosts make the same steps, so that one that cannot must say so at once.
        may_be_fewer = jax.process_count() == 1
        for number in range(step, step + count):
            position = self.batches.get_state()
            if not batches or not may_be_fewer:
                positions.append(position)
                batches.append(self._next(number))
                continue
            try:
                batch = self._next(number)
            except Exception as error:
                self.batches.put_back(position, error)
                break
            if kind(batch) != kind(batches[0]):
                self.batches.put_back(position, batch)
                break
            positions.append(position)
            batches.append(batch)
        return batches

    def _next(self, number: int) -> Batch:
        try:
            return next(self.batches)
        except StopIteration:
            raise ValueError(
                f"wanted batches for {self.config.steps} steps, got {number}; "
                "repeat the data set (grain: dataset.repeat()) or train for fewer steps"
            ) from None

    def items(self, batch: Batch) -> int:
        """Return B, of all hosts together."""
        if self.program.members is not None:
            return next(iter(batch.values())).shape[1]
        return batch_size(batch) * self.program.shards

    def seconds(self, meters: Meters) -> float:
        """Return the seconds of training so far, the same on all hosts where an action may depend on them."""
        if jax.process_count() == 1 or all(isinstance(action, EverySteps | AtSteps) for action in self.actions):
            return meters.watch.seconds()
        return max_over_hosts(int(1000 * meters.watch.seconds())) / 1000

    def due(self, step: int, seconds: float) -> list[Action]:
        """Return the actions that are due after a step."""
        moment = Moment(step, seconds, step == self.config.steps)
        return [action for action in self.actions if action.is_due(moment)]

    def not_finite(self, failure: Failure, state: TrainState) -> NotFiniteError:
        """Return the error that a step which failed ends the run with, once it is said."""
        spoilt = [name for name, leaf in named_leaves(state.params).items() if bool(jnp.isnan(leaf).any())]
        already = f" {', '.join(spoilt[:3])} had NaN before it." if spoilt else ""
        message = (
            f"Stopped: {failure.what}.{already} The state after step {failure.step - 1} is saved in {self.workdir}; go "
            "on from it with a lower learning rate or clipping, or look at that batch. "
            f"{self.resume_hint} would come to the same end."
        )
        logger.error(message)
        return NotFiniteError(failure.step, message)

    def is_over(self, begun: float) -> bool:
        """Return whether this session, which began then, has had its time."""
        minutes = self.config.stop_after_minutes
        return minutes is not None and self.clock() - begun >= 60 * minutes

    def interrupted(self, received: signal.Signals | None, step: int) -> Interrupted:
        """Return the error that a signal, or else the time limit, ends the run with, once it is said."""
        stopped = "Stopped" if received is None else f"Stopped by {received.name}"
        limit = f" at the limit of {self.config.stop_after_minutes:g} minutes" if received is None else ""
        message = (
            f"{stopped} after step {step} of {self.config.steps}{limit}, saved in {self.workdir}. "
            f"To go on: {self.resume_hint}."
        )
        logger.warning(message)
        return Interrupted(received, message)
