"""A run of labelled vectors as a classifier of scikit-learn."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from icl_data import fit_vectors
from icl_lab.learners.learner import Learner, at_once, balanced, padded, wanted_form
from icl_lab.loaded_run import LoadedRun
from icl_lab.takes import TakesVectors
from icl_models import SequenceClassifier

ROWS = 512  # the most sequences that the model is asked about at once


class InContextClassifier(ClassifierMixin, Learner):
    """A classifier that learns from its context.

    Vectors are centred, brought to the size of those of training and, where they have more numbers, to their principal
    components; others are filled up with zeros. What is given beyond the examples of a sequence of training is shown
    in parts: each vote shows as many as fit, of all classes alike, in an order and under a projection and a permutation
    of the labels of its own, as sequences of training are; probabilities are means over votes.

    Args:
      run: folder of the run.
      step: of its checkpoint; the latest if None.
      votes: sequences that each prediction is the mean of.
      seed: of orders, projections and permutations.
      types: classes of one's own that the model has, see `load_run`.

    Attributes:
      classes_: the classes, in their order.
      n_features_in_: the numbers of a vector.

    Raises:
      ValueError: in ``fit``, more classes than the run has labels.
    """

    def fit(self, X: Any, y: Any) -> "InContextClassifier":
        """Keep the examples, and how vectors are made of them.

        Args:
          X: numbers [rows, features].
          y: a class for each row.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        run = self._loaded()
        takes = wanted_form(run, TakesVectors)
        self.classes_, self._labels = np.unique(y, return_inverse=True)
        if len(self.classes_) > takes.num_labels:
            raise ValueError(
                f"y has {len(self.classes_)} classes, but the run {run.folder} was trained on tasks of "
                f"{takes.num_labels}; give fewer, or a run with more --data.ways."
            )
        if run.model.outputs == "query" and len(X) < takes.context:
            raise ValueError(
                f"The model of {run.folder} answers at the last of {takes.length} items alone, so that fit wants "
                f"{takes.context} examples, got {len(X)}."
            )
        self._vectors = fit_vectors(X, components=takes.num_inputs if X.shape[1] > takes.num_inputs else None)
        self._shown = self._as_vectors(X, takes)
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "rows classes"]:
        """Return the probability of each class, float64 [rows, classes].

        Args:
          X: numbers [rows, features].
        """
        check_is_fitted(self)
        asked = validate_data(self, X, dtype=np.float64, reset=False)
        run = self._loaded()
        takes = wanted_form(run, TakesVectors)
        vectors, rng = self._as_vectors(asked, takes), np.random.default_rng(self.seed)
        votes = [self._vote(run, takes, vectors, rng) for _ in range(self.votes)]
        return np.mean(votes, axis=0)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Args:
          X: numbers [rows, features].
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _as_vectors(self, X: Float[np.ndarray, "rows F"], takes: TakesVectors) -> Float[np.ndarray, "rows X"]:
        vectors = self._vectors.transform(X)
        # Of variance 1 on average over all numbers of a vector, those that are filled up included.
        return padded(vectors * (takes.num_inputs / vectors.shape[1]) ** 0.5, takes.num_inputs)

    def _vote(
        self, run: LoadedRun, takes: TakesVectors, asked: Float[np.ndarray, "rows X"], rng: np.random.Generator
    ) -> Float[np.ndarray, "rows classes"]:
        """Return the probabilities that one choice of examples, projection and permutation of labels gives."""
        X, S = takes.num_inputs, takes.length
        projection = rng.normal(size=(X, X)) * X**-0.5
        shown = balanced(self._labels, takes.context, rng)
        label_of = rng.permutation(takes.num_labels)[: len(self.classes_)]
        rows = at_once(len(asked), ROWS)
        items, labels = np.zeros((rows, S, X), np.float32), np.zeros((rows, S), np.int32)
        items[:, : len(shown)] = self._shown[shown] @ projection.T
        labels[:, : len(shown)] = label_of[self._labels[shown]]
        queries, found = (asked @ projection.T).astype(np.float32), []
        for start in range(0, len(queries), rows):
            part = queries[start : start + rows]
            items[: len(part), len(shown)] = part
            found.append(_probabilities(run, items, labels, place=len(shown), label_of=label_of)[: len(part)])
        return np.concatenate(found)


def _probabilities(
    run: LoadedRun,
    items: Float[np.ndarray, "B S X"],
    labels: Int[np.ndarray, "B S"],
    *,
    place: int,
    label_of: Int[np.ndarray, " classes"],
) -> Float[np.ndarray, "B classes"]:
    """Return the probabilities of the labels that stand for classes, at the place of the query."""
    logits = run.predict({"items": jnp.asarray(items), "labels": jnp.asarray(labels)})
    assert isinstance(run.model, SequenceClassifier)
    at_query = np.asarray(logits if logits.ndim == 2 else logits[:, place], np.float64)[:, label_of]
    exponentials = np.exp(at_query - at_query.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
