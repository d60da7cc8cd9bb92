"""What the user is told is a plain line above the bar, whoever has set up logging, and never the end of a run."""

import io
import logging
import sys

import jax
import pytest
from absl import logging as absl_logging
from tqdm import tqdm

from icl_train import EverySteps
from icl_train.log import logger


class Terminal(io.StringIO):
    def isatty(self):
        return True


# As ipykernel has it: the output of a notebook's cell, which says that it is no terminal.
Cell = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})


class FullDisk(io.StringIO):
    def write(self, text):
        raise OSError("no space left on device")


@pytest.fixture(params=["a plain script", "absl's app", "basicConfig"])
def logging_of(request):
    """Set up logging as the script of a user has it."""
    before, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers[:] = []
    verbosity = absl_logging.get_verbosity()
    if request.param == "absl's app":
        absl_logging.use_absl_handler()
        absl_logging.set_verbosity(absl_logging.WARNING)
    elif request.param == "basicConfig":
        logging.basicConfig(level=logging.DEBUG)
    yield
    absl_logging.set_verbosity(verbosity)
    logging.root.handlers[:] = before
    logging.root.setLevel(level)


def test_sentences_are_lines_of_their_own_without_a_prefix(logging_of, capsys):
    logger.info("Resuming 100%s of it.")
    logger.warning("CHECKPOINT FAILED: a full disk.")
    assert capsys.readouterr().err == "Resuming 100%s of it.\nCHECKPOINT FAILED: a full disk.\n"


def test_a_line_stands_above_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with tqdm(total=3, desc="run", file=terminal) as bar:
        bar.update()
        logger.info("one line")
    words = terminal.getvalue()
    before, after = words.split("one line\n")
    assert before.endswith("\r") and "run:" in before and "run:" in after


@pytest.mark.parametrize("host", [0, 1])
def test_of_several_hosts_the_first_speaks(host, monkeypatch, capsys):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(jax, "process_index", lambda: host)
    logger.info("one line")
    assert capsys.readouterr().err == ("" if host else "one line\n")


def test_alone_nothing_is_asked_of_jax_that_would_make_it_look_for_devices(monkeypatch, capsys):
    monkeypatch.setattr(jax, "process_index", lambda: pytest.fail("JAX was asked"))
    logger.info("one line")
    assert capsys.readouterr().err == "one line\n"


@pytest.mark.parametrize(("stream", "drawn"), [(Terminal, True), (Cell, True), (io.StringIO, False)])
def test_there_is_a_bar_where_somebody_looks_on(problem, monkeypatch, stream, drawn):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    problem.run("run")
    assert ("run: 100%" in stderr.getvalue()) is drawn


class Broken(Terminal):
    """A terminal that fails at everything once it is broken, as on a full disk or without its reader."""

    broken = False

    def write(self, text):
        if self.broken:
            raise BrokenPipeError("Broken pipe")
        return super().write(text)

    def flush(self):
        self.write("")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [FullDisk(), closed(), None], ids=["a full disk", "closed", "none at all"])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    logger.warning("one line")


def test_a_line_is_lost_where_somebody_elses_bar_cannot_be_drawn(monkeypatch):
    terminal = Broken()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = tqdm(total=3, file=terminal)
    terminal.broken = True
    logger.warning("one line")
    terminal.broken = False
    bar.close()


def test_a_terminal_that_goes_away_ends_no_run(problem, monkeypatch, whole):
    terminal = Broken()
    monkeypatch.setattr(sys, "stderr", terminal)

    def hang_up(step, state):
        terminal.broken = True

    result = problem.run("run", actions=[EverySteps(4, hang_up)])
    assert "run:" in terminal.getvalue()  # there was a bar
    assert problem.same(result.state, whole.state)
