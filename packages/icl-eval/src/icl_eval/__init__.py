"""In-context and in-weights measures with intervals, figures and self-contained reports.

Axes, here and in every module: B sequences in a batch, S items in a sequence, V labels, H and W pixels,
K examples, N values or points of a curve.
"""

from icl_eval.curve import Curve
from icl_eval.estimate import Estimate, mean, proportion
from icl_eval.evaluation import Evaluation, Result, evaluate
from icl_eval.examples import Examples
from icl_eval.figures import DARK, LIGHT, Theme, comparison, emergence, encode
from icl_eval.measures import Scores, cross_entropy, predicted_label, score
from icl_eval.report import write_report
from icl_eval.run import Run, read_run
from icl_eval.run_folder import append_evaluations, drop_evaluations_after, save_examples, write_summary

__all__ = [
    "DARK",
    "LIGHT",
    "Curve",
    "Estimate",
    "Evaluation",
    "Examples",
    "Result",
    "Run",
    "Scores",
    "Theme",
    "append_evaluations",
    "comparison",
    "cross_entropy",
    "drop_evaluations_after",
    "emergence",
    "encode",
    "evaluate",
    "mean",
    "predicted_label",
    "proportion",
    "read_run",
    "save_examples",
    "score",
    "write_report",
    "write_summary",
]
