"""The models of Chan et al. (2022), written plainly in Haiku: the oracle of the tests, and what ours are timed against.

Straight from the definitions, with ``hk.Conv2D``, ``hk.BatchNorm``, ``hk.max_pool`` and attention spelt out. Classes
have the original's names and are nested as there, and Haiku makes the names of modules of them, but for those that the
original's modules/resnet.py gives: so parameters have the same paths, and ``icl_models.convert`` reads them. Never to
be made faster or slower.
"""

import dataclasses
from typing import Literal

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceClassifier:
    """Which of the original's models.

    Attributes:
      num_labels: V, the number of labels.
      encoder: what makes a vector of an item.
      flatten: of the ResNet: lay the last map flat, of width / 16 channels, instead of its mean.
      concatenate: one token of item and label, instead of a token for each.
      trunk: what runs over the tokens.
      layers: of the trunk.
      heads: of the Transformer.
      width: of item and label vectors.
    """

    num_labels: int
    encoder: Literal["resnet", "linear", "embedding"] = "resnet"
    flatten: bool = False
    concatenate: bool = False
    trunk: Literal["transformer", "lstm", "vanilla_rnn"] = "transformer"
    layers: int = 12
    heads: int = 8
    width: int = 64

    def build(self) -> hk.TransformedWithState:
        """Return ``init`` and ``apply`` of (items [B, S, ...], labels [B, S], is_training) -> query logits [B, V]."""
        return hk.transform_with_state(self._logits)

    def _logits(
        self, items: Shaped[Array, "B S ..."], labels: Int[Array, "B S"], is_training: bool
    ) -> Float[Array, "B V"]:
        tokens = InputEmbedder(self)
        trunk = Transformer(self) if self.trunk == "transformer" else RNN(self)
        return trunk(tokens, items, labels, is_training)


class InputEmbedder(hk.Module):
    def __init__(self, config: ReferenceClassifier) -> None:
        super().__init__()
        self.config = config

    def __call__(self, items: Array, labels: Array, is_training: bool) -> Array:
        config = self.config
        if config.encoder == "resnet":
            resnet = SimpleResNet(config.width // 16 if config.flatten else config.width, config.flatten)
            flat = items.reshape(-1, *items.shape[2:], 1) / 255
            vectors = resnet(flat, is_training).reshape(*items.shape[:2], -1)
        elif config.encoder == "linear":
            vectors = hk.Linear(config.width)(items.reshape(*items.shape[:2], -1) / 255)
        else:
            vectors = hk.Embed(config.num_labels, config.width)(items)
        rows = config.num_labels + config.concatenate
        table = hk.get_parameter("embs", [rows, config.width], init=hk.initializers.TruncatedNormal(0.02))
        if config.concatenate:
            tokens = jnp.concatenate([vectors, table[labels.at[:, -1].set(config.num_labels)]], axis=2)
        else:
            tokens = jnp.zeros((items.shape[0], 2 * items.shape[1] - 1, config.width))
            tokens = tokens.at[:, 0::2].set(vectors).at[:, 1::2].set(table[labels[:, :-1]])
        angles = jnp.arange(tokens.shape[1])[:, None] / 30 ** (jnp.arange(0, tokens.shape[2], 2) / tokens.shape[2])
        return tokens + jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class SimpleResNet(hk.Module):
    def __init__(self, channels: int, flatten: bool) -> None:
        super().__init__()
        self.flatten = flatten
        self.conv = hk.Conv2D(64, 7, stride=2, with_bias=False, name="initial_conv")
        self.norm = _batch_norm("initial_batchnorm")
        self.groups = [
            BlockGroup(group_channels, stride, f"block_group_{number}")
            for number, (group_channels, stride) in enumerate(zip((16, 32, 32, channels), (1, 2, 2, 2), strict=True))
        ]

    def __call__(self, images: Array, is_training: bool) -> Array:
        maps = jax.nn.relu(self.norm(self.conv(images), is_training))
        maps = hk.max_pool(maps, window_shape=(1, 3, 3, 1), strides=(1, 2, 2, 1), padding="SAME")
        for group in self.groups:
            maps = group(maps, is_training)
        return maps.reshape(len(maps), -1) if self.flatten else maps.mean((1, 2))


class BlockGroup(hk.Module):
    def __init__(self, channels: int, stride: int, name: str) -> None:
        super().__init__(name=name)
        self.blocks = [BlockV1(channels, stride, True, "block_0"), BlockV1(channels, 1, False, "block_1")]

    def __call__(self, maps: Array, is_training: bool) -> Array:
        for block in self.blocks:
            maps = block(maps, is_training)
        return maps


class BlockV1(hk.Module):
    def __init__(self, channels: int, stride: int, project: bool, name: str) -> None:
        super().__init__(name=name)
        self.shortcut = None
        if project:
            self.shortcut = hk.Conv2D(channels, 1, stride=stride, with_bias=False, name="shortcut_conv")
            self.shortcut_norm = _batch_norm("shortcut_batchnorm")
        narrow = channels // 4
        self.convs = [
            hk.Conv2D(narrow, 1, with_bias=False, name="conv_0"),
            hk.Conv2D(narrow, 3, stride=stride, with_bias=False, name="conv_1"),
            hk.Conv2D(channels, 1, with_bias=False, name="conv_2"),
        ]
        self.norms = [_batch_norm("batchnorm_0"), _batch_norm("batchnorm_1"), _batch_norm("batchnorm_2", jnp.zeros)]

    def __call__(self, maps: Array, is_training: bool) -> Array:
        shortcut = maps if self.shortcut is None else self.shortcut_norm(self.shortcut(maps), is_training)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            maps = norm(conv(maps), is_training)
            if number < 2:
                maps = jax.nn.relu(maps)
        return jax.nn.relu(maps + shortcut)


def _batch_norm(name: str, scale_init: hk.initializers.Initializer | None = None) -> hk.BatchNorm:
    return hk.BatchNorm(create_scale=True, create_offset=True, decay_rate=0.9, scale_init=scale_init, name=name)


class Transformer(hk.Module):
    def __init__(self, config: ReferenceClassifier) -> None:
        super().__init__()
        self.config = config

    def __call__(self, embed: InputEmbedder, items: Array, labels: Array, is_training: bool) -> Array:
        stream = embed(items, labels, is_training)
        for _ in range(self.config.layers):
            stream = TransformerBlock(self.config.heads)(stream)
        return _linear(self.config.num_labels)(_layer_norm(stream)[:, -1])


class TransformerBlock(hk.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def __call__(self, stream: Array) -> Array:
        stream += SelfAttentionBlock(self.heads)(_layer_norm(stream))
        return stream + DenseBlock()(_layer_norm(stream))


class SelfAttentionBlock(hk.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def __call__(self, stream: Array) -> Array:
        return CausalSelfAttention(self.heads)(stream)


class CausalSelfAttention(hk.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def __call__(self, stream: Array) -> Array:
        B, T, D = stream.shape
        query, key, value = (_linear(D)(stream).reshape(B, T, self.heads, -1) for _ in range(3))
        scores = jnp.einsum("bthd,bThd->bhtT", query, key) / np.sqrt(D // self.heads)
        earlier = np.tril(np.ones((T, T)))
        weights = jax.nn.softmax(scores * earlier - 1e10 * (1 - earlier))
        return _linear(D)(jnp.einsum("bhtT,bThd->bthd", weights, value).reshape(B, T, D))


class DenseBlock(hk.Module):
    def __call__(self, stream: Array) -> Array:
        D = stream.shape[-1]
        hidden = jax.nn.gelu(_linear(4 * D)(stream))  # before the next line, since the first to be made is "linear"
        return _linear(D)(hidden)


class RNN(hk.Module):
    def __init__(self, config: ReferenceClassifier) -> None:
        super().__init__()
        self.config = config

    def __call__(self, embed: InputEmbedder, items: Array, labels: Array, is_training: bool) -> Array:
        tokens = embed(items, labels, is_training)
        cell = hk.LSTM if self.config.trunk == "lstm" else hk.VanillaRNN
        cells = hk.DeepRNN([cell(self.config.width) for _ in range(self.config.layers)])
        outputs, _ = hk.static_unroll(cells, tokens, cells.initial_state(len(tokens)), time_major=False)
        return _linear(self.config.num_labels)(outputs[:, -1])


def _linear(size: int) -> hk.Linear:
    return hk.Linear(size, w_init=hk.initializers.VarianceScaling(1.0))


def _layer_norm(stream: Array) -> Array:
    return hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(stream)
