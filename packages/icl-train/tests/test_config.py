"""Every field of TrainConfig has a range, and changes something."""

import dataclasses

import pytest

from icl_train import TrainConfig

FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]
CHANGES = {"steps": 12, "seed": 1, "log_every": 2, "checkpoint_every": 3, "keep_checkpoints": 1}


@pytest.mark.parametrize("field", FIELDS)
def test_values_out_of_range_are_refused(field):
    for value in (-1, True):
        with pytest.raises(ValueError, match=f"wanted {field} to be a whole number of at least [01], got {value}"):
            TrainConfig(**{field: value})
    for value in (1.5, "3", None):
        with pytest.raises((ValueError, TypeError), match=field):  # ours, or first the annotation's
            TrainConfig(**{field: value})


def test_zero_is_a_seed_and_nothing_else():
    assert TrainConfig(seed=0).seed == 0
    for field in set(FIELDS) - {"seed"}:
        with pytest.raises(ValueError, match=field):
            TrainConfig(**{field: 0})


def test_a_seed_that_a_key_cannot_hold_is_refused():
    assert TrainConfig(seed=2**32 - 1)
    with pytest.raises(ValueError, match=r"below 2\*\*32"):
        TrainConfig(seed=2**32)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_changes_what_is_left_in_the_folder(problem, whole, field):
    def leaves(folder):
        return problem.untimed(folder), {path.name for path in (folder / "checkpoints").iterdir()}

    problem.run("changed", **{field: CHANGES[field]})
    assert leaves(whole.folder) != leaves(problem.folder / "changed")
