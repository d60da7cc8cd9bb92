"""The first signal raises a flag, the second takes the default action, and nothing is left behind."""

import signal
import subprocess
import sys
import threading

import pytest

import icl_train.signals
from icl_train import EverySteps, Interrupted, flag_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_raises_the_flag(number, capfd):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with flag_signals() as flag:
        assert flag.signal is None
        signal.raise_signal(number)
        assert flag.signal == number
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert f"{signal.Signals(number).name}: finishing this step" in capfd.readouterr().err


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
