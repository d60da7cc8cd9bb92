"""Parameters as plain arrays: what a published run has in place of checkpoints, small, and readable by NumPy alone."""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from icl_train import ModelCheckpoint

FOLDER, HASHES = "weights", "sha256.json"
_NAME = re.compile(r"step-(0|[1-9]\d*)\.npz")

Tree = Mapping[str, Any]  # modules of arrays, as Haiku has them


def weight_steps(folder: Path) -> list[int]:
    """Return the steps of which a run has weights as plain arrays, in their order.

    >>> weight_steps(Path("/no/such/run"))
    []
    """
    found = (_NAME.fullmatch(path.name) for path in (folder / FOLDER).glob("step-*.npz"))
    return sorted(int(match[1]) for match in found if match)


def write_weights(folder: Path, checkpoint: ModelCheckpoint) -> Path:
    """Write a model as ``weights/step-<step>.npz``, with its hash in ``weights/sha256.json``; return its path.

    Of a run that keeps an average of its parameters, that is what is written.

    Args:
      folder: of the run, or a copy of it.
      checkpoint: parameters and state, dictionaries of modules of arrays.

    Raises:
      ValueError: another kind of tree.

    >>> import tempfile
    >>> checkpoint = ModelCheckpoint(5, {"linear": {"w": np.ones(3, np.float32)}}, {})
    >>> path = write_weights(Path(tempfile.mkdtemp()), checkpoint)
    >>> path.name, read_weights(path.parent.parent, 5).params
    ('step-5.npz', {'linear': {'w': array([1., 1., 1.], dtype=float32)}})
    """
    params = checkpoint.params if checkpoint.ema is None else checkpoint.ema
    arrays = _flat("params", params) | _flat("state", checkpoint.model_state)
    path = folder / FOLDER / f"step-{checkpoint.step}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # the stub knows no other keywords
    hashes = _hashes(folder) | {path.name: _hash(path)}
    (path.parent / HASHES).write_text(json.dumps(dict(sorted(hashes.items())), indent=2) + "\n", encoding="utf-8")
    return path


def read_weights(folder: Path, step: int) -> ModelCheckpoint:
    """Return the model of a step, once its file has been compared with its hash.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: one that is damaged, or of which no hash is known.
    """
    path = folder / FOLDER / f"step-{step}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"wanted the weights of step {step} in {folder}, found steps {weight_steps(folder)}.")
    wanted, found = _hashes(folder).get(path.name), _hash(path)
    if wanted != found:
        raise ValueError(f"{path} is not what was published: its hash is {found}, wanted {wanted}; copy it again.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            trees: dict[str, dict[str, dict[str, Any]]] = {"params": {}, "state": {}}
            for key in arrays.files:
                kind, module, name = key.split(":")
                trees[kind].setdefault(module, {})[name] = arrays[key]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as weights: {error}; copy it again.") from error
    return ModelCheckpoint(step, trees["params"], trees["state"])


def _flat(kind: str, tree: Tree) -> dict[str, np.ndarray]:
    flat = {}
    for module, arrays in tree.items():
        if not isinstance(arrays, Mapping):
            raise ValueError(f"wanted modules of arrays, as Haiku has them, got {type(arrays).__name__} at {module!r}.")
        for name, array in arrays.items():
            if ":" in f"{module}{name}":
                raise ValueError(f"wanted names without a colon, got {module!r} and {name!r}.")
            flat[f"{kind}:{module}:{name}"] = np.asarray(array)
            if flat[f"{kind}:{module}:{name}"].dtype.kind not in "biuf":
                raise ValueError(f"wanted numbers that NumPy knows, got {array.dtype} at {module!r}; cast them.")
    return flat


def _hashes(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / FOLDER / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
