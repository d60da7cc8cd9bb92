"""The interventions that a configuration asks for, by what reads them."""

import dataclasses
import re
from collections.abc import Sequence

import jax
from jaxtyping import PyTree

import icl_models as models
import icl_train as training
from icl_lab.interventions.graft import Graft
from icl_lab.interventions.words import intervention_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interventions:
    """Interventions while training.

    Attributes:
      model: on inner values, which a loss has by `icl_models.intervene`.
      grafts: parameters of other runs, taken before the first step.
      forget: parameters that are drawn anew on the way.
    """

    model: tuple[models.Intervention, ...] = ()
    grafts: tuple[Graft, ...] = ()
    forget: tuple[training.Forget, ...] = ()

    @property
    def frozen_arrays(self) -> tuple[str, ...]:
        """Patterns of grafted arrays that are not trained."""
        return tuple(each.params for each in self.grafts if each.frozen and not each.layers)

    @property
    def frozen_layers(self) -> tuple[training.Rows, ...]:
        """Grafted layers of stacks that are not trained."""
        frozen = (each for each in self.grafts if each.frozen and each.layers)
        return tuple(training.Rows(params=each.params, rows=each.layers) for each in frozen)

    def check(self, params: PyTree, *, read: Sequence[models.Intervention]) -> None:
        """Refuse what nothing reads, and parameters that there are not, or that are grafted to be forgotten.

        Args:
          params: of the model, or their shapes.
          read: interventions on inner values that the experiment's loss has.

        Raises:
          ValueError: says which, and what there is.
        """
        if unread := [each for each in self.model if each not in read]:
            raise ValueError(f"{unread[0]} is for a loss that has interventions, and that of this experiment has none.")
        leaves = jax.tree_util.tree_leaves_with_path(params)
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
        for each in self.forget:
            found = [name for name in names if re.search(each.params, name)]
            if not found:
                raise ValueError(f"{each} matches no parameter; there are {', '.join(names)}.")
            for graft in self.grafts:
                if both := [name for name in found if re.search(graft.params, name)]:
                    raise ValueError(f"{each} would draw {both[0]} anew, which {graft} takes; leave one of them out.")


def interventions_of(words: Sequence[str]) -> Interventions:
    """Return the interventions that the words of an option ``intervene`` stand for.

    Raises:
      ValueError: see `intervention_of`.

    >>> interventions_of(["ablate:layer=0,heads=1", "forget:params=labels,every=9"]).model
    (Ablate(layer=0, heads=(1,)),)
    """
    values = [intervention_of(each) for each in words]
    return Interventions(
        model=tuple(each for each in values if isinstance(each, models.Intervention)),
        grafts=tuple(each for each in values if isinstance(each, Graft)),
        forget=tuple(each for each in values if isinstance(each, training.Forget)),
    )
