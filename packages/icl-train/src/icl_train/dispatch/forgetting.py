"""Parameters that are drawn anew in the midst of training: active forgetting (Anand et al. 2024, arXiv 2406.00053)."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from icl_train.checks import as_whole
from icl_train.contract import initial_model
from icl_train.paths import compiled, matching
from icl_train.state import TrainState
from icl_train.types import Init


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forget:
    """Draw parameters anew every few steps, as ``init`` draws them, and set what the optimiser knows of them to zero.

    It is done when the next step begins, so that what is evaluated or saved after a step was trained until then.

    That is every array of its state that stands under the name of such a parameter: moments, momentum, and the count
    of Adam's bias correction where each parameter has one (``OptimizerConfig.build(forgets=True)``). The schedule of
    the learning rate goes on, and so does an average of the parameters.

    Attributes:
        params: Pattern (a regular expression, looked for anywhere in names such as 'encoder/conv/w') of the parameters.
        every: They are forgotten after each step whose number is a multiple of this, at least 1.
        until: Last step after which they may be, at least 1; None for the whole run. *Temporary* forgetting ends.

    Raises:
        ValueError: If a value is out of the range stated with it.

    >>> forget = Forget(params='labels', every=100, until=250)
    >>> [step for step in range(100, 401, 50) if forget.is_due(step)]
    [100, 200]
    """

    params: str
    every: int
    until: int | None = None

    def __post_init__(self) -> None:
        compiled(self.params)
        object.__setattr__(self, "every", as_whole("every", self.every, least=1))
        if self.until is not None:
            object.__setattr__(self, "until", as_whole("until", self.until, least=1))

    def is_due(self, step: Array | np.integer | int) -> Bool[Array, ""]:
        """Return whether the parameters are forgotten after a step."""
        step = jnp.asarray(step)
        due = (step > 0) & (step % self.every == 0)
        return due if self.until is None else due & (jnp.asarray(step) <= self.until)


def forgotten(
    state: TrainState, key: Array, number: Array | np.integer | int, *, init: Init, forget: Sequence[Forget]
) -> TrainState:
    """Return the state that step n + 1 begins with: after step n, with the parameters drawn anew that are due. Pure.

    Args:
        state: After step n; of a run that stopped before, which stays as it is, after an earlier one.
        key: The run's key; what is drawn after step n is given ``fold_in(fold_in(key, 0), n)``.
        number: n.
        init: Makes parameters and model state, of which parameters alone are taken.
        forget: What is forgotten when.

    Raises:
        ValueError: If a pattern matches no parameter.
    """
    for each in forget:
        chosen = matching(state.params, [each.params])

        def draw(before: TrainState, chosen: PyTree = chosen) -> TrainState:
            fresh, _ = initial_model(init, jax.random.fold_in(jax.random.fold_in(key, 0), number))
            params = jax.tree.map(
                lambda old, new, anew: jax.lax.convert_element_type(new, old.dtype) if anew else old,
                before.params,
                fresh,
                chosen,
            )
            after = before._replace(params=params, opt_state=_without_memory(before.opt_state, chosen))
            goes_on = before.step == number
            return jax.tree.map(lambda new, old: jnp.where(goes_on, new, old), after, before)

        state = jax.lax.cond(each.is_due(number), draw, lambda before: before, state)
    return state


def _without_memory(opt_state: PyTree, chosen: PyTree) -> PyTree:
    """Return the state of an optimiser with zeros under the names of the parameters that are chosen.

    States mirror the parameters: the path of a leaf ends with that of its parameter. The longest such end counts.
    """
    of_params = dict(jax.tree_util.tree_leaves_with_path(chosen))
    if () in of_params:
        raise ValueError("wanted parameters with names, to tell what the optimiser knows of each, got one bare array")

    def clear(path: tuple[object, ...], leaf: Array) -> Array:
        own = next((path[start:] for start in range(len(path)) if path[start:] in of_params), None)
        return jnp.zeros_like(leaf) if own is not None and of_params[own] else leaf

    return jax.tree_util.tree_map_with_path(clear, opt_state)
