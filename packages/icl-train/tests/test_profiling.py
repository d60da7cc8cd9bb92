"""A profile has the steps that were asked for, all of each, and no others, however the run ends."""

import jax
import jax.numpy as jnp
import pytest

from icl_train.devices.profiling import ProfiledSteps


class Run:
    """Calls a profile around steps as the loop does, and notes in which order JAX's profiler is called."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: self.calls.append("start"))
        monkeypatch.setattr(jax.profiler, "stop_trace", lambda: self.calls.append("stop"))
        monkeypatch.setattr(jax, "block_until_ready", lambda outputs: self.calls.append(f"wait for {outputs}"))

    def __call__(self, profile, steps, *, fail_in=None):
        with profile:
            for step in steps:
                profile.before(step)
                if step == fail_in:
                    raise RuntimeError("the step failed")
                self.calls.append(step)
                profile.after(step, step)
        return [call for call in self.calls if call != "wait for None"]


@pytest.fixture
def run(monkeypatch):
    return Run(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "profile"


def test_tracing_begins_and_ends_when_the_devices_are_done(run, folder):
    calls = run(ProfiledSteps(folder, steps=(3, 4)), range(1, 7))
    assert calls == [1, 2, "wait for 2", "start", 3, 4, "wait for 4", "stop", 5, 6]


def test_the_first_step_and_a_single_step_can_be_traced(run, folder):
    assert run(ProfiledSteps(folder, steps=(1, 1)), [1, 2]) == ["start", 1, "wait for 1", "stop", 2]


def test_a_run_that_ends_in_between_keeps_what_there_is(run, folder):
    calls = run(ProfiledSteps(folder, steps=(2, 9)), [1, 2, 3])
    assert calls == [1, "wait for 1", "start", 2, 3, "wait for 3", "stop"]


def test_a_run_that_fails_in_between_stops_and_does_not_wait(run, folder):
    with pytest.raises(RuntimeError, match="the step failed"):
        run(ProfiledSteps(folder, steps=(1, 9)), [1, 2, 3], fail_in=3)
    assert [call for call in run.calls if call != "wait for None"] == ["start", 1, 2, "stop"]


def test_tracing_stops_even_if_the_last_step_fails_on_the_devices(run, folder, monkeypatch):
    def fail(outputs):
        if outputs is not None:
            raise RuntimeError("the devices failed")

    monkeypatch.setattr(jax, "block_until_ready", fail)
    with pytest.raises(RuntimeError, match="the devices failed"):
        run(ProfiledSteps(folder, steps=(1, 2)), [1, 2, 3])
    assert run.calls == ["start", 1, 2, "stop"]


def test_a_run_that_resumes_in_between_is_traced_from_there(run, folder):
    assert run(ProfiledSteps(folder, steps=(2, 5)), [4, 5, 6]) == ["start", 4, 5, "wait for 5", "stop", 6]


@pytest.mark.parametrize("steps", [None, (2, 3)])
def test_nothing_is_traced_after_the_last_step_or_without_steps(run, folder, steps):
    assert run(ProfiledSteps(folder, steps=steps), [4, 5]) == [4, 5]


def test_the_trace_is_a_file_with_exactly_these_steps(folder, capfd):
    square = jax.jit(lambda x: x @ x)
    x = jnp.eye(8)
    with ProfiledSteps(folder, steps=(2, 4)) as profile:
        for step in range(1, 7):
            profile.before(step)
            x = square(x)
            profile.after(step, x)
    (path,) = folder.rglob("*.xplane.pb")
    trace = jax.profiler.ProfileData.from_file(str(path))
    events = [event for plane in trace.planes for line in plane.lines for event in line.events]
    assert sorted(dict(event.stats)["step_num"] for event in events if event.name == "train") == [2, 3, 4]
    assert f"tensorboard --logdir {folder}" in capfd.readouterr().err


@pytest.mark.parametrize("steps", [(0, 3), (4, 3), (-2, -1)])
def test_steps_out_of_range_are_refused(folder, steps):
    with pytest.raises(ValueError, match=r"wanted (steps to profile with 1 <= first|a step to profile to be a whole)"):
        ProfiledSteps(folder, steps=steps)
    assert not folder.exists()
