"""What experiments/omniglot.py asks of a model: logits, vectors, attention, and logits without one of its heads."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Array, Float, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_models as models
from omniglot_parts import EVALUATIONS, make_evaluations, make_label_sets, make_model
from omniglot_presets import EvaluationName, OmniglotConfig

PLACES: Mapping[str, Callable[[int], evaluation.TokenPlaces]] = {
    "interleaved": evaluation.TokenPlaces.interleaved,
    "concatenated": evaluation.TokenPlaces.concatenated,
    "previous_label": evaluation.TokenPlaces.previous_label,
}


class Evaluator:
    """Everything that evaluation asks of a model, compiled once for any parameters of it.

    Args:
      config: of the run.
      bank: the images.
      split: their classes.
      whole: where logits go, if each host needs all of them.
    """

    def __init__(
        self, config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit, whole: Sharding | None
    ) -> None:
        """Build the functions; none is compiled before it is used."""
        classifier = dataclasses.replace(make_model(config, bank, split), outputs="query")
        looks_ahead = classifier.layout.shows_own_label or classifier.trunk.looks_ahead
        every = classifier if looks_ahead else dataclasses.replace(classifier, outputs="every_item")
        jit = functools.partial(jax.jit, out_shardings=whole)

        def apply_of(classifier: models.SequenceClassifier) -> Callable[..., Any]:
            model = classifier.build()

            def apply(params: PyTree, state: PyTree, seed: Array, items: Array, labels: Array) -> Any:
                # Only item dropout, which is noise in the data, reads the key: the same for all batches.
                return model.apply(params, state, jax.random.key(seed), items, labels)

            return apply

        apply, apply_to_all = apply_of(classifier), apply_of(every)

        def inner(pattern: str) -> Callable[..., Any]:
            return models.instrument(apply, capture=[pattern])

        self._key, self._label_sets = bank.key, make_label_sets(config.data, split)
        self._kinds = {final: make_evaluations(config, split, final=final) for final in (False, True)}
        self._logits = jit(lambda *arguments: apply_to_all(*arguments)[0])
        self._vectors = jit(lambda *arguments: inner("items")(*arguments)[1]["items"])
        self._has_heads = config.model.trunk == "transformer"
        self._layers, self._heads = config.model.layers, config.model.heads
        self._config = config
        self._places = PLACES[config.model.layout](config.data.length)

        def attend(*arguments: Any) -> tuple[Array, Array]:
            (logits, _), values = inner("*attention")(*arguments)
            attention = jnp.stack(list(values.values()), axis=1)
            # A layer that runs several times has the mean over these.
            B, runs, *rest = attention.shape
            return attention.reshape(B, runs // self._layers, self._layers, *rest).mean(axis=1), logits

        def without(keep: Float[Array, "L H"], *arguments: Any) -> Array:
            def keeping(layer: int) -> Callable[[Array], Array]:
                return lambda heads: heads * keep[layer][None, None, :, None].astype(heads.dtype)

            kept = {f"*block_{layer}/heads": keeping(layer) for layer in range(self._layers)}
            (logits, _), _ = models.instrument(apply, replace=kept)(*arguments)
            return logits

        self._attend, self._without = jit(attend), jit(without)

    def evaluate(
        self,
        arguments: tuple[PyTree, PyTree, np.uint32],
        streams: Mapping[str, grain.IterDataset],
        *,
        count: int,
        final: bool,
    ) -> tuple[list[evaluation.Result], evaluation.AttentionExamples | None]:
        """Evaluate a model on ``count`` sequences of each kind.

        Args:
          arguments: parameters, state and seed of the model.
          streams: batches by the name of the evaluation.
          count: how many sequences.
          final: whether this is the trained model, of which all is asked.

        Returns:
          The results, and where the model looks in a few sequences.
        """

        def ask(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
            return lambda batch: function(*arguments, batch[self._key], batch["labels"])

        images = self._key == "images"
        baselines = evaluation.context_baselines(ask(self._vectors), pixels=images) if final else {}
        results = [
            evaluation.evaluate(
                ask(self._logits),
                streams[kind.name],
                kind,
                count=count,
                examples=min(4, count) if images else 0,
                label_sets=self._label_sets,
                baselines=baselines
                if EVALUATIONS[cast(EvaluationName, kind.name)][0] in ("few_shot", "swapped")
                else {},
            )
            for kind in self._kinds[final]
        ]
        attention = None
        if self._has_heads and self._config.eval.heads_count:
            scores, attention = evaluation.evaluate_heads(
                ask(self._attend),
                streams["fewshot_holdout"],
                self._places,
                name="heads_fewshot_holdout",
                count=self._config.eval.heads_count,
                causal=self._config.model.mask == "causal",
                examples=min(2, self._config.eval.heads_count) if images else 0,
                possible_labels=self._label_sets.few_shot,
            )
            results.append(scores)
        if self._has_heads and final and self._config.eval.ablation_count:
            results.append(self._ablate(arguments, streams, count=self._config.eval.ablation_count))
        return results, attention

    def counts(self, *, count: int, final: bool) -> dict[str, int]:
        """List what ``evaluate`` gives by name, each with its number of sequences."""
        found = {kind.name: count for kind in self._kinds[final]}
        if self._has_heads and self._config.eval.heads_count:
            found["heads_fewshot_holdout"] = self._config.eval.heads_count
        if self._has_heads and final and self._config.eval.ablation_count:
            found["ablated_heads"] = self._config.eval.ablation_count
        return found

    def _ablate(
        self, arguments: tuple[PyTree, PyTree, np.uint32], streams: Mapping[str, grain.IterDataset], *, count: int
    ) -> evaluation.Result:
        """Evaluate without each head in turn."""
        fewshot, no_support = self._kinds[False][:2]
        metric = "accuracy_open" if self._label_sets.labels_per_class == 1 else "accuracy_any_label"

        def predict(batch: Mapping[str, Any], keep: Float[np.ndarray, "L H"]) -> Array:
            return self._without(keep, *arguments, batch[self._key], batch["labels"])

        return evaluation.ablate_heads(
            predict,
            {
                "icl": (fewshot, lambda: streams[fewshot.name], "accuracy_closed"),
                "iwl": (no_support, lambda: streams[no_support.name], metric),
            },
            layers=self._layers,
            heads=self._heads,
            count=count,
            label_sets=self._label_sets,
        )
