"""Every field of TrainConfig has a range, and changes something."""

import dataclasses

import numpy as np
import pytest

from icl_train import EnsembleConfig, HostsConfig, MeshConfig, TrainConfig, restore_model

FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]
WHOLE = ("steps", "seed", "log_every", "checkpoint_every", "keep_checkpoints", "accumulate", "steps_per_dispatch")


@pytest.mark.parametrize("field", WHOLE)
def test_values_out_of_range_are_refused(field):
    for value in (-1, True):
        with pytest.raises(ValueError, match=f"wanted {field} to be a whole number of at least [01].*, got {value}"):
            TrainConfig(**{field: value})
    for value in (1.5, "3", None):
        with pytest.raises((ValueError, TypeError), match=field):  # ours, or first the annotation's
            TrainConfig(**{field: value})


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((TrainConfig, field) for field in (*WHOLE, "keep_every")),
        (EnsembleConfig, "members"),
        *((MeshConfig, axis) for axis in ("data", "fsdp", "model")),
        *((HostsConfig, field) for field in ("timeout_seconds", "heartbeat_seconds")),
    ],
)
def test_whole_numbers_of_numpy_are_taken_as_python_has_them(kind, field):
    config = kind()
    object.__setattr__(config, field, np.int64(3))  # past the annotation, which tests hold to and users' code does not
    config.__post_init__()
    assert type(getattr(config, field)) is int
    assert getattr(config, field) == 3


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("keep_every", (0, -1)),
        ("checkpoint_minutes", (0.0, -1.0, float("nan"))),
        ("ema_decay", (0.0, 1.0, -0.1, float("nan"))),
        ("profile", ((0, 1), (3, 2))),
        ("freeze", (("(",),)),
        ("checkpoint_around", (3,)),  # of no use where the spacing is equal
    ],
)
def test_options_out_of_range_are_refused(field, values):
    for value in values:
        with pytest.raises(ValueError, match="regular expression" if field == "freeze" else f"{field}|profile"):
            TrainConfig(**{field: value})


def test_zero_is_a_seed_and_nothing_else():
    assert TrainConfig(seed=0).seed == 0
    for field in set(WHOLE) - {"seed"}:
        with pytest.raises(ValueError, match=field):
            TrainConfig(**{field: 0})


def test_a_seed_that_a_key_cannot_hold_is_refused():
    assert TrainConfig(seed=2**32 - 1)
    with pytest.raises(
        ValueError, match="seed to be a whole number of at least 0 and at most 4294967295, got 4294967296"
    ):
        TrainConfig(seed=2**32)


CHANGES = {
    "steps": 12,
    "seed": 1,
    "log_every": 2,
    "checkpoint_every": 3,
    "keep_checkpoints": 1,
    "accumulate": 2,
    "freeze": ("linear",),
    "ema_decay": 0.9,
    "tensorboard": True,
    "keep_every": 4,
    "profile": (2, 3),
    "checkpoint_spacing": "log",
}
ELSEWHERE = {
    "mesh",
    "ensemble",
    "steps_per_dispatch",
    "checkpoint_minutes",
    "checkpoint_moments",
    "checkpoint_around",
    "stop_after_minutes",
    "stop_when_not_finite",
}  # tests of their own


def test_every_field_is_tested():
    assert CHANGES.keys() | ELSEWHERE == set(FIELDS)


@pytest.mark.lengthy
@pytest.mark.parametrize("field", CHANGES)
def test_every_field_changes_what_is_left_in_the_folder(problem, whole, field):
    def leaves(folder):
        found = {path.relative_to(folder).parts[:3] for path in folder.rglob("*")}
        arrays = restore_model(folder, init=problem.init).ema is None
        return problem.untimed(folder), found, arrays

    problem.run("changed", **{field: CHANGES[field]})
    assert leaves(whole.folder) != leaves(problem.folder / "changed")
