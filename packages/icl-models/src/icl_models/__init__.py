"""Encoders, token layouts and sequence models for in-context-learning research, in Haiku.

Axes: B batch, S items in a sequence, T tokens, N items of all sequences or points of a task, H W image height and
width (in attention, H heads), D width of model or tokens, K key size, E width of a trunk's outputs, V labels.
"""

if not __debug__:  # before Haiku is imported: it takes its contexts down within asserts
    raise ImportError(
        "icl_models wants a Python that runs assert statements, since Haiku does its work in some, got python -O; "
        "run without -O and -OO, and unset PYTHONOPTIMIZE."
    )

from icl_models.capture import instrument, tap
from icl_models.classifier import SequenceClassifier
from icl_models.convert import from_original
from icl_models.encoders.encoders import (
    ConvEncoder,
    EmbeddingEncoder,
    Encoder,
    IdentityEncoder,
    LinearEncoder,
    ResNetEncoder,
)
from icl_models.interventions.ideals import copied_logits, matching_pattern, previous_token_pattern
from icl_models.interventions.intervene import Apply, intervene
from icl_models.interventions.values import Ablate, Clamp, Intervention, Preserve
from icl_models.layouts import Concatenated, Interleaved, Layout, PreviousLabel, interleave
from icl_models.losses import (
    every_item_cross_entropy,
    masked_squared_error,
    next_symbol_cross_entropy,
    query_cross_entropy,
    weighted_cross_entropy,
)
from icl_models.patching import patching
from icl_models.point_layouts import InterleavedPoints, MaskedPoints, PointLayout
from icl_models.positions import OneHotPositions, sinusoidal_positions
from icl_models.regressor import PointRegressor
from icl_models.serialisation import from_json, to_json
from icl_models.sizes import parameter_count, state_size
from icl_models.symbols import SymbolModel
from icl_models.trunks.mlp import MLP
from icl_models.trunks.recurrent import GRU, LSTM, OuterProductLSTM, VanillaRNN
from icl_models.trunks.transformer import TENSOR_PARALLEL, Transformer
from icl_models.trunks.trunk import Trunk

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "TENSOR_PARALLEL",
    "Ablate",
    "Apply",
    "Clamp",
    "Concatenated",
    "ConvEncoder",
    "EmbeddingEncoder",
    "Encoder",
    "IdentityEncoder",
    "Interleaved",
    "InterleavedPoints",
    "Intervention",
    "Layout",
    "LinearEncoder",
    "MaskedPoints",
    "OneHotPositions",
    "OuterProductLSTM",
    "PointLayout",
    "PointRegressor",
    "Preserve",
    "PreviousLabel",
    "ResNetEncoder",
    "SequenceClassifier",
    "SymbolModel",
    "Transformer",
    "Trunk",
    "VanillaRNN",
    "copied_logits",
    "every_item_cross_entropy",
    "from_json",
    "from_original",
    "instrument",
    "interleave",
    "intervene",
    "masked_squared_error",
    "matching_pattern",
    "next_symbol_cross_entropy",
    "parameter_count",
    "patching",
    "previous_token_pattern",
    "query_cross_entropy",
    "sinusoidal_positions",
    "state_size",
    "tap",
    "to_json",
    "weighted_cross_entropy",
]
