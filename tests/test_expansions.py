"""What cannot be expanded on the devices, or is not what a run was trained on, is refused before a step."""

import dataclasses
import json

import numpy as np
import pytest

import icl_data as data
from experiments.functions import run as functions
from experiments.functions.run import FUNCTIONS
from experiments.omniglot import run as omniglot
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.run import OMNIGLOT
from icl_lab import driver, read_config
from icl_lab.runs import check_alike
from tests.tiny import FUNC, OMNI, unboxed

pytestmark = pytest.mark.lengthy


@pytest.fixture
def prepared(monkeypatch):
    """Prepare a run whose samplers are changed first."""

    def prepare(change, module=omniglot, definition=OMNIGLOT, tiny=OMNI):
        make = module.make_samplers
        monkeypatch.setattr(
            module,
            "make_samplers",
            lambda *arguments: {name: change(sampler) for name, sampler in make(*arguments).items()},
        )
        config = tiny.parse("laptop", *tiny.options)
        return driver.prepare(definition, config, [config])

    return prepare


@dataclasses.dataclass
class Unhashable:
    """A transform with an __eq__ and so without a hash."""

    def __call__(self, batch):
        return batch


def test_a_transform_that_cannot_be_hashed(prepared):
    with pytest.raises(ValueError, match=r"expand of the stream 'train' must be hashable.*Unhashable"):
        prepared(lambda sampler: dataclasses.replace(sampler, transforms=[Unhashable()]))


def test_sequences_without_their_items(prepared):
    with pytest.raises(ValueError, match=r"have no 'images'; give sequences their items with icl_data.WithItems"):
        prepared(lambda sampler: sampler.sampler)


class Anew:
    """A sampler whose resident is never the same."""

    def __init__(self, sampler):
        self._bank, self.numbers, self.sample = sampler.bank, sampler.numbers, sampler.sample
        self.block_size, self.expand = sampler.block_size, sampler.expand

    @property
    def resident(self):
        return dataclasses.replace(self._bank)


def test_a_resident_that_is_made_anew(prepared):
    with pytest.raises(ValueError, match="resident of the stream 'train' must always be the same object"):
        prepared(Anew)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumPyAlone(data.Sine):
    """Inherits on_device and cannot keep it."""

    def along(self, specs, way):
        return np.sin(np.asarray(way))


def test_a_family_in_numpy_alone_that_inherits_on_device(prepared):
    def of_training(sampler):
        return dataclasses.replace(sampler, family=NumPyAlone()) if sampler.stream == "train" else sampler

    with pytest.raises(ValueError, match=r"FunctionSampler of the stream 'train'.*say on_device = False"):
        prepared(of_training, functions, FUNCTIONS, FUNC)


def test_members_of_which_one_alone_is_expandable(prepared):
    first = prepared(lambda sampler: sampler).first
    other = dataclasses.replace(first, number=1, samplers={"train": first.samplers["train"].sampler})
    with pytest.raises(ValueError, match="WithItems of member 0 and SequenceSampler of member 1 are not both"):
        check_alike([first, other])


def test_a_run_on_other_tasks_of_the_same_numbers_is_neither_evaluated_nor_resumed(tmp_path, capsys):
    FUNC.tiny("--mode", "train", "--workdir", tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    assert record.pop("generation") == 2
    path.write_text(json.dumps(record))  # those of before had none
    for words in (["--mode", "eval"], ["--resume", "--train.steps", "8"]):
        with pytest.raises(SystemExit):
            FUNC.run(tmp_path / "run", *words)
        said = unboxed(capsys.readouterr().err)
        assert "was trained on tasks of generation 1, and the same seed gives others" in said


def test_a_run_of_before_the_encoder_had_an_option_has_the_encoder_of_then(tmp_path):
    OMNI.tiny("--mode", "train", "--workdir", tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    assert record["config"]["model"].pop("channels") == [16, 32, 64]
    path.write_text(json.dumps(record))
    assert read_config(tmp_path / "run", OmniglotConfig).model.channels == (32, 64, 64)
