"""In-context and in-weights measures with intervals, figures and self-contained reports.

Axes, here and in every module: B sequences in a batch, S items in a sequence, V labels, H and W pixels,
K examples, N values or points of a curve, L layers, H heads, T tokens.
"""

from icl_eval.attention.ablation import ablate_heads
from icl_eval.attention.evaluate_heads import evaluate_heads
from icl_eval.attention.scores import (
    HeadScores,
    head_scores,
    induction_score,
    previous_token_score,
    same_class_score,
    uniform_scores,
)
from icl_eval.attention.token_positions import TokenPlaces
from icl_eval.baselines.classifiers import (
    Classifier,
    LogisticRegression,
    MajorityLabel,
    NearestLabels,
    RidgeLabels,
    labels_by_position,
)
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
from icl_eval.baselines.registry import CLASSIFIERS, REGRESSORS
from icl_eval.figures.attention import attention_map, attention_rows
from icl_eval.figures.drawing import encode
from icl_eval.figures.frequency import by_frequency, deciles
from icl_eval.figures.grid import confusion, confusion_matrix, heat_map
from icl_eval.figures.heads import ablations, heads_over_training
from icl_eval.figures.sweeps import SizePoint, against_settings, against_size, most_frequent, phase_curve
from icl_eval.figures.tasks import fitted_functions, learning_curves
from icl_eval.figures.training import emergence, final_values, group_colours, groups_over_training
from icl_eval.figures.transience import describe_transience, transience
from icl_eval.report.comparison import write_comparison
from icl_eval.report.gallery import Picture, Table, write_gallery
from icl_eval.report.report import write_report
from icl_eval.results.curve import Curve
from icl_eval.results.estimate import Estimate, mean, proportion, ratio, task_proportion
from icl_eval.results.result import Evaluation, Result
from icl_eval.results.saved_arrays import AttentionExamples, ByExamples, Examples, Fits
from icl_eval.results.tally import Fraction, Tally
from icl_eval.runs.learner_type import Judgement, Progress, Thresholds, Verdict, judge, judge_functions, judge_labels
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.seeds import group_runs, over_seeds
from icl_eval.runs.writing import (
    append_evaluations,
    drop_evaluations_after,
    evaluated_steps,
    save_attention,
    save_by_examples,
    save_examples,
    save_fits,
    write_summary,
)
from icl_eval.sequences.context_baselines import context_baselines
from icl_eval.sequences.evaluate import evaluate
from icl_eval.sequences.label_sets import LabelSets
from icl_eval.sequences.measures import Scores, cross_entropy, predicted_label, score
from icl_eval.sequences.sequence_measures import Lookups, Sequences, measure
from icl_eval.tasks.functions import evaluate_functions
from icl_eval.tasks.labels import evaluate_labels
from icl_eval.tasks.shots import accuracy_by_examples, improvement, mean_by_examples

__all__ = [
    "CLASSIFIERS",
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
    "Thresholds",
    "TokenPlaces",
    "TrainedMLP",
    "Verdict",
    "ablate_heads",
    "ablations",
    "accuracy_by_examples",
    "against_settings",
    "against_size",
    "append_evaluations",
    "attention_map",
    "attention_rows",
    "by_frequency",
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
    "group_colours",
    "group_runs",
    "groups_over_training",
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
    "mean",
    "mean_by_examples",
    "measure",
    "most_frequent",
    "over_seeds",
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
