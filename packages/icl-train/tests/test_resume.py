"""A run that was stopped, in whatever way, and resumed is the run that was never stopped, to the last bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax.numpy as jnp
import optax
import pytest

from icl_train import EverySteps, Interrupted, latest_step


def stop_at(step, number=signal.SIGTERM):
    return EverySteps(1, lambda now, _: signal.raise_signal(number) if now == step else None)


@pytest.mark.parametrize(
    ("stop", "number"),
    [(1, signal.SIGTERM), (3, signal.SIGINT), (4, signal.SIGTERM), (5, signal.SIGINT), (10, signal.SIGTERM)],
)
def test_stopped_at_any_step_and_resumed_equals_never_stopped(problem, whole, stop, number):
    with pytest.raises(Interrupted) as stopped:
        problem.run("parts", actions=[stop_at(stop, number)])
    assert stopped.value.code == 128 + number
    assert latest_step(problem.folder / "parts") == stop
    resumed = problem.run("parts", resume=True)
    assert problem.same(resumed.state, whole.state)
    assert problem.untimed(problem.folder / "parts") == whole.untimed
    assert resumed.final_loss == whole.final_loss == whole.untimed[-1]["loss"]


def test_a_crash_after_a_checkpoint_loses_only_the_steps_since_then(problem, whole):
    def crash(step, state):
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        problem.run("parts", actions=[EverySteps(7, crash, at_end=False)])
    assert [line["step"] for line in problem.lines(problem.folder / "parts")] == [3, 6]
    resumed = problem.run("parts", resume=True)  # from 4: line 6 is dropped, then written again
    assert problem.same(resumed.state, whole.state)
    assert problem.untimed(problem.folder / "parts") == whole.untimed


def test_a_folder_that_was_killed_before_its_first_checkpoint_begins_at_step_0(problem, whole, capsys):
    parts = problem.folder / "parts"
    (parts / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir(parents=True)
    (parts / "metrics.jsonl").write_text('{"step": 3, "loss": 1.0}\n{"step": 6, "lo')
    resumed = problem.run("parts", resume=True)
    assert "begins at step 0" in capsys.readouterr().err
    assert problem.same(resumed.state, whole.state)
    assert problem.untimed(parts) == whole.untimed


def test_a_finished_run_is_returned_as_it_is_and_says_so(problem, capsys):
    first = problem.run("run")
    before = (problem.folder / "run" / "metrics.jsonl").read_bytes()

    def forbidden(*_):
        raise AssertionError("no step is left to make")

    again = problem.run("run", resume=True, actions=[EverySteps(1, forbidden)])
    assert "already has its 10 steps" in capsys.readouterr().err
    assert problem.same(again.state, first.state)
    assert (again.steps, again.final_loss) == (10, first.final_loss)
    assert again.seconds == pytest.approx(first.seconds, abs=0.5)
    assert (problem.folder / "run" / "metrics.jsonl").read_bytes() == before


def test_a_finished_run_goes_on_when_more_steps_are_asked_for(problem):
    whole = problem.run("whole", steps=20)
    problem.run("parts", steps=11)
    longer = problem.run("parts", steps=20, resume=True)
    assert problem.same(longer.state, whole.state)
    # The end of the shorter run left a line of its own, over a part of its window; all others are the same.
    lines = problem.untimed(problem.folder / "parts")
    assert [line["step"] for line in lines] == [3, 6, 9, 11, 12, 15, 18, 20]
    assert [line for line in lines if line["step"] != 11] == problem.untimed(problem.folder / "whole")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resume": False}, "has a run"),
        ({"seed": 1}, "with seed 1, but it was begun with seed 0"),
        ({"steps": 5}, "wanted 5 steps, but .* already has 10"),
        ({"init": lambda rng: ({"w": jnp.zeros(3)}, {})}, "does not fit the model"),
        ({"optimizer": optax.sgd(0.1)}, "does not fit the optimizer"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_saved_is_touched(problem, whole, changes, words):
    shutil.copytree(whole.folder, problem.folder / "run")
    before = {path: path.read_bytes() for path in problem.folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=words) as refused:
        problem.run("run", **({"resume": True} | changes))
    assert "\n" not in str(refused.value)
    assert {path: path.read_bytes() for path in problem.folder.rglob("*") if path.is_file()} == before


def test_restoring_another_dtype_is_refused_and_names_the_array(problem, whole):
    shutil.copytree(whole.folder, problem.folder / "run")
    with pytest.raises(ValueError, match=r"model_state/mean: saved float32\[3\], wanted bfloat16\[3\]"):
        problem.run("run", resume=True, init=lambda rng: (problem.init(rng)[0], {"mean": jnp.zeros(3, jnp.bfloat16)}))


SCRIPT = """
import json, sys, time
import jax, jax.numpy as jnp, numpy as np, optax
from icl_train import EverySteps, TrainConfig, train

class Rows:
    position = 0
    def __next__(self):
        inputs = np.random.default_rng(self.position).normal(size=(8, 3)).astype(np.float32)
        self.position += 1
        return {"inputs": inputs, "targets": inputs.sum(1)}
    def get_state(self): return {"position": self.position}
    def set_state(self, state): self.position = state["position"]

def loss_fn(params, model_state, rng, batch):
    noise = jax.random.normal(rng, batch["inputs"].shape)
    return jnp.mean(((batch["inputs"] + noise) @ params - batch["targets"]) ** 2), ({}, model_state)

for workdir, slowly, resume in json.loads(sys.argv[1]):
    train(
        TrainConfig(steps=300, log_every=7, checkpoint_every=50),
        init=lambda rng: (jax.random.normal(rng, (3,)), {}),
        loss_fn=loss_fn, optimizer=optax.adam(0.01), batches=Rows(), workdir=workdir, resume=resume,
        resume_hint="run it with --resume",
        actions=[EverySteps(1, lambda step, state: time.sleep(0.02 * slowly))],
    )
"""


def start(*runs):
    """Start a process that trains in each (folder, slowly, resume) in turn."""
    # One device, and none of the warnings filters of this process: what a user has.
    environment = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "PYTHONWARNINGS")}
    command = [sys.executable, "-c", SCRIPT, json.dumps(runs)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.lengthy
def test_sigterm_to_a_real_process_saves_and_the_resumed_losses_are_the_same(problem):
    whole, parts = problem.folder / "whole", problem.folder / "parts"
    deadline = time.monotonic() + 60
    with start([str(parts), True, False]) as process:
        while not ((parts / "metrics.jsonl").exists() and len(problem.lines(parts)) >= 3):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no metrics after a minute"
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    stopped = latest_step(parts)
    assert stopped is not None and 21 <= stopped < 300
    assert f"Stopped by SIGTERM after step {stopped} of 300" in words
    assert "run it with --resume" in words
    with start([str(parts), False, True], [str(whole), False, False]) as process:
        _, words = process.communicate(timeout=60)
    assert process.returncode == 0, words
    assert len(problem.lines(whole)) == 43
    assert problem.untimed(parts) == problem.untimed(whole)


def test_time_of_training_goes_on_where_the_stopped_session_left_it(problem):
    clock = iter(range(10_000)).__next__
    with pytest.raises(Interrupted):
        problem.run("run", actions=[stop_at(6)], clock=lambda: float(clock()))
    stopped = problem.lines(problem.folder / "run")[-1]["time"]
    ticks = iter(range(5_000, 10_000)).__next__  # another process, another origin
    result = problem.run("run", resume=True, clock=lambda: float(ticks()))
    times = [line["time"] for line in problem.lines(problem.folder / "run")]
    assert times == sorted(times)
    assert stopped < result.seconds < 200
    assert result.steps_per_second == result.steps / result.seconds


def test_a_copied_run_resumes_elsewhere(problem):
    with pytest.raises(Interrupted):
        problem.run("run", actions=[stop_at(5)])
    shutil.copytree(problem.folder / "run", problem.folder / "moved")
    assert problem.same(problem.run("moved", resume=True).state, problem.run("run", resume=True).state)


def test_a_nan_in_the_loss_survives_a_resume(problem):
    def diverging(params, model_state, rng, batch):
        loss, rest = problem.loss_fn(params, model_state, rng, batch)
        return loss * jnp.nan, rest

    with pytest.raises(Interrupted):
        problem.run("run", loss_fn=diverging, stop_when_not_finite=False, actions=[stop_at(5)])
    result = problem.run("run", loss_fn=diverging, stop_when_not_finite=False, resume=True)
    assert int(result.state.step) == 10 and jnp.isnan(result.state.params["linear/~/w"]).all()
    text = (problem.folder / "run" / "metrics.jsonl").read_text()
    assert all(json.loads(line)["loss"] != json.loads(line)["loss"] for line in text.splitlines())
