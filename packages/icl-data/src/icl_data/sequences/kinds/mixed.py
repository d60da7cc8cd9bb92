"""Training on few-shot problems and single items by turns."""

import dataclasses

from icl_data.checks import check_probability
from icl_data.sequences.kinds.few_shot import FewShot
from icl_data.sequences.kinds.iid import Iid
from icl_data.sequences.kinds.mixture_of import MixtureOf
from icl_data.sequences.pattern import Mixture
from icl_data.sequences.split import ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """A few-shot problem of rare classes, ``y x x y x y y x (x)``, or common ones drawn alike, ``c a f c b h c g (a)``.

    Attributes:
      p_few_shot: probability of a few-shot sequence, in [0, 1].
      few_shot: what is then made.
      iid: what is made otherwise.

    >>> split = ClassSplit(num_classes=20, rare=15, common=5)
    >>> [(share, pattern.ways) for share, pattern in Mixed(p_few_shot=0.25).mixture(split, 9)]
    [(0.25, 2), (0.75, 0)]
    """

    p_few_shot: float = 0.5
    few_shot: FewShot = FewShot(classes="rare")
    iid: Iid = Iid(classes="common")

    def __post_init__(self) -> None:
        check_probability("p_few_shot", self.p_few_shot)

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the patterns of both, with their probabilities."""
        both = MixtureOf(kinds=(self.few_shot, self.iid), shares=(self.p_few_shot, 1 - self.p_few_shot))
        return both.mixture(split, length)
