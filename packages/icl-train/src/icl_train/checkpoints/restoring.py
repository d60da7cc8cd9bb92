"""Reading checkpoints: the latest that is whole, everything or the model alone, on any mesh."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from icl_train.checkpoints.digest import find_damage
from icl_train.checkpoints.progress import Progress
from icl_train.contract import initial_model
from icl_train.devices.hosts import max_over_hosts
from icl_train.devices.mesh import MeshConfig
from icl_train.devices.sharding_rules import with_shardings
from icl_train.errors import RunError
from icl_train.log import logger
from icl_train.paths import name_of, named_leaves
from icl_train.positions import decode
from icl_train.run_folder import UNFINISHED, expanded
from icl_train.state import TrainState
from icl_train.types import Init

CHECKPOINTS_FOLDER = "checkpoints"


class Saved(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        state: The training state, on the devices.
        data: The position of the batch iterator, as its ``get_state`` gave it.
        progress: How far the run had come.
        skipped: Steps of later checkpoints, which are damaged.
    """

    state: TrainState
    data: Any
    progress: Progress
    skipped: tuple[int, ...] = ()


class ModelCheckpoint(NamedTuple):
    """The part of a checkpoint that evaluation needs.

    Attributes:
        step: Steps made when it was saved; those of a member of an ensemble that had stopped before.
        params: Parameters, on the devices.
        model_state: Model state, on the devices.
        ema: Average of the parameters, or None if the run kept none.
    """

    step: int
    params: PyTree
    model_state: PyTree
    ema: PyTree = None


def latest_step(workdir: str | Path) -> int | None:
    """Return the step of the latest whole checkpoint of a run, or None if there is none.

    Its files are compared with their hashes; a damaged one is passed over.

    >>> latest_step('/no/such/run') is None
    True
    """
    folder = _folder(workdir)
    return next((step for step in reversed(saved_steps(folder)) if not _damage(folder / str(step))), None)


def checkpoint_steps(workdir: str | Path) -> list[int]:
    """Return the steps of a run's checkpoints, whole or not, in their order.

    >>> checkpoint_steps('/no/such/run')
    []
    """
    return saved_steps(_folder(workdir))


def saved_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder of checkpoints, whole or not, in their order."""
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    # One that is being written is named 500.orbax-checkpoint-tmp-..., and renamed when it is whole.
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def restore(workdir: str | Path, wanted: TrainState) -> Saved | None:
    """Return everything from the latest whole checkpoint of a run, to go on training.

    Damaged and half-written checkpoints are named on stderr, skipped and left alone.

    Args:
        workdir: The run's folder.
        wanted: Shapes, dtypes and shardings of the state; the shardings need not be those it was saved with.

    Returns:
        What was saved, or None if nothing ever was.

    Raises:
        RunError: If what was saved is not of those shapes and dtypes, or if all checkpoints are damaged.
    """
    folder = _folder(workdir)
    for half in sorted(folder.glob(f"*{UNFINISHED}*")) if folder.is_dir() else ():
        logger.warning(f"{half} was not written to its end: skipped.")
    steps = saved_steps(folder)
    for step in reversed(steps):
        path = folder / str(step)
        damage, saved = _damage(path), None
        # Agreed, so that a file that one host alone cannot read does not set the hosts at odds.
        if not max_over_hosts(int(damage is not None)):
            try:
                saved = _read(path, wanted)
            except _DamagedError as error:
                damage = str(error)
            if not max_over_hosts(int(saved is None)):
                assert saved is not None
                return saved._replace(skipped=tuple(later for later in steps if later > step))
        logger.warning(f"The checkpoint {path} is damaged ({damage or 'on another host'}): skipped, and left as it is.")
    if not steps:
        return None
    raise RunError(
        f"wanted a whole checkpoint in {folder}, but those of steps {', '.join(map(str, steps))} are damaged; "
        "bring one back from a copy, or give another workdir"
    )


def restore_model(
    workdir: str | Path,
    *,
    init: Init | None = None,
    step: int | None = None,
    member: int | None = None,
    mesh: Mesh | None = None,
) -> ModelCheckpoint:
    """Return parameters and model state from a checkpoint, to evaluate them.

    Args:
        workdir: The run's folder.
        init: What the run was trained with; only its shapes are used. None takes whatever was saved: dictionaries and
            lists of arrays, in which a random key is its bits, and an array without elements is a single zero.
        step: Which checkpoint; the latest whole one if None.
        member: Which member, of a run that is an ensemble.
        mesh: Where to put the arrays: a copy on every device; of all devices if None.

    Returns:
        Arrays of the shapes and dtypes that ``init`` makes, also of a member, and the average of the parameters if
        the run kept one.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        RunError: If what was saved is not of the shapes and dtypes that ``init`` makes, or is damaged; or if there is
            no such member, or none is named of an ensemble.
        TypeError: If ``init`` does not give parameters and model state.
    """
    path = _whole_checkpoint(workdir, step)
    _, progress = _read_json(path)
    count = None if progress.members is None else len(progress.members)
    _check_member(workdir, member, count=count)
    saved = _described(path / "model")
    wanted = _saved_shapes(saved) if init is None else _shapes_of(init, with_ema="ema" in saved)
    if member is not None and init is not None:
        wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype), wanted)
    whole = NamedSharding(MeshConfig().build() if mesh is None else mesh, PartitionSpec())
    placed = with_shardings(wanted, jax.tree.map(lambda _: whole, wanted))
    read = _read_arrays(path / "model", jax.tree.map(_storable, placed), described=saved)
    model = jax.tree.map(_as_wanted, read, placed)
    made = int(path.name)
    if member is not None:
        model = jax.tree.map(lambda leaf: leaf[member], model)
        made = progress.failed.get(member, made + 1) - 1
    return ModelCheckpoint(made, model["params"], model["model_state"], model.get("ema"))


def _shapes_of(init: Init, *, with_ema: bool) -> dict[str, PyTree]:
    params, model_state = jax.eval_shape(functools.partial(initial_model, init), jax.random.key(0))
    return {"params": params, "model_state": model_state} | ({"ema": params} if with_ema else {})


def _saved_shapes(saved: PyTree) -> dict[str, PyTree]:
    """Return the shapes of what a checkpoint holds of a model, of which an empty state has left nothing."""
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(saved))
    return {"model_state": {}} | shapes


def warm_start(state: TrainState, workdir: str | Path) -> TrainState:
    """Return a state that begins with what fits it of the latest whole checkpoint of another run.

    What fits is a parameter or an array of the model state that has the same name and shape; one float dtype is cast
    to another, and other dtypes have to be the same. A random key (`jax.random.key`) is what its bits are. All else
    stays as it was initialised, and is listed on stderr, with the reason. The optimiser begins anew.

    Args:
        state: A state before its first step, on the devices.
        workdir: Folder of the other run, whose model may have been another.

    Returns:
        The state with those arrays replaced; an average of the parameters begins as they are.

    Raises:
        FileNotFoundError: If that folder has no checkpoint.
        RunError: If nothing in it fits, or it is an ensemble.
    """
    path = _whole_checkpoint(workdir, None)
    if _read_json(path)[1].members is not None:
        raise RunError(
            f"wanted the folder of one model to start from, got {workdir}, which has an ensemble; give an init that "
            "returns what restore_model(workdir, init=init, member=...) reads"
        )
    own = {"params": state.params, "model_state": state.model_state}
    bits, tree = jax.tree.map(_storable, own), _described(path / "model")
    mine = named_leaves(bits)
    theirs = {name: leaf for name, leaf in named_leaves(tree).items() if not name.startswith("ema")}
    fits = {name for name in mine.keys() & theirs.keys() if _fits(mine[name], theirs[name])}
    if not any(name.startswith("params") for name in fits):
        raise RunError(
            f"wanted parameters of {path} to start from, but none fits: {', '.join(sorted(theirs)[:3])} are saved, "
            f"{', '.join(sorted(mine)[:3])} are wanted; build the model with like names and shapes"
        )
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in theirs:
            logger.info(f"  {name}: not in {workdir}, stays as initialised")
        elif name not in mine:
            logger.info(f"  {name}: in {workdir}, not in this model")
        elif name not in fits:
            there, here = _words(theirs[name]), _words(mine[name])
            logger.info(f"  {name}: {there} in {workdir}, {here} here, stays as initialised")
    whole = NamedSharding(MeshConfig().build(), PartitionSpec())

    def place(where: tuple[Any, ...], leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = mine[name_of(where)].sharding if name_of(where) in fits else whole
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    read = named_leaves(_read_arrays(path / "model", jax.tree_util.tree_map_with_path(place, tree), described=tree))
    logger.info(f"Started from {len(fits)} arrays of {path}.")
    taken = jax.tree_util.tree_map_with_path(
        lambda where, leaf: read[name_of(where)].astype(leaf.dtype) if name_of(where) in fits else leaf, bits
    )
    model = jax.tree.map(_as_wanted, taken, own)
    ema = None if state.ema is None else jax.tree.map(lambda leaf: leaf.copy(), model["params"])
    return state._replace(params=model["params"], model_state=model["model_state"], ema=ema)


def _check_member(workdir: str | Path, member: int | None, *, count: int | None) -> None:
    """Check that a member is named of an ensemble of so many, and of nothing else."""
    if count is None and member is not None:
        raise RunError(
            f"wanted no member, since the run in {workdir} is of one model, got member={member}; leave it out"
        )
    if count is not None and (member is None or not 0 <= member < count):
        raise RunError(
            f"wanted a member of the ensemble in {workdir}, 0 to {count - 1}, got {member}; "
            "restore_model reads one of them, as in member=0"
        )


class _DamagedError(RunError):
    """A checkpoint that cannot be read."""


def items(state: TrainState) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Return the two items of arrays that a state is saved as: the model, and the optimiser's."""
    model = {"params": state.params, "model_state": state.model_state}
    model |= {} if state.ema is None else {"ema": state.ema}
    return jax.tree.map(_storable, (model, {"step": state.step, "opt_state": state.opt_state}))


def _folder(workdir: str | Path) -> Path:
    return expanded(workdir).absolute() / CHECKPOINTS_FOLDER


def _whole_checkpoint(workdir: str | Path, step: int | None) -> Path:
    """Return the folder of the checkpoint of a step, or of the latest whole one, whose files have been compared."""
    folder = _folder(workdir)
    steps = saved_steps(folder)
    found = latest_step(workdir) if step is None else step if step in steps else None
    if found is None:
        wanted = "a whole checkpoint" if step is None else f"the checkpoint of step {step}"
        raise FileNotFoundError(f"wanted {wanted} in {folder}, found steps {steps}; train first")
    path = folder / str(found)
    if step is not None and (damage := _damage(path)):
        raise RunError(f"the checkpoint {path} is damaged ({damage}); choose another step")
    return path


def _damage(path: Path) -> str | None:
    missing = [name for name in ("model", "optimizer", "data", "progress") if not (path / name).is_dir()]
    return f"{missing[0]} is missing" if missing else find_damage(path)


def _read(path: Path, wanted: TrainState) -> Saved:
    wanted_model, wanted_optimizer = items(wanted)
    data, progress = _read_json(path)
    model = _read_arrays(path / "model", wanted_model)
    optimizer = _read_arrays(path / "optimizer", wanted_optimizer)
    state = TrainState(
        optimizer["step"], model["params"], model["model_state"], optimizer["opt_state"], model.get("ema")
    )
    return Saved(jax.tree.map(_as_wanted, state, wanted), data, progress)


def _read_json(path: Path) -> tuple[Any, Progress]:
    try:
        data, progress = (ocp.JsonCheckpointHandler().restore(path / name) for name in ("data", "progress"))
        return decode(data), Progress.from_json(progress)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _DamagedError(f"data or progress cannot be read: {error}") from error


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _storable(leaf: Any) -> Any:
    """Return what a checkpoint holds of an array, or of the shape of one, where Orbax has no room for itself.

    That is the bits of a random key, and a single zero in the place of an array without elements.
    """
    if _is_key(leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.random.key_data(leaf)
        bits = jax.eval_shape(jax.random.key_data, leaf)
        return jax.ShapeDtypeStruct(bits.shape, bits.dtype, sharding=leaf.sharding)
    if leaf.size > 0:
        return leaf
    placed = leaf.sharding
    whole = NamedSharding(placed.mesh, PartitionSpec()) if isinstance(placed, NamedSharding) else placed
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((1,), leaf.dtype, sharding=whole)
    return jax.device_put(np.zeros(1, leaf.dtype), whole)


def _as_wanted(leaf: Any, wanted: Any) -> Any:
    """Return the array of which `_storable` made ``leaf``, given its shape, dtype and place."""
    if _is_key(wanted):
        return jax.random.wrap_key_data(leaf, impl=wanted.dtype._impl.name)  # which JAX gives of arrays alone
    return leaf if wanted.size > 0 else jnp.zeros(wanted.shape, wanted.dtype, device=wanted.sharding)


def _described(path: Path) -> PyTree:
    """Return the shapes and dtypes of the arrays of an item of a checkpoint."""
    try:
        return ocp.StandardCheckpointHandler().metadata(path).tree
    except Exception as error:  # whatever Orbax and TensorStore say of files that they cannot read
        raise _DamagedError(f"{path.name} cannot be read: {error}") from error


def _read_arrays(path: Path, wanted: PyTree, *, described: PyTree | None = None) -> PyTree:
    """Return the arrays of an item of a checkpoint, which must be of the shapes that are wanted.

    Args:
        path: Of the item.
        wanted: Shapes, dtypes and shardings.
        described: What `_described` says of it, where that was asked before.
    """
    metadata = _described(path) if described is None else described
    # Orbax casts another dtype silently, and its message on another shape does not say which array.
    saved, expected = _shapes(metadata), _shapes(wanted)
    differing = [name for name in sorted(saved | expected) if saved.get(name) != expected.get(name)]
    if differing:
        listed = "; ".join(
            f"{n}: saved {saved.get(n, 'nothing')}, wanted {expected.get(n, 'nothing')}" for n in differing[:3]
        )
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise RunError(
            f"the checkpoint {path} does not fit the {path.name} it is read into: {listed}{more}. "
            f"Build the {path.name} with the configuration of that run, or give another workdir"
        )
    try:
        return ocp.StandardCheckpointHandler().restore(path, args=ocp.args.StandardRestore(wanted))
    except Exception as error:
        raise _DamagedError(f"{path.name} cannot be read: {error}") from error


def _shapes(tree: PyTree) -> dict[str, str]:
    return {name: _words(leaf) for name, leaf in named_leaves(tree).items()}


def _words(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _fits(mine: Any, theirs: Any) -> bool:
    are_floats = all(jax.dtypes.issubdtype(each.dtype, np.inexact) for each in (mine, theirs))
    return mine.shape == tuple(theirs.shape) and (are_floats or mine.dtype == theirs.dtype)
