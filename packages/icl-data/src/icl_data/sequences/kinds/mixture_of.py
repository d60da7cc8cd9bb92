"""Several kinds of sequences, each with a share."""

import dataclasses
import math
from collections.abc import Sequence

from icl_data.sequences.pattern import Mixture, SequenceKind
from icl_data.sequences.split import ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixtureOf:
    """A sequence of one of several kinds, which may be mixtures themselves.

    Attributes:
      kinds: at least one.
      shares: how often each is made, to any scale; by default equally often. One with share 0 is never made.

    >>> from icl_data import Bursty, Iid
    >>> kind = MixtureOf(kinds=(Bursty(p_bursty=0.5), Iid()), shares=(3.0, 1.0))
    >>> [(share, pattern.ways) for share, pattern in kind.mixture(ClassSplit(num_classes=20, rare=20), 9)]
    [(0.375, 2), (0.375, 0), (0.25, 0)]
    """

    kinds: Sequence[SequenceKind]
    shares: Sequence[float] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "shares", tuple(map(float, self.shares)))
        if not self.kinds or (self.shares and len(self.shares) != len(self.kinds)):
            raise ValueError(
                "A mixture wants at least one kind, and a share for each or none, "
                f"got {len(self.kinds)} kinds and {len(self.shares)} shares."
            )
        if self.shares and not (all(share >= 0 for share in self.shares) and 0 < sum(self.shares) < math.inf):
            raise ValueError(
                f"The shares of a mixture must be at least 0, and one of them above 0, got {list(self.shares)}."
            )

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the patterns of all kinds, with their probabilities."""
        shares = self.shares or [1] * len(self.kinds)
        return tuple(
            (share / sum(shares) * within, pattern)
            for share, kind in zip(shares, self.kinds, strict=True)
            if share > 0
            for within, pattern in kind.mixture(split, length)
        )
