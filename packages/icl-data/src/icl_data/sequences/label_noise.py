"""Context items that are labelled as another class is."""

import numpy as np
from jaxtyping import Float, Int

from icl_data.sequences.labels import Draws, labels_of
from icl_data.sequences.pattern import Pattern
from icl_data.sequences.split import ClassSplit


def with_label_noise(
    pattern: Pattern,
    split: ClassSplit,
    labels: Int[np.ndarray, "B S"],
    *,
    positions: Int[np.ndarray, "B S"],
    uniforms: Float[np.ndarray, "B three_each"],
) -> Int[np.ndarray, "B S"]:
    """Return labels of which each in the context is that of another class with probability ``pattern.label_noise``.

    Args:
      pattern: whose ``others`` the other classes are drawn from, and whose labelling labels them.
      split: the classes.
      labels: of the items, without noise.
      positions: each item's class.
      uniforms: float64 [B, 3 (S - 1)] in [0, 1).
    """
    context = positions[:, :-1]
    is_noise, of_class, of_label = np.split(uniforms, 3, axis=1)
    others = pattern.others.draw(of_class.ravel(), context.reshape(-1, 1)).reshape(context.shape)
    draws = Draws(
        split=split,
        positions=others,
        set_starts=np.full(context.shape[1], pattern.others.first),
        ways=0,
        from_holdout=pattern.others.first + pattern.others.size > split.rare + split.common,
    )
    noise = labels_of(pattern.labels, draws, of_label)
    noisy = np.where(is_noise < pattern.label_noise, noise, labels[:, :-1])
    return np.concatenate([noisy, labels[:, -1:]], axis=1)
