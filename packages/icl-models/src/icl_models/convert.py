"""Parameters of the original model, from the code of Chan et al. (2022), for ours."""

import functools
import re
from collections.abc import Mapping
from typing import TypeVar

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from icl_models.contract import Shape, fits, in_brackets, outline
from icl_models.encoders.resnet import ResNet

Tree = Mapping[str, Mapping[str, jax.Array | np.ndarray]]  # as Haiku has it: by module, then by name
OurTree = dict[str, dict[str, jax.Array]]
_T = TypeVar("_T")

_MLP_RATIO = 4  # of the original's MLPs, always
_RESNET = "input_embedder/simple_res_net"
_ATTENTION = "self_attention_block/causal_self_attention"
_BLOCK = {
    "attention_norm": "layer_norm",
    "query": f"{_ATTENTION}/linear",
    "key": f"{_ATTENTION}/linear_1",
    "value": f"{_ATTENTION}/linear_2",
    "attention_out": f"{_ATTENTION}/linear_3",
    "mlp_norm": "layer_norm_1",
    "mlp_in": "dense_block/linear",
    "mlp_out": "dense_block/linear_1",
}


def from_original(params: Tree, state: Tree | None) -> tuple[OurTree, OurTree]:
    """Return the original's parameters and state in the form of ``SequenceClassifier``; the logits are the same.

    The original's tree is that of its Haiku modules; their paths may have "~" for what is made in a constructor.
    Here k is the number of a layer (the original's first has no number: ``transformer_block``, then
    ``transformer_block_1``), and [k] is row k of an array [layers, ...]:

    =========================================================  ====================================================
    original                                                   ours
    =========================================================  ====================================================
    ``input_embedder``: ``embs``                               ``labels``: ``embeddings``
    ``input_embedder/simple_res_net/...`` (also in the state)  ``encoder/resnet/...`` (the same names)
    ``input_embedder/linear``                                  ``encoder/linear``
    ``input_embedder/embed``                                   ``encoder/items``
    ``transformer/transformer_block_k/layer_norm``             ``trunk/blocks/attention_norm`` [k]
    ``.../self_attention_block/causal_self_attention/linear``  ``trunk/blocks/query`` [k]
    ``.../causal_self_attention/linear_1``, ``_2``, ``_3``     ``trunk/blocks/key``, ``value``, ``attention_out`` [k]
    ``.../transformer_block_k/layer_norm_1``                   ``trunk/blocks/mlp_norm`` [k]
    ``.../dense_block/linear``, ``linear_1``                   ``trunk/blocks/mlp_in``, ``mlp_out`` [k]
    ``transformer/layer_norm``                                 ``trunk/final_norm``
    ``transformer/linear`` or ``rnn/linear``                   ``classifier``
    ``rnn/lstm_k/linear``: ``b``; first rows of ``w``          ``trunk/layer_k/input``: ``b``; ``w``
    ``rnn/lstm_k/linear``: last rows of ``w``                  ``trunk/layer_k/hidden``: ``w``
    ``rnn/vanilla_rnn_k/linear``, ``linear_1``                 ``trunk/layer_k/input``, ``hidden``
    =========================================================  ====================================================

    The tree does not tell the number of heads, nor what has no parameters: give those to ``SequenceClassifier``. It
    tells the layout: with ``embs`` of one row more than there are labels it is ``Concatenated``, else ``Interleaved``.

    Args:
      params: of the original, {module: {name: array}}.
      state: likewise; empty but for the ResNet's batch norm. None where it was not kept: a ResNet then has the
        statistics of the start, which training makes anew and without which an evaluation means nothing.

    Returns:
      Parameters and state, all in float32 but for the counters.

    Raises:
      TypeError: what is no such tree.
      ValueError: a tree from which something is missing, or that has something else, or an array of another shape.
    """
    arrays, statistics = _Source("params", params), None if state is None else _Source("state", state)
    trunk = arrays.choose({"transformer/transformer_block": _transformer, "rnn/lstm": _lstm, "rnn/vanilla_rnn": _rnn})
    encoder = arrays.choose({_RESNET: _resnet, "input_embedder/linear": _linear, "input_embedder/embed": _embedding})
    head = "transformer/linear" if trunk is _transformer else "rnn/linear"
    labels = arrays.take(head, "b", (None,))
    weights = arrays.take(head, "w", (None, len(labels)))
    table = arrays.take("input_embedder", "embs", (None, None))
    rows, width = table.shape
    if rows not in (len(labels), len(labels) + 1):
        raise ValueError(
            f"'embs' of 'input_embedder' must have a row for each of the {len(labels)} labels of {head!r}, and one "
            f"more if labels are concatenated, got {rows}."
        )
    token_width = width * (1 + rows - len(labels))
    ours = trunk(arrays, token_width, len(weights))
    encoder_params, encoder_state = encoder(arrays, statistics, width)
    ours |= encoder_params | {"labels": {"embeddings": table}, "classifier": {"w": weights, "b": labels}}
    arrays.finish()
    if statistics is not None:
        statistics.finish()
    return ours, encoder_state


class _Source:
    """A tree of the original's, from which arrays are taken one after the other until nothing is left."""

    def __init__(self, name: str, tree: Tree) -> None:
        self._name = name
        if not isinstance(tree, Mapping) or not all(isinstance(leaves, Mapping) for leaves in tree.values()):
            raise TypeError(f"The original's {name} must be {{module: {{name: array}}}}, got {outline(tree)}.")
        self._arrays = {
            (str(path).replace("~/", ""), leaf): self._read(path, leaf, array)
            for path, leaves in tree.items()
            for leaf, array in leaves.items()
        }

    def _read(self, path: str, leaf: str, array: object) -> jax.Array:
        values = array if isinstance(array, jax.Array) else np.asarray(array)
        if not jnp.issubdtype(values.dtype, jnp.number):
            raise TypeError(
                f"{leaf!r} of {path!r} in the original's {self._name} must be an array of numbers, got "
                f"{outline(array)}; the tree is {{module: {{name: array}}}}."
            )
        return jnp.asarray(values, jnp.float32 if jnp.issubdtype(values.dtype, jnp.floating) else jnp.int32)

    def choose(self, choices: dict[str, _T]) -> _T:
        """Return the one choice with whose key (and perhaps a number) there are paths."""
        found = [choice for stem, choice in choices.items() if self.layers(stem)]
        if len(found) != 1:
            modules = sorted({"/".join(path.split("/")[:2]) for path, _ in self._arrays})
            raise ValueError(
                f"The original's {self._name} must have just one of {list(choices)}, got {len(found)}; it has "
                f"{', '.join(modules) or 'nothing'}."
            )
        return found[0]

    def shape(self, path: str, leaf: str) -> tuple[int, ...]:
        """Return the shape of an array, () if it is missing."""
        return jnp.shape(self._arrays.get((path, leaf), 0))

    def layers(self, stem: str) -> int:
        """Return how many modules have this name, by the highest number that one has."""
        matches = [re.match(rf"{stem}(?:_(\d+))?(?:/|$)", path) for path, _ in self._arrays]
        return max([int(match[1] or 0) + 1 for match in matches if match], default=0)

    def take(self, path: str, leaf: str, shape: Shape) -> jax.Array:
        """Return an array and remove it; of its shape, None may be anything."""
        if (path, leaf) not in self._arrays:
            raise ValueError(f"{leaf!r} of {path!r} is missing from the original's {self._name}.")
        array = self._arrays.pop((path, leaf))
        if not fits(array.shape, shape):
            raise ValueError(
                f"{leaf!r} of {path!r} in the original's {self._name} must be {in_brackets(shape)}, got "
                f"{list(array.shape)}."
            )
        return array

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._arrays:
            left = ", ".join(f"{leaf!r} of {path!r}" for path, leaf in self._arrays)
            raise ValueError(f"The original's {self._name} has what no model of ours has: {left}.")


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _take_linear(arrays: _Source, path: str, inputs: int | None, outputs: int) -> dict[str, jax.Array]:
    return {"w": arrays.take(path, "w", (inputs, outputs)), "b": arrays.take(path, "b", (outputs,))}


def _take_norm(arrays: _Source, path: str, width: int) -> dict[str, jax.Array]:
    return {leaf: arrays.take(path, leaf, (width,)) for leaf in ("scale", "offset")}


def _transformer(arrays: _Source, width: int, outputs: int) -> OurTree:
    if outputs != width:
        raise ValueError(f"'w' of 'transformer/linear' must have a row for each of {width} units, got {outputs}.")
    sizes = {"mlp_in": (width, _MLP_RATIO * width), "mlp_out": (_MLP_RATIO * width, width)}
    blocks = []
    for number in range(arrays.layers("transformer/transformer_block")):
        path = _numbered("transformer/transformer_block", number)
        blocks.append(
            {
                f"trunk/blocks/{ours}": _take_norm(arrays, f"{path}/{theirs}", width)
                if ours.endswith("norm")
                else _take_linear(arrays, f"{path}/{theirs}", *sizes.get(ours, (width, width)))
                for ours, theirs in _BLOCK.items()
            }
        )
    stacked = jax.tree.map(lambda *layers: jnp.stack(layers), *blocks)
    return stacked | {"trunk/final_norm": _take_norm(arrays, "transformer/layer_norm", width)}


def _lstm(arrays: _Source, width: int, outputs: int) -> OurTree:
    ours = {}
    for number in range(arrays.layers("rnn/lstm")):
        path, inputs = _numbered("rnn/lstm", number) + "/linear", outputs if number else width
        linear = _take_linear(arrays, path, inputs + outputs, 4 * outputs)
        ours[f"trunk/layer_{number}/input"] = {"w": linear["w"][:inputs], "b": linear["b"]}
        ours[f"trunk/layer_{number}/hidden"] = {"w": linear["w"][inputs:]}
    return ours


def _rnn(arrays: _Source, width: int, outputs: int) -> OurTree:
    ours = {}
    for number in range(arrays.layers("rnn/vanilla_rnn")):
        path, inputs = _numbered("rnn/vanilla_rnn", number), outputs if number else width
        ours[f"trunk/layer_{number}/input"] = _take_linear(arrays, f"{path}/linear", inputs, outputs)
        ours[f"trunk/layer_{number}/hidden"] = _take_linear(arrays, f"{path}/linear_1", outputs, outputs)
    return ours


def _resnet(arrays: _Source, statistics: _Source | None, width: int) -> tuple[OurTree, OurTree]:
    # Of the last map; laid flat it has 16 pixels.
    last = arrays.shape(f"{_RESNET}/block_group_3/block_1/conv_2", "w")[-1:]
    channels = width // 16 if last == (width // 16,) else width
    resnet = hk.transform_with_state(lambda images: ResNet(channels, flatten=False, name="resnet")(images, True))
    start = functools.partial(resnet.init, jax.random.key(0), jnp.zeros((1, 32, 32)))
    params, state = jax.eval_shape(start)

    def take(source: _Source, tree: Mapping[str, Mapping[str, jax.ShapeDtypeStruct]]) -> OurTree:
        return {
            path: {
                leaf: source.take(path.replace("resnet", _RESNET, 1), leaf, like.shape) for leaf, like in row.items()
            }
            for path, row in tree.items()
        }

    taken = take(arrays, params)
    state = jax.jit(lambda: start()[1])() if statistics is None else take(statistics, state)
    return _under("encoder", taken), _under("encoder", state)


def _under(module: str, tree: OurTree) -> OurTree:
    return {f"{module}/{path}": leaves for path, leaves in tree.items()}


def _linear(arrays: _Source, statistics: _Source | None, width: int) -> tuple[OurTree, OurTree]:
    return {"encoder/linear": _take_linear(arrays, "input_embedder/linear", None, width)}, {}


def _embedding(arrays: _Source, statistics: _Source | None, width: int) -> tuple[OurTree, OurTree]:
    return {"encoder/items": {"embeddings": arrays.take("input_embedder/embed", "embeddings", (None, width))}}, {}
