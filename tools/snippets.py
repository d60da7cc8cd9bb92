"""The snippets of READMEs and guides, as one Python file for each, to be run or type-checked.

python -m tools.snippets FOLDER README.md docs/own_experiment.md
"""

import argparse
import ast
import re
from collections.abc import Collection
from pathlib import Path

OTHERS = frozenset({"equinox", "flax", "torch"})
"""Libraries that some snippets show beside ours; too much to install for a snippet each."""


def blocks(path: Path, language: str) -> list[str]:
    """Return the blocks of code in a language (``python``) of a Markdown file, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def imported(snippet: str) -> set[str]:
    """Return the top-level names of what a snippet imports.

    >>> sorted(imported("import jax.numpy as jnp; from icl_data.bank import ItemBank"))
    ['icl_data', 'jax']
    """
    nodes = list(ast.walk(ast.parse(snippet)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def script(path: Path, *, absent: Collection[str] = ()) -> str:
    """Return the Python snippets of a Markdown file, one after another, but for those that import what is absent."""
    return "\n".join(snippet for snippet in blocks(path, "python") if not imported(snippet) & set(absent))


def main(arguments: list[str] | None = None) -> None:
    """Write a file ``<folder>_<stem>.py`` for each Markdown file that has snippets; print the names of these files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("markdown", type=Path, nargs="+", help="README.md of a package, a guide")
    parser.add_argument("--without-others", action="store_true", help=f"leave out what imports {', '.join(OTHERS)}")
    options = parser.parse_args(arguments)
    for path in options.markdown:
        if text := script(path, absent=OTHERS if options.without_others else ()):
            file = options.folder / f"{path.absolute().parent.name}_{path.stem}.py".replace("-", "_")
            file.write_text(text, encoding="utf-8")
            print(file)


if __name__ == "__main__":
    main()
