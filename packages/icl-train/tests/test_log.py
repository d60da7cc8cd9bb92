"""What the user is told is a plain line above the bar, whoever has set up logging, and never the end of a run."""

import io
import logging
import sys

import jax
import pytest
from absl import logging as absl_logging
from tqdm import tqdm

from icl_train.log import logger


class Terminal(io.StringIO):
    def isatty(self):
        return True


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


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (FullDisk(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        logger.warning("one line")
