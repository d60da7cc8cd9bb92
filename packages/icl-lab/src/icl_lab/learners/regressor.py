"""A run of functions as a regressor of scikit-learn."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from icl_data import Vectors, fit_vectors
from icl_lab.learners.learner import Learner, at_once, padded, wanted_form
from icl_lab.loaded_run import LoadedRun
from icl_lab.takes import TakesPoints

ROUNDING = 1e-10  # of what varies less than this share of its values, nothing is known
FLOAT32 = 1e-6  # the same of principal components, beside the one that varies most
QUERIES = 256  # the most points that the model is asked about at once


class Scale(NamedTuple):
    """A shift and a division, for each number by itself; what does not vary is 0, and comes back as its one value.

    Attributes:
      centre: what is taken away.
      spread: what the rest is divided by; 0 where all are alike but for rounding.
    """

    centre: Float[np.ndarray, " X"]
    spread: Float[np.ndarray, " X"]

    def apply(self, values: Float[np.ndarray, "rows X"]) -> Float[np.ndarray, "rows X"]:
        """Return the values as the model takes them."""
        return np.divide(values - self.centre, self.spread, out=np.zeros_like(values), where=self.spread > 0)

    def undo(self, values: Float[np.ndarray, "rows X"]) -> Float[np.ndarray, "rows X"]:
        """Return the values as they were given."""
        return values * self.spread + self.centre


class InContextRegressor(RegressorMixin, Learner):
    """A regressor that learns from its context.

    Each number of an input is shifted and scaled to where inputs of training lay; of more numbers than those had the
    principal components are taken, and others are filled up with zeros. Targets are brought to the spread of those of
    training, and predictions back. Of more examples than training showed each vote shows as many, and predictions
    are means over votes; else one vote shows all.

    Args:
      run: folder of the run.
      step: of its checkpoint; the latest if None.
      votes: tasks that each prediction is the mean of, where there are more examples than one shows.
      seed: of the choice of these.
      types: classes of one's own that the model has, see `load_run`.

    Attributes:
      n_features_in_: the numbers of an input.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Of more numbers than a run takes, principal components are all that it sees.
        tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any) -> "InContextRegressor":
        """Keep the examples, and how the model's inputs and targets are made of them.

        Args:
          X: numbers [rows, features].
          y: a number for each row.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True)
        y = np.asarray(y, np.float64)
        run = self._loaded()
        takes = wanted_form(run, TakesPoints)
        if getattr(run.model.trunk, "mask", None) != "prefix":
            raise ValueError(
                f"A regressor wants a model whose queries see the context and not each other, a Transformer with "
                f'mask="prefix", got {run.model.trunk}.'
            )
        if takes.num_outputs != 1:
            raise ValueError(f"The run {run.folder} has {takes.num_outputs} outputs, but y has one for each row.")
        self._components: Vectors | None = None
        if X.shape[1] > takes.num_inputs:
            self._components = fit_vectors(X, components=takes.num_inputs)
        numbers = self._numbers(X)
        if self._components is not None:  # directions in which the inputs do not vary are rounding alone
            spread = numbers.std(axis=0)
            numbers = numbers * (spread > FLOAT32 * spread.max())
        self._inputs = _to_training(numbers, takes)
        self._targets = _of_spread(y[:, None], takes.target_std)
        self._shown = self._inputs.apply(numbers), self._targets.apply(y[:, None])
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " rows"]:
        """Return the target of each row, float64 [rows].

        Args:
          X: numbers [rows, features].
        """
        check_is_fitted(self)
        asked = validate_data(self, X, dtype=np.float64, reset=False)
        run = self._loaded()
        takes = wanted_form(run, TakesPoints)
        inputs, rows = self._inputs.apply(self._numbers(asked)), len(self._shown[0])
        rng, count = np.random.default_rng(self.seed), 1 if rows <= takes.context else self.votes
        votes = [self._vote(run, takes, inputs, rng.permutation(rows)[: takes.context]) for _ in range(count)]
        return self._targets.undo(np.mean(votes, axis=0))[:, 0]

    def _numbers(self, X: Float[np.ndarray, "rows F"]) -> Float[np.ndarray, "rows X"]:
        return X if self._components is None else self._components.transform(X)

    def _vote(
        self, run: LoadedRun, takes: TakesPoints, asked: Float[np.ndarray, "rows X"], shown: np.ndarray
    ) -> Float[np.ndarray, "rows 1"]:
        """Return what is made of some of the examples; places without one are queries of which nobody asks."""
        count = at_once(len(asked), QUERIES)
        inputs = np.zeros((1, takes.context + count, takes.num_inputs), np.float32)
        targets, is_query = np.zeros((*inputs.shape[:2], 1), np.float32), np.ones(inputs.shape[:2], bool)
        context = slice(len(shown))
        inputs[0, context], targets[0, context] = padded(self._shown[0][shown], takes.num_inputs), self._shown[1][shown]
        is_query[0, context] = False
        found, queries = [], padded(asked, takes.num_inputs).astype(np.float32)
        for start in range(0, len(queries), count):
            part = queries[start : start + count]
            inputs[0, takes.context : takes.context + len(part)] = part
            predicted = run.predict({"inputs": inputs, "targets": targets, "is_query": is_query})
            found.append(np.asarray(predicted, np.float64)[0, takes.context : takes.context + len(part)])
        return np.concatenate(found)


def _to_training(numbers: Float[np.ndarray, "rows X"], takes: TakesPoints) -> Scale:
    """Return how numbers are brought to where those of training lay."""
    if takes.inputs == "normal":
        return _of_spread(numbers, 1.0)
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    return Scale((low + high) / 2, _beyond_rounding((high - low) / 2, numbers))


def _of_spread(values: Float[np.ndarray, "rows X"], std: float | None) -> Scale:
    """Return how values are brought to mean 0 and a standard deviation; they stay as they are without one."""
    if std is None:
        return Scale(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    return Scale(values.mean(axis=0), _beyond_rounding(values.std(axis=0) / std, values))


def _beyond_rounding(spread: Float[np.ndarray, " X"], values: Float[np.ndarray, "rows X"]) -> Float[np.ndarray, " X"]:
    """Return spreads, and 0 for those that are nothing but rounding beside the values."""
    return np.where(spread > ROUNDING * np.abs(values).max(axis=0), spread, 0.0)
