"""How large a model is: its parameters, and the state through which the past acts on a prediction."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from icl_models.classifier import SequenceClassifier
from icl_models.positions import added_width
from icl_models.regressor import PointRegressor
from icl_models.symbols import SymbolModel


def parameter_count(
    config: SequenceClassifier | PointRegressor | SymbolModel, items: jax.Array | np.ndarray | jax.ShapeDtypeStruct
) -> int:
    """Return the number of parameters, as the model's own ``init`` makes them; it is traced, and nothing is computed.

    Batch norm's running statistics are not parameters.

    Args:
      config: of the model.
      items: an example of what it is given, or its shape and dtype alone: items [B, S, ...] of a classifier, inputs
        [B, N, X] of a regressor, symbols [B, T]. B, S, N and T matter where parameters depend on them (an MLP's on S).

    Raises:
      ValueError: without an axis for the batch and one for items or points; and what the model itself refuses.

    >>> from icl_models import LinearEncoder, Transformer
    >>> config = SequenceClassifier(num_labels=10, encoder=LinearEncoder(), trunk=Transformer(layers=12))
    >>> parameter_count(config, jax.ShapeDtypeStruct((32, 9, 105, 105), jnp.uint8))
    1306890
    """
    if len(items.shape) < 2:
        raise ValueError(
            f"items must be [B, S, ...], inputs of a regressor [B, N, X], and symbols [B, T], got {items.shape}."
        )
    batch = items.shape[:2]
    others: list[tuple[tuple[int, ...], type]] = []
    if isinstance(config, PointRegressor):
        others = [((*batch, config.num_outputs), jnp.float32), (batch, jnp.bool_)]  # targets, is_query
    elif isinstance(config, SequenceClassifier):
        others = [(batch, jnp.int32)]  # labels
    inputs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in [(items.shape, items.dtype), *others]]
    params, _ = jax.eval_shape(config.build().init, jax.random.key(0), *inputs)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def state_size(config: SequenceClassifier | PointRegressor | SymbolModel, length: int) -> int:
    """Return how many numbers carry the past of S items, N points or T symbols to the last prediction.

    Kirsch et al. (2022) find it to tell more of how well a model learns in context than the number of its parameters.
    What is counted is up to the trunk: see its ``state_size``.

    >>> from icl_models import LSTM
    >>> state_size(SequenceClassifier(num_labels=10), 9), state_size(SequenceClassifier(num_labels=10, trunk=LSTM()), 9)
    (2176, 128)
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    if isinstance(config, SequenceClassifier):
        tokens, width = config.layout.item_tokens(length)[-1] + 1, config.layout.token_width(config.width)
    else:
        tokens = config.layout.num_tokens(length) if isinstance(config, PointRegressor) else length
        width = config.width
    return config.trunk.state_size(tokens, width + added_width(config.positions))
