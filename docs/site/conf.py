"""How Sphinx makes the site: from the Markdown files where they lie, the docstrings and docs/tutorials.

``nox -s docs`` builds it. The root of the repository is the folder of the sources, so that a link from one Markdown
file to another holds here and on GitHub.
"""

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

SITE = Path(__file__).parent
ROOT = SITE.parents[1]
sys.path.insert(0, str(SITE))
# Kernels of tutorials run in a folder of their own, and find the experiments all the same.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

project = "In-context learning, from data to report"
version = release = version_of("icl-lab")
root_doc = "docs/index"
include_patterns = ["CHANGELOG.md", "docs/**.md", "docs/api/*.rst", "docs/tutorials/*.py", "packages/*/README.md"]
exclude_patterns = ["**/.*", ".*", "docs/_build", "docs/site", "runs"]
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "api_pages", "code_links", "docstrings"]

# Docstrings: one backtick is code, as in Markdown.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "set_score_request"}  # which scikit-learn adds
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# References must land, but for types of other libraries (whose inventories are not at hand) and those not public.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!icl_).*"), ("py:.*", r"icl_\w+(\.\w+){2,}")]

# Markdown: every heading of levels 1 to 3 is an anchor, as on GitHub.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# Tutorials run whenever they are read; an error is one of the build.
nb_custom_formats = {".py": ["tutorials.read", {}]}
nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars

html_theme = "furo"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_title = "In-context learning"
html_static_path = ["static"]
html_extra_path = ["extra"]  # index.html of the root, which leads to the first page
html_css_files = ["site.css"]
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False
html_show_copyright = False
