"""Sweeps: which runs, in which groups, never twice; with an execution that only pretends to train."""

import dataclasses
import json
from pathlib import Path

import pytest

import icl_lab as lab
from icl_lab.finished import is_finished
from icl_lab.options import flat


@pytest.fixture
def base(toy, tmp_path):
    return dataclasses.replace(toy.ToyConfig(), workdir=tmp_path / "sweep", report=False)


class Pretend:
    """An execution that leaves what a finished run leaves, unless it is to stop half-way."""

    def __init__(self, *, stops=False):
        self.done, self.stops = [], stops

    def __call__(self, config, members):
        self.done.append(members)
        for each in [config, *members]:
            each.workdir.mkdir(parents=True, exist_ok=True)
            record = {"config": json.loads(json.dumps(lab.to_json(each)))}
            (each.workdir / "config.json").write_text(json.dumps(record))
        for member in () if self.stops else members:
            summary = {"train": {"steps": member.train.steps}}
            (member.workdir / "summary.json").write_text(json.dumps(summary))

    def runs(self):
        return [(member.width, member.data.num_tasks, member.train.seed) for members in self.done for member in members]


def sweep_of(base, *settings, seeds=1, **options):
    return lab.Sweep(base=base, settings=tuple(settings), seeds=seeds, **options)


def run(sweep, execute, check=lambda config, members: None):
    lab.run_sweep(sweep, vary=("width", "data"), check=check, execute=execute)


def test_runs_are_settings_times_seeds_each_once_and_share_a_program_where_they_can(base):
    settings = [{"width": width, "data.num_tasks": tasks} for width in (2, 3) for tasks in (4, 8)]
    sweep = sweep_of(base, *settings, {"width": 3, "data.num_tasks": 8}, seeds=2)
    assert len(sweep.runs()) == 8  # the last setting is there already
    groups = sweep.groups()
    assert [len(group.members) for group in groups] == [4, 4]
    for group in groups:
        assert len({each.width for each in group.members}) == 1
        assert group.config.train.ensemble.members == 4
        assert {each.train.ensemble.members for each in group.members} == {1}
        assert {each.workdir.parent for each in group.members} == {group.config.workdir}
    found = {(each.width, each.data.num_tasks, each.train.seed) for group in groups for each in group.members}
    assert found == {(width, tasks, seed) for width in (2, 3) for tasks in (4, 8) for seed in (0, 1)}
    apart = dataclasses.replace(sweep, same_program=frozenset({"train.seed"})).groups()
    assert [len(group.members) for group in apart] == [2] * 4


def test_a_finished_run_is_never_run_again_and_more_settings_or_seeds_add_to_the_folder(base, capsys):
    first = Pretend()
    run(sweep_of(base, {"data.num_tasks": 4}, {"data.num_tasks": 8}), first)
    assert first.runs() == [(3, 4, 0), (3, 8, 0)]
    assert "0 of 2 runs are finished" in capsys.readouterr().out
    again = Pretend()
    run(sweep_of(base, {"data.num_tasks": 8}, {"data.num_tasks": 4}), again)  # in whatever order
    assert again.runs() == [] and "2 of 2 runs are finished" in capsys.readouterr().out
    more = Pretend()
    run(sweep_of(base, {"data.num_tasks": 4}, {"data.num_tasks": 16}, seeds=2), more)
    assert sorted(more.runs()) == [(3, 4, 1), (3, 16, 0), (3, 16, 1)]
    assert sorted((each.data.num_tasks, each.train.seed) for each in lab.finished_runs(base)) == [
        (4, 0), (4, 1), (8, 0), (16, 0), (16, 1),
    ]  # fmt: skip


def test_a_group_that_was_stopped_goes_on_as_the_same_group_even_where_more_is_wanted(base):
    stopped = Pretend(stops=True)
    run(sweep_of(base, {"data.num_tasks": 4}, seeds=2), stopped)
    (members,) = stopped.done
    assert not any(map(is_finished, members))
    onward = Pretend()
    run(sweep_of(base, {"data.num_tasks": 4}, {"data.num_tasks": 8}, seeds=2), onward)
    first, second = onward.done
    assert [each.workdir for each in first] == [each.workdir for each in members]
    assert {each.resume for each in first} == {True} and {each.resume for each in second} == {False}
    assert len(lab.finished_runs(base)) == 4


def test_a_group_that_was_killed_while_its_folders_were_made_is_begun_in_the_same_folder(base):
    stopped = Pretend(stops=True)
    run(sweep_of(base, {"data.num_tasks": 4}, seeds=3), stopped)
    ((*_, last),) = stopped.done
    (last.workdir / "config.json").unlink()
    onward = Pretend()
    run(sweep_of(base, {"data.num_tasks": 4}, seeds=3), onward)
    (members,) = onward.done
    assert [each.workdir for each in members] == [each.workdir for each in stopped.done[0]]


def test_a_member_that_failed_is_finished_too(base):
    def fails(config, members):
        Pretend()(config, members)
        (members[0].workdir / "summary.json").write_text('{"train": {"steps": 2, "failed_at": 3}}')

    run(sweep_of(base, {}, seeds=2), fails)
    again = Pretend()
    run(sweep_of(base, {}, seeds=2), again)
    assert again.done == []


def test_what_cannot_be_is_found_before_anything_is_trained(base, capsys):
    def check(config, members):
        if members[-1].width == 9:
            raise ValueError("nine is too wide")

    execute = Pretend()
    with pytest.raises(SystemExit):
        run(sweep_of(base, {"width": 3}, {"width": 9}), execute, check)
    assert execute.done == [] and "nine is too wide" in capsys.readouterr().err


def test_a_folder_of_other_runs_is_refused_with_what_differs(base):
    run(sweep_of(base, {"width": 2}), Pretend())
    for options, words in (
        ({"train.steps": 9}, "train.steps 6 and not 9"),
        ({"optimizer.b2": 0.5}, "optimizer.b2 0.999 and not 0.5"),
        ({"width": 4}, None),
        ({"eval.count": 3, "train.log_every": 1}, None),
    ):
        sweep = sweep_of(lab.with_options(base, options), {"width": 2})
        if words is None:
            sweep.check_folder(vary=("width", "data"))
        else:
            with pytest.raises(ValueError, match=words):
                sweep.check_folder(vary=("width", "data"))


def test_a_sweep_over_a_folder_of_other_runs_trains_nothing(base, capsys):
    run(sweep_of(base, {"width": 2}), Pretend())
    execute = Pretend()
    with pytest.raises(SystemExit):
        run(sweep_of(lab.with_options(base, {"train.steps": 9}), {"width": 3}), execute)
    assert execute.done == [] and "train.steps 6 and not 9" in capsys.readouterr().err


def test_a_stopped_group_that_is_not_asked_for_stays_stopped(base, capsys):
    run(sweep_of(base, {"width": 2}), Pretend(stops=True))
    other = Pretend()
    run(sweep_of(base, {"width": 3}), other)
    assert other.runs() == [(3, base.data.num_tasks, 0)]
    assert "0 of 1 runs are finished" in capsys.readouterr().out.splitlines()[-2]


def test_what_may_differ_is_named_whole_and_not_by_its_beginning(base):
    run(sweep_of(base, {"width": 2}), Pretend())
    other = sweep_of(lab.with_options(base, {"data.batch_size": 2}), {"width": 2})
    other.check_folder(vary=("width", "data"))
    with pytest.raises(ValueError, match=r"data\.batch_size 8 and not 2"):
        other.check_folder(vary=("width", "data.batch", "dat"))


def test_a_group_that_goes_on_is_evaluated_and_logged_as_this_command_says(base):
    run(sweep_of(base, {"data.num_tasks": 4}, seeds=2), Pretend(stops=True))
    onward = Pretend()
    changed = lab.with_options(base, {"eval.final_count": 99, "train.log_every": 1})
    run(sweep_of(changed, {"data.num_tasks": 4}, seeds=1), onward)  # one of the two is not asked for any longer
    (members,) = onward.done
    assert [(each.eval.final_count, each.train.log_every) for each in members] == [(99, 1)] * 2


def test_a_group_of_which_all_failed_does_not_keep_the_others_from_running(base):
    def execute(config, members):
        Pretend()(config, members)
        done.append(config.width)
        if config.width == 2:
            for member in members:
                (member.workdir / "summary.json").write_text('{"train": {"steps": 2, "failed_at": 3}}')
            raise SystemExit(1)

    done = []
    run(sweep_of(base, {"width": 2}, {"width": 3}), execute)
    assert done == [2, 3]
    with pytest.raises(SystemExit):  # what is not finished ends the sweep, such as a signal
        run(sweep_of(base, {"width": 4}), lambda config, members: exec("raise SystemExit(143)"))


def test_runs_of_one_setting_differ_in_the_seed_and_in_what_makes_no_other_run_alone(base):
    seed = lab.with_options(base, {"train.seed": 3, "eval.count": 5, "train.log_every": 1, "data.path": Path("x")})
    assert lab.differ_in_seed_alone(base, seed) and lab.varied_among([base, seed]) == []
    for option, value in (("width", 2), ("optimizer.b2", 0.5), ("train.steps", 9), ("data.noise", 0.5)):
        other = lab.with_options(base, {option: value})
        assert not lab.differ_in_seed_alone(base, other)
        assert lab.varied_among([base, seed, other]) == [option]


def test_a_run_that_is_alone_in_its_group_is_no_ensemble(base):
    (group,) = sweep_of(base, {"width": 2}).groups()
    assert [group.config] == list(group.members) and group.config.train.ensemble.members == 1


def test_options_are_set_together_by_their_dotted_names(base):
    changed = lab.with_options(base, {"data.noise": 0.5, "data.batch_size": 8, "width": 1})
    assert (changed.data.noise, changed.data.batch_size, changed.width) == (0.5, 8, 1)
    assert lab.option_of(changed, "data.batch_size") == 8
    with pytest.raises(ValueError, match=r"no option data\.nois; perhaps data\.noise was meant"):
        lab.with_options(base, {"data.nois": 1})
    with pytest.raises(ValueError, match="at least 1"):
        lab.with_options(base, {"eval.every": 0})
    assert flat({"a": {"b": {}, "c": [1]}, "d": None}) == {"a.b": {}, "a.c": [1], "d": None}


def test_members_of_an_ensemble_have_values_of_their_own(base):
    config = lab.with_options(base, {"train.ensemble.members": 2, "vary.learning_rate": (0.1, 0.2), "train.seed": 7})
    first, second = lab.ensemble_members(config)
    assert (first.train.seed, second.train.seed) == (7, 8)
    assert (first.optimizer.learning_rate, second.optimizer.learning_rate) == (0.1, 0.2)
    assert second.workdir.name == "member-001" and second.vary == type(second.vary)()
    assert lab.ensemble_members(base) == [base]
    for options in ({"vary.eps": (1.0,)}, {"train.ensemble.members": 3, "vary.eps": (1.0, 2.0)}):
        with pytest.raises(ValueError, match=r"vary\.eps wants a value for each"):
            lab.with_options(base, options)
