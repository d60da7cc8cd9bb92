"""A model with interventions, as a pure function: to be trained with, or measured."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from icl_models.capture import Function, Values, instrument
from icl_models.classifier import SequenceClassifier
from icl_models.interventions.ideals import copied_logits, matching_pattern, previous_token_pattern
from icl_models.interventions.values import Ablate, Clamp, Intervention, OnHeads, Preserve
from icl_models.trunks.transformer import Transformer

Apply: TypeAlias = Callable[..., tuple[Array, Any]]
"""``apply(params, state, rng, items, labels, classes, *, is_training) -> (logits, state)``; pure."""

Change = tuple[str, Function]  # a pattern for names of taps, and what is made of their values


def intervene(model: SequenceClassifier, interventions: Sequence[Intervention]) -> Apply:
    """Return the ``apply`` of a model with interventions.

    Clamps and ablations of one value follow each other in their order, and what is preserved is put in its place after
    them. Without any, it is the model's own ``apply``, and costs what
    that costs.

    Args:
      model: a classifier with a Transformer.
      interventions: what is changed.

    Returns:
      ``apply(params, state, rng, items, labels, classes, *, is_training)``, as pure as the model's own. The classes of
      the items, integers [B, S], tell which of them match; where nothing is clamped to "match", they are not read.

    Raises:
      ValueError: another trunk, layers or heads that there are not, or two that one could not see the effect of.

    >>> from icl_models import IdentityEncoder
    >>> model = SequenceClassifier(num_labels=3, encoder=IdentityEncoder(), trunk=Transformer(heads=2), width=4)
    >>> apply = intervene(model, [Clamp(to="match", layer=1, heads=(0,)), Ablate(layer=1, heads=(1,))])
    >>> intervene(model, [Ablate(layer=2)])
    Traceback (most recent call last):
    ValueError: Ablate(layer=2, heads=()) wants layers that there are, got 2; the model has 0..1.
    """
    _check(model, interventions)
    apply = model.build().apply
    copies = [each for each in interventions if isinstance(each, Clamp) and each.to == "copy"]

    def intervened(
        params: Any, state: Any, rng: Any, items: Any, labels: Any, classes: Any, **options: Any
    ) -> tuple[Array, Any]:
        def run(changes: Sequence[Change], capture: Sequence[str] = ()) -> tuple[tuple[Array, Any], Values]:
            replaced = instrument(apply, capture=capture, replace=_composed(changes))
            return replaced(params, state, rng, items, labels, **options)

        changes: list[Change] = []
        preserved: list[Change] = []
        given: list[Change] = []
        for each in interventions:
            if isinstance(each, Ablate):
                changes.append(_ablation(each))
            elif isinstance(each, Preserve):
                ablations = [_ablation(ablated) for ablated in each.ablated]
                _, values = run([*given, *ablations], [*map(each.at, each.taps), "items"])
                given = [("items", _constant(values.pop("items")))]  # an encoder is most of many models: it runs once
                preserved += [(name, _on_heads(each, name, value)) for name, value in values.items()]
            elif each.to != "copy":
                changes.append((each.at("attention"), _pattern(each, model, classes)))
        changes += [*preserved, *given]
        if not copies:
            return run(changes)[0]
        (logits, state), values = run(changes, [copies[0].at("scores")])
        *_, scores = values.values()  # of the last loop
        heads = list(copies[0].heads) or slice(None)
        logits = copied_logits(scores[:, heads], labels, model.layout, num_labels=model.num_labels)
        return (logits[:, -1] if model.outputs == "query" else logits), state

    def as_it_is(
        params: Any, state: Any, rng: Any, items: Any, labels: Any, classes: Any, **options: Any
    ) -> tuple[Array, Any]:
        return apply(params, state, rng, items, labels, **options)

    return intervened if interventions else as_it_is


def _constant(value: Array) -> Function:
    return lambda _: value


def _ablation(ablate: Ablate) -> Change:
    return ablate.at("heads"), lambda heads: _on_heads(ablate, "heads", jnp.zeros_like(heads))(heads)


def _pattern(clamp: Clamp, model: SequenceClassifier, classes: Any) -> Function:
    """Return what gives heads the attention pattern of a clamp."""

    def given(attention: Array) -> Array:
        if clamp.to == "match":
            pattern, has_match = matching_pattern(jnp.asarray(classes), model.layout)
            ideal, where = pattern[:, None], has_match[:, None, :, None]
        else:
            ideal, where = (
                jnp.asarray(previous_token_pattern(attention.shape[-1]))[None, None],
                jnp.ones((1, 1, 1, 1), bool),
            )
        new = jnp.where(where, ideal.astype(attention.dtype), attention)
        return _on_heads(clamp, "attention", new)(attention)

    return given


def _on_heads(which: OnHeads, tap: str, new: Array) -> Function:
    """Return what gives some heads a new value, and leaves that of the others."""
    axis = 1 if tap.endswith(("scores", "attention")) else 2

    def given(value: Array) -> Array:
        chosen = _chosen(which, value.shape[axis])
        return jnp.where(np.expand_dims(chosen, [each for each in range(4) if each != axis]), new, value)

    return given


def _chosen(which: OnHeads, num_heads: int) -> Bool[np.ndarray, " H"]:
    return np.isin(np.arange(num_heads), which.heads or np.arange(num_heads))


def _composed(changes: Sequence[Change]) -> Mapping[str, Function]:
    """Return one function for each pattern, in which those for the same one follow each other."""
    by_pattern: dict[str, list[Function]] = {}
    for pattern, function in changes:
        by_pattern.setdefault(pattern, []).append(function)

    def one_by_one(functions: Sequence[Function], value: Array) -> Array:
        for function in functions:
            value = function(value)
        return value

    return {pattern: functools.partial(one_by_one, functions) for pattern, functions in by_pattern.items()}


def _check(model: SequenceClassifier, interventions: Sequence[Intervention]) -> None:
    """Refuse what there is not in a model, and what would have no effect."""
    trunk = model.trunk
    for each in interventions:
        if not isinstance(trunk, Transformer):
            raise ValueError(f"{each} is for heads of a Transformer, and the trunk is {trunk}.")
        for part in (each, *(each.ablated if isinstance(each, Preserve) else ())):
            _check_there(each, "layers", (part.layer,), f"the model has 0..{trunk.layers - 1}", trunk.layers)
            _check_there(each, "heads", part.heads, f"a layer has 0..{trunk.heads - 1}", trunk.heads)
    clamps = [each for each in interventions if isinstance(each, Clamp)]
    copies = [each for each in clamps if each.to == "copy"]
    if len(copies) > 1:
        raise ValueError(f"{copies[1]} would take the place of {copies[0]}: the logits are copied once.")
    for copy in copies:
        if isinstance(trunk, Transformer) and trunk.attention != "softmax":
            raise ValueError(f"{copy} reads scores before a softmax, and the attention is {trunk.attention}.")
        for each in clamps:
            if each is not copy and each.layer == copy.layer and _overlap(each, copy):
                raise ValueError(f"{copy} reads the scores, on which {each} has no effect; leave one of them out.")


def _check_there(each: Intervention, what: str, wanted: Sequence[int], there: str, count: int) -> None:
    if missing := [number for number in wanted if number >= count]:
        raise ValueError(f"{each} wants {what} that there are, got {missing[0]}; {there}.")


def _overlap(one: OnHeads, other: OnHeads) -> bool:
    return not one.heads or not other.heads or bool(set(one.heads) & set(other.heads))
