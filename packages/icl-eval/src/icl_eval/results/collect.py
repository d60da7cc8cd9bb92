"""Task batches: a stream of them scored, the first `count` tasks exactly, with the device kept busy."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from icl_eval.results.saved_arrays import MODEL

Batch = Mapping[str, Any]


def collect(score: Callable[[Batch, int], Any], batches: Iterable[Batch], *, name: str, count: int) -> Any:
    """Score batches until `count` tasks are done, and join the scores.

    No batch is drawn beyond those needed, and the scores of a batch are fetched only after the next one was
    dispatched.

    Args:
      score: from a whole batch, and the number of tasks before it, to a pytree of arrays with a row per task.
        A leaf may have fewer rows, for what is measured on the first tasks alone; its first leaf has all.
      batches: as `score` wants them.
      name: of the evaluation, for errors.
      count: how many tasks, at least 1.

    Returns:
      The same pytree of NumPy arrays, of at most `count` rows.

    Raises:
      ValueError: if count is below 1 or the batches end early.

    >>> collect(lambda batch, before: batch["x"] + before, iter([{"x": np.zeros(2)}] * 5), name="x", count=3)
    array([0., 0., 2.])
    """
    if count < 1:
        raise ValueError(f"{name}: wanted count >= 1, got {count}.")
    scores: list[Any] = []
    taken = 0
    for batch in batches:
        scores.append(score(batch, taken))
        taken += len(jax.tree.leaves(scores[-1])[0])
        if len(scores) > 1:
            scores[-2] = jax.device_get(scores[-2])
        if taken >= count:
            break
    if taken < count:
        raise ValueError(
            f"{name}: wanted {count} tasks, but the batches ended after {taken}; "
            f"pass more batches (a repeating stream, say) or count={taken}."
        )
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *jax.device_get(scores))


def wanted(batch: Batch, keys: Mapping[str, str], *, name: str) -> list[np.ndarray]:
    """Return copies of the named arrays of a batch, so that the caller's batch keeps its answers.

    Args:
      batch: a dict of arrays.
      keys: the names that must be there, with their axes as words, such as `labels` and "B S".
      name: of the evaluation, for errors.

    Raises:
      ValueError: if one is missing, has other axes, or differs from another in the length of an axis they share.

    >>> wanted({"labels": [[1, 2]]}, {"labels": "B S"}, name="seen_tasks")
    [array([[1, 2]])]
    """
    form = ", ".join(f"'{key}' [{axes.replace(' ', ', ')}]" for key, axes in keys.items())
    if not set(keys) <= set(batch):
        raise ValueError(f"{name}: wanted a batch with {form}, got the keys {sorted(batch)}.")
    arrays = {key: np.array(batch[key]) for key in keys}
    lengths: dict[str, int] = {}
    for key, axes in keys.items():
        shape = arrays[key].shape
        fits = len(shape) == len(axes.split()) and 0 not in shape
        if not fits or any(lengths.setdefault(a, n) != n for a, n in zip(axes.split(), shape, strict=True)):
            shapes = {key: list(array.shape) for key, array in arrays.items()}
            raise ValueError(f"{name}: wanted a batch with {form}, none empty, got the shapes {shapes}.")
    return list(arrays.values())


def baseline_tasks(names: Collection[str], baseline_count: int | None, *, name: str, count: int) -> int:
    """Return on how many tasks the baselines of these names are measured: all of them unless told.

    Raises:
      ValueError: if a baseline has the model's name, or their count is not in 1..count.

    >>> baseline_tasks(["3-NN"], None, name="seen_tasks", count=100)
    100
    """
    if MODEL in names:
        raise ValueError(f"{name}: the curve named {MODEL!r} is the model's; give that baseline another name.")
    chosen = count if baseline_count is None else baseline_count
    if baseline_count is not None and not 1 <= chosen <= count:
        raise ValueError(f"{name}: wanted a baseline_count in 1..{count}, got {chosen}.")
    return chosen


def check_shape(got: Sequence[int], asked: Sequence[int], *, name: str, who: str) -> None:
    """Raise ValueError unless a predictor's output has the shape that was asked for.

    >>> check_shape((4, 2), (4, 2), name="seen_tasks", who="predict")
    """
    if tuple(got) != tuple(asked):
        raise ValueError(f"{name}: wanted the shape {list(asked)}; {who} gave {list(got)}.")
