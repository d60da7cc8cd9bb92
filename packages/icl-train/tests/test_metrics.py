"""Lines are means over their window, rates are over time of training alone, files end where the run does."""

import numpy as np
import pytest

from icl_train import EverySteps, drop_lines_after
from icl_train.metrics.meters import Meter, Stopwatch


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_line_is_the_mean_over_its_window(problem):
    problem.run("each", log_every=1)
    problem.run("window", log_every=4)
    each = problem.untimed(problem.folder / "each")
    windows = problem.untimed(problem.folder / "window")
    assert [line["step"] for line in windows] == [4, 8, 10]
    for line, steps in zip(windows, (each[0:4], each[4:8], each[8:10]), strict=True):
        for name in ("loss", "absolute_error", "gradient_norm"):
            assert line[name] == pytest.approx(np.mean([step[name] for step in steps]), rel=1e-12)


def test_a_meter_can_be_put_down_anywhere_and_taken_up_again():
    def scalars(step):
        return {"loss": 1 / step, "gradient_norm": step / 7, "learning_rate": 1 / 3}

    watch = Stopwatch(Clock())
    whole, parts = Meter(log_every=5, watch=watch), Meter(log_every=5, watch=watch)
    for step in range(1, 23):
        whole.add(step, scalars(step), items=2)
        parts.add(step, scalars(step), items=2)
        parts = Meter(log_every=5, watch=watch, window=parts.window())
        assert parts.mean("loss") == whole.mean("loss")
    assert whole.mean("loss") == pytest.approx((1 / 21 + 1 / 22) / 2)


def test_rates_count_time_of_training_alone():
    clock = Clock()
    watch = Stopwatch(clock)
    meter = Meter(log_every=4, watch=watch)
    for step in range(1, 5):
        clock.now += 0.5
        meter.add(step, {"loss": 1.0, "gradient_norm": 1.0, "accuracy": 0.5}, items=32)
        with watch.paused():
            clock.now += 1000
    line = meter.line(4, now=watch.seconds())
    assert (line["time"], line["steps_per_second"], line["items_per_second"]) == (2.0, 2.0, 64.0)
    assert (line["accuracy"], "learning_rate" in line) == (0.5, False)
    clock.now += 4
    meter.add(5, {"loss": 1.0, "gradient_norm": 1.0}, items=32)
    assert meter.line(5, now=watch.seconds())["steps_per_second"] == 0.25, "since the line before, not since the start"


def test_the_time_of_actions_is_left_out_of_a_run(problem):
    clock = Clock()

    class Slow(problem.Rows):
        def __next__(self):
            clock.now += 2.0
            return super().__next__()

    def evaluate(step, state):
        clock.now += 500

    result = problem.run("run", log_every=1, batches=Slow(), actions=[EverySteps(3, evaluate)], clock=clock)
    assert result.seconds == 20 and result.steps_per_second == 0.5
    for line in problem.lines(problem.folder / "run")[:-1]:
        # A step is logged when the next has been dispatched, so a line may hold two batches or none.
        assert line["time"] <= 20 and line["time"] % 2 == 0
    assert problem.lines(problem.folder / "run")[-1]["time"] == 20


def test_a_line_has_the_documented_keys(problem):
    problem.run("run")
    keys = {"step", "time", "steps_per_second", "items_per_second", "gradient_norm", "loss", "absolute_error"}
    assert all(set(line) == keys for line in problem.lines(problem.folder / "run"))


def test_lines_are_on_disk_when_an_action_or_a_checkpoint_needs_them(problem):
    seen = []
    problem.run(
        "run",
        log_every=1,
        actions=[EverySteps(1, lambda step, _: seen.append(problem.lines(problem.folder / "run")[-1]["step"]))],
    )
    assert seen == list(range(1, 11))


@pytest.mark.parametrize("tail", ["", '{"step": 40', '{"step": 40}', '{"step": 40}\n', "\x00\x00"])
@pytest.mark.parametrize("step", [0, 10, 15, 30])
def test_lines_after_a_step_are_dropped_and_so_is_a_torn_one(tmp_path, tail, step):
    path = tmp_path / "metrics.jsonl"
    whole = [f'{{"step": {number}, "loss": NaN}}\n' for number in (10, 20, 30)]
    path.write_text("".join(whole) + tail)
    drop_lines_after(path, step)
    assert path.read_text() == "".join(whole[: step // 10])
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_damaged_line_in_the_middle_is_named_and_the_file_is_left_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for damaged in ("{", "3", "{}", '{"step": "x"}'):
        text = f'{{"step": 1}}\n{damaged}\n{{"step": 3}}\n'
        path.write_text(text)
        with pytest.raises(ValueError, match=r"in line 2 of .*metrics\.jsonl"):
            drop_lines_after(path, 1)
        assert path.read_text() == text


def test_a_missing_file_has_no_lines_to_drop(tmp_path):
    drop_lines_after(tmp_path / "metrics.jsonl", 3)
    assert not list(tmp_path.iterdir())
