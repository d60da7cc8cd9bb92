"""Trunks by name: what ``--model.trunk`` chooses among, in every experiment."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import icl_models as models

TrunkName = Literal["transformer", "linear_attention", "lstm", "gru", "vanilla_rnn", "outer_product_lstm", "mlp"]
TRANSFORMERS: tuple[TrunkName, ...] = ("transformer", "linear_attention")
"""Those that read the options of a Transformer, and have attention heads to look at."""

# From (layers, width) to a trunk; a Transformer, which has the width of its tokens, takes options of its own.
_TRUNKS: dict[TrunkName, Callable[..., models.Trunk]] = {
    "transformer": lambda layers, width, **options: models.Transformer(layers=layers, **options),
    "linear_attention": lambda layers, width, **options: models.Transformer(
        layers=layers, attention="linear", **options
    ),
    "lstm": lambda layers, width: models.LSTM(layers=layers, hidden=width),
    "gru": lambda layers, width: models.GRU(layers=layers, hidden=width),
    "vanilla_rnn": lambda layers, width: models.VanillaRNN(layers=layers, hidden=width),
    "outer_product_lstm": lambda layers, width: models.OuterProductLSTM(layers=layers, hidden=width),
    "mlp": lambda layers, width: models.MLP(layers=layers, hidden=width),
}
assert set(_TRUNKS) == set(get_args(TrunkName))


def make_trunk(name: TrunkName, *, layers: int, width: int, **transformer: Any) -> models.Trunk:
    """Return a trunk.

    Args:
      name: which.
      layers: how many.
      width: units of each layer of a trunk that is no Transformer.
      transformer: further options of `icl_models.Transformer`, passed over by the others.

    Raises:
      ValueError: there is no such trunk.

    >>> make_trunk("lstm", layers=3, width=64, heads=4)
    LSTM(layers=3, hidden=64)
    """
    if name not in _TRUNKS:
        raise ValueError(f"There is no trunk {name!r}; there are {', '.join(_TRUNKS)}.")
    return _TRUNKS[name](layers, width, **(transformer if name in TRANSFORMERS else {}))
