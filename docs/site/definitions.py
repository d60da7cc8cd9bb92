"""Where a package defines its constants and type aliases, which have no docstring of their own."""

import ast
import importlib
import inspect
import re
import textwrap
from typing import NamedTuple


class Definition(NamedTuple):
    """How a module defines a name: the statement, and what is said of it there (perhaps nothing)."""

    code: str
    words: str


def definition(module: str, name: str) -> Definition:
    """Return where a name gets its value, from this module or the one that it imports the name from.

    What is said of it is the string after the statement, or else the comment at the end of its line.

    Raises:
        ValueError: the name is neither defined nor imported there.
    """
    source = inspect.getsource(importlib.import_module(module))
    statements = ast.parse(source).body
    for node, following in zip(statements, [*statements[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return definition(node.module, alias.name)
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in _targets(node):
            return Definition(ast.get_source_segment(source, node) or "", _words(source, node, following))
    raise ValueError(f"{name} should be defined in {module} or imported there, got neither; does __init__ say where?")


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    """Return the names that a statement gives values to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _words(source: str, node: ast.stmt, following: ast.stmt) -> str:
    """Return the string after a statement, or the comment at the end of its last line."""
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return textwrap.dedent(str(following.value.value)).strip()
    rest = source.splitlines()[(node.end_lineno or 1) - 1].encode()[node.end_col_offset or 0 :].decode()
    comment = re.match(r"\s*#\s*(.+)", rest)
    if comment is None:
        return ""
    sentence = comment.group(1)
    return sentence[0].upper() + sentence[1:].rstrip(".") + "."
