"""The forms in which encoders compute: equal in value and gradient, fast on one backend or another."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args, get_type_hints

import jax

ConvolutionForm = Literal["xla", "product", "banded"]
StemForm = Literal["xla", "compared", "product", "chunks"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forms:
    """Which form of each operation; by default all are XLA's own.

    Attributes:
      convolution: of ``ConvEncoder``; see ``convolution.CONVOLUTIONS``.
      block: the convolutions in the blocks of the ResNet; likewise.
      stem: of the ResNet; see ``stem.STEMS``.
    """

    convolution: ConvolutionForm = "xla"
    block: ConvolutionForm = "xla"
    stem: StemForm = "xla"

    def __post_init__(self) -> None:
        for name, choices in get_type_hints(Forms).items():
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}.")


# XLA's convolution of few channels, and above all its gradient, is slow on CPUs (tools/bench_models.py has the ratio).
# What another backend is to compute by, the part forms of tools/bench_accelerator.py has to show first.
_OF_BACKENDS = {"cpu": Forms(convolution="product", block="banded", stem="chunks")}
_FORMS: contextvars.ContextVar[Forms | None] = contextvars.ContextVar("forms", default=None)


@contextlib.contextmanager
def computing_by(forms: Forms) -> Iterator[None]:
    """Set the forms of the encoders that are traced within; what was jitted before keeps its own."""
    token = _FORMS.set(forms)
    try:
        yield
    finally:
        _FORMS.reset(token)


def current_forms() -> Forms:
    """Return the forms that are set around, or else those of the default backend."""
    return _FORMS.get() or _OF_BACKENDS.get(jax.default_backend(), Forms())
