"""One process trains in a folder at a time; its death lets the folder go, and whoever only reads need not ask."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import filelock
import pytest

from icl_train import EverySteps, RunError, hold_for_training, is_held, latest_step, restore_model, trainer_lock

# Another process holds the folder as a trainer does, by the library alone: importing ours would take seconds.
OTHER = """
import filelock, sys, time
lease = filelock.SoftFileLease(sys.argv[1], lease_duration=30.0)
lease.acquire()
print("held", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def another_trainer(workdir):
    command = [sys.executable, "-c", OTHER, str(workdir / "trainer.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "trainer.lock")
    return {path: path.read_bytes() for path in files}


def elsewhere(workdir, host="elsewhere"):
    """Make the file of a trainer on another machine, as the library writes it."""
    with filelock.SoftFileLease(workdir / "trainer.lock", lease_duration=trainer_lock._LEASE_SECONDS) as lease:
        text = (workdir / "trainer.lock").read_text()
        own = lease.owner.hostname
    path = workdir / "trainer.lock"
    path.write_text(text.replace(f"host={own}", f"host={host}"))
    return path


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_trainer_is_refused_and_changes_nothing(problem, resume):
    folder = problem.folder / "run"
    folder.mkdir()
    if resume:
        problem.run("run")
    before = contents(folder)
    with another_trainer(folder) as process:
        with pytest.raises(RunError, match=rf"held by process {process.pid} on .*, which trains there"):
            problem.run("run", steps=20, resume=resume)
        assert contents(folder) == before
        if resume:  # to look at it stays possible
            assert restore_model(folder, init=problem.init).step == 10
        process.kill()
        process.wait()
        problem.run("run", steps=20, resume=resume)  # at once: the dead hold nothing
    assert latest_step(folder) == 20
    assert not (folder / "trainer.lock").exists()


def test_the_folder_is_held_while_it_trains_and_let_go_after_an_error(problem):
    seen = []

    def look(step, state):
        seen.append((problem.folder / "run" / "trainer.lock").read_text())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        problem.run("run", actions=[EverySteps(4, look)])
    assert "pid=" in seen[0] and "host=" in seen[0]
    assert not (problem.folder / "run" / "trainer.lock").exists()


def test_a_block_within_a_block_changes_nothing_and_another_thread_is_refused(problem):
    refused = []

    def second():
        try:
            problem.run("run")
        except RunError as error:
            refused.append(str(error))

    with hold_for_training(problem.folder / "run"):
        problem.run("run")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1 and "which trains there" in refused[0]


def test_a_trainer_on_another_machine_is_waited_for_and_taken_to_be_dead_without_a_sign(problem, monkeypatch, capsys):
    monkeypatch.setattr(trainer_lock, "_LEASE_SECONDS", 0.5)
    workdir = problem.folder / "run"
    workdir.mkdir()
    elsewhere(workdir)
    began = time.monotonic()
    problem.run("run")
    assert time.monotonic() - began >= 0.5
    assert "was last held by process" in capsys.readouterr().err


def test_a_trainer_on_another_machine_that_gives_a_sign_of_life_is_respected(problem, monkeypatch):
    monkeypatch.setattr(trainer_lock, "_LEASE_SECONDS", 5.0)
    workdir = problem.folder / "run"
    workdir.mkdir()
    lock = elsewhere(workdir)
    stop = threading.Event()

    def beat():
        while not stop.wait(0.1):
            lock.touch()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(RunError, match="on elsewhere, which trains there"):
            problem.run("run")
    finally:
        stop.set()
        thread.join()


def test_who_was_taken_for_dead_writes_no_more(problem):
    workdir = problem.folder / "run"

    def be_taken_over(step, state):
        lock = workdir / "trainer.lock"
        text = lock.read_text()
        lock.unlink()
        lock.write_text(text.replace("pid=", "pid=1").replace("token=", "token=0"))
        (workdir / "checkpoints" / "8").mkdir()  # the other's

    with pytest.raises(RunError, match="was taken over by process"):
        problem.run("run", actions=[EverySteps(6, be_taken_over, at_end=False)])
    assert latest_step(workdir) == 4
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["4", "8"]


@pytest.mark.parametrize("sign", ["trainer.lock", "checkpoints"])
def test_a_member_is_trained_by_its_ensemble_alone(problem, sign):
    member = problem.folder / "ensemble" / "member-000"
    member.mkdir(parents=True)
    (member.parent / sign).mkdir()
    (member / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(RunError, match="a member of the ensemble in"):
        problem.run("ensemble/member-000", resume=True)
    assert (member / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_who_asks_whether_a_folder_is_held_waits_for_nothing(tmp_path):
    assert not is_held(tmp_path / "nowhere") and not is_held(tmp_path)
    with another_trainer(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)  # its process is dead
    with hold_for_training(tmp_path):
        assert not is_held(tmp_path)  # but by this very thread, which holds it still
        with another_thread_asks(tmp_path) as found:
            assert found == [True]
    lock = elsewhere(tmp_path)
    begun = time.monotonic()
    assert is_held(tmp_path) and time.monotonic() - begun < 5
    os.utime(lock, (time.time() - 60,) * 2)
    assert not is_held(tmp_path)


@contextlib.contextmanager
def another_thread_asks(folder):
    found = []
    thread = threading.Thread(target=lambda: found.append(is_held(folder)))
    thread.start()
    thread.join(60)
    yield found
