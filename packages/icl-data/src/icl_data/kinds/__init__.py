"""Kinds of sequences (Chan et al. 2022, and what later work evaluates), one small file each.

In the examples letters are classes and the query is in parentheses.
"""

from icl_data.kinds.bursty import Bursty, NonBursty
from icl_data.kinds.few_shot import FewShot
from icl_data.kinds.iid import Iid
from icl_data.kinds.label_elsewhere import LabelElsewhere
from icl_data.kinds.mixed import Mixed
from icl_data.kinds.no_support import NoSupport
from icl_data.kinds.swapped_labels import SwappedLabels

__all__ = ["Bursty", "FewShot", "Iid", "LabelElsewhere", "Mixed", "NoSupport", "NonBursty", "SwappedLabels"]
