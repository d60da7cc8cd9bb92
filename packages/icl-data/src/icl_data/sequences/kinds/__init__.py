"""Kinds of sequences (Chan et al. 2022, and what later work evaluates), one small file each.

In the examples letters are classes and the query is in parentheses.
"""

from icl_data.sequences.kinds.bursty import Bursty, NonBursty
from icl_data.sequences.kinds.few_shot import FewShot
from icl_data.sequences.kinds.iid import Iid
from icl_data.sequences.kinds.label_elsewhere import LabelElsewhere
from icl_data.sequences.kinds.mixed import Mixed
from icl_data.sequences.kinds.mixture_of import MixtureOf
from icl_data.sequences.kinds.no_support import NoSupport
from icl_data.sequences.kinds.swapped_labels import SwappedLabels
from icl_data.sequences.kinds.with_distractor import WithDistractor

__all__ = [
    "Bursty",
    "FewShot",
    "Iid",
    "LabelElsewhere",
    "Mixed",
    "MixtureOf",
    "NoSupport",
    "NonBursty",
    "SwappedLabels",
    "WithDistractor",
]
