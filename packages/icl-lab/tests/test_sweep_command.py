"""The command of a sweep: its own words, typed values of any option, and what is refused in a line before step 1."""

import dataclasses
import json
import re
import signal
import time

import pytest

import icl_lab as lab
import icl_train as training
from icl_lab.main import run_command
from icl_lab.sweeps import probe
from icl_lab.sweeps.command import parse_sweep
from icl_lab.sweeps.words import combinations, split_words, typed

pytestmark = pytest.mark.lengthy

NAMED = {"two wide": {"width": 2}, "noisy": {"data.noise": 0.5}}


@pytest.fixture
def parse(toy, tmp_path):
    sweeps = {"named": lab.SweepPreset(config=toy.ToyConfig(), settings=lambda config: NAMED, seeds=3)}

    def parse_words(*words, workdir=tmp_path / "sweep"):
        asked = [*map(str, words), *([] if workdir is None else ["--workdir", str(workdir)])]
        return parse_sweep(asked, toy.PRESETS, sweeps, name="toy", default="toy")

    return parse_words


def runs(command, *options):
    return [tuple(lab.option_of(run, option) for option in options) for run in command.sweep.runs()]


def test_a_grid_is_all_combinations_of_typed_values_times_the_seeds(parse):
    command = parse("toy", "--grid.width", 2, 3, "--grid.data.noise", "0", "1e-1", "--seeds", 2, "--train.steps", 4)
    assert runs(command, "width", "data.noise", "train.seed", "train.steps") == [
        (width, noise, seed, 4) for width in (2, 3) for noise in (0.0, 0.1) for seed in (0, 1)
    ]
    assert command.varied == ("data.noise", "width")


def test_zip_takes_values_together_and_options_may_have_several_words_none_or_truth(parse):
    words = [
        "--grid.train.freeze",
        "a b",
        "''",
        "--grid.optimizer.clip-norm",
        "None",
        1,
        "--grid.train.accumulate",
        1,
        2,
    ]
    command = parse(*words, "--grid.train.stop-when-not-finite", "True", "False", "--zip")
    names = ("train.freeze", "optimizer.clip_norm", "train.accumulate", "train.stop_when_not_finite")
    assert [tuple(setting[name] for name in names) for setting in command.sweep.settings] == [
        (("a", "b"), None, 1, True), (("",), 1.0, 2, False),
    ]  # fmt: skip


def test_dashes_and_equal_signs_are_as_on_any_command_line(parse):
    assert runs(parse("--grid.data.num-tasks=3"), "data.num_tasks") == [(3,)]
    assert runs(parse("toy", "--grid.data.num_tasks", 3, "--seeds=1"), "data.num_tasks") == [(3,)]


def test_settings_have_names_and_some_can_be_chosen(parse, tmp_path):
    assert runs(parse("named"), "width", "data.noise") == [(2, 0.0)] * 3 + [(3, 0.5)] * 3
    assert runs(parse("named", "--only", "no", "--seeds", 1), "width", "data.noise") == [(3, 0.5)]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"narrow": {"width": 1, "data": {"num_tasks": 4}}, "as it is": {}}))
    command = parse("toy", "--settings", path, "--grid.data.noise", 0, 1)
    assert runs(command, "width", "data.num_tasks", "data.noise") == [
        (1, 4, 0.0), (1, 4, 1.0), (3, None, 0.0), (3, None, 1.0),
    ]  # fmt: skip
    assert command.varied == ("data.noise", "data.num_tasks", "width")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid.data.nois", "1"], "no option data.nois; perhaps data.noise was meant"),
        (["--grid.data", "1"], "data has options of its own; name one, such as data.noise"),
        (["--grid.width.more", "1"], "no option width.more; width has none of its own"),
        (["--grid.width", "wide"], "--grid.width wants values that are int, got 'wide'"),
        (["--grid.width", "1.5"], "wants values that are int, got '1.5'"),
        (["--grid.data.path", "a b"], "--grid.data.path wants values that are"),
        (["--grid.optimizer.schedule", "linear"], "wants values that are"),
        (["--grid.width"], "--grid.width wants a value after it"),
        (["--grid.width", "1", "--grid.width", "2"], "--grid.width is there twice"),
        (["--width", "2", "--grid.width", "1"], "--width would be read by no run"),
        (["--grid.width", "1", "2", "--grid.data.noise", "1", "--zip"], "--zip wants as many values of each"),
        (["--grid.train.steps", "0"], "wanted steps to be a whole number of at least 1, got 0"),
        (["--seeds", "0"], "--seeds wants a whole number of at least 1, got 0"),
        (["--members", "x"], "--members wants a whole number of at least 1, got x"),
        (["--grid.width", "1", "1"], "--grid.width wants each value once"),
        (["--grid.train.log-every", "1", "2"], "train.log_every cannot be varied: it makes no other run"),
        (["--grid.eval.count", "1", "2"], "eval.count cannot be varied"),
        (["--grid.mode", "eval", "both"], "mode cannot be varied"),
        (["--grid.preset", "None"], "cannot be varied"),
        (["--grid.train.ensemble.members", "2", "3"], "train.ensemble.members cannot be varied"),
        (["--grid.init-from", "a", "None"], "init_from cannot be varied"),
        (["--step", "3"], "step is not for a sweep"),
        (["--no-report", "--grid.report", "True", "False"], "--report would be read by no run"),
        (["--only", "noisy"], "There is no setting noisy; there are none"),
        (["--settings", "nowhere.json"], "nowhere.json is not a JSON file of settings"),
        (["--resume"], "resume is not for a sweep"),
        (["--mode", "train"], "leave --mode out"),
        (["--train.ensemble.members", "2"], "train.ensemble.members is not for a sweep"),
    ],
)
def test_what_cannot_be_is_one_line(parse, words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse("toy", *words)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1 and message in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "wants settings by their names"),
        ('{"a": 3}', "wants settings by their names"),
        ('{"a": {"widht": 3}}', "perhaps width was meant"),
        ('{"a": {"width": "3"}}', "width wants int"),
        ('{"a": {"width": 2}, "a": {"width": 3}}', "it has a twice"),
        ('{"a": {"workdir": "/tmp/x"}}', "workdir cannot be varied"),
        ('{"a": {"data": {"batch_size": 4}}}', "data.batch_size is set by settings and by the command line"),
        ("{", "is not a JSON file"),
    ],
)
def test_a_file_of_settings_that_cannot_be_is_one_line(parse, tmp_path, text, message, capsys):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(SystemExit):
        parse("toy", "--settings", path, "--data.batch-size", 8)
    assert message in capsys.readouterr().err


def test_a_sweep_wants_a_folder_of_its_own(parse, finished, capsys, toy):
    with pytest.raises(SystemExit):
        parse("toy", "--grid.width", 1, workdir=None)
    assert "a sweep wants a folder, to which the same command comes back" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_command(toy.TOY, parse("toy", "--grid.width", 1, workdir=finished))
    assert "is the folder of a single run" in capsys.readouterr().err


def test_words_that_are_the_run_s_stay_in_order():
    asked = split_words(["laptop", "--a", "1", "2", "--seeds", "3", "--b", "--dry-run", "--c=4"])
    assert asked.rest == ("laptop", "--a", "1", "2", "--b", "--c=4") and asked.seeds == 3 and asked.dry_run
    with pytest.raises(ValueError, match="there twice"):
        split_words(["--zip", "--zip"])


def test_a_value_is_of_the_type_of_its_option(toy):
    assert typed(toy.ToyConfig, "data.num_tasks", "None") is None
    assert typed(toy.ToyConfig, "data.path", "'a b'").name == "a b"
    assert combinations({}) == [{}]


def test_a_real_sweep_is_run_added_to_and_drawn_and_nothing_is_run_twice(parse, toy, tmp_path, capsys):
    words = ["toy", "--grid.width", 2, 3, "--grid.data.noise", 0, 0.5, "--train.checkpoint-every", 3]
    run_command(toy.TOY, parse(*words))
    folder = tmp_path / "sweep"
    first = {path: path.read_bytes() for path in folder.glob("groups/**/*") if path.is_file()}
    assert len(list(folder.glob("groups/*"))) == 4  # noise is no option that one program could differ in
    run_command(toy.TOY, parse(*words))
    assert "4 of 4 runs are finished" in capsys.readouterr().out
    run_command(toy.TOY, parse(*words[:4], "--seeds", 2, *words[4:]))
    assert "4 of 8 runs are finished" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in first} == first
    # An option that was varied once may have one value later, and that of another command is refused.
    run_command(toy.TOY, parse("toy", "--width", 5, "--train.checkpoint-every", 3))
    assert len(lab.finished_runs(parse(*words).sweep.base)) == 9
    with pytest.raises(SystemExit):
        run_command(toy.TOY, parse("toy", "--grid.width", 2, "--train.steps", 7))
    assert "train.steps 6 and not 7" in capsys.readouterr().err


def test_a_group_that_ends_in_an_error_is_named_and_does_not_keep_the_others(parse, toy, tmp_path, capsys, monkeypatch):
    real = toy.build

    def build(config):
        experiment = real(config)
        if config.width == 2:

            def loss_fn(params, state, rng, batch):
                raise RuntimeError("two is unlucky")

            return dataclasses.replace(experiment, loss_fn=loss_fn)
        return experiment

    definition = dataclasses.replace(toy.TOY, build=build)
    with pytest.raises(SystemExit) as ended:
        run_command(definition, parse("toy", "--grid.width", 2, 3, "--no-page"))
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "two is unlucky" in said.err and "the same command goes on with it" in said.err
    assert [run.width for run in lab.finished_runs(parse("toy").sweep.base)] == [3]
    (error,) = (tmp_path / "sweep").glob("groups/*/error.txt")
    assert "two is unlucky" in error.read_text()
    run_command(toy.TOY, parse("toy", "--grid.width", 2, 3, "--no-page"))  # mended: the same command goes on
    assert not error.exists() and len(lab.finished_runs(parse("toy").sweep.base)) == 2


def test_a_plan_says_what_would_be_run_and_runs_nothing(parse, toy, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(probe, "_SECONDS", 0.5)
    words = ["toy", "--grid.width", 2, 3, "--seeds", 2, "--train.steps", 4_000, "--eval.every", 4_000]
    run_command(toy.TOY, parse(*words, "--dry-run"))
    said = capsys.readouterr().out
    assert "4 runs in 2 groups, 0 of them finished; 2 programs to compile" in said
    assert re.search(r"2 runs +\d+ s  width=2-\w{10}: train.seed 0, 1", said)
    projected = float(re.search(r"in all about (\d+) s and [\d,]+ MB", said)[1])
    assert not (tmp_path / "sweep").exists()
    begun = time.monotonic()
    run_command(toy.TOY, parse(*words, "--train.checkpoint-every", 4_000, "--no-page"))
    lasted = time.monotonic() - begun
    assert lasted / 5 < projected < 5 * lasted  # compilations, which a machine may do at any speed, are most of it
    run_command(toy.TOY, parse(*words, "--train.checkpoint-every", 4_000, "--dry-run"))
    assert "4 of them finished; 0 programs" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_command(toy.TOY, parse("toy", "--grid.width", 2, "--train.steps", 7, "--dry-run"))
    assert "train.steps 4000 and not 7" in capsys.readouterr().err


def test_a_signal_ends_a_plan(parse, toy, monkeypatch):
    def interrupt(*_, **__):
        raise training.Interrupted(signal.SIGTERM, "stopped")

    monkeypatch.setattr(probe, "train", interrupt)
    with pytest.raises(training.Interrupted):
        run_command(toy.TOY, parse("toy", "--grid.width", 2, 3, "--dry-run"))


def test_a_run_that_is_not_finite_is_named_and_no_picture_has_it(parse, toy, tmp_path, capsys):
    drawn = []

    def draw(folder, base, runs):
        drawn.extend(run.optimizer.learning_rate for run in runs)
        raise KeyError("unseen")

    sweeps = {"odd": lab.SweepPreset(config=toy.ToyConfig(), grid={"optimizer.learning_rate": (0.1, 1e30)}, draw=draw)}
    words = ["odd", "--members", "1", "--workdir", str(tmp_path / "sweep")]
    run_command(toy.TOY, parse_sweep(words, toy.PRESETS, sweeps, name="toy", default="toy"))
    said = capsys.readouterr()
    assert drawn == [0.1] and "could not be drawn: KeyError" in said.err
    assert re.search(r"not finite at step \d, and kept as it was before: .*sweep", said.out)
    assert (tmp_path / "sweep" / "report.html").is_file()


def test_the_preset_of_a_sweep_is_found_behind_absl_s_flags(parse):
    assert len(parse("--verbosity=0", "named").sweep.settings) == 2


def test_groups_leave_no_device_idle_and_hold_no_more_than_they_may(parse):
    sweep = parse("toy", "--seeds", 7).sweep
    for devices, members, wanted in (
        (1, None, [7]),
        (2, None, [6, 1]),
        (2, 4, [4, 2, 1]),
        (2, 3, [2, 2, 2, 1]),
        (4, 1, [1] * 7),
    ):
        groups = dataclasses.replace(sweep, devices=devices, members=members).groups()
        assert [len(group.members) for group in groups] == wanted
        seeds = [member.train.seed for group in groups for member in group.members]
        assert seeds == list(range(7))
    assert [
        len(group.members) for group in dataclasses.replace(sweep, devices=1, members=lambda config: 5).groups()
    ] == [5, 2]
