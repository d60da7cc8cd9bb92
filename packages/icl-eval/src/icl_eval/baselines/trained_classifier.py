"""A network that is trained from scratch on the context of each task, as a classifier."""

import dataclasses
import math
import numbers

import numpy as np

from icl_eval.baselines.context import Inputs, Labels, Points, Queries, labelled
from icl_eval.baselines.networks import Descent, OptimizerName, initial_network, predicted_labels
from icl_eval.checks import check_positive, check_whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A ReLU network with a softmax, trained from scratch on the context of each task by gradient descent.

    All of the context is in every step, and the learning rate is constant. Only the labels of the context can be
    predicted. A task's items are divided by the root mean square of the numbers of its context's, and weights by the
    root of their fan-in where they are used (`initial_network`), so that one learning rate suits items of any size and
    scale. The tasks are trained side by side in float32 and from the same initial weights; a task comes to the same in
    whatever batch, and permuted labels to permuted predictions.

    Attributes:
      hidden: the units of each hidden layer, each at least 1; () is multinomial logistic regression.
      steps: of gradient descent, at least 1.
      learning_rate: above 0; a hundredth of the default suits Adam.
      optimizer: plain gradient descent, or Adam.
      penalty: times half the sum of squared weights (of items as they are divided, biases apart), beside the sum of
        cross-entropies; 0 or more. Scikit-learn's C is its inverse.
      seed: of the initial weights of hidden layers, 0 or more.

    Source: Kirsch et al. (2022), arXiv 2212.04458, table 1, "SGD"; the network, rate and steps are ours.

    >>> items, hidden = np.array([[[-1.0], [1.0], [1.2], [0.7]]]), np.array([[False, False, False, True]])
    >>> TrainedClassifier().predict(items, np.array([[3, 1, 1, 0]]), hidden, 5)
    array([[3, 1, 1, 1]], dtype=int32)
    """

    hidden: tuple[int, ...] = (64,)
    steps: int = 100
    learning_rate: float = 3.0
    optimizer: OptimizerName = "sgd"
    penalty: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for units in self.hidden:
            check_whole("each of hidden", units, least=1)
        check_whole("steps", self.steps, least=1)
        check_whole("seed", self.seed, least=0)
        check_positive("learning_rate", self.learning_rate)
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"optimizer must be 'sgd' or 'adam', got {self.optimizer!r}.")
        if not isinstance(self.penalty, numbers.Real) or not (self.penalty >= 0 and math.isfinite(self.penalty)):
            raise ValueError(f"penalty must be a finite number of at least 0, got {self.penalty!r}.")

    def predict(self, items: Inputs, labels: Labels, is_query: Queries, num_labels: int) -> Labels:
        """See `Classifier`."""
        tasks = _scaled(labelled(items, labels, is_query, num_labels))
        network = initial_network(self.seed, (tasks.inputs.shape[2], *self.hidden, num_labels))
        known = ((tasks.targets[:, :, None] == np.arange(num_labels)) & tasks.shown[:, :, None]).any(axis=1)
        descent = Descent(self.steps, self.learning_rate, self.penalty)
        return predicted_labels(network, tasks, known, descent, self.optimizer)


def _scaled(tasks: Points) -> Points:
    """Return tasks with items divided by the root mean square of the numbers of the context's, if that is not 0."""
    numbers_shown = tasks.shown.sum(axis=1) * tasks.inputs.shape[2]
    squares = (np.square(tasks.inputs) * tasks.shown[:, :, None]).sum(axis=(1, 2))
    scale = np.sqrt(squares / np.maximum(numbers_shown, 1))
    return tasks._replace(inputs=tasks.inputs / np.where(scale > 0, scale, 1)[:, None, None])
