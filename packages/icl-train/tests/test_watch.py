"""A run is followed checkpoint by checkpoint: each once, in order, until its last, whatever happens to the run."""

import importlib
import itertools
import json
import shutil
import threading

import pytest

from icl_train.checkpoints.progress import Progress
from icl_train.checkpoints.watch import watch


class FakeRun:
    """A run's folder, and a clock: each sleep does the next thing that was planned for it."""

    def __init__(self, workdir):
        self.workdir, self.now, self.sleeps, self._plan = workdir, 0.0, [], []

    def save(self, *steps, is_last=False, folder="{}"):
        for step in steps:
            item = self.workdir / "checkpoints" / folder.format(step) / "progress"
            item.mkdir(parents=True, exist_ok=True)
            progress = Progress(step=step, is_last=is_last, seed=0, seconds=1.0, meters=[], failed={})
            (item / "metadata").write_text(json.dumps(progress.to_json()))

    def delete(self, *steps):
        for step in steps:
            shutil.rmtree(self.workdir / "checkpoints" / str(step))

    def then(self, *actions):
        """Do these things during the next sleep."""
        self._plan.append(actions)
        return self

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds
        assert self._plan, "watch sleeps again, with nothing left to happen"
        for action in self._plan.pop(0):
            action()

    def watch(self, **options):
        steps = watch(self.workdir, **({"sleep": self.sleep, "clock": lambda: self.now} | options))
        return itertools.islice(steps, 20)  # more than any test saves, so that a step repeated for ever shows


@pytest.fixture
def fake(tmp_path):
    return FakeRun(tmp_path / "run")


def test_what_is_there_comes_first_then_each_new_one_until_the_last(fake):
    fake.save(1000, 200)  # in order of the number, not of the name or of time
    fake.then().then(lambda: fake.save(1500)).then(lambda: fake.save(2000, 1750), lambda: fake.save(2500, is_last=True))
    assert list(fake.watch()) == [200, 1000, 1500, 1750, 2000, 2500]
    assert fake.sleeps == [5.0, 5.0, 5.0]


def test_a_finished_run_is_gone_through_without_waiting(fake):
    fake.save(100, is_last=False)
    fake.save(200, is_last=True)
    assert list(fake.watch()) == [100, 200] and fake.sleeps == []


def test_a_run_that_was_finished_and_made_longer_ends_at_its_new_end(fake):
    fake.save(100, is_last=True)
    fake.save(200)
    fake.then(lambda: fake.save(300, is_last=True))
    assert list(fake.watch()) == [100, 200, 300]


def test_a_run_that_has_not_begun_is_waited_for(fake):
    fake.then().then(lambda: fake.workdir.mkdir()).then(lambda: (fake.workdir / "checkpoints").mkdir())
    fake.then(lambda: fake.save(10, is_last=True))
    assert list(fake.watch(poll_seconds=0.5)) == [10]
    assert fake.sleeps == [0.5] * 4


def test_what_is_being_written_or_is_no_checkpoint_is_left_alone(fake):
    fake.save(100)
    fake.save(200, folder="{}.orbax-checkpoint-tmp")
    fake.save(300, folder="best-{}")
    (fake.workdir / "checkpoints" / "400").write_text("a file")
    (fake.workdir / "checkpoints" / "500").mkdir()  # half deleted
    fake.save(550)
    (fake.workdir / "checkpoints" / "550" / "progress" / "metadata").write_text("{}")
    fake.then(lambda: fake.save(600, is_last=True))
    assert list(fake.watch()) == [100, 600]


def test_what_the_run_deletes_meanwhile_is_left_out(fake):
    fake.save(100, 200, 300)
    steps = fake.watch()
    assert next(steps) == 100
    fake.delete(100, 200)  # while the caller is busy with 100
    fake.save(400, is_last=True)
    assert list(steps) == [300, 400]


def test_a_step_that_is_deleted_between_listing_and_reading_is_left_out(fake, monkeypatch):
    fake.save(100)
    fake.save(300, is_last=True)
    monkeypatch.setattr(
        importlib.import_module("icl_train.checkpoints.watch"), "saved_steps", lambda folder: [100, 200, 300]
    )
    assert list(fake.watch()) == [100, 300]


def test_the_end_is_noticed_though_the_folder_is_gone_by_then(fake):
    fake.save(100, is_last=True)
    for step in fake.watch():
        fake.delete(step)


def test_steps_that_a_resumed_run_makes_again_are_not_repeated(fake):
    fake.save(100, 200, 300)
    fake.then(lambda: fake.delete(200, 300)).then(lambda: fake.save(200)).then(lambda: fake.save(300))
    fake.then(lambda: fake.save(400, is_last=True))
    assert list(fake.watch()) == [100, 200, 300, 400]


def test_a_last_step_that_was_yielded_before_it_was_the_last_ends_it_too(fake):
    fake.save(100)
    fake.then(lambda: fake.delete(100)).then(lambda: fake.save(100, is_last=True))
    assert list(fake.watch()) == [100]


def test_a_run_that_died_is_waited_for_until_the_timeout(fake):
    fake.save(100)
    fake.then().then(lambda: fake.save(200)).then().then().then()
    steps = fake.watch(poll_seconds=4.0, timeout_seconds=10.0)
    assert [next(steps), next(steps)] == [100, 200]
    fake.now += 1000  # the caller's own time does not count
    with pytest.raises(TimeoutError, match=r"within 10 s, but the last was of step 200; see whether the run is alive"):
        next(steps)
    assert fake.sleeps == [4.0, 4.0, 4.0, 4.0, 2.0]  # two until 200 came, then ten seconds and not more


def test_a_run_that_never_begins_times_out_too(fake):
    with pytest.raises(TimeoutError, match="there was none"):
        list(fake.then().watch(poll_seconds=3.0, timeout_seconds=3.0))


@pytest.mark.parametrize("times", [{"poll_seconds": 0.0}, {"timeout_seconds": -1.0}])
def test_times_out_of_range_are_refused_at_once(fake, times):
    with pytest.raises(ValueError, match=f"wanted {next(iter(times))} above 0"):
        fake.watch(**times)


def test_a_real_run_is_followed_while_it_trains(problem):
    workdir = problem.folder / "run"
    seen, turn = [], threading.Semaphore(0)

    class Paced(problem.Rows):
        def __next__(self):
            # The checkpoint of step 4 must have been seen before step 9 ends the run.
            if self.position == 8:
                assert turn.acquire(timeout=60)
            return super().__next__()

    training = threading.Thread(
        target=lambda: problem.run("run", steps=9, checkpoint_every=4, keep_checkpoints=1, batches=Paced())
    )
    training.start()
    for step in watch(workdir, poll_seconds=0.01, timeout_seconds=60.0):
        seen.append(step)
        turn.release()
    training.join()
    assert seen[-1] == 9 and set(seen) <= {4, 8, 9} and len(seen) >= 2
