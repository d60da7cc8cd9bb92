"""``python -m icl_data``: from words to kinds, banks and splits."""

import dataclasses

import numpy as np
import pytest

from icl_data import Bursty, FewShot, Iid, Mixed, Offset, Original, Polysemy, bank_from_arrays, symbols
from icl_data.__main__ import parser
from icl_data.inspection.configuration import chosen_bank, chosen_split
from icl_data.inspection.options import KINDS, LABELLINGS, add_option, attribute_texts, built
from icl_data.sequences import kinds


def parsed(kind, *words):
    return built(KINDS[kind](), vars(parser(kind).parse_args(list(words))))


def test_every_kind_of_the_package_has_a_name_here():
    assert set(KINDS.values()) == set(filter(dataclasses.is_dataclass, vars(kinds).values()))
    assert KINDS[next(iter(KINDS))] is Bursty


@pytest.mark.parametrize("kind", KINDS)
def test_without_options_a_kind_is_as_in_python_and_every_option_is_explained(kind):
    assert parsed(kind) == KINDS[kind]()
    for action in parser(kind)._actions:
        assert len(action.help) > 5, action.dest
    assert set(attribute_texts(KINDS[kind])) == {field.name for field in dataclasses.fields(KINDS[kind])}


# For each field of any kind, words that give it another value than any kind's own, and this value.
OTHERS = {
    "distinct_fillers": ("--distinct-fillers", True),
    "classes": ("--classes common", "common"),
    "distinct_ways": ("--no-distinct-ways", False),
    "few_shot": ("--few-shot.classes holdout", FewShot()),
    "grouped": ("--grouped", True),
    "iid": ("--iid.distinct-fillers", Iid(classes="common", distinct_fillers=True)),
    "labels": ("--labels original", Original()),
    "non_bursty": ("--non-bursty common_no_support", "common_no_support"),
    "p_bursty": ("--p-bursty 0.25", 0.25),
    "p_bursty_common": ("--p-bursty-common 0.5 --p-bursty-zipfian 0", 0.5),
    "p_bursty_zipfian": ("--p-bursty-zipfian 0.125", 0.125),
    "p_few_shot": ("--p-few-shot 1e-3", 0.001),
    "shots": ("--shots 7", 7),
    "ways": ("--ways 5", 5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_has_an_option_that_changes_it(kind):
    for field in dataclasses.fields(KINDS[kind]):
        words, value = OTHERS[field.name]
        assert getattr(KINDS[kind](), field.name) != value
        assert getattr(parsed(kind, *words.split()), field.name) == value


def test_labels_and_kinds_within_kinds_are_built_from_options():
    assert parsed("few_shot", "--labels", "offset", "--start", "7") == FewShot(labels=Offset(start=7))
    assert parsed("few_shot", "--labels", "offset") == FewShot(labels=Offset())
    assert parsed("iid", "--labels", "polysemy", "--labels-per-class", "3") == Iid(labels=Polysemy(labels_per_class=3))
    mixed = parsed("mixed", "--few-shot.labels", "original", "--few-shot.grouped", "--iid.classes", "rare")
    wanted = FewShot(classes="rare", grouped=True, labels=Original())
    assert mixed == Mixed(few_shot=wanted, iid=Iid(classes="rare"))
    assert {LABELLINGS[word].__name__.lower() for word in LABELLINGS} == {word.replace("_", "") for word in LABELLINGS}


def test_banks_are_those_that_the_options_name(small1):
    assert chosen_bank({}).items.shape == (2000, 28, 28)
    assert chosen_bank({"bank": "symbols"}).num_classes == chosen_bank({"bank": "gaussian"}).num_classes == 100
    assert chosen_bank({"num_classes": 3, "size": 16}).items.shape == (60, 16, 16)
    assert chosen_bank({"num_classes": 3, "exemplars": "single"}).counts.tolist() == [1, 1, 1]
    both = chosen_bank({"num_classes": 3, "exemplars": "separated", "augmented": True})
    assert (both.num_classes, both.group) == (480, 160)
    characters = chosen_bank({"omniglot": [str(small1)]})
    assert characters.items.shape[1:] == (105, 105)
    few = chosen_bank({"omniglot": [str(small1)], "num_classes": 7, "size": 14, "augmented": True})
    assert (few.num_classes, few.group, few.items.shape[1:]) == (56, 8, (14, 14))


@pytest.mark.parametrize("num_classes", range(1, 60))
@pytest.mark.parametrize("group", [1, 8])
def test_the_default_split_uses_every_class_and_leaves_training_some(num_classes, group):
    bank = bank_from_arrays([np.zeros((1, 2, 2), np.uint8)] * num_classes)
    bank = bank.augmented() if group == 8 else bank
    split = chosen_split({}, bank)
    assert split.num_positions == bank.num_classes
    assert split.rare >= group
    assert num_classes < 6 or min(split.common, split.holdout) >= 2 * group


def test_sets_left_out_share_what_the_others_leave():
    assert chosen_split({"rare": 95}, symbols(100)).holdout == 5
    assert chosen_split({"rare": 100}, symbols(100)).num_positions == 100
    split = chosen_split({"rare": 10, "common": 0, "holdout": 1, "split_seed": 4}, symbols(100))
    assert (split.rare, split.common, split.holdout, split.seed) == (10, 0, 1, 4)


def test_an_option_of_a_type_that_no_option_has_yet_is_an_error_in_the_making():
    with pytest.raises(TypeError, match=r"Options can be bool, int, .*teach add_option it"):
        add_option(parser("iid").add_argument_group("x"), "new", dict, "text", default={})


def test_descriptions_are_whole_and_may_hold_percent_signs():
    assert attribute_texts(FewShot)["grouped"].startswith("each run of ways items holds every class once, y x x")
    assert attribute_texts(FewShot)["distinct_ways"].endswith("so that one class may go under two labels.")
    made = parser("iid")
    add_option(made.add_argument_group("more"), "new", float, "95 % of all", default="5 %")
    assert "95 % of all (default: 5 %)" in made.format_help()
