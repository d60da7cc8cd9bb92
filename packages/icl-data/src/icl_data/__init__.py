"""Items, classes and sequences for in-context-learning research as NumPy arrays, streamed by Grain.

Axes: B batch, S items in a sequence, H image height and width, C classes of a bank, V labels, W ways.
"""

from icl_data.bank import ExemplarBank, bank_from_arrays, bank_from_labels
from icl_data.gaussian import gaussian
from icl_data.glyphs import glyphs
from icl_data.idx import read_idx
from icl_data.kinds import Bursty, FewShot, Iid, LabelElsewhere, Mixed, NonBursty, NoSupport, SwappedLabels
from icl_data.labelled_tfds import bank_from_tfds
from icl_data.labels import Draws, Labelling, Offset, Ordered, Original, Polysemy, Unfixed, num_labels
from icl_data.omniglot import Polarity, omniglot
from icl_data.omniglot_tfds import prepare_omniglot
from icl_data.pattern import Mixture, Pattern, SequenceKind
from icl_data.sampler import SequenceSampler
from icl_data.split import ClassSet, ClassSplit
from icl_data.steps import PixelNoise, RandomRareImages, Resize, ToFloat, resize, to_float
from icl_data.stream import BatchSource, SequenceSource, Step, batches
from icl_data.symbols import symbols

__all__ = [
    "BatchSource",
    "Bursty",
    "ClassSet",
    "ClassSplit",
    "Draws",
    "ExemplarBank",
    "FewShot",
    "Iid",
    "LabelElsewhere",
    "Labelling",
    "Mixed",
    "Mixture",
    "NoSupport",
    "NonBursty",
    "Offset",
    "Ordered",
    "Original",
    "Pattern",
    "PixelNoise",
    "Polarity",
    "Polysemy",
    "RandomRareImages",
    "Resize",
    "SequenceKind",
    "SequenceSampler",
    "SequenceSource",
    "Step",
    "SwappedLabels",
    "ToFloat",
    "Unfixed",
    "bank_from_arrays",
    "bank_from_labels",
    "bank_from_tfds",
    "batches",
    "gaussian",
    "glyphs",
    "num_labels",
    "omniglot",
    "prepare_omniglot",
    "read_idx",
    "resize",
    "symbols",
    "to_float",
]
