"""The baselines that a model is compared with, by the names under which they stand in tables and figures.

Their options suit targets of unit variance and inputs in about -2..2; make others with `dataclasses.replace`.
"""

from icl_eval.baselines.classifiers import Classifier, LogisticRegression, MajorityLabel, NearestLabels, RidgeLabels
from icl_eval.baselines.closed_form import (
    Averaging,
    Constant,
    GaussianProcess,
    LeastSquares,
    NearestNeighbours,
    Regressor,
    Ridge,
)
from icl_eval.baselines.fitted import DecisionTree, Lasso, TrainedMLP

REGRESSORS: dict[str, Regressor] = {
    "3-NN": NearestNeighbours(k=3),
    "constant": Constant(),
    "averaging": Averaging(),
    "least squares": LeastSquares(intercept=True),
    "ridge": Ridge(penalty=0.1, intercept=True),
    "Gaussian process": GaussianProcess(length_scale=1.0, noise=0.01),
    "Lasso": Lasso(penalty=0.01, intercept=True),
    "decision tree": DecisionTree(max_depth=None),
    "trained MLP": TrainedMLP(hidden=100, steps=1000, learning_rate=0.005, seed=0),
}

CLASSIFIERS: dict[str, Classifier] = {
    "1-NN": NearestLabels(k=1),
    "3-NN": NearestLabels(k=3),
    "logistic regression": LogisticRegression(penalty=1.0),
    "ridge": RidgeLabels(penalty=1.0),
    "majority label": MajorityLabel(),
}
