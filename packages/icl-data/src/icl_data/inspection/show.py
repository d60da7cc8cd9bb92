"""A batch for the eye: in a notebook pictures, tables and plots, elsewhere a few lines."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from icl_data.batch import Batch
from icl_data.checks import check_whole
from icl_data.inspection.shown_sequences import sequences_html, sequences_text
from icl_data.inspection.shown_tasks import tasks_html, tasks_text

# Axes of each array of a batch, in letters of the package's glossary; after a star there may be others.
_SEQUENCES = {"labels": "BS", "shown_labels": "BS", "classes": "BS", "images": "BS*", "items": "BS*", "index": "B"}
_TASKS = {"inputs": "BNX", "targets": "BNY", "is_query": "BN", "task": "B", "index": "B"}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ShownBatch:
    """The first few sequences or tasks of a batch; a notebook shows it as HTML.

    Attributes:
      batch: those alone, arrays of NumPy; at least ``labels``, or ``inputs``, ``targets`` and ``is_query``.
      total: B of the batch that they are of.
    """

    batch: Batch
    total: int

    def __repr__(self) -> str:
        text = sequences_text if "labels" in self.batch else tasks_text
        return text(self.batch, total=self.total)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        html = sequences_html if "labels" in self.batch else tasks_html
        return html(self.batch, total=self.total)


def show(batch: Mapping[str, Any], *, count: int = 4) -> ShownBatch:
    """Return the first sequences or tasks of a batch, to be looked at.

    In a notebook images stand in rows, each above its label and its class, the query in a frame; items that are no
    images stand in a table. Tasks of functions of one number are plotted, others in a table. ``repr`` is text.

    Args:
      batch: as samplers and streams give it: with ``labels`` [B, S], the query last, and perhaps ``classes`` [B, S] and
        ``images`` or ``items`` [B, S, ...]; or with ``inputs`` [B, N, X], ``targets`` [B, N, Y] and ``is_query``
        [B, N]. Arrays of NumPy, or what NumPy can read.
      count: how many to show, at least 1.

    Raises:
      ValueError: a batch of another kind, or a count below 1.

    >>> labels, classes = np.array([[0, 1, 0], [1, 0, 0]]), np.array([[7, 3, 7], [3, 7, 7]])
    >>> show({"labels": labels, "classes": classes, "index": np.arange(2)}, count=1)
    1 of 2 sequences of 3 items
    sequence 0: a b (a), labels 0 1 0
    """
    check_whole("count, of what is shown,", count, least=1)
    axes = _SEQUENCES if "labels" in batch else _TASKS
    wanted = {"labels"} if "labels" in batch else {"inputs", "targets", "is_query"}
    if missing := sorted(wanted - set(batch)):
        raise ValueError(
            "show wants a batch with labels, or with inputs, targets and is_query, got one without "
            f"{', '.join(missing)}: only {', '.join(map(str, batch)) or 'nothing'}. Numbers must be expanded first: "
            "sampler.expand(sampler.resident, numbers)."
        )
    found = {name: np.asarray(batch[name][:count]) for name in axes if name in batch}
    _check(found, axes)
    return ShownBatch(batch=found, total=len(batch[min(wanted)]))


def _check(found: Batch, axes: Mapping[str, str]) -> None:
    """Refuse arrays whose axes are not those of a batch."""
    sizes: dict[str, int] = {}
    for name, values in found.items():
        letters = axes[name].removesuffix("*")
        pairs = zip(letters, values.shape, strict=False)
        same = all(size and sizes.setdefault(axis, size) == size for axis, size in pairs)
        if not same or values.ndim < len(letters) or (values.ndim > len(letters) and letters == axes[name]):
            shapes = ", ".join(f"{each} {list(array.shape)}" for each, array in found.items())
            raise ValueError(
                f"show wants {name} [{', '.join(axes[name]).replace('*', '...')}], each axis at least 1 and B, S and N "
                f"the same in all arrays, got {shapes}."
            )
