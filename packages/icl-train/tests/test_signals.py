"""The first signal raises a flag, Ctrl+C once more takes the default action, and nothing is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

import icl_train.signals
from icl_train import EverySteps, Interrupted, flag_signals, latest_step

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Whatever started the tests, such as nohup, nothing is ignored."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGUSR1)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_only_raises_the_flag(number, capfd):
    before = [signal.getsignal(each) for each in STOPPING]
    with flag_signals() as flag:
        assert flag.signal is None
        signal.raise_signal(number)
        assert flag.signal == number
        # A closed terminal's comes from the kernel and from the shell; a cluster may repeat its warning.
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGUSR1)
        if number not in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(signal.SIGTERM)  # which a cluster sends next, while the step is being saved
        assert flag.signal == number
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert [signal.getsignal(each) for each in STOPPING] == before
    assert f"{signal.Signals(number).name}: finishing this step" in capfd.readouterr().err


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with flag_signals() as flag:
            signal.raise_signal(signal.SIGHUP)
        assert flag.signal is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def nobody_reads():
    """Put a pipe in the place of stderr whose reader is gone, as ``tee`` is after Ctrl+C."""
    kept = os.dup(2)
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(writer)
        os.close(kept)


def test_a_signal_is_heeded_though_nobody_reads_what_is_said(problem, whole):
    stop = EverySteps(5, lambda step, state: signal.raise_signal(signal.SIGTERM), at_end=False)
    with nobody_reads():
        with pytest.raises(BrokenPipeError):
            os.write(2, b"so")
        with pytest.raises(Interrupted):
            problem.run("run", actions=[stop])
    assert latest_step(problem.folder / "run") == 5
    assert problem.same(problem.run("run", resume=True).state, whole.state)


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), flag_signals():
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM"])
def test_the_second_signal_ends_the_process_at_once(second):
    # The module is run by itself, from wherever it is installed: importing the package would take seconds.
    script = (
        f"import runpy, signal\nmodule = runpy.run_path({icl_train.signals.__file__!r})\n"
        "with module['flag_signals']():\n signal.raise_signal(signal.SIGINT)\n"
        " print('still here', flush=True)\n"
        f" signal.raise_signal(signal.{second})\n print('not here')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.Signals[second], done.stderr
    assert done.stdout == "still here\n"


def test_where_python_is_interactive_a_second_interrupt_ends_the_run_and_not_the_process(monkeypatch, capfd):
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    before = [signal.getsignal(each) for each in STOPPING]
    with pytest.raises(KeyboardInterrupt), flag_signals() as flag:
        signal.raise_signal(signal.SIGINT)
        assert flag.signal == signal.SIGINT
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # by which a notebook's server ends its kernel
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(each) for each in STOPPING] == before
    assert "one more interrupt stops at once" in capfd.readouterr().err


def test_a_thread_trains_like_the_main_one_and_leaves_the_handlers_alone(problem, whole):
    before, results = [signal.getsignal(each) for each in STOPPING], []
    handlers = [EverySteps(5, lambda step, state: results.append([signal.getsignal(each) for each in STOPPING]))]
    thread = threading.Thread(target=lambda: results.append(problem.run("run", actions=handlers)))
    thread.start()
    thread.join()
    *seen, result = results
    assert seen == [before, before]
    assert problem.same(result.state, whole.state)


def test_outside_the_main_thread_nothing_happens():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def inside():
        with flag_signals() as flag:
            seen.append((signal.getsignal(signal.SIGTERM), flag.signal))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(before, None)]


def test_interrupted_is_an_exit_with_the_code_that_shells_expect():
    error = Interrupted(signal.SIGTERM, "stopped")
    assert isinstance(error, SystemExit)
    assert (error.code, str(error), error.signal) == (143, "stopped", signal.SIGTERM)


def test_the_sentence_says_what_happened_and_how_to_go_on(problem, capsys):
    stop = EverySteps(5, lambda step, state: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted) as stopped:
        problem.run("run", actions=[stop], resume_hint="say --resume")
    wanted = f"Stopped by SIGINT after step 5 of 10, saved in {problem.folder / 'run'}. To go on: say --resume."
    assert str(stopped.value) == wanted
    assert wanted in capsys.readouterr().err
