"""Interventions on a model's inner values, as values: clamp, ablate, preserve (Singh et al. 2024, arXiv 2404.07129)."""

import dataclasses
from typing import Literal, TypeAlias, get_args

To = Literal["previous_token", "match", "copy"]
HeadTap = Literal["query", "key", "value", "scores", "attention", "heads"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnHeads:
    """Some heads of a layer.

    Attributes:
      layer: number of the block, from 0; where blocks are looped, each time that it runs.
      heads: numbers of the heads, from 0; () are all of the layer.
    """

    layer: int
    heads: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.layer < 0 or min(self.heads, default=0) < 0:
            raise ValueError(f"layers and heads are counted from 0, got layer={self.layer} and heads={self.heads}.")

    def at(self, tap: str) -> str:
        """Return the pattern that matches a tap of the layer, in all loops."""
        return f"*block_{self.layer}/{tap}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clamp(OnHeads):
    """Give heads what an ideal circuit has there, whatever they compute ("artificial optogenetics").

    Attributes:
      layer: number of the block, see `Ablate`.
      heads: numbers of the heads; () are all of the layer.
      to: "previous_token": the attention pattern of `previous_token_pattern`. "match": that of `matching_pattern`, by
        the classes of the items; a token without a match keeps its own. "copy": the logits of the model are those of
        `copied_logits`, from the scores of these heads; what comes after the scores is then not read, and not trained.

    >>> Clamp(to="match", layer=1, heads=(0,))
    Clamp(layer=1, heads=(0,), to='match')
    """

    to: To

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to not in get_args(To):
            raise ValueError(f"to must be one of {', '.join(get_args(To))}, got {self.to!r}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablate(OnHeads):
    """Take what heads give, before the output matrix, as zeros.

    Attributes:
      layer: number of the block, from 0; where blocks are looped, each time that it runs.
      heads: numbers of the heads, from 0; () are all of the layer.

    >>> Ablate(layer=1, heads=(1, 2, 3))
    Ablate(layer=1, heads=(1, 2, 3))
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preserve(OnHeads):
    """Take values of heads from a first pass over the same batch, in which others were ablated.

    The first pass has the ablation that is named here, and no other intervention; the second all of the list. So with
    ``ablated_layer`` left out, a head keeps what it has in the whole model while the list ablates others. Gradients
    are of both passes. Dropout draws the same in both; the model state is that of the second.

    Attributes:
      layer: of the heads that take them, see `Ablate`.
      heads: numbers of these; () are all of the layer.
      taps: which values.
      ablated_layer: number of the block that was ablated in the first pass, or None for no ablation.
      ablated_heads: numbers of its heads; () are all.

    >>> Preserve(layer=1, taps=("attention",), ablated_layer=0, ablated_heads=(2,)).ablated
    (Ablate(layer=0, heads=(2,)),)
    """

    taps: tuple[HeadTap, ...]
    ablated_layer: int | None = None
    ablated_heads: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.taps or not set(self.taps) <= set(get_args(HeadTap)):
            raise ValueError(f"taps must be some of {', '.join(get_args(HeadTap))}, got {self.taps}.")
        if self.ablated_layer is None and self.ablated_heads:
            raise ValueError(f"ablated_heads={self.ablated_heads} wants the ablated_layer that they are of.")

    @property
    def ablated(self) -> tuple[Ablate, ...]:
        """What the first pass lacks."""
        return () if self.ablated_layer is None else (Ablate(layer=self.ablated_layer, heads=self.ablated_heads),)


Intervention: TypeAlias = Clamp | Ablate | Preserve
"""What is changed of a model's inner values."""
