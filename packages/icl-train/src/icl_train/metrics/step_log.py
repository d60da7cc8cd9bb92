"""From the scalars of dispatched steps to metrics and progress bar, one dispatch late, and what of them failed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from icl_train.metrics.meters import Meters
from icl_train.types import Batch


class Dispatched(NamedTuple):
    """Steps that were dispatched, and perhaps not made yet.

    Attributes:
        first: Number of the first of the K steps.
        scalars: Their metrics [K], or [K, M] of an ensemble, still on the devices.
        batches: Their batches.
        positions: Where the batch iterator was before each.
        items: Examples in a batch, of all hosts together.
    """

    first: int
    scalars: Mapping[str, Array]
    batches: Sequence[Batch]
    positions: Sequence[Any]
    items: int


class Failure(NamedTuple):
    """A step after which nothing is finite any longer.

    Attributes:
        step: Its number.
        what: Its loss and its batch, in words.
        position: Where the batch iterator was before it.
    """

    step: int
    what: str
    position: Any


class StepLog:
    """Logs steps when the next are dispatched, or when asked to, so that the devices never wait for the host.

    Args:
        meters: Take the scalars.
        bar: Shows them.
        stop_when_not_finite: Whether to look for failures; nothing after one is logged.

    Attributes:
        failure: The first step that failed for a lone model, or for the last member; None if there is none.
    """

    def __init__(self, meters: Meters, bar: tqdm, *, stop_when_not_finite: bool) -> None:
        self._meters, self._bar, self._stops = meters, bar, stop_when_not_finite
        self._pending: Dispatched | None = None
        self._settled = meters.watch.seconds()
        self.failure: Failure | None = None

    def add(self, dispatched: Dispatched) -> None:
        """Log the steps that were dispatched before these, which come next."""
        self.settle()
        self._pending = dispatched

    def settle(self) -> None:
        """Wait for the steps that were dispatched, and log them."""
        if self._pending is None or self.failure is not None:
            return
        pending, self._pending = self._pending, None
        values = {name: np.asarray(value, np.float64) for name, value in jax.device_get(dict(pending.scalars)).items()}
        begun, self._settled = self._settled, self._meters.watch.seconds()
        for row, batch in enumerate(pending.batches):
            # The devices do not say when each of the steps was done: they are taken to be equally long.
            now = begun + (self._settled - begun) * (row + 1) / len(pending.batches)
            step, scalars = pending.first + row, {name: value[row] for name, value in values.items()}
            if self._stops and self._meters.have_all_failed(step, scalars):
                self.failure = Failure(step, _describe(step, scalars, batch), pending.positions[row])
                return
            self._meters.add(step, scalars, items=pending.items, now=now)
        rate = self._bar.format_dict["rate"]  # steps per second; None until tqdm has measured one
        items = f", {rate * pending.items:,.0f} items/s" if rate else ""
        self._bar.set_postfix_str(self._meters.summary() + items, refresh=False)
        self._bar.update(len(pending.batches))


def _describe(step: int, scalars: Mapping[str, Any], batch: Batch) -> str:
    loss, norm = (np.ravel(scalars[name]) for name in ("loss", "gradient_norm"))
    worst = int(np.argmin(np.isfinite(loss) & np.isfinite(norm)))
    index = np.ravel(batch["index"]) if "index" in batch else None
    examples = "" if index is None else f", examples {index.min()} to {index.max()} of the data"
    numbers = f"the loss of step {step} is {loss[worst]:g} and its gradient norm {norm[worst]:g}"
    return f"{numbers}, on batch number {step}{examples}"
