"""Actions come when they are due, in order, with the state of their step, and once at the end."""

import jax
import numpy as np
import pytest

from icl_train import AtSteps, EverySteps, Moment, checkpoint_steps, latest_step, spaced_steps


@pytest.mark.parametrize(("every", "at_end", "wanted"), [(4, True, [4, 8, 10]), (4, False, [4, 8]), (5, True, [5, 10])])
def test_an_action_is_called_on_multiples_and_once_at_the_end(problem, every, at_end, wanted):
    calls = []

    def note(step, state):
        assert int(state.step) == step
        calls.append(step)

    problem.run("run", actions=[EverySteps(every, note, at_end=at_end)])
    assert calls == wanted


def test_actions_do_not_change_the_training(problem):
    quiet = problem.run("quiet")
    busy = problem.run("busy", actions=[EverySteps(1, lambda _, state: jax.device_get(state))] * 2)
    assert problem.same(quiet.state, busy.state)
    assert problem.untimed(problem.folder / "quiet") == problem.untimed(problem.folder / "busy")


def test_actions_run_in_order_and_before_the_checkpoint_of_their_step(problem):
    calls = []
    problem.run(
        "run",
        steps=4,
        actions=[
            EverySteps(4, lambda step, _: calls.append(("first", latest_step(problem.folder / "run")))),
            EverySteps(2, lambda step, _: calls.append(("second", step))),
        ],
    )
    assert calls == [("second", 2), ("first", None), ("second", 4)]


def test_an_action_of_ones_own_is_given_step_and_time(problem):
    moments = []

    class Watcher:
        def is_due(self, moment):
            moments.append(moment)
            return moment.step == 2

        def __call__(self, step, state):
            assert step == 2

    ticks = iter(range(1000))
    problem.run("run", steps=3, actions=[Watcher()], clock=lambda: float(next(ticks)))
    assert [moment.step for moment in moments] == [1, 2, 3]
    assert [moment.is_last for moment in moments] == [False, False, True]
    assert np.all(np.diff([moment.seconds for moment in moments]) > 0)


def test_a_state_kept_beyond_the_call_must_be_copied(problem):
    kept = []
    problem.run("run", actions=[EverySteps(1, lambda _, state: kept.append(state), at_end=False)])
    with pytest.raises(RuntimeError, match="deleted"):
        np.asarray(kept[0].params["linear/~/w"])


def test_an_interval_below_1_is_refused():
    with pytest.raises(ValueError, match="a whole number of at least 1, got 0"):
        EverySteps(0, print)
    assert not EverySteps(2, print).is_due(Moment(3, 0.0, False))


@pytest.mark.parametrize(("at_end", "wanted"), [(True, [1, 3, 10]), (False, [1, 3])])
def test_an_action_is_called_after_the_steps_that_are_listed_whatever_the_dispatch(problem, at_end, wanted):
    calls = []
    note = AtSteps([3, 1, 300], lambda step, state: calls.append((step, int(state.step))), at_end=at_end)
    problem.run("run", steps_per_dispatch=4, actions=[note])
    assert calls == [(step, step) for step in wanted]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        AtSteps([0], print)


@pytest.mark.parametrize("around", [None, 1, 37, 1_000])
def test_spaced_steps_grow_apart_from_where_they_are_densest(around):
    steps = spaced_steps(1_000, moments=40, around=around)
    assert list(steps) == sorted(set(steps)) and steps[-1] == 1_000 and 20 <= len(steps) <= 41
    densest = around or 1
    assert densest in steps
    after = np.diff([step for step in steps if step >= densest])
    before = np.diff([step for step in steps if step <= densest])[::-1]
    for gaps in (after, before):
        assert (np.diff(gaps) >= -1).all()  # to rounding
        assert len(gaps) < 2 or gaps.max() >= 5 * gaps.min()


@pytest.mark.lengthy
def test_spaced_checkpoints_are_kept_for_ever_beside_the_latest_of_the_others(problem):
    options = {"checkpoint_spacing": "log", "checkpoint_moments": 3, "checkpoint_every": 4, "keep_checkpoints": 1}
    whole = problem.run("run", steps=20, **options)
    assert spaced_steps(20, moments=3) == (1, 4, 20)
    assert checkpoint_steps(problem.folder / "run") == [1, 4, 20]
    problem.run("around", steps=20, **options | {"checkpoint_around": 10})
    assert checkpoint_steps(problem.folder / "around") == [9, 10, 11, 20]
    problem.run("run", steps=24, resume=True, **options | {"checkpoint_spacing": "equal"})
    assert checkpoint_steps(problem.folder / "run") == [1, 4, 20, 24]  # for ever
    assert problem.same(whole.state, problem.run("plain", steps=20).state)
    with pytest.raises(ValueError, match="at most 20, got 21"):
        problem.run("other", steps=20, **options | {"checkpoint_around": 21})
