"""In-context and in-weights measures with intervals, figures and self-contained reports.

Axes, here and in every module: B sequences or tasks in a batch, S items in a sequence (the query last), P predicted
items (the last P of the S), N values, or points of a task or a curve, X numbers of an input, Y of a target, V labels, C
classes, context items or context sizes, H and W (or P and Q) pixels, K examples or possible labels, M measures,
L layers, H heads or hidden units, I and O inputs and outputs of a layer, T tokens. Layers, heads and tokens are
numbered from 0.
"""

from icl_eval.attention.ablation import ablate_heads
from icl_eval.attention.evaluate_heads import evaluate_heads
from icl_eval.attention.patching import Patched, PatchedPredictor, patch_each
from icl_eval.attention.scores import (
    HeadScores,
    head_scores,
    induction_score,
    previous_token_score,
    same_class_score,
    uniform_scores,
)
from icl_eval.attention.token_positions import TokenPositions
from icl_eval.baselines.classifiers import (
    Classifier,
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
from icl_eval.baselines.fitted import Sklearn, TrainedMLP
from icl_eval.baselines.maml import MAML, meta_train
from icl_eval.baselines.registry import CLASSIFIERS, REGRESSORS
from icl_eval.baselines.trained_classifier import TrainedClassifier
from icl_eval.figures.against_option import against_option
from icl_eval.figures.attention import attention_map, attention_rows
from icl_eval.figures.drawing import encode
from icl_eval.figures.frequency import by_frequency, deciles
from icl_eval.figures.grid import confusion, confusion_matrix, heat_map
from icl_eval.figures.heads import ablations, heads_over_training
from icl_eval.figures.sweeps import SizePoint, against_settings, against_size, most_frequent, phase_curve
from icl_eval.figures.tasks import fitted_functions, learning_curves
from icl_eval.figures.training import emergence, final_values, group_colours, groups_over_training, run_over_training
from icl_eval.figures.transience import describe_transience, transience
from icl_eval.optimal.distances import (
    Mixture,
    excess_by_shots,
    nearest_mixture,
    relative_distance,
    squared_distance,
    symmetric_divergence,
)
from icl_eval.optimal.every_point import PointPredictor, evaluate_every_point
from icl_eval.optimal.every_symbol import SymbolPredictor, evaluate_every_symbol
from icl_eval.optimal.pool import dmmse
from icl_eval.optimal.positions import at_every_position
from icl_eval.optimal.symbols import chain_posterior, stationary, symbol_counts, transition_counts, urn_posterior
from icl_eval.report.comparison import write_comparison
from icl_eval.report.gallery import Picture, Table
from icl_eval.report.report import write_report
from icl_eval.report.sweep import write_sweep
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, mean, proportion, ratio, task_proportion
from icl_eval.results.headline import Headline
from icl_eval.results.own_measures import OwnMeasure
from icl_eval.results.result import Evaluation, Family, Measure, Result
from icl_eval.results.saved_arrays import AttentionMaps, Examples, Fits, ShotCurves
from icl_eval.results.tally import Ratio, Tally
from icl_eval.runs.copying import copy_run
from icl_eval.runs.learner_kinds import LearnerKind, LearnerType, Thresholds, classify_learner
from icl_eval.runs.learner_type import learner_type
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.seeds import group_runs, over_seeds
from icl_eval.runs.writing import append_evaluations, drop_evaluations_after, evaluated, write_summary
from icl_eval.sequences.context_baselines import ContextBaseline, context_baselines
from icl_eval.sequences.evaluate import evaluate
from icl_eval.sequences.label_sets import LabelSets
from icl_eval.sequences.measures import Scores, cross_entropy, predicted_label, score
from icl_eval.sequences.sequence_measures import MEASURES, LabelLookups, Sequences, measure, sequence_estimates
from icl_eval.sweeps.bimodality import bimodality
from icl_eval.sweeps.crossing import Crossing, crossing
from icl_eval.sweeps.emergence import Emergence, time_of_emergence
from icl_eval.sweeps.emergence_table import emergence_table
from icl_eval.sweeps.power_law import PowerLaw, fit_power_law
from icl_eval.sweeps.rank_correlation import RankCorrelation, rank_correlation
from icl_eval.sweeps.run_table import RunTable
from icl_eval.sweeps.survival import Quartiles, kaplan_meier, quartiles
from icl_eval.sweeps.table import table
from icl_eval.tasks.functions import evaluate_functions
from icl_eval.tasks.labels import evaluate_labels
from icl_eval.tasks.shots import accuracy_by_shots, improvement, mean_by_shots
from icl_eval.theory.error_curve import linear_attention_error
from icl_eval.theory.linear_attention import LinearAttention, fit_linear_attention

__all__ = [
    "CLASSIFIERS",
    "MAML",
    "MEASURES",
    "REGRESSORS",
    "AttentionMaps",
    "Averaging",
    "Classifier",
    "Constant",
    "ContextBaseline",
    "Crossing",
    "Emergence",
    "Estimate",
    "Evaluation",
    "Examples",
    "Family",
    "Fits",
    "GaussianProcess",
    "HeadScores",
    "Headline",
    "LabelLookups",
    "LabelSets",
    "LearnerKind",
    "LearnerType",
    "LeastSquares",
    "LinearAttention",
    "MajorityLabel",
    "Measure",
    "Mixture",
    "NearestLabels",
    "NearestNeighbours",
    "OwnMeasure",
    "Patched",
    "PatchedPredictor",
    "Picture",
    "PointPredictor",
    "PowerLaw",
    "Quartiles",
    "RankCorrelation",
    "Ratio",
    "Regressor",
    "Result",
    "Ridge",
    "RidgeLabels",
    "Run",
    "RunTable",
    "ScalarCurve",
    "Scores",
    "Sequences",
    "ShotCurves",
    "SizePoint",
    "Sklearn",
    "SymbolPredictor",
    "Table",
    "Tally",
    "Thresholds",
    "TokenPositions",
    "TrainedClassifier",
    "TrainedMLP",
    "ablate_heads",
    "ablations",
    "accuracy_by_shots",
    "against_option",
    "against_settings",
    "against_size",
    "append_evaluations",
    "at_every_position",
    "attention_map",
    "attention_rows",
    "bimodality",
    "by_frequency",
    "chain_posterior",
    "classify_learner",
    "confusion",
    "confusion_matrix",
    "context_baselines",
    "copy_run",
    "cross_entropy",
    "crossing",
    "deciles",
    "describe_transience",
    "dmmse",
    "drop_evaluations_after",
    "emergence",
    "emergence_table",
    "encode",
    "evaluate",
    "evaluate_every_point",
    "evaluate_every_symbol",
    "evaluate_functions",
    "evaluate_heads",
    "evaluate_labels",
    "evaluated",
    "excess_by_shots",
    "final_values",
    "fit_linear_attention",
    "fit_power_law",
    "fitted_functions",
    "group_colours",
    "group_runs",
    "groups_over_training",
    "head_scores",
    "heads_over_training",
    "heat_map",
    "improvement",
    "induction_score",
    "kaplan_meier",
    "labels_by_position",
    "learner_type",
    "learning_curves",
    "linear_attention_error",
    "mean",
    "mean_by_shots",
    "measure",
    "meta_train",
    "most_frequent",
    "nearest_mixture",
    "over_seeds",
    "patch_each",
    "phase_curve",
    "predicted_label",
    "previous_token_score",
    "proportion",
    "quartiles",
    "rank_correlation",
    "ratio",
    "read_run",
    "relative_distance",
    "run_over_training",
    "same_class_score",
    "score",
    "sequence_estimates",
    "squared_distance",
    "stationary",
    "symbol_counts",
    "symmetric_divergence",
    "table",
    "task_proportion",
    "time_of_emergence",
    "transience",
    "transition_counts",
    "uniform_scores",
    "urn_posterior",
    "write_comparison",
    "write_report",
    "write_summary",
    "write_sweep",
]
