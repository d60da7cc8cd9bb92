"""Pictures of gpicl's sweeps that are of its own: sizes, and what comes first."""

import dataclasses
import json

from experiments.gpicl.courses import draw as draw_courses
from experiments.gpicl.sizes import draw as draw_sizes
from tests.tiny import GPIC


def finished(folder, seed, unseen, *words):
    """Leave a run of which only the summary and an evaluation are written."""
    config = GPIC.parse("laptop", "--workdir", folder, "--train.seed", seed, *words)
    folder.mkdir()
    accuracy = {"value": unseen, "low": unseen, "high": unseen, "count": 9}
    summary = {"evaluations": {"unseen_tasks": {"accuracy_last": accuracy}}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return config


def test_models_of_other_options_are_other_points_and_seeds_one(tmp_path):
    runs = [
        finished(tmp_path / f"{layers}-{seed}", seed, unseen, "--model.layers", layers)
        for layers, seed, unseen in ((1, 0, 0.3), (1, 1, 0.4), (3, 0, 0.9))
    ]
    drawn = draw_sizes(tmp_path, dataclasses.replace(runs[0], workdir=tmp_path), runs)
    assert [line.partition("unseen ")[2] for line in drawn.said] == ["0.350 over 2 seeds", "0.900 over 1 seeds"]
    states = [int(line.split("state ")[1].split(",")[0].replace(",", "")) for line in drawn.said]
    assert len(set(states)) == 2


def test_courses_are_in_the_order_of_numbers(tmp_path):
    pools = (1024, 256, 4096)
    runs = [finished(tmp_path / f"{pool}", 0, 0.5, "--data.num-tasks", pool) for pool in pools]
    for run in runs:
        result = {"step": 1, "evaluation": "unseen_tasks", "metrics": {}, "chance": {}}
        (run.workdir / "eval.jsonl").write_text(json.dumps(result))
    (picture,) = draw_courses(tmp_path, runs[0], runs).pictures
    places = [picture.alt.index(f"num tasks {pool}") for pool in sorted(pools)]
    assert places == sorted(places)
