"""icl-eval measures and shows what it is given: results carry their words, and a run's folder names its headlines."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import icl_eval

SOURCE = Path(icl_eval.__file__).parent
STREAMS = (
    *("fewshot_holdout", "fewshot_common", "fewshot_rare", "no_support", "zipfian", "bursty", "swapped_", "iid_"),
    *("seen_tasks", "unseen_tasks", "transfer_", "heads_fewshot", "omniglot", "gpicl"),
)


def code(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, scopes)]
    told = {id(body.value) for body in itertools.chain.from_iterable(bodies) if isinstance(body, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_code_holds_the_name_of_a_stream_or_an_experiment(path: Path) -> None:
    found = [(stream, text) for text in code(path) for stream in STREAMS if stream in text]
    assert not found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_does_either(path: Path) -> None:
    assert not [stream for stream in STREAMS if stream in path.read_text()]
