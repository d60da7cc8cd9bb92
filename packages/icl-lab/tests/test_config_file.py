"""A JSON file of options in place of a preset: round trips, parts, and what is refused."""

import dataclasses
import json
import re

import pytest

import icl_lab as lab


def parse(toy, *words, presets=None):
    return lab.parse(list(map(str, words)), presets or toy.PRESETS, name="toy", default="toy")


def printed(toy, capsys, *words, presets=None):
    with pytest.raises(SystemExit) as caught:
        parse(toy, *words, "--print-config", presets=presets)
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def presets(toy):
    return toy.PRESETS | {"wide": dataclasses.replace(toy.ToyConfig(), width=7)}


def test_what_is_printed_is_a_file_that_asks_for_the_same(toy, tmp_path, capsys, presets):
    words = ["wide", "--data.path", tmp_path / "x", "--train.profile", 1, 2, "--vary.eps", "--train.freeze", "a", "b"]
    text = printed(toy, capsys, *words, presets=presets)
    (tmp_path / "mine.json").write_text(text)
    assert next(iter(json.loads(text))) == "preset"
    config = parse(toy, tmp_path / "mine.json", "--train.steps", 9, presets=presets)
    asked = parse(toy, *words, presets=presets)
    assert lab.to_json(config) == lab.to_json(lab.with_options(asked, {"train.steps": 9}))
    assert config.preset == asked.preset and config.preset.name == "wide"
    assert re.fullmatch(r"runs/toy-mine-\d{8}-\d{6}", str(config.workdir))


def test_what_a_file_leaves_out_is_as_in_its_preset_or_the_default_one(toy, tmp_path, presets):
    path = tmp_path / "part.json"
    for record, width in (({}, 3), ({"preset": "wide"}, 7), ({"preset": "wide", "width": 5}, 5)):
        path.write_text(json.dumps(record | {"data": {"noise": 1}, "eval": {"every": 4}, "workdir": "runs/mine"}))
        config = parse(toy, path, presets=presets)
        assert (config.width, config.data.noise, config.data.batch_size) == (width, 1.0, 8)
        assert (config.eval.every, config.eval.count, str(config.workdir)) == (4, 8, "runs/mine")
        assert isinstance(config.data.noise, float)


def test_the_config_of_a_run_is_such_a_file_and_makes_a_new_run(toy, finished):
    config = parse(toy, finished / "config.json", "--train.steps", 8)
    assert config.train.steps == 8 and config.workdir.name.startswith("toy-run-") and config.preset.name == "toy"
    assert lab.to_json(lab.with_options(config, {"train.steps": 6})) == lab.to_json(
        lab.read_config(finished, toy.ToyConfig)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"data": {"noize": 1}}', "There is no option data.noize; perhaps data.noise was meant"),
        ('{"widht": 1}', "perhaps width was meant"),
        ('{"colour": 1}', "There is no option colour; there are compile_cache, data,"),
        ('{"preset": "wid"}', "there is no preset wid; perhaps wide was meant"),
        ('{"preset": 3}', "there is no preset 3"),
        ('{"width": "4"}', 'width wants int, got "4"'),
        ('{"width": 4.5}', "width wants int, got 4.5"),
        ('{"width": true}', "width wants int, got true"),
        ('{"data": {"noise": "high"}}', 'data.noise wants float, got "high"'),
        ('{"data": 3}', "data wants options by their names, got 3"),
        ('{"train": {"freeze": "abc"}}', "train.freeze wants"),
        ('{"train": {"profile": [1]}}', "train.profile wants"),
        ('{"optimizer": {"schedule": "cosin"}}', "optimizer.schedule wants Literal['constant',"),
        ('{"report": 1}', "report wants bool, got 1"),
        ('{"eval": {"count": 0}}', "must be at least 1"),
        ('{"width": 1, "width": 2}', "it has width twice"),
        ("[1]", "wanted an object"),
        ("{", "is not a JSON file of options"),
        ('{"experiment": "other", "config": {}}', "it is of other"),
        ('{"config": {"widht": 3}}', "is not a configuration of this experiment"),
    ],
)
def test_what_a_file_has_wrong_is_told_in_a_sentence(toy, tmp_path, capsys, presets, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(SystemExit) as caught:
        parse(toy, path, presets=presets)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and said.startswith(f"error: {path}") and message in said and said.count("\n") == 1


def test_a_file_that_is_not_there_is_told(toy, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(toy, tmp_path / "none.json")
    assert caught.value.code == 2 and "none.json is not a JSON file of options" in capsys.readouterr().err
