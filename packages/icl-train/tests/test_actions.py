"""Actions come when they are due, in order, with the state of their step, and once at the end."""

import jax
import numpy as np
import pytest

from icl_train import EverySteps, Moment, latest_step


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
