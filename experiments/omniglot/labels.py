"""The labels of training: which class has which, and how evaluations ask for them."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

import icl_data as data
import icl_eval as evaluation
from experiments.omniglot.config import DataConfig
from experiments.omniglot.kinds import make_labelling, make_training_kinds


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedLabels:
    """The labels that classes have in training, where some have theirs by an offset alone.

    Attributes:
      others: how classes are labelled that have other labels, or none.
      offset: int64 [positions], the label of each class that has it by an offset alone, else -1.
    """

    others: data.Labelling
    offset: Int[np.ndarray, " positions"]

    def label(self, draws: data.Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return the label of each draw's class, whatever set it was drawn from."""
        offset = self.offset[draws.positions]
        return np.where(offset < 0, self.others.label(draws, uniforms), offset)

    def num_labels(self, split: data.ClassSplit) -> int:
        """Return V, enough for both."""
        return max(self.others.num_labels(split), int(self.offset.max()) + 1)


def make_trained_labels(config: DataConfig, split: data.ClassSplit) -> data.Labelling:
    """Return how evaluations of trained classes are labelled: as training labels each class.

    Raises:
      ValueError: training draws common classes both by themselves and among others, all labelled by an offset.
    """
    others = make_labelling(config)
    if "offset" not in config.train.labels:
        return others
    offset, has_others, starts = np.full(split.num_positions, -1), np.zeros(split.num_positions, bool), set()
    for name, kind in zip(config.train.labels, make_training_kinds(config), strict=True):
        patterns = [pattern for _, pattern in kind.mixture(split, config.length)]
        fixed = [pattern for pattern in patterns if not isinstance(pattern.labels, data.RandomLabels)]
        for drawn in (each for pattern in fixed for each in (pattern.classes, pattern.others)):
            positions = slice(drawn.first, drawn.first + drawn.size)
            if name == "offset":
                starts.add(drawn.first)
                offset[positions] = config.label_offset + np.arange(drawn.size)
            else:
                has_others[positions] = True
    if len(starts) > 1:
        raise ValueError(
            "data.train.labels offset counts in each class set from data.label_offset on, and training draws common "
            "classes by themselves and others besides: classes would share labels. Label some of the kinds ordered."
        )
    offset[has_others] = -1
    return TrainedLabels(others, offset)


def make_num_labels(config: DataConfig, split: data.ClassSplit) -> int:
    """Return V, enough for all labels of training and evaluation."""
    count = make_labelling(config).num_labels(split)
    for place, name in enumerate(config.train.kinds):
        if name == "distractor_pairs":
            count = max(count, config.train.own_options(place).get("pair_labels", config.pair_labels))
    return max(count, make_labelling(config, "offset").num_labels(split)) if "offset" in config.train.labels else count


def make_label_sets(config: DataConfig, split: data.ClassSplit) -> evaluation.LabelSets:
    """Return what the labels stand for in training."""
    trained, X = split.rare + split.common, config.labels_per_class
    classes, labelling = split.classes[:trained], make_trained_labels(config, split)
    # Every class X times, to get each of its labels: Polysemy chooses among them by a uniform number.
    positions, uniforms = np.indices((X, trained))[1], np.repeat((np.arange(X)[:, None] + 0.5) / X, trained, axis=1)
    draws = data.Draws(
        split=split, positions=positions, set_starts=np.zeros(trained, np.int64), ways=0, from_holdout=False
    )
    labels = labelling.label(draws, uniforms)
    class_of_label = np.full(labels.max() + 1, -1)
    class_of_label[labels] = classes
    distribution = split.distribution("zipfian")
    frequency = np.zeros(split.num_classes)
    frequency[classes] = np.diff(distribution.cumulative)
    return evaluation.LabelSets(
        rare=np.unique(labels[:, : split.rare]).tolist(),
        common=np.unique(labels[:, split.rare :]).tolist(),
        few_shot=range(config.ways),
        class_of_label=class_of_label,
        class_frequency=frequency,
    )
