"""The phases of learning to learn: one real sweep at toy size, its pictures, and which runs it has."""

import json
import shlex

import pytest

from tests.tiny import PHASES, read_lines

pytestmark = pytest.mark.lengthy

GRID = ["--grid.data.num-tasks", 2, 8, "--seeds", 1, "--grid.model.width", 8, "--train.steps", 3]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases") / "sweep"
    PHASES.run(*GRID, "--workdir", folder)
    return folder


def test_a_sweep_leaves_its_pictures_and_every_run(swept):
    points = json.loads((swept / "points.json").read_text())
    assert sorted((point["num_tasks"], point["seed"]) for point in points) == [(2, 0), (8, 0)]
    assert {path.stem for path in (swept / "figures").iterdir()} >= {"heat_map", "phase_curve", "sizes"}
    runs = sorted(swept.glob("groups/*/member-*"))
    assert len(runs) == 2
    for folder in runs:
        names = {path.name for path in folder.iterdir()}
        assert {"summary.json", "config.json", "metrics.jsonl", "eval.jsonl"} <= names
        assert "report.html" not in names  # made when it is asked for
        assert [line["step"] for line in read_lines(folder / "metrics.jsonl")] == [2, 3]


def test_the_same_command_again_runs_nothing_and_draws_the_same(swept, capsys):
    before = (swept / "points.json").read_bytes()
    PHASES.run(*GRID, "--workdir", swept)
    assert "2 of 2 runs are finished" in capsys.readouterr().out
    assert (swept / "points.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.steps", 4, "--optimizer.b2", 0.9], "train.steps 3 and not 4"),
        (["--data.ways", 99], "ways must be at most"),
    ],
)
def test_a_sweep_that_cannot_be_or_is_another_one_ends_in_a_line_before_anything_is_trained(
    swept, tmp_path, words, message, capsys
):
    folder = swept if "--train.steps" in words else tmp_path / "new"
    with pytest.raises(SystemExit):
        PHASES.run(*GRID, *words, "--workdir", folder)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_sweep_is_all_combinations_and_groups_share_shapes(tmp_path):
    words = "--grid.data.num-tasks 4 16 --grid.optimizer.eps 1e-8 1e-5 --grid.data.p-identity 0 0.5 --seeds 3"
    others = "--grid.model.trunk lstm mlp --grid.model.width 8 --grid.data.batch-size 4 8"
    sweep = PHASES.parse(*shlex.split(words), *shlex.split(others), "--workdir", tmp_path / "x").sweep
    groups = sweep.groups()
    assert [len(group.members) for group in groups] == [24] * 4
    for group in groups:
        assert len({(each.model, each.data.batch_size, each.data.length) for each in group.members}) == 1
        assert group.config.train.ensemble.members == 24
    settings = {
        (
            each.data.num_tasks, each.optimizer.eps, each.data.p_identity, each.train.seed, each.model.trunk,
            each.data.batch_size,
        )
        for group in groups
        for each in group.members
    }  # fmt: skip
    assert len(settings) == 96


def test_the_paper_s_grid_is_there(tmp_path):
    sweep = PHASES.definition.sweeps["phases_paper"]
    assert len(sweep.grid["data.num_tasks"]) == 13 and sweep.grid["model.width"][-1] == 512 and sweep.seeds == 5
