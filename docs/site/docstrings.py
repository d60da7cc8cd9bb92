"""What Sphinx makes of signatures and of docstrings in Google's style, where it is not what we want."""

import re
from typing import Any

from sphinx.domains.python import PyObject

# Modules in which libraries define what they publish elsewhere: jaxlib._jax.Array is jax.Array.
_INNER_MODULES = ((r"\b(?:jax\.)?jaxlib\._jax\.|\bjax\._src\.\w+\.", "jax."), (r"\boptax\._src\.\w+\.", "optax."))


def public_names(text: str) -> str:
    """Return a type with the names that libraries publish.

    >>> public_names("Float[jaxlib._jax.Array, 'B V'] | optax._src.base.GradientTransformation")
    "Float[jax.Array, 'B V'] | optax.GradientTransformation"
    """
    for pattern, name in _INNER_MODULES:
        text = re.sub(pattern, name, text)
    return text


def mend(line: str) -> str:
    r"""Return a line of a docstring, as napoleon has written it, without what reStructuredText takes for its own.

    That are the stars of shapes in types, and an axis letter alone before a full stop, which would begin a list.

    >>> mend(":vartype logits: Float[jaxlib._jax.Array, 'B *P V']")
    ":vartype logits: Float[jax.Array, 'B \\*P V']"
    >>> mend(":param layers: L.")
    ':param layers: L\\.'
    """
    if line.startswith(":vartype"):
        return public_names(line).replace("*", r"\*")
    return re.sub(r"^(:\w+ \w+: [A-Za-z])\.", r"\1\\.", line)


def _mend_docstring(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = map(mend, lines)


def _mend_signature(
    app: Any, what: str, name: str, value: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    return signature and public_names(signature), returns and public_names(returns)


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx mend docstrings after napoleon, whose priority is 500, and call attributes so, not variables."""
    app.connect("autodoc-process-docstring", _mend_docstring, priority=900)
    app.connect("autodoc-process-signature", _mend_signature)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True}
