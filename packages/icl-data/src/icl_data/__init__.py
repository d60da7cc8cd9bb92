"""Items, classes and sequences for in-context-learning research as NumPy arrays, streamed by Grain.

Axes: B batch, S items in a sequence, H image height and width, C classes of a bank, V labels, W ways.
"""

from icl_data.bank import ExemplarBank, bank_from_arrays
from icl_data.glyphs import glyphs
from icl_data.labels import Ordered, Unfixed, num_labels
from icl_data.omniglot import Polarity, omniglot
from icl_data.sampler import SequenceSampler
from icl_data.sequences import Bursty, FewShot, NoSupport, SequenceKind
from icl_data.split import ClassSet, ClassSplit
from icl_data.stream import BatchSource, batches

__all__ = [
    "BatchSource",
    "Bursty",
    "ClassSet",
    "ClassSplit",
    "ExemplarBank",
    "FewShot",
    "NoSupport",
    "Ordered",
    "Polarity",
    "SequenceKind",
    "SequenceSampler",
    "Unfixed",
    "bank_from_arrays",
    "batches",
    "glyphs",
    "num_labels",
    "omniglot",
]
