"""A run is drawn below the cell that trains it, takes little time, and ends no run."""

import base64
import dataclasses
import io
import os
import signal
import sys
import time
from queue import Empty

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from PIL import Image

import icl_eval
import icl_lab as lab
from icl_lab import live_plot
from icl_train import EverySteps, Interrupted, Moment

SECONDS = 120  # more than anything here takes on a busy machine


class Cell:
    """Where a notebook shows something: keeps what it was given, each time."""

    def __init__(self):
        self.shown = []

    def display(self, plot, *, display_id):
        assert display_id
        self.update(plot)
        return self

    def update(self, plot):
        self.shown.append(plot._repr_html_())


@pytest.fixture
def cell(monkeypatch):
    cell = Cell()
    monkeypatch.setattr(live_plot, "notebook_display", lambda: cell.display)
    return cell


def pixels(html):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(html.split("base64,")[1].split('"')[0]))))


def train(toy, folder, *actions, options=()):
    words = ["toy", "--no-report", "--workdir", str(folder), *options]
    config = lab.parse(words, toy.PRESETS, name="toy", default="toy")
    lab.execute(toy.TOY, config, lab.ensemble_members(config), actions=actions)


class Clock:
    """Time that stands still, but for what a drawing takes."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def drawing(monkeypatch):
    """Let each drawing take a second of a clock, and count them."""
    clock, drawn = Clock(), []

    def draw(run):
        clock.now += 1.0
        drawn.append(clock.now)

    monkeypatch.setattr(icl_eval, "run_over_training", draw)
    return clock, drawn


def test_it_draws_headlines_and_loss_as_they_come(toy, tmp_path, cell, monkeypatch):
    figures, encode = [], icl_eval.encode

    def keep(figure, *, form):
        figures.append([[line.get_xdata().tolist() for line in panel.lines] for panel in figure.axes])
        return encode(figure, form=form)

    monkeypatch.setattr(icl_eval, "encode", keep)
    plot = lab.LivePlot(tmp_path / "run", steps=3, clock=lambda: 0.0)
    train(toy, tmp_path / "run", plot)
    assert len(cell.shown) == 2 and plot._repr_html_() == cell.shown[-1]
    headline, loss = figures[-1]
    assert headline[0] == [3.0, 6.0] and loss[0] == [2.0, 4.0, 6.0]  # what is evaluated at a step is there by then
    assert figures[0][0][0] == [3.0]
    assert pixels(cell.shown[0]).shape[1] == 920 and 'width="460"' in cell.shown[0]


def test_a_run_that_is_drawn_is_the_same_run(toy, tmp_path, cell, finished, read):
    train(toy, tmp_path / "run", lab.LivePlot(tmp_path / "run", steps=1))
    for name in ("metrics.jsonl", "eval.jsonl"):
        assert read(tmp_path / "run" / name) == read(finished / name)


def test_drawing_takes_a_twentieth_of_the_time_and_the_last_step_is_always_drawn(finished, cell, drawing):
    clock, drawn = drawing
    plot = lab.LivePlot(finished, steps=1, clock=clock)
    for step in range(1, 101):
        clock.now += 1.0
        assert plot.is_due(Moment(step, 0.0, is_last=step == 100))
        plot(step, None)
    assert np.diff(drawn[:-1]).tolist() == [20.0] * (len(drawn) - 2)
    assert drawn[-1] == clock.now and drawn[-1] - drawn[-2] < 20


def test_outside_a_notebook_nothing_is_drawn(finished, drawing):
    plot = lab.LivePlot(finished, steps=1)
    plot(6, None)
    assert not drawing[1] and "nothing is logged yet" in plot._repr_html_()


def test_a_drawing_that_fails_is_told_once_and_ends_no_run(toy, tmp_path, cell, capsys, monkeypatch):
    monkeypatch.setattr(icl_eval, "encode", lambda figure, form: [][0])
    train(toy, tmp_path / "run", lab.LivePlot(tmp_path / "run", steps=3, clock=lambda: 0.0))
    assert capsys.readouterr().err.count("LivePlot draws no more: IndexError: list index out of range\n") == 1
    assert not cell.shown and (tmp_path / "run" / "summary.json").exists()


def test_of_an_ensemble_a_member_is_drawn(toy, tmp_path, cell):
    options = ["--train.ensemble.members", "2"]
    folder = tmp_path / "run"
    whole, member = (lab.LivePlot(each, steps=6, clock=lambda: 0.0) for each in (folder, folder / "member-001"))
    train(toy, folder, whole, member, options=options)
    assert "name the folder of a member" in cell.shown[0] and "member-001 over training" in cell.shown[1]


def test_an_interrupted_cell_says_how_to_go_on_there_and_it_does(toy, tmp_path, finished, read, monkeypatch, capsys):
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    config = lab.parse(["toy", "--no-report", "--workdir", str(tmp_path / "run")], toy.PRESETS, name="x", default="toy")
    stop = EverySteps(4, lambda step, state: signal.raise_signal(signal.SIGINT), at_end=False)
    with pytest.raises(Interrupted):
        lab.execute(toy.TOY, config, lab.ensemble_members(config), actions=[stop])
    said = capsys.readouterr().err
    assert "To go on: execute it again with dataclasses.replace(config, resume=True)." in said
    config = dataclasses.replace(config, resume=True)
    lab.execute(toy.TOY, config, lab.ensemble_members(config))
    assert read(tmp_path / "run" / "eval.jsonl") == read(finished / "eval.jsonl")


def test_a_name_is_escaped_and_steps_are_checked():
    assert "<b>" not in lab.LivePlot("runs/<b>", steps=1)._repr_html_()
    assert repr(lab.LivePlot("runs/a", steps=7)).endswith("runs/a', steps=7)")
    with pytest.raises(ValueError, match="at least 1"):
        lab.LivePlot("runs/a", steps=0)


CODE = """
import sys
from pathlib import Path
from icl_train import METRICS_FILE
import icl_lab as lab

folder = Path(FOLDER)
plot = lab.LivePlot(folder, steps=1, clock=lambda: 0.0)
for step in (1, 2, 3):
    with (folder / METRICS_FILE).open("a") as file:
        print(f'{{"step": {step}, "loss": {1 / step}}}', file=file)
    plot(step, None)
print("matplotlib.pyplot" in sys.modules)
"""


def test_in_a_real_kernel_one_picture_is_replaced_whatever_backend_is_named(tmp_path):
    manager, client = start_new_kernel(startup_timeout=SECONDS, env=os.environ | {"MPLBACKEND": "not_here"})
    try:
        client.execute(f"FOLDER = {str(tmp_path)!r}\n{CODE}")
        found, end = [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                message = client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            found.append((message["msg_type"], message["content"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not [content for kind, content in found if kind == "error"]
    shown = [(kind, content) for kind, content in found if "display" in kind]
    assert [kind for kind, _ in shown] == ["display_data", "update_display_data", "update_display_data"]
    assert len({content["transient"]["display_id"] for _, content in shown}) == 1
    first, *_, last = [pixels(content["data"]["text/html"]) for _, content in shown]
    assert first.shape == last.shape and not np.array_equal(first, last)
    assert [content["text"].strip() for kind, content in found if kind == "stream"] == ["False"]
