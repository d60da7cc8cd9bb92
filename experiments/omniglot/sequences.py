"""Kinds of sequences, by the original's names: what each is made of, which options it reads, what training sees."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

from icl_data import ClassSet, Exemplars, NonBursty

SequenceName = Literal[
    "bursty",
    "mixed",
    "iid_common",
    "iid_rare",
    "iid_zipfian",
    "fewshot_common",
    "fewshot_rare",
    "fewshot_zipfian",
    "fewshot_holdout",
    "no_support_common",
    "no_support_rare",
    "no_support_zipfian",
    "swapped_common",
    "swapped_rare",
    "swapped_zipfian",
    "label_elsewhere",
    "distractor",
    "distractor_pairs",
    "distractor_held_out_pairs",
    "distractor_unfixed",
    "distractor_swapped",
    "as_trained",
]
LabelsName = Literal["ordered", "original", "unfixed", "offset"]

# What a name means: the form of sequences, and which classes they draw.
Form = Literal[
    "bursty",
    "mixed",
    "iid",
    "few_shot",
    "no_support",
    "swapped",
    "elsewhere",
    "distractor",
    "distractor_pairs",
    "distractor_held_out_pairs",
    "distractor_unfixed",
    "distractor_swapped",
    "as_trained",
]
PAIRS: tuple[Form, ...] = ("distractor_pairs", "distractor_held_out_pairs")
DISTRACTORS: tuple[Form, ...] = ("distractor", *PAIRS, "distractor_unfixed", "distractor_swapped")
SEQUENCES: dict[SequenceName, tuple[Form, ClassSet]] = {
    "bursty": ("bursty", "zipfian"),
    "mixed": ("mixed", "zipfian"),
    "iid_common": ("iid", "common"),
    "iid_rare": ("iid", "rare"),
    "iid_zipfian": ("iid", "zipfian"),
    "fewshot_common": ("few_shot", "common"),
    "fewshot_rare": ("few_shot", "rare"),
    "fewshot_zipfian": ("few_shot", "zipfian"),
    "fewshot_holdout": ("few_shot", "holdout"),
    "no_support_common": ("no_support", "common"),
    "no_support_rare": ("no_support", "rare"),
    "no_support_zipfian": ("no_support", "zipfian"),
    "swapped_common": ("swapped", "common"),
    "swapped_rare": ("swapped", "rare"),
    "swapped_zipfian": ("swapped", "zipfian"),
    "label_elsewhere": ("elsewhere", "zipfian"),
    "distractor": ("distractor", "zipfian"),
    "distractor_pairs": ("distractor_pairs", "zipfian"),
    "distractor_held_out_pairs": ("distractor_held_out_pairs", "zipfian"),
    "distractor_unfixed": ("distractor_unfixed", "zipfian"),
    "distractor_swapped": ("distractor_swapped", "zipfian"),
    "as_trained": ("as_trained", "zipfian"),
}
NEVER_TRAINED: tuple[SequenceName, ...] = ("fewshot_holdout", "distractor_held_out_pairs", "as_trained")
ALWAYS_EVALUATED: tuple[SequenceName, SequenceName] = ("fewshot_holdout", "no_support_zipfian")

# Which forms read an option that each kind of a mixture can have for itself.
READ_BY: dict[str, tuple[Form, ...]] = {
    **dict.fromkeys(("p_bursty", "p_bursty_zipfian", "p_bursty_common", "non_bursty"), ("bursty",)),
    **dict.fromkeys(("shots", "exemplar_choice", "label_noise"), ("bursty", *DISTRACTORS)),
    **dict.fromkeys(("pair_labels", "held_out_pairs"), PAIRS),
    "ways": ("bursty", "mixed", "few_shot", "swapped"),
    "grouped": ("mixed", "few_shot"),
    "distinct_ways": ("bursty", "mixed", "few_shot"),
    "distinct_fillers": ("mixed", "iid", "no_support", "elsewhere", *DISTRACTORS),
    "p_few_shot": ("mixed",),
}


def reads(name: SequenceName, option: str) -> bool:
    """Return whether sequences of this name read an option of ``READ_BY``."""
    return SEQUENCES[name][0] in READ_BY[option]


def readers(option: str) -> str:
    """Return the names of the sequences that read an option of ``READ_BY``."""
    return ", ".join(name for name in SEQUENCES if reads(name, option))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSequences:
    """What training sees: one kind of sequence, or several, each with its share, its labels and its options.

    Attributes:
      kinds: Kinds of sequences, by the original's names; each sequence is of one. All but fewshot_holdout,
        distractor_held_out_pairs and as_trained.
      shares: How often each kind is made, to any scale; by default equally often.
      starts: The step from which each kind is made, until others begin; those that begin together are mixed. By default
        all are made from step 0 on. The batch size is that of the start, so a sequence keeps its number.
      blend: Steps over which kinds that begin take over from those before, at a share that rises steadily; 0 for at
        once.
      labels: How each kind is labelled: ordered (of several labels each with data.labels_per_class), original (the
        class's own number), unfixed (0..ways-1, anew in each sequence) or offset (data.label_offset and the place in
        the class set). By default few-shot problems are unfixed, and all else is ordered. In mixed sequences, few-shot
        problems stay unfixed. Evaluations ask for the labels that classes have in training, offset ones if they have no
        others, and few-shot problems there are unfixed.
      p_bursty: What each kind has in place of data.p_bursty; None for one that has that, or reads none.
      shots: The same for data.shots.
      ways: The same for data.ways.
      grouped: The same for data.grouped.
      distinct_ways: The same for data.distinct_ways.
      distinct_fillers: The same for data.distinct_fillers.
      p_few_shot: The same for data.p_few_shot.
      p_bursty_zipfian: The same for data.p_bursty_zipfian.
      p_bursty_common: The same for data.p_bursty_common.
      non_bursty: The same for data.non_bursty.
      exemplar_choice: The same for data.exemplar_choice.
      label_noise: The same for data.label_noise.
      pair_labels: The same for data.pair_labels.
      held_out_pairs: The same for data.held_out_pairs.
    """

    kinds: Annotated[tuple[SequenceName, ...], tyro.conf.arg(name="")] = ("bursty",)
    shares: tuple[float, ...] = ()
    starts: tuple[int, ...] = ()
    blend: int = 0
    labels: tuple[LabelsName, ...] = ()

    p_bursty: tuple[float | None, ...] = ()
    shots: tuple[int | None, ...] = ()
    ways: tuple[int | None, ...] = ()
    grouped: tuple[bool | None, ...] = ()
    distinct_ways: tuple[bool | None, ...] = ()
    distinct_fillers: tuple[bool | None, ...] = ()
    p_few_shot: tuple[float | None, ...] = ()
    p_bursty_zipfian: tuple[float | None, ...] = ()
    p_bursty_common: tuple[float | None, ...] = ()
    non_bursty: tuple[NonBursty | None, ...] = ()
    exemplar_choice: tuple[Exemplars | None, ...] = ()
    label_noise: tuple[float | None, ...] = ()
    pair_labels: tuple[int | None, ...] = ()
    held_out_pairs: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        """Check the kinds, and that there is a share, a labelling and a value for each, or none, and all are read."""
        if not self.kinds or {*NEVER_TRAINED} & {*self.kinds}:
            raise ValueError(
                "data.train wants at least one kind of sequence, and none of classes that are held out or for "
                f"evaluation alone, got {', '.join(self.kinds) or 'none'}."
            )
        for name in ("shares", "starts", "labels", *READ_BY):
            values = getattr(self, name)
            if values and len(values) != len(self.kinds):
                raise ValueError(
                    f"data.train.{name} wants one for each of the {len(self.kinds)} kinds, "
                    f"{', '.join(self.kinds)}, got {len(values)}."
                )
        if self.shares and not (min(self.shares) >= 0 and sum(self.shares) > 0):
            raise ValueError(f"data.train.shares must be at least 0, and one of them above 0, got {self.shares}.")
        if self.blend < 0 or (self.blend and not self.starts):
            raise ValueError(f"data.train.blend must be at least 0, and is for data.train.starts, got {self.blend}.")
        if self.starts and min(self.starts) != 0:
            raise ValueError(f"data.train.starts must be at least 0, and one of them 0, got {self.starts}.")
        if {"ordered", "original"} <= set(self.labels):
            raise ValueError("data.train.labels ordered and original give a class two labels; ask for one of them.")
        for place, name in enumerate(self.kinds):
            for option in self.own_options(place):
                if not reads(name, option):
                    raise ValueError(
                        f"data.train.{option} is for {readers(option)}, and {name} does not read it; give None there."
                    )

    def stages(self) -> dict[int, list[int]]:
        """Return the places of the kinds that begin at each step, the earliest first."""
        starts = self.starts or (0,) * len(self.kinds)
        return {start: [place for place, each in enumerate(starts) if each == start] for start in sorted({*starts})}

    def own_options(self, place: int) -> dict[str, Any]:
        """Return what the kind at a place has in place of options of data."""
        values = {option: getattr(self, option) for option in READ_BY}
        return {option: each[place] for option, each in values.items() if each and each[place] is not None}

    def read(self, option: str) -> bool:
        """Return whether some kind reads an option of data, having nothing of its own in its place."""
        return any(
            reads(name, option) and option not in self.own_options(place) for place, name in enumerate(self.kinds)
        )
