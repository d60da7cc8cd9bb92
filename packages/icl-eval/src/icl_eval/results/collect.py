"""The one loop of all evaluations: a stream scored, its first `count` rows exactly, with the device kept busy."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Array, UInt8

from icl_eval.results.result import Unit
from icl_eval.results.saved_arrays import MODEL, check_axes

Batch = Mapping[str, Any]
_Scores = TypeVar("_Scores")


def collect(
    score: Callable[[Batch, int], _Scores],
    batches: Iterable[Batch],
    *,
    name: str,
    count: int,
    unit: Unit = "sequences",
) -> Iterator[_Scores]:
    """Yield the scores of each batch as NumPy arrays, of `count` sequences or tasks in all.

    No batch is drawn beyond those needed, the surplus rows of the last one are dropped, and the scores of a batch are
    fetched only after the next one was dispatched, so that a device is kept busy.

    `score` goes from a whole batch, and the number of rows before it, to a pytree of arrays with a row per sequence or
    task. A leaf may have fewer rows, for what is kept of the first alone; its first leaf has all.

    >>> [*collect(lambda batch, before: batch["x"] + before, iter([{"x": np.zeros(2)}] * 5), name="x", count=3)]
    [array([0., 0.]), array([2.])]
    """
    if count < 1:
        raise ValueError(f"{name}: wanted count >= 1, got {count}.")
    waiting: tuple[_Scores, int] | None = None  # what the device may still be at work on, and the rows wanted of it
    taken = 0
    for batch in batches:
        scores = score(batch, taken)
        if waiting is not None:
            yield _fetched(*waiting)
        waiting = scores, count - taken
        taken += len(jax.tree.leaves(scores)[0])
        if taken >= count:
            break
    if waiting is None or taken < count:
        raise ValueError(
            f"{name}: wanted {count} {unit}, but the batches ended after {taken}; "
            f"pass more batches (a repeating stream, say) or count={taken}."
        )
    yield _fetched(*waiting)


def _fetched(scores: _Scores, rows: int) -> _Scores:
    return jax.tree.map(lambda leaf: leaf[:rows], jax.device_get(scores))


def joined(scores: Iterable[_Scores]) -> _Scores:
    """Return the scores of all batches as one pytree of arrays."""
    return jax.tree.map(lambda *parts: np.concatenate(parts), *scores)


def first_images(batch: Batch, rows: int) -> UInt8[np.ndarray, "B S H W"]:
    """Return the images of the first sequences of a batch as grey levels; noise of floats beyond 0..1 is cut off.

    >>> first_images({"images": np.full((2, 1, 1, 1), 0.2)}, 1).tolist()
    [[[[51]]]]
    """
    if "images" not in batch:
        raise ValueError(
            f"Examples want 'images' uint8 [B, S, H, W] in a batch, got the keys {sorted(batch)}; "
            "add them or pass examples=0."
        )
    images = np.asarray(batch["images"][:rows])
    return np.round(images.clip(0, 1) * 255).astype(np.uint8) if images.dtype.kind == "f" else images


def wanted(batch: Batch, keys: Mapping[str, str], *, name: str) -> list[np.ndarray]:
    """Return copies of the arrays of a batch that must be there (see `check_axes`): the caller's keep their answers."""
    check_axes(batch, keys, name=name)
    return [np.asarray(batch[key]).copy() for key in keys]


def baseline_tasks(names: Collection[str], baseline_count: int | None, *, name: str, count: int) -> int:
    """Return on how many tasks the named baselines are measured: all of them unless told."""
    if MODEL in names:
        raise ValueError(f"{name}: the curve named {MODEL!r} is the model's; give that baseline another name.")
    chosen = count if baseline_count is None else baseline_count
    if baseline_count is not None and not 1 <= chosen <= count:
        raise ValueError(f"{name}: wanted a baseline_count in 1..{count}, got {chosen}.")
    return chosen


def as_array(values: Any, *, name: str, who: str) -> Array | np.ndarray:
    """Return what `who` made as an array, on the device where it is there; anything that NumPy can take will do."""
    if isinstance(values, np.ndarray | jax.Array):
        return values
    try:
        found = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise TypeError(
            f"{name}: {who} gave a {type(values).__name__} that is no array to NumPy ({reason}); of a tensor of "
            "PyTorch give tensor.detach().float().cpu()."
        ) from error
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name}: wanted numbers; {who} gave a {type(values).__name__} of {found.dtype}.")
    return found


def as_shaped(values: Any, asked: Sequence[int], *, name: str, who: str) -> Array | np.ndarray:
    """Return what `who` made as an array, after refusing another shape than the one that was asked for."""
    found = as_array(values, name=name, who=who)
    if found.shape != tuple(asked):
        raise ValueError(f"{name}: wanted the shape {list(asked)}; {who} gave {list(found.shape)}.")
    return found
