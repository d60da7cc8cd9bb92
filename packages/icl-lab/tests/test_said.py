"""What is said ends no run: readers that are gone, full disks, closed streams; and errors keep their exit codes."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import icl_lab as lab
from icl_lab import session


class Broken(io.StringIO):
    """A stream on which nothing can be written."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


STREAMS = {
    "a reader that is gone": lambda: Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")),
    "a full disk": lambda: Broken(OSError(errno.ENOSPC, "No space left on device")),
    "a closed stream": lambda: Broken(ValueError("I/O operation on closed file")),
    "none at all": lambda: None,
}


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_a_run_whose_words_are_lost_is_the_run_that_was_heard(finished, run, read, tmp_path, monkeypatch, make):
    monkeypatch.setattr(sys, "stdout", make())
    monkeypatch.setattr(sys, "stderr", make())
    run("toy", "--no-report", "--workdir", tmp_path / "run")
    for name in ("metrics.jsonl", "eval.jsonl", "summary.json"):
        found, wanted = read(tmp_path / "run" / name), read(finished / name)
        if name == "summary.json":
            del found["train"], wanted["train"]
        assert found == wanted, name


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_a_sweep_and_an_error_are_not_ended_by_their_words(toy, tmp_path, monkeypatch, make):
    monkeypatch.setattr(sys, "stdout", make())
    monkeypatch.setattr(sys, "stderr", make())
    done = []
    base = lab.with_options(toy.ToyConfig(), {"workdir": tmp_path})
    sweep = lab.Sweep(base=base, settings=({},))
    lab.run_sweep(sweep, vary=(), check=lambda config, members: None, execute=lambda config, members: done.append(1))
    assert done == [1]
    with pytest.raises(SystemExit) as caught, session.one_line_errors():
        raise ValueError("no such thing")
    assert caught.value.code == 2


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["toy", "--help"], 0), (["toy", "--widht", "3"], 2)])
def test_a_reader_who_has_seen_enough_of_the_help_is_no_error(toy, monkeypatch, words, code):
    gone = STREAMS["a reader that is gone"]()
    monkeypatch.setattr(sys, "stdout", gone)
    monkeypatch.setattr(sys, "stderr", gone)
    with pytest.raises(SystemExit) as caught:
        lab.parse(words, toy.PRESETS, name="toy", default="toy")
    assert caught.value.code == code


SCRIPT = """
import dataclasses, sys
import icl_lab as lab

@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    batch_size: int = 8

@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(lab.ExperimentConfig):
    data: Data = Data()

def main(config):
    lab.say("a result")
    with lab.one_line_errors():
        if config.data.batch_size == 9:
            raise ValueError("nine")

lab.run(main, {"toy": Config()}, name="toy", default="toy")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(("words", "code"), [([], 0), (["--data.batch-size", "9"], 2)])
def test_a_process_ends_with_its_own_code(tmp_path, words, code):
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") as full, os.fdopen(writer, "w") as pipe:
        command = [sys.executable, "-c", SCRIPT, *words, "--workdir", str(tmp_path)]
        # So that words are left in the stream's buffer, as they are for most.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        ended = subprocess.run(command, stdout=pipe, stderr=full, env=environment, check=False)
    assert ended.returncode == code
