"""In-context and in-weights measures with intervals, figures and self-contained reports.

Axes, here and in every module: B sequences in a batch, S items in a sequence, V labels, H and W pixels,
K examples, N values or points of a curve, L layers, H heads, T tokens.
"""

from icl_eval.ablation import ablate_heads
from icl_eval.attention_examples import AttentionExamples
from icl_eval.attention_figure import attention_map, attention_rows
from icl_eval.baselines import CLASSIFIERS, REGRESSORS
from icl_eval.by_examples import ByExamples
from icl_eval.classifiers import (
    Classifier,
    LogisticRegression,
    MajorityLabel,
    NearestLabels,
    RidgeLabels,
    labels_by_position,
)
from icl_eval.comparison_figures import accuracies_over_training, final_values
from icl_eval.comparison_page import write_comparison
from icl_eval.confusion_figure import confusion, confusion_matrix
from icl_eval.context_baselines import context_baselines
from icl_eval.curve import Curve
from icl_eval.drawing import DARK, LIGHT, Theme, encode
from icl_eval.estimate import Estimate, mean, proportion, ratio, task_proportion
from icl_eval.evaluation import Evaluation, Result, evaluate
from icl_eval.examples import Examples
from icl_eval.figures import comparison, emergence
from icl_eval.fits import Fits
from icl_eval.fitted_regressors import DecisionTree, Lasso, TrainedMLP
from icl_eval.frequency_figure import by_frequency, deciles
from icl_eval.function_evaluation import evaluate_functions
from icl_eval.gallery import Picture, Table, write_gallery
from icl_eval.grid import heat_map
from icl_eval.head_evaluation import evaluate_heads
from icl_eval.heads import (
    HeadScores,
    head_scores,
    induction_score,
    previous_token_score,
    same_class_score,
    uniform_scores,
)
from icl_eval.heads_figure import ablations, heads_over_training
from icl_eval.label_evaluation import evaluate_labels
from icl_eval.label_sets import LabelSets
from icl_eval.measures import Scores, cross_entropy, predicted_label, score
from icl_eval.phases import majority, phase_curve
from icl_eval.positions import accuracy_by_examples, improvement, mean_by_examples
from icl_eval.regressors import (
    Averaging,
    Constant,
    GaussianProcess,
    LeastSquares,
    NearestNeighbours,
    Regressor,
    Ridge,
)
from icl_eval.report import write_report
from icl_eval.run import Run, read_run
from icl_eval.run_folder import (
    append_evaluations,
    drop_evaluations_after,
    evaluated_steps,
    save_attention,
    save_by_examples,
    save_examples,
    save_fits,
    write_summary,
)
from icl_eval.seeds import group_runs, over_seeds
from icl_eval.sequence_measures import Fraction, Lookups, Sequences, measure
from icl_eval.settings_figure import against_settings
from icl_eval.sizes import SizePoint, against_size
from icl_eval.tally import Tally
from icl_eval.task_figures import fitted_functions, learning_curves, over_training
from icl_eval.token_places import TokenPlaces
from icl_eval.transience_figure import describe_transience, transience
from icl_eval.verdict import Judgement, Progress, Thresholds, Verdict, judge, judge_functions, judge_labels

__all__ = [
    "CLASSIFIERS",
    "DARK",
    "LIGHT",
    "REGRESSORS",
    "AttentionExamples",
    "Averaging",
    "ByExamples",
    "Classifier",
    "Constant",
    "Curve",
    "DecisionTree",
    "Estimate",
    "Evaluation",
    "Examples",
    "Fits",
    "Fraction",
    "GaussianProcess",
    "HeadScores",
    "Judgement",
    "LabelSets",
    "Lasso",
    "LeastSquares",
    "LogisticRegression",
    "Lookups",
    "MajorityLabel",
    "NearestLabels",
    "NearestNeighbours",
    "Picture",
    "Progress",
    "Regressor",
    "Result",
    "Ridge",
    "RidgeLabels",
    "Run",
    "Scores",
    "Sequences",
    "SizePoint",
    "Table",
    "Tally",
    "Theme",
    "Thresholds",
    "TokenPlaces",
    "TrainedMLP",
    "Verdict",
    "ablate_heads",
    "ablations",
    "accuracies_over_training",
    "accuracy_by_examples",
    "against_settings",
    "against_size",
    "append_evaluations",
    "attention_map",
    "attention_rows",
    "by_frequency",
    "comparison",
    "confusion",
    "confusion_matrix",
    "context_baselines",
    "cross_entropy",
    "deciles",
    "describe_transience",
    "drop_evaluations_after",
    "emergence",
    "encode",
    "evaluate",
    "evaluate_functions",
    "evaluate_heads",
    "evaluate_labels",
    "evaluated_steps",
    "final_values",
    "fitted_functions",
    "group_runs",
    "head_scores",
    "heads_over_training",
    "heat_map",
    "improvement",
    "induction_score",
    "judge",
    "judge_functions",
    "judge_labels",
    "labels_by_position",
    "learning_curves",
    "majority",
    "mean",
    "mean_by_examples",
    "measure",
    "over_seeds",
    "over_training",
    "phase_curve",
    "predicted_label",
    "previous_token_score",
    "proportion",
    "ratio",
    "read_run",
    "same_class_score",
    "save_attention",
    "save_by_examples",
    "save_examples",
    "save_fits",
    "score",
    "task_proportion",
    "transience",
    "uniform_scores",
    "write_comparison",
    "write_gallery",
    "write_report",
    "write_summary",
]
