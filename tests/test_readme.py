"""The READMEs do what they say."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.functions.config import PRESETS as FUNCTIONS
from experiments.gpicl.config import PRESETS as GPICL
from experiments.kinetics.config import PRESETS as KINETICS
from experiments.linear.config import PRESETS as LINEAR
from experiments.omniglot.presets import PRESETS as OMNIGLOT
from experiments.symbols.config import PRESETS as SYMBOLS
from icl_data import BatchSource, Bursty, ClassSplit, FunctionSampler, RandomMLP, SequenceSampler, glyphs
from tools.snippets import OTHERS, blocks, script

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).parents[1]
READMES = sorted(ROOT.glob("packages/*/README.md"))
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *READMES, *sorted(ROOT.glob("docs/**/*.md"))]
CONTRACT = {"images", "items", "labels", "classes", "exemplars", "is_rare", "index"}
FUNCTION_CONTRACT = {"inputs", "targets", "is_query", "task", "index"}
SYMBOL_CONTRACT = {"tokens", "task", "index"}


def named(path):
    return "root" if path.parent == ROOT else path.parent.name


@pytest.mark.parametrize(
    "readme", [*READMES, ROOT / "docs" / "own_experiment.md", ROOT / "docs" / "coming_from.md"], ids=named
)
def test_its_snippets_run_in_order(readme, tmp_path):
    # `nox -s others` has the other libraries.
    snippets = script(readme, absent=[name for name in OTHERS if importlib.util.find_spec(name) is None])
    assert snippets
    (tmp_path / "snippets.py").write_text(snippets)
    result = subprocess.run([sys.executable, "snippets.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("readme", [each for each in READMES if "icl-lab" not in str(each)], ids=named)
def test_its_batches_have_the_keys_of_the_contract(readme):
    keys = set()
    for node in ast.walk(ast.parse("\n".join(blocks(readme, "python")))):
        if isinstance(node, ast.Dict):
            literal = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            keys |= literal if literal & {"labels", "inputs"} else set()
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "batch":
            assert isinstance(node.slice, ast.Constant)
            keys.add(node.slice.value)
    assert keys, "no snippet reads a batch"
    assert keys <= CONTRACT | FUNCTION_CONTRACT | SYMBOL_CONTRACT


@pytest.mark.parametrize("package", ["icl-data", "icl-eval"])
def test_the_tables_of_batch_keys_tell_what_the_stream_gives(package):
    bank = glyphs(8, cache=False)
    split = ClassSplit(num_classes=8, rare=6, holdout=2)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    batch = BatchSource(sampler=sampler, bank=bank, batch_size=3)[0]
    tasks = FunctionSampler(family=RandomMLP(num_inputs=2, num_outputs=5), num_points=10).sample(np.arange(3))
    sizes = {"B": 3, "S": 9, "H": 28, "W": 28, "N": 10, "X": 2, "Y": 5}
    table = {}
    text = (ROOT / "packages" / package / "README.md").read_text()
    for names, dtype, shapes in re.findall(r"^\| (`.*?`) \| (\w+) (\[.*?\]) \|", text, re.M):
        axes = [
            tuple(sizes.get(axis) or int(axis) for axis in each.split(", "))
            for each in re.findall(r"\[(.*?)\]", shapes)
        ]
        keys = [name.strip("`") for name in names.split(", ")]
        table |= {key: (dtype, shape) for key, shape in zip(keys, axes * (len(keys) // len(axes)), strict=True)}
    given = {name: (str(values.dtype), values.shape) for name, values in (tasks | batch).items()}
    assert given.items() >= table.items()
    assert table.keys() >= (CONTRACT | FUNCTION_CONTRACT) - {"items", "task"}


def test_every_nox_session_that_is_named_exists_and_ci_runs_the_test_command():
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)\(", (ROOT / "noxfile.py").read_text(), re.M))
    sessions = sessions - {"evaluate"} | {"eval"}
    named = {word for path in DOCS for word in re.findall(r"nox -s (\w+)", path.read_text())}
    assert {"train", "tests", "eval", "bench"} <= named <= sessions
    (command,) = set(re.findall(r"^pip install nox && nox -s tests$", (ROOT / "README.md").read_text(), re.M))
    assert f"\n{command} || exit 1\n" in (ROOT / ".ci" / "run").read_text()


def test_it_tells_of_every_preset():
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "experiments.md").read_text()
    assert all(f"`nox -s train -- {preset}" in text for preset in OMNIGLOT)
    for experiment, presets in (
        ("functions", FUNCTIONS), ("gpicl", GPICL), ("linear", LINEAR), ("kinetics", KINETICS), ("symbols", SYMBOLS)
    ):  # fmt: skip
        others = [preset for preset in presets if preset != "laptop"]
        assert all(
            f"`nox -s train -- {words}" in text for words in (experiment, *(f"{experiment} {each}" for each in others))
        )


def test_links_and_pictures_exist():
    for readme in DOCS:
        for target in re.findall(r"\]\((?!http)([^)#]+)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme}: {target}"
