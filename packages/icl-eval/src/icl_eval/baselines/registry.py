"""The baselines that a model is compared with, by the names under which they stand in tables and figures.

Their options suit targets of unit variance and inputs in about -2..2; make others with `dataclasses.replace`.

Those "without intercept" go through 0, as the code of Garg et al. (2022), arXiv 2208.01066, has them for linear
functions: there they know more than those with one. Averaging and 3-NN are that code's, too.
"""

import functools
from typing import Any

from icl_eval.baselines.classifiers import Classifier, MajorityLabel, NearestLabels, RidgeLabels
from icl_eval.baselines.closed_form import (
    Averaging,
    Constant,
    GaussianProcess,
    LeastSquares,
    NearestNeighbours,
    Regressor,
    Ridge,
)
from icl_eval.baselines.fitted import Sklearn, TrainedMLP
from icl_eval.baselines.trained_classifier import TrainedClassifier


def _lasso(*, intercept: bool) -> Any:
    from sklearn.linear_model import Lasso

    return Lasso(alpha=0.01, fit_intercept=intercept, max_iter=10_000)


def _decision_tree() -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(random_state=0)  # the seed settles which of equally good splits is taken


def _logistic_regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)


REGRESSORS: dict[str, Regressor] = {
    "3-NN": NearestNeighbours(k=3),
    "constant": Constant(),
    "averaging": Averaging(),
    "least squares": LeastSquares(intercept=True),
    "least squares without intercept": LeastSquares(intercept=False),
    "ridge": Ridge(penalty=0.1, intercept=True),
    "ridge without intercept": Ridge(penalty=0.1, intercept=False),
    "Gaussian process": GaussianProcess(length_scale=1.0, noise=0.01),
    "Lasso": Sklearn(functools.partial(_lasso, intercept=True)),
    "Lasso without intercept": Sklearn(functools.partial(_lasso, intercept=False)),
    "decision tree": Sklearn(_decision_tree),
    "trained MLP": TrainedMLP(hidden=100, steps=1000, learning_rate=0.005, seed=0),
}

CLASSIFIERS: dict[str, Classifier] = {
    "1-NN": NearestLabels(k=1),
    "3-NN": NearestLabels(k=3),
    "logistic regression": Sklearn(_logistic_regression),
    "ridge": RidgeLabels(penalty=1.0),
    "majority label": MajorityLabel(),
    "SGD from scratch": TrainedClassifier(hidden=(64,), steps=100, learning_rate=3.0, seed=0),
}
