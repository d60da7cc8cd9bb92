"""How the kinds of learner look and what they are called, where a figure has no room for all of their names."""

from collections.abc import Mapping

from icl_eval.figures.palette import BLUE, GREEN, GREY, ORANGE

UNDECIDED = "undecided"

COLOURS_OF_KINDS: Mapping[str, str] = {
    "fails to meta-train": GREY,
    "task memorization": ORANGE,
    "task identification": GREEN,
    "general learning to learn": BLUE,
}
"""The colour of each kind but "undecided", from what has learnt least to what has learnt most."""

HATCHES: Mapping[str, str] = {
    "fails to meta-train": "xxxx",
    "task memorization": "\\\\\\\\",
    "task identification": "....",
    "general learning to learn": "",
}
"""What tells areas of a kind apart where colours do not."""

NAMES: Mapping[str, str] = {
    "fails to meta-train": "fails",
    "task memorization": "memorization",
    "task identification": "identification",
    "general learning to learn": "learning to learn",
}

VERBS: Mapping[str, str] = {
    "fails to meta-train": "fails",
    "task memorization": "memorizes",
    "task identification": "identifies",
    "general learning to learn": "learns",
}
