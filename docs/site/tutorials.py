"""Tutorials as Sphinx reads them: percent scripts, whose cells for a library that is not here are shown and not run."""

import importlib.util

import jupytext
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

_NEEDS = "needs-"


def read(text: str) -> NotebookNode:
    """Return the notebook of a percent script.

    A cell with the tag ``needs-torch`` runs where torch is installed; elsewhere it is shown, and a line says so.
    """
    notebook = jupytext.reads(text, fmt="py:percent")
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        cells.append(cell)
        tags = cell.metadata.get("tags", [])
        absent = [tag.removeprefix(_NEEDS) for tag in tags if tag.startswith(_NEEDS)]
        absent = [name for name in absent if importlib.util.find_spec(name) is None]
        if absent:
            cell.metadata["tags"] = [*tags, "skip-execution"]
            cells.append(new_markdown_cell(f"*Not run here, where {' and '.join(absent)} is not installed.*"))
    notebook.cells = cells
    return notebook
