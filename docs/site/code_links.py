"""Links from Markdown to Python files of the repository, which are given along with the site."""

from pathlib import Path
from typing import Any

from sphinx import addnodes
from sphinx.transforms import SphinxTransform


class CodeLinks(SphinxTransform):
    """Makes a link to a Python file that is no tutorial one to a copy of the file.

    MyST takes such a link for one to a page, since tutorials are pages that end in ``.py``.
    """

    default_priority = 400  # early, before the files to copy are collected

    def apply(self, **kwargs: Any) -> None:
        """Change the links of a page."""
        for link in list(self.document.findall(addnodes.pending_xref)):
            file = f"{link['reftarget']}.py"
            is_page = link["reftarget"] in self.env.found_docs
            if link.get("refdomain") == "doc" and not is_page and Path(self.env.srcdir, file).is_file():
                copy = addnodes.download_reference(
                    "", "", *link.children, reftarget=f"/{file}", refdoc=self.env.docname
                )
                link.replace_self(copy)


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx change the links of each page that it reads."""
    app.add_transform(CodeLinks)
    return {"parallel_read_safe": True}
