"""What all learners have: the run that they are of, and which of the examples they show its model."""

import functools
import numbers
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator

import icl_train as training
from icl_lab.loaded_run import LoadedRun, load_run
from icl_lab.saved_models import stamp_of
from icl_lab.takes import Takes, TakesPoints, TakesVectors

if TYPE_CHECKING:
    from icl_lab.learners.classifier import InContextClassifier
    from icl_lab.learners.regressor import InContextRegressor

KEPT = 4  # models in memory, whatever estimators ask for them

Form = TypeVar("Form", TakesVectors, TakesPoints)


class Learner(BaseEstimator):
    """A trained run as an estimator of scikit-learn: ``fit`` keeps examples, ``predict`` shows them to the model.

    Nothing is trained: the model learns from its context, as it was meta-trained to (Kirsch et al. 2022).
    ``Learner.load`` makes one of a run's folder.
    """

    def __init__(
        self,
        run: str | Path | None = None,
        *,
        step: int | None = None,
        votes: int = 16,
        seed: int = 0,
        types: tuple[type, ...] = (),
    ) -> None:
        """Keep the parameters; see `InContextClassifier` and `InContextRegressor`."""
        self.run, self.step, self.votes, self.seed, self.types = run, step, votes, seed, types

    @staticmethod
    def load(run: str | Path, **options: Any) -> "InContextClassifier | InContextRegressor":
        """Return the learner that a run is.

        Args:
          run: its folder.
          options: ``step``, ``votes``, ``seed`` and ``types``, see `InContextClassifier`.

        Raises:
          FileNotFoundError: there is no such run or checkpoint.
          ValueError: a run that takes no data of one's own, such as one on images.
        """
        from icl_lab.learners.classifier import InContextClassifier
        from icl_lab.learners.regressor import InContextRegressor

        is_classifier = isinstance(
            takes_of(loaded(run, options.get("step"), tuple(options.get("types", ())))), TakesVectors
        )
        return (InContextClassifier if is_classifier else InContextRegressor)(run, **options)

    def _loaded(self) -> LoadedRun:
        if self.run is None:
            raise ValueError("run is None; give the folder of a trained run, as in Learner.load('runs/x').")
        if not isinstance(self.votes, numbers.Integral) or self.votes < 1:
            raise ValueError(f"votes must be a whole number of at least 1, got {self.votes!r}.")
        return loaded(self.run, self.step, self.types)


def loaded(run: str | Path, step: int | None, types: tuple[type, ...] = ()) -> LoadedRun:
    """Return a run, read once for all estimators that ask for it, and again once it has changed."""
    folder = training.expanded(run).resolve()
    return _loaded(folder, step, types, stamp_of(folder))


@functools.lru_cache(maxsize=KEPT)
def _loaded(folder: Path, step: int | None, types: tuple[type, ...], stamp: object) -> LoadedRun:
    return load_run(folder, step=step, types=types)


def takes_of(run: LoadedRun) -> Takes:
    """Return what data the model of a run takes.

    Raises:
      ValueError: none of one's own.
    """
    if run.takes is None:
        raise ValueError(
            f"The run {run.folder} takes no data of one's own: its experiment does not say of what form these would be "
            "(Experiment.takes)."
        )
    return run.takes


def wanted_form(run: LoadedRun, form: type[Form]) -> Form:
    """Return what the model of a run takes, which must be of this kind."""
    takes = takes_of(run)
    if not isinstance(takes, form):
        raise ValueError(f"{run.folder} takes {takes}, and not {form.__name__}; Learner.load finds the right learner.")
    return takes


def at_once(rows: int, most: int) -> int:
    """Return of how many rows a batch is: a power of two, so that few programs are compiled.

    >>> at_once(3, 512), at_once(100, 512), at_once(9_999, 512)
    (16, 128, 512)
    """
    return min(most, max(16, 1 << (rows - 1).bit_length()))


def padded(vectors: Float[np.ndarray, "rows X"], width: int) -> Float[np.ndarray, "rows W"]:
    """Return vectors with zeros for the numbers that they lack."""
    return np.pad(vectors, ((0, 0), (0, width - vectors.shape[1])))


def balanced(classes: Int[np.ndarray, " rows"], most: int, rng: np.random.Generator) -> Int[np.ndarray, " chosen"]:
    """Return rows in a random order, at most so many, of which each class has as many as the others or all it has."""
    order = rng.permutation(len(classes))
    sorted_by_class = order[np.argsort(classes[order], kind="stable")]
    _, firsts, counts = np.unique(classes[sorted_by_class], return_index=True, return_counts=True)
    rank = np.arange(len(classes)) - np.repeat(firsts, counts)  # of a row among those of its class
    ties = rng.uniform(size=len(classes))
    return rng.permutation(sorted_by_class[np.lexsort((ties, rank))[:most]])
