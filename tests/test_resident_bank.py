"""The bank of a run is on the devices: what is made of numbers there, and what of a bank is refused before."""

import dataclasses

import jax
import numpy as np
import pytest

import icl_lab as lab
from experiments.omniglot.run import OMNIGLOT, build
from icl_lab import driver
from tests.tiny import OMNI


def test_a_bank_that_samplers_do_not_draw_from_is_refused_before_a_run():
    config = OMNI.parse("laptop", *OMNI.options)
    experiment = build(config)
    wrong = dataclasses.replace(experiment, bank=experiment.bank.subset(np.arange(8)))
    with pytest.raises(ValueError, match="the bank has 8 with up to"):
        lab.make_streams(wrong, config)


def test_what_a_transform_does_to_labels_is_evaluated_too_and_numbers_stay_on_the_host():
    config = OMNI.parse("laptop", *OMNI.options)
    runs = driver.prepare(OMNIGLOT, config, [config])

    def shifted(batch):
        return {**batch, "labels": batch["labels"] + 1}

    changed = dataclasses.replace(runs, experiment=dataclasses.replace(runs.experiment, transforms=[shifted]))
    before, after = (next(iter(each.batches(each.first, "fewshot_holdout"))) for each in (runs, changed))
    assert np.array_equal(after["labels"], before["labels"] + 1)
    assert all(isinstance(before[name], np.ndarray) for name in before if name != "images")
    assert isinstance(before["images"], jax.Array)
