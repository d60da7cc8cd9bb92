"""The READMEs do what they say."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
CONTRACT = {"images", "items", "labels", "classes", "exemplars", "is_rare", "index"}
FUNCTION_CONTRACT = {"inputs", "targets", "is_query", "index"}


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def named(path):
    return "root" if path.parent == ROOT else path.parent.name


@pytest.mark.parametrize("readme", READMES, ids=named)
def test_its_snippets_run_in_order(readme, tmp_path, monkeypatch):
    snippets = blocks(readme, "python")
    assert snippets
    monkeypatch.setenv("ICL_DATA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "snippets.py").write_text("\n".join(snippets))
    result = subprocess.run([sys.executable, "snippets.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("readme", READMES, ids=named)
def test_its_batches_have_the_keys_of_the_contract(readme):
    keys = set()
    for node in ast.walk(ast.parse("\n".join(blocks(readme, "python")))):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "batch":
            assert isinstance(node.slice, ast.Constant)
            keys.add(node.slice.value)
    assert keys, "no snippet reads a batch"
    assert keys <= CONTRACT or keys <= FUNCTION_CONTRACT


def test_every_nox_session_that_is_named_exists_and_ci_runs_the_test_command():
    sessions = {path.group(1) for path in re.finditer(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M)}
    sessions = (sessions - {"install", "run_experiment", "fresh_environment", "evaluate"}) | {"eval"}
    named = {word for path in READMES for word in re.findall(r"nox -s (\w+)", path.read_text())}
    assert {"train", "tests", "eval", "bench"} <= named <= sessions
    (command,) = set(re.findall(r"^pip install nox && nox -s tests$", (ROOT / "README.md").read_text(), re.M))
    assert f"\n{command} || exit 1\n" in (ROOT / ".ci" / "run").read_text()


def test_links_and_pictures_exist():
    for readme in READMES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme}: {target}"
