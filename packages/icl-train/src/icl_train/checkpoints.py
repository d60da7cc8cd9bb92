"""Checkpoints of everything, by Orbax: the training state, the position in the data, the metrics so far.

The only module that knows Orbax. A checkpoint is a folder ``checkpoints/<step>`` with four items: ``model``
(arrays: params and model state), ``optimizer`` (arrays: its state and the step), ``data`` (JSON: the position
of the batch iterator) and ``progress`` (JSON: seed and metrics). Nothing in it is code, so reading one runs
none.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import FixedIntervalPolicy, LatestN

from icl_train.contract import Init
from icl_train.mesh import data_mesh, replicated
from icl_train.state import TrainState

CHECKPOINTS_FOLDER = "checkpoints"


class Saved(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        state: The training state, on the devices.
        data: The position of the batch iterator.
        progress: What else was saved, as JSON values.
    """

    state: TrainState
    data: dict[str, Any]
    progress: dict[str, Any]


class ModelCheckpoint(NamedTuple):
    """The part of a checkpoint that evaluation needs.

    Attributes:
        step: Steps made when it was saved.
        params: Parameters, on the devices.
        model_state: Model state, on the devices.
    """

    step: int
    params: PyTree
    model_state: PyTree


class Checkpoints:
    """The checkpoints of one run, written in the background. A context manager.

    Args:
        workdir: The run's folder; the checkpoints are in ``checkpoints/`` there, which is made if it is
            missing.
        every: Steps between checkpoints, at least 1.
        keep: Checkpoints to keep, the latest, at least 1.
    """

    def __init__(self, workdir: Path, *, every: int, keep: int) -> None:
        self._every = every
        options = ocp.CheckpointManagerOptions(
            save_decision_policy=FixedIntervalPolicy(every),
            preservation_policy=LatestN(keep),
            cleanup_tmp_directories=True,  # what a killed process left half-written
        )
        self._manager = ocp.CheckpointManager(_folder(workdir), options=options)

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is to be saved after a step."""
        return step % self._every == 0

    def save(self, state: TrainState, *, step: int, data: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        """Begin to save a checkpoint, waiting for the one before it if that is still being written.

        The state may be donated to the next step as soon as this returns.

        Args:
            state: The training state after ``step`` steps.
            step: Steps made.
            data: The position of the batch iterator, as JSON values.
            progress: Anything else, as JSON values.
        """
        model, optimizer = _items(state)
        items = ocp.args.Composite(
            model=ocp.args.StandardSave(model),
            optimizer=ocp.args.StandardSave(optimizer),
            data=ocp.args.JsonSave(dict(data)),
            progress=ocp.args.JsonSave(dict(progress)),
        )
        # Forced, because a run also ends, or is stopped, between the steps of the interval.
        self._manager.save(step, args=items, force=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()  # waits for the save that is under way, and raises what went wrong in it


def latest_step(workdir: str | Path) -> int | None:
    """Return the step of the latest whole checkpoint of a run, or None if there is none.

    >>> latest_step('/no/such/run') is None
    True
    """
    folder = _folder(workdir)
    return max(ocp.utils.checkpoint_steps(folder), default=None) if folder.is_dir() else None


def restore(workdir: str | Path, abstract_state: TrainState, *, mesh: Mesh) -> Saved:
    """Read everything from the latest checkpoint of a run, to go on training.

    Args:
        workdir: The run's folder.
        abstract_state: Shapes and dtypes of the state, as `jax.eval_shape` gives them.
        mesh: Where to put the state: a copy on every device.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If what was saved is not of those shapes and dtypes.
    """
    path = _path(workdir, None)
    wanted_model, wanted_optimizer = _items(abstract_state)
    model = _read_arrays(path / "model", wanted_model, mesh=mesh)
    optimizer = _read_arrays(path / "optimizer", wanted_optimizer, mesh=mesh)
    state = TrainState(optimizer["step"], model["params"], model["model_state"], optimizer["opt_state"])
    return Saved(state, _read_json(path / "data"), _read_json(path / "progress"))


def restore_model(
    workdir: str | Path, *, init: Init, step: int | None = None, mesh: Mesh | None = None
) -> ModelCheckpoint:
    """Read parameters and model state from a checkpoint, to evaluate them.

    Args:
        workdir: The run's folder.
        init: What the run was trained with; only its shapes are used.
        step: Which checkpoint; the latest if None.
        mesh: Where to put the arrays: a copy on every device; of all devices if None.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If what was saved is not of the shapes and dtypes that ``init`` makes.
    """
    path = _path(workdir, step)
    params, model_state = jax.eval_shape(init, jax.random.key(0))
    wanted = {"params": params, "model_state": model_state}
    model = _read_arrays(path / "model", wanted, mesh=data_mesh() if mesh is None else mesh)
    return ModelCheckpoint(int(path.name), model["params"], model["model_state"])


def _folder(workdir: str | Path) -> Path:
    return Path(workdir).absolute() / CHECKPOINTS_FOLDER


def _path(workdir: str | Path, step: int | None) -> Path:
    steps = sorted(ocp.utils.checkpoint_steps(_folder(workdir))) if _folder(workdir).is_dir() else []
    if not steps or (step is not None and step not in steps):
        wanted = "a checkpoint" if step is None else f"the checkpoint of step {step}"
        raise FileNotFoundError(f"wanted {wanted} in {_folder(workdir)}, found steps {steps}; train first")
    return _folder(workdir) / str(steps[-1] if step is None else step)


def _items(state: TrainState) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    model = {"params": state.params, "model_state": state.model_state}
    return model, {"step": state.step, "opt_state": state.opt_state}


def _read_json(path: Path) -> dict[str, Any]:
    return ocp.JsonCheckpointHandler().restore(path)


def _read_arrays(path: Path, wanted: PyTree, *, mesh: Mesh) -> PyTree:
    handler = ocp.StandardCheckpointHandler()
    # Orbax casts another dtype silently, and its message on another shape does not say which array.
    saved, expected = _shapes(handler.metadata(path).tree), _shapes(wanted)
    differing = [name for name in sorted(saved | expected) if saved.get(name) != expected.get(name)]
    if differing:
        listed = "; ".join(
            f"{n}: saved {saved.get(n, 'nothing')}, wanted {expected.get(n, 'nothing')}" for n in differing[:3]
        )
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise ValueError(
            f"the checkpoint {path} does not fit the {path.name} it is read into: {listed}{more}. "
            f"Build the {path.name} with the configuration of that run, or give another workdir"
        )
    abstract = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        wanted,
        replicated(wanted, mesh),
    )
    return handler.restore(path, args=ocp.args.StandardRestore(abstract))


def _shapes(tree: PyTree) -> dict[str, str]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
