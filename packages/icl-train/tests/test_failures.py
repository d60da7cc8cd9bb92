"""What goes wrong is said, and loses nothing: bad numbers, full disks, damaged checkpoints."""

import json
import resource
import shutil
import signal
import time

import jax
import numpy as np
import optax
import pytest

from icl_train import (
    CheckpointError,
    EverySteps,
    Interrupted,
    NotFiniteError,
    RunError,
    latest_step,
    restore_model,
)
from icl_train.checkpoints import saving
from icl_train.checkpoints.saving import Checkpoints
from icl_train.metrics.metrics_file import MetricsFile


def rows_that_fail(problem, at, value=np.nan):
    class Rows(problem.Rows):
        def __next__(self):
            batch = super().__next__() | {"index": np.arange(8) + 8 * (self.position - 1)}
            if self.position == at:
                batch["targets"] = batch["targets"] * value
            return batch

    return Rows()


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("at", "value", "count"), [(1, np.nan, 1), (3, np.inf, 1), (10, np.nan, 1), (1, np.nan, 4), (7, np.inf, 4)]
)
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state_saved(problem, whole, at, value, count, capsys):
    with pytest.raises(NotFiniteError, match=f"the loss of step {at} is (nan|inf)") as caught:
        problem.run("run", batches=rows_that_fail(problem, at, value), steps_per_dispatch=count)
    assert caught.value.step == at
    assert f"batch number {at}, examples {8 * (at - 1)} to {8 * at - 1} of the data" in str(caught.value)
    words = capsys.readouterr().err
    assert str(caught.value) in words and "MEMBER" not in words
    assert problem.lines(problem.folder / "run")[-1] == {"step": at, "failed": True}
    assert latest_step(problem.folder / "run") == at - 1
    before = problem.run("before", steps=at - 1, steps_per_dispatch=count) if at > 1 else None
    params = restore_model(problem.folder / "run", init=problem.init).params
    begun = problem.init(jax.random.fold_in(jax.random.key(0), 0))[0]
    assert problem.same(params, begun if before is None else before.state.params)
    # With the data mended, the run goes on as if nothing had been.
    mended = problem.run("run", resume=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), mended.state, whole.state)
    for one, other in zip(problem.untimed(problem.folder / "run"), whole.untimed, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_gradient_that_is_not_finite_stops_too_before_it_spoils_the_parameters(problem):
    def loss_fn(params, model_state, rng, batch):
        loss, rest = problem.loss_fn(params, model_state, rng, batch)
        # The square root of zero is zero, and its slope infinite.
        return loss + jax.numpy.sqrt(jax.numpy.sum(params["nested"][0] * 0.0 * batch["inputs"][0, 0])), rest

    with pytest.raises(NotFiniteError, match=r"the loss of step 1 is .* and its gradient norm (nan|inf)"):
        problem.run("run", loss_fn=loss_fn)
    params = restore_model(problem.folder / "run", init=problem.init).params
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("at", [1, 5])
def test_failing_again_at_once_after_a_resume_leaves_the_checkpoint_alone(problem, at):
    for resume in (False, True, True):
        with pytest.raises(NotFiniteError, match=f"step {at}"):
            problem.run("run", batches=rows_that_fail(problem, at), resume=resume)
        assert {path.name for path in (problem.folder / "run" / "checkpoints").iterdir()} == {str(at - 1)}


def test_a_position_that_the_iterator_goes_on_writing_to_is_saved_as_it_was(problem):
    class Live(problem.Rows):
        state = None

        def __next__(self):
            batch = super().__next__()
            self.get_state()["position"] = self.position
            return batch if self.position != 6 else batch | {"targets": batch["targets"] * np.nan}

        def get_state(self):
            self.state = self.state or {"position": self.position}
            return self.state

    with pytest.raises(NotFiniteError, match="step 6"):
        problem.run("run", batches=Live())
    data = problem.folder / "run" / "checkpoints" / "5" / "data" / "metadata"
    assert json.loads(data.read_text()) == {"position": 5}


def test_a_damaged_checkpoint_takes_no_good_ones_place_and_is_not_deleted(problem, whole):
    stop = EverySteps(6, lambda *_: signal.raise_signal(signal.SIGTERM), at_end=False)
    with pytest.raises(Interrupted):
        problem.run("run", actions=[stop])
    folder = problem.folder / "run" / "checkpoints"
    damage(folder / "6" / "model" / "_METADATA", "flipped")
    left = {path: path.read_bytes() for path in files_of(folder / "6")}
    kept = []
    look = EverySteps(9, lambda *_: kept.extend(sorted(path.name for path in folder.iterdir())), at_end=False)
    resumed = problem.run("run", resume=True, actions=[look])
    assert {"4", "6"} <= set(kept)
    assert problem.same(resumed.state, whole.state)
    assert sorted(path.name for path in folder.iterdir()) == ["10", "6", "8"]
    assert {path: path.read_bytes() for path in files_of(folder / "6")} == left


def test_a_state_with_random_keys_comes_back(problem):
    optimizer = optax.chain(optax.add_noise(0.01, 0.5, jax.random.key(3)), optax.sgd(0.01))
    whole = problem.run("whole", optimizer=optimizer)
    problem.run("parts", optimizer=optimizer, steps=5)
    parts = problem.run("parts", optimizer=optimizer, resume=True)
    assert problem.same(parts.state.params, whole.state.params)


def test_a_signal_during_the_last_save_is_not_lost(problem, monkeypatch):
    finish = Checkpoints.finish

    def interrupted(self):
        finish(self)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "finish", interrupted)
    with pytest.raises(Interrupted, match="after step 10 of 10, saved"):
        problem.run("run")


@pytest.mark.parametrize("where", ["an action", "the data"])
def test_an_error_between_the_steps_loses_no_step(problem, whole, where):
    class Unreadable(problem.Rows):
        def __next__(self):
            if self.position == 7 and where == "the data":
                self.position += 1  # as of a reader that has gone on when it fails
                raise OSError("the network is down")
            return super().__next__()

    def act(step, state):
        raise OSError("the network is down")

    actions = [EverySteps(7, act, at_end=False)] if where == "an action" else []
    with pytest.raises(OSError, match="the network is down"):
        problem.run("run", batches=Unreadable(), actions=actions, steps_per_dispatch=3, checkpoint_every=100)
    assert latest_step(problem.folder / "run") == 7
    # To rounding: other programs, of other numbers of steps.
    resumed = problem.run("run", resume=True).state
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), resumed, whole.state)
    assert [line["step"] for line in problem.untimed(problem.folder / "run")] == [
        line["step"] for line in whole.untimed
    ]


def test_an_error_before_the_first_step_leaves_a_folder_for_the_next_try(problem, whole):
    def act(step, state):
        raise ZeroDivisionError

    with pytest.raises(KeyError):
        problem.run("run", loss_fn=lambda params, model_state, rng, batch: params["nowhere"])
    assert latest_step(problem.folder / "run") is None
    assert problem.same(problem.run("run").state, whole.state)


LIMIT = 100_000


def full_disk(on, *, after=None):
    """An action that lets no file grow beyond a size, as a full disk would, once a checkpoint is there."""

    def act(step, state):
        if step in on:
            while on[step] and not after.exists():
                time.sleep(0.01)
            size = LIMIT if on[step] else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return EverySteps(1, act)


@pytest.fixture
def unlimited():
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def big(problem):
    """The problem with a parameter that is too large for a full disk, and does not compress."""

    def init(rng):
        params, state = problem.init(rng)
        return params | {"big": jax.random.normal(rng, (200, 200))}, state

    return {"init": init, "steps": 12, "keep_checkpoints": 9}


# Of a save that fails, Orbax leaves coroutines behind.
leftovers = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leftovers
def test_a_full_disk_is_said_loudly_and_training_goes_on(problem, unlimited, capsys, caplog):
    whole, checkpoints = problem.run("whole", **big(problem)), problem.folder / "run" / "checkpoints"
    full = full_disk({5: True, 9: False}, after=checkpoints / "4")

    def wait_for_the_failure(step, state):
        while "Failed to run" not in caplog.text:  # Orbax's own words, before the disk has room again
            time.sleep(0.01)

    wait = EverySteps(9, wait_for_the_failure, at_end=False)
    result = problem.run("run", actions=[wait, full], **big(problem))
    assert "CHECKPOINT FAILED: the one of step 8 could not be written" in capsys.readouterr().err
    assert problem.same(result.state, whole.state)
    assert [step for step in (4, 8, 12) if (checkpoints / str(step)).exists()] == [4, 12]
    for step in (4, 12):
        folders = (problem.folder / name for name in ("run", "whole"))
        one, other = (restore_model(folder, init=big(problem)["init"], step=step).params for folder in folders)
        assert problem.same(one, other)


@leftovers
def test_a_disk_that_is_full_at_the_start_is_found_before_the_first_step(problem, unlimited):
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
    made = []
    with pytest.raises(RunError, match=r"the first cannot be saved to .*; make room there"):
        problem.run("run", actions=[EverySteps(1, lambda step, state: made.append(step))], **big(problem))
    assert made == []
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    problem.run("run", **big(problem) | {"steps": 4})
    assert [path.name for path in (problem.folder / "run" / "checkpoints").iterdir()] == ["4"]


@leftovers
@pytest.mark.parametrize("position", [object(), {1, 2}, 1j])
def test_a_position_that_no_checkpoint_can_hold_is_refused_before_the_first_step(problem, position):
    class Elsewhere(problem.Rows):
        def get_state(self):
            return {"position": position}

    made = []
    with pytest.raises((RunError, TypeError), match=r"position|JSON"):
        problem.run("run", batches=Elsewhere(), actions=[EverySteps(1, lambda step, state: made.append(step))])
    assert made == []


@leftovers
def test_a_save_that_fails_says_what_failed_and_not_that_there_is_no_room(problem, monkeypatch):
    arguments = saving._arguments

    def fail_later(state, data, progress):
        if progress.step:
            raise PermissionError(13, "Permission denied")
        return arguments(state, data, progress)

    monkeypatch.setattr(saving, "_arguments", fail_later)
    with pytest.raises(CheckpointError, match="Permission denied") as error:
        problem.run("run")
    assert "room" not in str(error.value)


@leftovers
def test_a_disk_that_is_full_at_the_end_fails_the_run_and_a_resume_mends_it(problem, unlimited):
    whole, checkpoints = problem.run("whole", **big(problem)), problem.folder / "run" / "checkpoints"
    with pytest.raises(
        CheckpointError, match=r"last checkpoint could not be written to .*; make room there and resume"
    ):
        problem.run("run", actions=[full_disk({9: True}, after=checkpoints / "8")], **big(problem))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert latest_step(problem.folder / "run") == 8
    assert problem.same(problem.run("run", resume=True, **big(problem)).state, whole.state)
    assert problem.untimed(problem.folder / "run") == problem.untimed(problem.folder / "whole")


def test_a_metrics_line_that_does_not_fit_leaves_no_torn_line(tmp_path, unlimited, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n' * (LIMIT // 12))  # which leaves room for a third of a line
    size = path.stat().st_size
    assert 0 < LIMIT - size < 12
    with MetricsFile(path) as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
        file.write({"step": 2})
        assert path.stat().st_size == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        file.write({"step": 3})
    assert f"METRICS LOST: step 2 could not be written to {path}" in capsys.readouterr().err
    assert path.read_text()[size:] == '{"step": 3}\n'


def files_of(checkpoint):
    return sorted(path for path in checkpoint.rglob("*") if path.is_file())


def damage(path, how):
    content = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["deleted", "truncated", "emptied", "flipped"])
def test_whatever_file_of_the_newest_checkpoint_is_damaged_the_one_before_is_restored(problem, whole, how, capsys):
    names = [path.relative_to(whole.folder) for path in files_of(whole.folder / "checkpoints" / "10")]
    last_array, resumes = max(number for number, name in enumerate(names) if "d" in name.parts), 0
    for number, name in enumerate(names):
        folder = problem.folder / f"run-{number}"
        shutil.copytree(whole.folder, folder)
        damage(folder / name, how)
        left = {path: path.read_bytes() for path in files_of(folder / "checkpoints" / "10")}
        capsys.readouterr()
        if latest_step(folder) == 10:
            assert name.name in ("_CHECKPOINT_METADATA", "commit_success.txt", "digest.json"), name
        elif name.parts[2:] in (("model", "_METADATA"), ("progress", "metadata")) or number == last_array:
            resumed = problem.run(folder.name, resume=True)
            assert problem.same(resumed.state, whole.state), name
            assert problem.untimed(folder) == whole.untimed, name
            words = capsys.readouterr().err
            assert f"The checkpoint {folder / 'checkpoints' / '10'} is damaged" in words and "after step 8" in words
            aside = folder / "checkpoints" / "10.damaged"
            assert {folder / "checkpoints" / "10" / path.relative_to(aside): path.read_bytes()
                    for path in files_of(aside)} == left  # fmt: skip
            resumes += 1
    assert resumes == 3


@pytest.mark.parametrize("item", ["model", "optimizer", "data", "progress"])
def test_without_a_digest_a_checkpoint_that_cannot_be_read_is_skipped_all_the_same(problem, whole, item):
    shutil.copytree(whole.folder, problem.folder / "run")
    (problem.folder / "run" / "checkpoints" / "10" / "digest.json").unlink()
    for path in files_of(problem.folder / "run" / "checkpoints" / "10" / item):
        path.write_bytes(b"")
    assert problem.same(problem.run("run", resume=True).state, whole.state)


def test_if_all_are_damaged_the_run_is_refused_and_nothing_is_touched(problem):
    problem.run("run")
    for step in (8, 10):
        (problem.folder / "run" / "checkpoints" / str(step) / "model" / "_METADATA").unlink()
    before = {path: path.read_bytes() for path in problem.folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="those of steps 8, 10 are damaged; bring one back"):
        problem.run("run", resume=True)
    assert {path: path.read_bytes() for path in problem.folder.rglob("*") if path.is_file()} == before
    with pytest.raises(ValueError, match=r"is damaged .*; choose another step"):
        restore_model(problem.folder / "run", init=problem.init, step=8)
    assert latest_step(problem.folder / "run") is None


def test_a_half_written_checkpoint_is_named_and_left_alone(problem, whole, capsys):
    problem.run("run", steps=5)
    half = problem.folder / "run" / "checkpoints" / "7.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "part").write_text("x")
    assert problem.same(problem.run("run", resume=True).state, whole.state)
    assert f"{half} was not written to its end: skipped" in capsys.readouterr().err
    assert (half / "part").read_text() == "x"


def test_a_folder_that_cannot_be_written_to_is_refused_at_the_start(problem):
    (problem.folder / "file").write_text("in the way")
    with pytest.raises(OSError, match="wanted a workdir that can be written to"):
        problem.run("file/run")


def test_every_so_many_checkpoints_are_kept_for_ever(problem):
    problem.run("run", steps=20, checkpoint_every=2, keep_every=6)
    assert sorted(int(path.name) for path in (problem.folder / "run" / "checkpoints").iterdir()) == [6, 12, 18, 20]
    assert not list((problem.folder / "run" / "checkpoints").glob("*deleted*"))


def test_a_checkpoint_is_due_after_so_many_minutes(problem):
    now = [0.0]

    class Slow(problem.Rows):
        def __next__(self):
            now[0] += 25.0
            return super().__next__()

    problem.run(
        "run", batches=Slow(), checkpoint_every=100, checkpoint_minutes=1.0, keep_checkpoints=9, clock=lambda: now[0]
    )
    assert sorted(int(path.name) for path in (problem.folder / "run" / "checkpoints").iterdir()) == [3, 6, 9, 10]


def test_what_a_killed_deletion_left_is_cleared_away(problem):
    problem.run("run", steps=5)
    (problem.folder / "run" / "checkpoints" / "2.deleted" / "model").mkdir(parents=True)
    problem.run("run", resume=True)
    assert not (problem.folder / "run" / "checkpoints" / "2.deleted").exists()


def test_the_last_checkpoint_of_a_run_says_so(problem):
    problem.run("run")
    said = [
        json.loads((problem.folder / "run" / "checkpoints" / step / "progress" / "metadata").read_text())["is_last"]
        for step in ("8", "10")
    ]
    assert said == [False, True]


def test_a_run_starts_from_what_fits_of_another(problem, capsys):
    other = problem.run("other", ema_decay=0.5)

    def init(rng):
        params, _ = problem.init(rng)
        grown = {"linear/~/w": params["linear/~/w"], "nested": (params["nested"][0], [np.ones((2, 3), np.float32)])}
        return grown | {"new": jax.numpy.full(2, 7.0)}, {"mean": jax.numpy.zeros(3, jax.numpy.bfloat16)}

    def loss_fn(params, model_state, rng, batch):
        loss, (metrics, _) = problem.loss_fn(params, {"mean": jax.numpy.zeros(3)}, rng, batch)
        return loss, (metrics, model_state)

    begun = []
    action = EverySteps(1, lambda step, state: begun.append(jax.tree.map(np.array, state)))
    problem.run(
        "run",
        init=init,
        loss_fn=loss_fn,
        optimizer=optax.sgd(0.0),
        init_from=problem.folder / "other",
        actions=[action],
    )
    words = capsys.readouterr().err
    assert problem.same(begun[0].params["linear/~/w"], np.array(other.state.params["linear/~/w"]))
    np.testing.assert_allclose(begun[0].model_state["mean"], other.state.model_state["mean"], rtol=1e-2)
    assert begun[0].params["new"].tolist() == [7, 7] and begun[0].params["nested"][1][0].shape == (2, 3)
    assert "params/nested/1/0: float32[2, 2] in" in words and "float32[2, 3] here, stays as initialised" in words
    assert "params/new: not in" in words and "ema" not in words
    with pytest.raises(ValueError, match=r"none fits: .*params/linear.* are saved, params/other are wanted"):
        problem.run("none", init=lambda rng: ({"other": jax.numpy.ones(2)}, {}), init_from=problem.folder / "other")
