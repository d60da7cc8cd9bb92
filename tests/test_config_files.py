"""Every preset of every experiment survives the way through a file of options."""

import json

import pytest

import icl_lab as lab
from tests.tiny import FUNC, GPIC, LINE, OMNI

CASES = [(each, preset) for each in (OMNI, GPIC, FUNC, LINE) for preset in each.presets]


@pytest.mark.parametrize(("experiment", "preset"), CASES, ids=[f"{each.name}-{preset}" for each, preset in CASES])
def test_a_preset_that_is_printed_and_read_is_the_preset(experiment, preset, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        experiment.parse(preset, "--print-config")
    assert caught.value.code == 0
    path = tmp_path / "mine.json"
    path.write_text(capsys.readouterr().out)
    config = experiment.parse(path, "--workdir", tmp_path)
    assert config == experiment.parse(preset, "--workdir", tmp_path)
    assert json.loads(json.dumps({"preset": preset} | lab.to_json(config))) == json.loads(path.read_text())
