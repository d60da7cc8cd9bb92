"""What numbers are expanded with is on the devices: what is made there, what shares it, and what is refused before."""

import dataclasses

import jax
import numpy as np
import pytest

import icl_data as data
import icl_lab as lab
from experiments.functions.run import FUNCTIONS
from experiments.gpicl.run import GPICL
from experiments.omniglot import data as parts
from experiments.omniglot import run
from experiments.omniglot.run import OMNIGLOT
from icl_lab import driver
from icl_lab.streams import compiled_expand
from tests.tiny import FUNC, GPIC, OMNI, read_lines

pytestmark = pytest.mark.lengthy

DEFINITIONS = {each.name: each for each in (FUNCTIONS, GPICL, OMNIGLOT)}


def test_a_bank_that_samplers_do_not_draw_from_is_refused_before_a_run(monkeypatch):
    def of_few(config, bank, split):
        made = parts.make_samplers(config, bank, split)
        return {name: dataclasses.replace(each, bank=bank.subset(np.arange(8))) for name, each in made.items()}

    monkeypatch.setattr(run, "make_samplers", of_few)
    config = OMNI.parse("laptop", *OMNI.options)
    with pytest.raises(ValueError, match="the bank has 8 with up to"):
        driver.prepare(OMNIGLOT, config, [config])


def test_what_a_transform_does_to_labels_is_evaluated_too_and_numbers_stay_on_the_host():
    config = OMNI.parse("laptop", *OMNI.options)
    runs = driver.prepare(OMNIGLOT, config, [config])

    def shifted(batch):
        return {**batch, "labels": batch["labels"] + 1}

    member, name = runs.first, "fewshot_holdout"
    changed = dataclasses.replace(member.samplers[name], transforms=[shifted])
    after = next(iter(runs.batches(dataclasses.replace(member, samplers={name: changed}), name)))
    before = next(iter(runs.batches(member, name)))
    assert np.array_equal(after["labels"], before["labels"] + 1)
    assert all(isinstance(before[name], np.ndarray) for name in before if name != "images")
    assert isinstance(before["images"], jax.Array)


def test_streams_that_share_a_bank_share_what_is_on_the_devices_and_views_of_a_bank_their_items():
    config = GPIC.parse("laptop", *GPIC.options)
    runs = driver.prepare(GPICL, config, [config])
    there = {name: runs.on_devices(sampler.resident) for name, sampler in runs.first.samplers.items()}
    assert there["seen_tasks"] is there["unseen_tasks"] and there["train"] is there["seen_tasks_seen_images"]
    assert there["train"].items is there["seen_tasks"].items is not there["unseen_data_random"].items
    assert not np.array_equal(there["train"].starts, there["seen_tasks"].starts)


@pytest.mark.parametrize("tiny", [GPIC, FUNC, OMNI])
def test_batches_of_a_run_are_what_its_samplers_say(tiny):
    config = tiny.parse("laptop", *tiny.options, *(("--data.noise", 0.1) if tiny is not GPIC else ()))
    runs = driver.prepare(DEFINITIONS[tiny.name], config, [config])
    for name, sampler in runs.first.samplers.items():
        assert isinstance(sampler, data.Expandable)
        batch = next(iter(runs.batches(runs.first, name)))
        count = len(batch["index"])
        for key, values in sampler.sample(np.arange(count)).items():
            assert np.allclose(batch[key], values, atol=2e-4, rtol=2e-4), (name, key)
    numbers = next(iter(runs.first.streams["train"]))
    assert not {"items", "images", "targets"} & numbers.keys()
    assert {"items", "images", "targets"} & runs.first.first_batch("train").keys()


def test_streams_of_one_program_are_compiled_once():
    config = GPIC.parse("laptop", *GPIC.options)
    first, second = (driver.prepare(GPICL, config, [config]).first.samplers for _ in range(2))
    compiled = {compiled_expand(sampler.expand) for samplers in (first, second) for sampler in samplers.values()}
    assert len(compiled) == 1


@pytest.mark.parametrize(
    ("definition", "option", "values"),
    [
        (GPIC, "data.num_tasks", (3, None)),
        (GPIC, "data.p_identity", (0.0, 1.0)),
        (FUNC, "data.noise", (0.0, 0.5)),
    ],
)
def test_members_that_differ_in_their_data_are_trained_as_if_alone(tmp_path, definition, option, values):
    words = ["--mode", "train", "--train.steps", 4, "--train.log-every", 1, "--optimizer.schedule", "constant"]
    base = definition.parse("laptop", *definition.options, *words, "--no-report", "--workdir", tmp_path / "both")
    (group,) = lab.Sweep(base=base, settings=tuple({option: value} for value in values)).groups()
    lab.execute(DEFINITIONS[definition.name], group.config, group.members)
    losses = []
    for number, member in enumerate(group.members):
        alone = dataclasses.replace(member, workdir=tmp_path / f"alone_{number}")
        lab.execute(DEFINITIONS[definition.name], alone, [alone])
        together, lone = (
            [line["loss"] for line in read_lines(each.workdir / "metrics.jsonl")] for each in (member, alone)
        )
        np.testing.assert_allclose(together, lone, rtol=2e-4)
        losses.append(lone)
    assert not np.allclose(*losses, rtol=1e-3)


def test_members_of_which_one_makes_something_else_of_its_numbers_are_refused():
    config = FUNC.parse("laptop", *FUNC.options)
    changed = dataclasses.replace(config, data=dataclasses.replace(config.data, standardise=False))
    members = [lab.with_options(each, {"train.ensemble.members": 2}) for each in (config, changed)]
    with pytest.raises(ValueError, match="member 0 makes other targets of the numbers of member 1"):
        driver.prepare(FUNCTIONS, members[0], members)
