"""The pages with every public name: one page for each package, by the rooms that its ``__init__`` imports from."""

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from typing import Any

from definitions import definition

PACKAGES = ("icl_data", "icl_models", "icl_train", "icl_eval", "icl_lab")


def modules_of(package: str) -> dict[str, str]:
    """Return the module that each public name of a package is imported from, in the order of its ``__init__``.

    Raises:
        ValueError: a name of ``__all__`` that ``__init__`` does not import from a module of the package.
    """
    module = importlib.import_module(package)
    # Those for type checkers alone, too, whose names the package gives when they are asked for.
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    found = {
        alias.asname or alias.name: node.module
        for node in imports
        for alias in node.names
        if node.module and node.module.startswith(f"{package}.")
    }
    missing = sorted(set(module.__all__) - set(found))
    if missing:
        raise ValueError(
            f"{package}.__init__ should import each name of __all__ from a module of its own, got none for {missing}; "
            "import them there."
        )
    return {name: found[name] for name in found if name in module.__all__}


def page(package: str) -> str:
    """Return the reStructuredText of a package's page."""
    parts = [_title(package, "="), f".. py:module:: {package}", _docstring(package)]
    rooms: dict[str, dict[str, str]] = {}
    for name, module in modules_of(package).items():
        rooms.setdefault(module.split(".")[1], {})[name] = module
    for room, modules in rooms.items():
        parts += [_title(room, "-"), _docstring(f"{package}.{room}").partition("\n\n")[0]]
        parts += [_entry(package, name, module) for name, module in modules.items()]
    return "\n\n".join(parts) + "\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _docstring(module: str) -> str:
    return inspect.getdoc(importlib.import_module(module)) or ""


def _entry(package: str, name: str, module: str) -> str:
    """Return the directive that documents a name."""
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value):
        return f".. auto{'exception' if issubclass(value, BaseException) else 'class'}:: {package}.{name}"
    if inspect.isroutine(value):
        return f".. autofunction:: {package}.{name}"
    code, words = definition(module, name)
    return "\n\n".join(
        [
            f".. py:data:: {name}",
            textwrap.indent(words, "   "),
            "   .. code-block:: python",
            textwrap.indent(code, "      "),
        ]
    )


def write_pages(folder: Path) -> None:
    """Write the pages that differ from those that are there, so that Sphinx reads again only what is new."""
    folder.mkdir(exist_ok=True)
    for package in PACKAGES:
        path, text = folder / f"{package}.rst", page(package)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx write the pages before it looks for sources."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir, "docs", "api")))
    return {"parallel_read_safe": True}
