"""What is in metrics.jsonl is in the event files too, and a resumed run hides what it makes again."""

import math
import struct
import sys

import numpy as np
import pytest

from icl_train.metrics.tensorboard import TensorBoardFile


def events(path):
    """Read an event file: records of length (8 bytes), its checksum (4), the event, its checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked_crc32c(record),)
        found.append(Event.FromString(record))
        data = data[16 + length :]
    return found


def scalars(path):
    return {(v.tag, event.step): v.simple_value for event in events(path) for v in event.summary.value}


def files(workdir):
    return sorted((workdir / "tensorboard").iterdir())


@pytest.fixture(autouse=True)
def tensorboardx():
    pytest.importorskip("tensorboardX", exc_type=ImportError)


def test_every_number_of_a_line_is_a_scalar_of_its_step(tmp_path):
    with TensorBoardFile(tmp_path, first=0) as file:
        file.write({"step": 50, "loss": 0.5, "items": 3, "note": "warm", "done": True, "rate": None})
        file.write({"step": 100, "loss": np.float32(0.25), "items": 4})
    (path,) = files(tmp_path)
    assert scalars(path) == {("loss", 50): 0.5, ("items", 50): 3, ("loss", 100): 0.25, ("items", 100): 4}


def test_a_loss_that_is_no_number_is_written_as_it_is_and_in_silence(tmp_path, caplog):
    with TensorBoardFile(tmp_path, first=0) as file:
        file.write({"step": 1, "loss": math.nan, "gradient_norm": math.inf})
    (path,) = files(tmp_path)
    found = scalars(path)
    assert math.isnan(found["loss", 1]) and found["gradient_norm", 1] == math.inf
    assert not caplog.records


def test_a_resumed_run_adds_a_file_that_hides_the_later_steps(tmp_path):
    from tensorboardX.proto.event_pb2 import SessionLog

    with TensorBoardFile(tmp_path, first=0) as file:
        for step in (10, 20, 30):
            file.write({"step": step, "loss": float(step)})
    (before,) = files(tmp_path)
    with TensorBoardFile(tmp_path, first=20) as file:
        file.write({"step": 30, "loss": -1.0})
    old, new = files(tmp_path)
    assert old == before and len(scalars(old)) == 3 and scalars(new) == {("loss", 30): -1.0}
    # TensorBoard drops what came before this event and is of its step or later.
    assert [event.step for event in events(new) if event.session_log.status == SessionLog.START] == [21]


def test_sessions_that_begin_in_the_same_second_do_not_overwrite_each_other(tmp_path):
    for first in range(3):
        with TensorBoardFile(tmp_path, first=first) as file:
            file.write({"step": first + 1, "loss": 1.0})
    assert [list(scalars(path)) for path in files(tmp_path)] == [[("loss", 1)], [("loss", 2)], [("loss", 3)]]


def test_what_was_written_before_an_error_is_there(tmp_path):
    with pytest.raises(RuntimeError, match="training broke"), TensorBoardFile(tmp_path, first=0) as file:
        file.write({"step": 1, "loss": 2.0})
        raise RuntimeError("training broke")
    (path,) = files(tmp_path)
    assert scalars(path) == {("loss", 1): 2.0}


def test_without_tensorboardx_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'icl-train\[tensorboard\]'"):
        TensorBoardFile(tmp_path, first=0)
    assert not (tmp_path / "tensorboard").exists()


def test_a_negative_number_of_steps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got -1"):
        TensorBoardFile(tmp_path, first=-1)


def test_a_writer_whose_disk_is_full_is_left_and_training_is_not_held_up(tmp_path, capsys):
    with TensorBoardFile(tmp_path, first=0) as file:
        file._writer.file_writer.event_writer._worker.stop()
        for step in range(1, 2_000):
            file.write({"step": step, "loss": 0.5})
    assert capsys.readouterr().err.count("TENSORBOARD STOPS: step 1 and later") == 1
