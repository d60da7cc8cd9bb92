"""Items, classes, sequences and tasks for in-context-learning research as NumPy arrays, streamed by Grain.

Axes: B batch, S items in a sequence, H image height and width, C classes of a bank, V labels, W ways; N points of a
task, X inputs of a point or numbers of a vector, Y outputs; K symbols, T of them in a sequence,
M tasks of a pool.
"""

from icl_data.bank import ExemplarBank, bank_from_arrays, bank_from_labels
from icl_data.banks.glyphs import glyphs
from icl_data.banks.idx import bank_from_idx, read_idx
from icl_data.banks.numpy_files import bank_from_numpy
from icl_data.banks.omniglot import Polarity, omniglot, tfds_order
from icl_data.banks.omniglot_tfds import prepare_omniglot
from icl_data.banks.synthetic import gaussian, one_hot, symbols
from icl_data.banks.tfds import bank_from_tfds
from icl_data.banks.vectors import Vectors, fit_vectors, random_vectors
from icl_data.batch import Arrays, Batch, Expandable, NumbersOf, Sampler, Transform
from icl_data.curriculum import Curriculum, ExpandableCurriculum
from icl_data.gaussian_items import GaussianItems
from icl_data.inspection.contact_sheet import contact_sheet
from icl_data.inspection.describe import describe
from icl_data.inspection.show import ShownBatch, show
from icl_data.inspection.statistics import Statistics, statistics
from icl_data.items import WithItems, expand
from icl_data.random_keys import random_keys
from icl_data.sequences.every_sequence import EverySequence
from icl_data.sequences.exemplars import Exemplars
from icl_data.sequences.kinds import (
    Bursty,
    FewShot,
    Iid,
    LabelElsewhere,
    Mixed,
    MixtureOf,
    NonBursty,
    NoSupport,
    SwappedLabels,
    WithDistractor,
)
from icl_data.sequences.labels import Draws, Labelling, Offset, Ordered, Original, Polysemy, RandomLabels, num_labels
from icl_data.sequences.pattern import Mixture, Pattern, SequenceKind
from icl_data.sequences.relabelling import Exchanged, PairLabels, label_pairs
from icl_data.sequences.sampler import SequenceSampler
from icl_data.sequences.split import ClassSet, ClassSplit, original_order
from icl_data.source import BatchSource, SequenceSource
from icl_data.stream import BatchIterator, BatchStream, batches
from icl_data.tasks.families import (
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
    LinearOnSphere,
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
from icl_data.tasks.functions import FunctionSampler
from icl_data.tasks.inputs import ContextThenGrid, DeviceNormalInputs, InputDistribution, NormalInputs, UniformInputs
from icl_data.tasks.pool import UNSEEN, TaskRandomness, Tasks, task_keys
from icl_data.tasks.processes import MarkovChains, Process, Urns
from icl_data.tasks.projected import ProjectedSampler
from icl_data.tasks.projections import NormalProjection, Projection, Rotation, SparseProjection
from icl_data.tasks.query_masks import LastQueries, QueryMask, RandomFraction, RandomQueries
from icl_data.tasks.shifted_inputs import OrthogonalQueries, QuadrantInputs, RepeatedQueries, SpectrumInputs
from icl_data.tasks.symbols import SymbolSampler
from icl_data.transforms import PixelNoise, RandomRareImages, Resize, ToFloat, resize, to_float

__all__ = [
    "KNOWN_FAMILIES",
    "UNSEEN",
    "AbsoluteValue",
    "Activation",
    "Affine",
    "Arrays",
    "Batch",
    "BatchIterator",
    "BatchSource",
    "BatchStream",
    "Bursty",
    "ClassSet",
    "ClassSplit",
    "ContextThenGrid",
    "Curriculum",
    "DecisionTree",
    "DeviceNormalInputs",
    "Draws",
    "EverySequence",
    "Exchanged",
    "ExemplarBank",
    "Exemplars",
    "Expandable",
    "ExpandableCurriculum",
    "Exponential",
    "Family",
    "FewShot",
    "FunctionSampler",
    "Functions",
    "GaussianItems",
    "GaussianProcessDraw",
    "Iid",
    "InputDistribution",
    "LabelElsewhere",
    "Labelling",
    "LastQueries",
    "Linear",
    "LinearOnSphere",
    "MarkovChains",
    "Mixed",
    "Mixture",
    "MixtureOf",
    "NoSupport",
    "NonBursty",
    "NormalInputs",
    "NormalProjection",
    "NumbersOf",
    "Offset",
    "Ordered",
    "Original",
    "OrthogonalQueries",
    "PairLabels",
    "Pattern",
    "PiecewiseLinear",
    "PixelNoise",
    "Polarity",
    "Polynomial",
    "Polysemy",
    "Process",
    "ProjectedSampler",
    "Projection",
    "QuadrantInputs",
    "QueryMask",
    "RandomFraction",
    "RandomLabels",
    "RandomMLP",
    "RandomQueries",
    "RandomRareImages",
    "ReluNetwork",
    "RepeatedQueries",
    "Resize",
    "Rotation",
    "Sampler",
    "SequenceKind",
    "SequenceSampler",
    "SequenceSource",
    "ShownBatch",
    "Sine",
    "SparseLinear",
    "SparseProjection",
    "Specs",
    "SpectrumInputs",
    "Statistics",
    "StepFunction",
    "SwappedLabels",
    "SymbolSampler",
    "TaskRandomness",
    "Tasks",
    "ToFloat",
    "Transform",
    "UniformInputs",
    "Urns",
    "Vectors",
    "WithDistractor",
    "WithItems",
    "bank_from_arrays",
    "bank_from_idx",
    "bank_from_labels",
    "bank_from_numpy",
    "bank_from_tfds",
    "batches",
    "contact_sheet",
    "describe",
    "draw_functions",
    "expand",
    "fit_vectors",
    "gaussian",
    "glyphs",
    "label_pairs",
    "num_labels",
    "omniglot",
    "one_hot",
    "original_order",
    "prepare_omniglot",
    "random_keys",
    "random_vectors",
    "read_idx",
    "resize",
    "show",
    "statistics",
    "symbols",
    "task_keys",
    "tfds_order",
    "to_float",
]
