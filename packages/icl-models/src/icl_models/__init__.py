"""Encoders, token layouts and sequence models for in-context-learning research, in Haiku.

Axes: B batch, S items in a sequence, T tokens, N items of all sequences, H W image height and width, D model width,
V labels.
"""

from icl_models.classifier import SequenceClassifier, interleave
from icl_models.encoders import ConvEncoder, EmbeddingEncoder, Encoder, LinearEncoder, ResNetEncoder
from icl_models.losses import query_cross_entropy
from icl_models.transformer import Transformer, sinusoidal_positions

__all__ = [
    "ConvEncoder",
    "EmbeddingEncoder",
    "Encoder",
    "LinearEncoder",
    "ResNetEncoder",
    "SequenceClassifier",
    "Transformer",
    "interleave",
    "query_cross_entropy",
    "sinusoidal_positions",
]
