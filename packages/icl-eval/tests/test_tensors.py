"""Predictions that are tensors of another library: those that NumPy can read are taken, others refused in one line.

PyTorch is not installed here. `Tensor` refuses as its tensors do, in its words (torch 2.13).
"""

from typing import Any

import numpy as np
import pytest

from icl_eval import (
    Evaluation,
    Measure,
    TokenPositions,
    evaluate,
    evaluate_functions,
    evaluate_heads,
    evaluate_labels,
)

GRADIENT = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
CUDA = "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
BFLOAT16 = "Got unsupported ScalarType BFloat16"
REFUSED = {"gradient": RuntimeError(GRADIENT), "cuda": TypeError(CUDA), "bfloat16": TypeError(BFLOAT16)}

S, V = 3, 4


class Tensor:
    def __init__(self, array: np.ndarray, refuses: Exception | None = None) -> None:
        self.array, self.refuses = array, refuses

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, place: Any) -> "Tensor":
        return Tensor(self.array[place], self.refuses)

    def __array__(self, dtype: Any = None) -> np.ndarray:  # without NumPy 2's copy
        if self.refuses is not None:
            raise self.refuses
        return self.array if dtype is None else self.array.astype(dtype)


GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(V, size=(5, S), dtype=np.int64)
BATCH: dict[str, Any] = {
    "labels": LABELS,
    "classes": LABELS + 1,
    "items": GENERATOR.normal(size=(5, S, 2)),
    "inputs": GENERATOR.normal(size=(5, S, 2)),
    "targets": GENERATOR.normal(size=(5, S, 1)),
    "is_query": np.tile(np.arange(S) == 2, (5, 1)),
}
LOGITS = GENERATOR.normal(size=(5, S, V)).astype(np.float32)
VALUES = GENERATOR.normal(size=(5, S, 1)).astype(np.float32)
ATTENTION = np.tile(np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None], (5, 1, 2, 1, 1)).astype(np.float32)
POSITIONS = TokenPositions((0, 2, 4), (1, 3))
OWN = Measure(sentence="Of one's own.", kind="mean")


def of_sequences(make: Any, batch: Any) -> Any:
    baselines = {"first": lambda batch: make(np.zeros(5, np.int64))}
    own = {"own": (lambda logits, batch: make(LOGITS[:, -1, 0]), OWN)}
    possible = Evaluation("x", range(V))
    return evaluate(lambda b: make(LOGITS), [batch], possible, count=5, baselines=baselines, measures=own)


def of_functions(make: Any, batch: Any) -> Any:
    baselines = {"b": lambda inputs, targets, is_query: make(VALUES)}
    return evaluate_functions(lambda b: make(VALUES), [batch], name="x", count=5, baselines=baselines)


def of_labels(make: Any, batch: Any) -> Any:
    baselines = {"b": lambda items, labels, positions: make(np.zeros((5, S), np.int64))}
    return evaluate_labels(lambda b: make(LOGITS), [batch], name="x", count=5, num_labels=V, baselines=baselines)


def of_heads(make: Any, batch: Any) -> Any:
    return evaluate_heads(lambda b: (make(ATTENTION), make(LOGITS[:, -1])), [batch], POSITIONS, name="x", count=5)


evaluations = pytest.mark.parametrize("of", [of_sequences, of_functions, of_labels, of_heads])


@evaluations
def test_detached_tensors_are_as_good_as_arrays_in_predictions_and_in_batches(of: Any) -> None:
    batch = {key: Tensor(values.copy()) for key, values in BATCH.items()}
    ours, wanted = of(Tensor, batch).metrics, of(np.asarray, BATCH).metrics
    assert ours.keys() == wanted.keys()
    for name, estimate in wanted.items():
        assert ours[name].value == pytest.approx(estimate.value, rel=1e-5, nan_ok=True), name
    assert all((batch[key].array == values).all() for key, values in BATCH.items())  # answers stay


@evaluations
@pytest.mark.parametrize("refusal", REFUSED)
def test_others_are_refused_with_what_to_do(of: Any, refusal: str) -> None:
    with pytest.raises(TypeError, match=r"x.*gave a Tensor that is no array") as caught:
        of(lambda array: Tensor(array, REFUSED[refusal]), BATCH)
    said = str(caught.value)
    assert "\n" not in said and "give tensor.detach().float().cpu()" in said
    assert str(REFUSED[refusal]).rstrip(".") in said
