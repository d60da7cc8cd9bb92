"""The command line: presets, run folders, the way back from config.json, and options that nothing reads."""

import dataclasses
import json
import re
import sys
import types

import pytest

import icl_lab as lab
import icl_models as models
from icl_lab import session


def test_a_new_run_gets_a_folder_of_its_own_and_remembers_its_preset(toy):
    config = lab.parse(["--train.steps", "7"], toy.PRESETS, name="toy", default="toy")
    assert config.train.steps == 7 and re.fullmatch(r"runs/toy-toy-\d{8}-\d{6}", str(config.workdir))
    assert (config.preset.name, config.preset.config) == ("toy", lab.to_json(toy.PRESETS["toy"]))


def test_a_configuration_survives_its_run_folder(toy, tmp_path):
    config = lab.with_options(toy.ToyConfig(), {"data.path": tmp_path / "x", "train.profile": (1, 2)})
    (tmp_path / "config.json").write_text(json.dumps({"config": lab.to_json(config)}))
    assert lab.read_config(tmp_path, toy.ToyConfig) == config
    again = lab.parse([str(tmp_path), "--train.steps", "9"], toy.PRESETS, name="toy", default="toy")
    assert again.data == config.data and again.train.steps == 9 and again.workdir == tmp_path


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"config": {"data": 3}}', "is not a configuration of this experiment"),
        ('{"config": {"colour": 3}}', "colour"),
        ("{", "is not a configuration"),
    ],
)
def test_a_damaged_or_foreign_config_is_named(toy, tmp_path, record, message):
    (tmp_path / "config.json").write_text(record)
    with pytest.raises(ValueError, match=message):
        lab.read_config(tmp_path, toy.ToyConfig)


def test_a_run_of_another_experiment_is_told_so(finished, toy, capsys):
    with pytest.raises(SystemExit):
        lab.parse([str(finished)], toy.PRESETS, name="other", default="toy")
    assert "it is of toy" in capsys.readouterr().err


def test_what_only_this_session_is_about_is_not_of_the_run(toy):
    names = lab.to_json(toy.ToyConfig()).keys()
    assert names == {"data", "optimizer", "train", "eval", "vary", "init_from", "intervene", "width"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy", "--resume"], "--resume wants the folder of a run"),
        (["toy", "--hosts.detect"], "name it with --workdir"),
        (["toy", "--follow.poll-seconds", "0"], "must be above 0"),
        (["toy", "--eval.count", "0"], "must be at least 1"),
        (["toy", "--train.ensemble.members", "2", "--init-from", "x"], "no init_from"),
        (["toy", "--train.stepps", "3"], "--train.steps"),
        (["tyo"], "error: There is no preset, run folder or JSON file tyo; the presets are toy."),
        (["runs/none", "--resume"], "no preset, run folder or JSON file runs/none; the presets are toy."),
        (["runs/none", "--help"], "no preset, run folder or JSON file runs/none"),
    ],
)
def test_a_mistake_is_told(toy, words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        lab.parse(words, toy.PRESETS, name="toy", default="toy")
    assert caught.value.code == 2
    assert message in " ".join(re.sub(r"[│╭╮╰╯─|+]{1,}", " ", capsys.readouterr().err).split())


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of which some are read by some choices."""

    source: str = "glyphs"
    zips: tuple[str, ...] = ()
    noise: float = 0.0


READ_BY = {"zips": ("source", ("omniglot",)), "noise": ("source", ("glyphs", "omniglot"))}


def test_options_that_nothing_would_read_are_refused():
    lab.check_read("data", Options(noise=0.5), READ_BY)
    lab.check_read("data", Options(source="symbols"), READ_BY)
    lab.check_read("data", Options(source="omniglot", zips=("a",), noise=1), READ_BY)
    with pytest.raises(ValueError, match=r"data\.zips is for data\.source omniglot, but that is glyphs; leave it out"):
        lab.check_read("data", Options(zips=("a",)), READ_BY)
    with pytest.raises(ValueError, match=r"data\.noise is for data\.source glyphs and omniglot, but that is symbols"):
        lab.check_read("data", Options(source="symbols", noise=0.5), READ_BY)


@pytest.mark.parametrize(
    ("spec", "nox", "command"),
    [
        (None, None, r"\S+ /some/script.py runs/x --resume --mode train"),
        ("experiments.omniglot.__main__", None, r"\S+ -m experiments.omniglot runs/x --resume --mode train"),
        ("experiments.omniglot.__main__", "train", r"nox -s train -- omniglot runs/x --resume --mode train"),
    ],
)
def test_how_to_go_on_is_said_as_the_run_was_started(toy, monkeypatch, spec, nox, command):
    monkeypatch.setattr(sys, "argv", ["/some/script.py"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec and types.SimpleNamespace(name=spec))
    monkeypatch.setenv("NOX_CURRENT_SESSION", nox or "")
    config = dataclasses.replace(toy.ToyConfig(), workdir="runs/x", mode="train")
    assert re.fullmatch(command, session.resume_command(config))


def test_every_trunk_is_made_by_its_name():
    for name in lab.trunks.get_args(lab.TrunkName):
        trunk = lab.make_trunk(name, layers=2, width=8, heads=2)
        assert trunk.layers == 2 and (name in lab.TRANSFORMERS) == hasattr(trunk, "heads")
    linear = lab.make_trunk("linear_attention", layers=2, width=8, heads=2, key_size=3)
    assert linear == models.Transformer(layers=2, heads=2, key_size=3, attention="linear")
