"""The studies of what keeps or ends ICL: their settings, and what is drawn of them."""

import itertools
import json

import numpy as np
import pytest

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.courses import LEARNING, STRATEGIES
from experiments.omniglot.data import make_classes, make_samplers
from experiments.omniglot.run import OMNIGLOT
from experiments.omniglot.sequences import ALWAYS_EVALUATED

STUDIES = ("forgetting", "transience", "coopetition")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_evaluates_what_it_draws_and_its_settings_differ(name):
    sweep = OMNIGLOT.sweeps[name]
    wanted = [evaluation for evaluation, _ in sweep.draw.keywords["lines"].values()]
    assert {*wanted} <= {*ALWAYS_EVALUATED, *sweep.config.eval.extra}
    configs = [lab.with_options(sweep.config, setting) for setting in sweep.settings(sweep.config).values()]
    assert not any(lab.differ_in_seed_alone(one, other) for one, other in itertools.combinations(configs, 2))
    assert all(isinstance(each, OmniglotConfig) for each in configs)


@pytest.mark.parametrize(("name", "lines"), [("transience", LEARNING), ("coopetition", STRATEGIES)])
def test_peaks_are_told_by_sequences_seen_and_drawn_over_both(name, lines, tmp_path):
    sweep = OMNIGLOT.sweeps[name]
    setting, options = list(sweep.settings(sweep.config).items())[1]
    runs = []
    for seed, peak in enumerate((0.8, 0.9)):
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        courses = {0: 1.0, 10: peak, 1_000: 0.6}
        for place, (evaluation, metric) in enumerate(lines.values()):
            ends = [
                {
                    "step": step,
                    "evaluation": evaluation,
                    "count": 100,
                    "metrics": {metric: {"value": value, "low": value, "high": value, "count": 100}},
                }
                for step, value in (courses if place == 0 else {10: 0.1, 1_000: 0.2}).items()
            ]
            with (folder / "eval.jsonl").open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in ends)
        runs.append(lab.with_options(sweep.config, options | {"train.seed": seed, "workdir": folder}))
    drawn = sweep.draw(tmp_path, sweep.config, runs)
    size = sweep.config.data.batch_size
    (row,) = drawn.tables[0].rows
    assert row[:3] == (setting, "2", f"0.850, {10 * size:,}, 0.600")  # step 0 is not training
    assert row[3] == f"0.200, {1_000 * size:,}, 0.200"
    assert f"0.850, {10 * size:,}, 0.600" in (tmp_path / "courses.md").read_text()
    (picture,) = drawn.pictures
    (panel,) = picture.draw().axes
    assert panel.child_axes[0].get_xlabel() == "sequences seen" and "highest at step 10" in picture.alt


def test_every_sequence_of_the_induction_study_can_be_asked_once():
    config = lab.with_options(
        OMNIGLOT.presets["induction"],
        {
            "data.characters": 7,
            "data.holdout": 2,
            "eval.every_sequence": True,
            "eval.count": 9,
            "eval.final_count": 160,
        },
    )
    samplers = make_samplers(config, *make_classes(config.data))
    # By hand: 5 * 4 pairs of classes in 2 orders, with both orders of 8 pairs of labels, or of the 2 held out.
    for name, count in (("distractor_pairs", 5 * 4 * 2 * 16), ("distractor_held_out_pairs", 5 * 4 * 2 * 4)):
        batch = samplers[name].sample(np.arange(count))
        rows = np.concatenate([batch["classes"], batch["labels"]], axis=1)
        assert len(np.unique(rows, axis=0)) == count
        assert (samplers[name].sample(np.array([count]))["classes"] == batch["classes"][:1]).all()
    with pytest.raises(ValueError, match=r"data\.length 3 with data\.shots 1, got 5"):
        longer = lab.with_options(config, {"data.length": 5})
        make_samplers(longer, *make_classes(longer.data))
    with pytest.raises(ValueError, match=r"lists 160 sequences of distractor_held_out_pairs, but .* asks for 161"):
        more = lab.with_options(config, {"eval.final_count": 161})
        make_samplers(more, *make_classes(more.data))
    with pytest.raises(ValueError, match="for evaluations with a distractor"):
        lab.with_options(OMNIGLOT.presets["laptop"], {"eval.every_sequence": True})
