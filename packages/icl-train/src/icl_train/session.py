"""The host's side of a training run: what is logged, saved, shown and done between the steps."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import jax
from jaxtyping import Array
from tqdm import tqdm

from icl_train.actions import Action, Moment
from icl_train.checkpoints import Checkpoints
from icl_train.config import TrainConfig
from icl_train.contract import Batch, Batches
from icl_train.metrics import Meter
from icl_train.metrics_file import METRICS_FILE, MetricsFile
from icl_train.signals import flag_signals
from icl_train.state import TrainState


class Session:
    """One process's part of a run, from its start or a resume to its end or a signal. A context manager.

    Args:
        config: Length and intervals.
        workdir: Folder of the run, which exists.
        meter: Time and window means so far.
        batches: Where batches come from.
        actions: What to do between steps.
        first: Steps already made.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        workdir: Path,
        meter: Meter,
        batches: Batches,
        actions: Sequence[Action],
        first: int,
    ) -> None:
        self._config, self._meter, self._batches, self._actions = config, meter, batches, tuple(actions)
        self._pending: tuple[int, Mapping[str, Array], int] | None = None
        with ExitStack() as stack:
            self.flag = stack.enter_context(flag_signals())
            self._checkpoints = stack.enter_context(
                Checkpoints(workdir, every=config.checkpoint_every, keep=config.keep_checkpoints)
            )
            self._file = stack.enter_context(MetricsFile(workdir / METRICS_FILE))
            self._bar = stack.enter_context(
                tqdm(
                    desc=workdir.name,
                    total=config.steps,
                    initial=first,
                    unit=" steps",
                    file=sys.stderr,
                    disable=None,  # silent where stderr is no terminal
                    dynamic_ncols=True,
                )
            )
            self._stack = stack.pop_all()

    def next_batch(self, step: int) -> Batch:
        """Return the batch for step number ``step``.

        Raises:
            ValueError: If there is none.
        """
        try:
            return next(self._batches)
        except StopIteration:
            raise ValueError(
                f"wanted batches for {self._config.steps} steps, got {step - 1}; "
                "repeat the data set (grain: dataset.repeat()) or train for fewer steps"
            ) from None

    def record(self, step: int, scalars: Mapping[str, Array], *, items: int) -> None:
        """Take note of a step that has been dispatched, perhaps not run.

        Its scalars are fetched when the next step is dispatched, so that the devices never wait for the host.
        """
        self._settle()
        self._pending = (step, scalars, items)

    def between_steps(self, step: int, state: TrainState) -> bool:
        """Run the actions that are due, then save if a checkpoint is; return whether to stop here."""
        last = step == self._config.steps
        moment = Moment(step, self._meter.seconds(), last)
        due = [action for action in self._actions if action.is_due(moment)]
        if due or last:
            self._settle()
            with self._meter.paused():
                for action in due:
                    action(step, state)
        stopping = self.flag.signal is not None
        if last or stopping or self._checkpoints.is_due(step):
            self._save(step, state)
        return last or stopping

    def _settle(self) -> None:
        """Wait for the pending step, and log it."""
        if self._pending is None:
            return
        (step, scalars, items), self._pending = self._pending, None
        values = {name: float(value) for name, value in jax.device_get(dict(scalars)).items()}
        self._meter.add(step, values, items=items)
        if step % self._config.log_every == 0 or step == self._config.steps:
            self._file.write(self._meter.line(step))
        self._bar.set_postfix_str(f"loss {self._meter.mean('loss'):.4g}", refresh=False)
        self._bar.update()

    def _save(self, step: int, state: TrainState) -> None:
        # Settled first: a line that belongs to this checkpoint must be on disk before it.
        self._settle()
        progress = {"seed": self._config.seed, "meter": self._meter.get_state()}
        self._checkpoints.save(state, step=step, data=self._batches.get_state(), progress=progress)

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
