"""Items, classes, sequences and tasks for in-context-learning research as NumPy arrays, streamed by Grain.

Axes: B batch, S items in a sequence, H image height and width, C classes of a bank, V labels, W ways; N points of a
task, X inputs of a point or numbers of a vector, Y outputs.
"""

from icl_data.bank import ExemplarBank, bank_from_arrays, bank_from_labels
from icl_data.families import (
    KNOWN_FAMILIES,
    AbsoluteValue,
    Activation,
    Affine,
    DecisionTree,
    Exponential,
    Family,
    Functions,
    GaussianProcessDraw,
    Linear,
    PiecewiseLinear,
    Polynomial,
    RandomMLP,
    ReluNetwork,
    Sine,
    SparseLinear,
    Specs,
    StepFunction,
    draw_functions,
)
from icl_data.function_tasks import FunctionSampler
from icl_data.gaussian import gaussian
from icl_data.glyphs import glyphs
from icl_data.idx import read_idx
from icl_data.input_distributions import ContextThenGrid, InputDistribution, NormalInputs, UniformInputs
from icl_data.kinds import Bursty, FewShot, Iid, LabelElsewhere, Mixed, NonBursty, NoSupport, SwappedLabels
from icl_data.labelled_tfds import bank_from_tfds
from icl_data.labels import Draws, Labelling, Offset, Ordered, Original, Polysemy, Unfixed, num_labels
from icl_data.omniglot import Polarity, omniglot
from icl_data.omniglot_tfds import prepare_omniglot
from icl_data.pattern import Mixture, Pattern, SequenceKind
from icl_data.projected_tasks import ProjectedSampler
from icl_data.query_masks import LastQueries, QueryMask, RandomFraction, RandomQueries
from icl_data.sampler import SequenceSampler
from icl_data.split import ClassSet, ClassSplit
from icl_data.steps import PixelNoise, RandomRareImages, Resize, ToFloat, resize, to_float
from icl_data.stream import BatchSource, Sampler, SequenceSource, Step, batches
from icl_data.symbols import symbols
from icl_data.tasks import UNSEEN, TaskDraws, Tasks
from icl_data.vectors import Vectors, fit_vectors, random_vectors

__all__ = [
    "KNOWN_FAMILIES",
    "UNSEEN",
    "AbsoluteValue",
    "Activation",
    "Affine",
    "BatchSource",
    "Bursty",
    "ClassSet",
    "ClassSplit",
    "ContextThenGrid",
    "DecisionTree",
    "Draws",
    "ExemplarBank",
    "Exponential",
    "Family",
    "FewShot",
    "FunctionSampler",
    "Functions",
    "GaussianProcessDraw",
    "Iid",
    "InputDistribution",
    "LabelElsewhere",
    "Labelling",
    "LastQueries",
    "Linear",
    "Mixed",
    "Mixture",
    "NoSupport",
    "NonBursty",
    "NormalInputs",
    "Offset",
    "Ordered",
    "Original",
    "Pattern",
    "PiecewiseLinear",
    "PixelNoise",
    "Polarity",
    "Polynomial",
    "Polysemy",
    "ProjectedSampler",
    "QueryMask",
    "RandomFraction",
    "RandomMLP",
    "RandomQueries",
    "RandomRareImages",
    "ReluNetwork",
    "Resize",
    "Sampler",
    "SequenceKind",
    "SequenceSampler",
    "SequenceSource",
    "Sine",
    "SparseLinear",
    "Specs",
    "Step",
    "StepFunction",
    "SwappedLabels",
    "TaskDraws",
    "Tasks",
    "ToFloat",
    "Unfixed",
    "UniformInputs",
    "Vectors",
    "bank_from_arrays",
    "bank_from_labels",
    "bank_from_tfds",
    "batches",
    "draw_functions",
    "fit_vectors",
    "gaussian",
    "glyphs",
    "num_labels",
    "omniglot",
    "prepare_omniglot",
    "random_vectors",
    "read_idx",
    "resize",
    "symbols",
    "to_float",
]
