"""What omniglot measures of a model: its answers, its attention heads, and what is lost without each of them."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.data import evaluation_names
from experiments.omniglot.labels import make_label_sets
from experiments.omniglot.sequences import ALWAYS_EVALUATED, DISTRACTORS, PAIRS, SEQUENCES, SequenceName

ICL, IWL = ALWAYS_EVALUATED
HEADS = f"heads_{ICL}"

Batch = Mapping[str, Any]
Replacements = Mapping[str, Callable[[Array], Array]]


class Functions(NamedTuple):
    """What can be asked of a model, each a function of (params, state, rng, batch) and of what is said here.

    Attributes:
      answer: logits of the query, or of every item where none sees its own label; and the vectors of the items
        [B, S, D].
      attend: attention probabilities [B, L, H, T, T], the mean over loops, and logits of the query; given the vectors.
      without: logits of the query; given the vectors, and which heads are kept [L, H].
    """

    answer: lab.Predict
    attend: lab.Predict
    without: lab.Predict


def make_functions(
    trained: models.SequenceClassifier, key: str, interventions: Sequence[models.Intervention] = ()
) -> Functions:
    """Return what evaluation asks of a classifier.

    Args:
      trained: the classifier.
      key: of the batch, under which its items stand.
      interventions: that its answers are given with; what is asked of its heads is of the model as it is.
    """
    classifier = dataclasses.replace(trained, outputs="query")
    blind = classifier.trunk.is_causal and not classifier.layout.leaks_label
    every = dataclasses.replace(classifier, outputs="every_item") if blind else classifier
    apply, apply_to_all = classifier.build().apply, every.build().apply
    intervened = models.intervene(every, interventions)
    layers = getattr(classifier.trunk, "layers", 1)

    # Only noise in the data reads the key: item dropout, and where one-hot positions begin.
    def answer(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        asked = models.instrument(apply_to_all, capture=["items"])
        (logits, _), values = asked(params, state, rng, batch[key], batch["labels"])
        if interventions:
            logits, _ = intervened(params, state, rng, batch[key], batch["labels"], batch["classes"])
        return logits, values["items"]

    # With the vectors given, the encoder, which is most of the model, is not run again.
    def behind(vectors: Array, arguments: Any, *, replace: Replacements, capture: Sequence[str] = ()) -> Any:
        params, state, rng, batch = arguments
        run = models.instrument(apply, capture=capture, replace={"items": lambda _: vectors, **replace})
        return run(params, state, rng, batch[key], batch["labels"])

    def attend(*arguments: Any) -> tuple[Array, Array]:
        *asked, vectors = arguments
        (logits, _), values = behind(vectors, asked, replace={}, capture=["*attention"])
        attention = jnp.stack(list(values.values()), axis=1)
        B, runs, *rest = attention.shape
        return attention.reshape(B, runs // layers, layers, *rest).mean(axis=1), logits

    def without(*arguments: Any) -> Array:
        *asked, vectors, keep = arguments

        def keeping(layer: int) -> Callable[[Array], Array]:
            return lambda heads: heads * keep[layer][None, None, :, None].astype(heads.dtype)

        kept = {f"*block_{layer}/heads": keeping(layer) for layer in range(layers)}
        (logits, _), _ = behind(vectors, asked, replace=kept)
        return logits

    return Functions(answer, attend, without)


def make_headlines(config: OmniglotConfig) -> tuple[evaluation.Headline, ...]:
    """Return the two numbers that a run is about (Chan et al. 2022)."""
    return (
        evaluation.Headline(
            name="icl",
            evaluation=ICL,
            metric="accuracy_closed",
            title="In context (ICL)",
            sentence="Closed accuracy on classes never trained on: only the context can tell which label is right. "
            "The arg-max is taken over the labels that the context can hold: the number that the papers plot.",
        ),
        evaluation.Headline(
            name="iwl",
            evaluation=IWL,
            metric="accuracy_open" if config.data.labels_per_class == 1 else "accuracy_any_label",
            title="In weights (IWL)",
            sentence="Open accuracy on trained classes whose context does not hold the answer: only the weights can. "
            "The arg-max is taken over all labels.",
        ),
    )


class Evaluations:
    """The evaluations of a run.

    Args:
      config: of the run.
      split: the classes.
      functions: what can be asked of the model.
      layout: of its tokens.
      has_images: whether examples can be shown, and compared by their pixels.
    """

    def __init__(
        self,
        config: OmniglotConfig,
        split: data.ClassSplit,
        functions: Functions,
        layout: models.Layout,
        *,
        has_images: bool,
    ) -> None:
        """Take note of what there is to measure."""
        self._config, self._functions, self._has_images = config, functions, has_images
        self._sets = make_label_sets(config.data, split)
        S = config.data.length
        self._positions = evaluation.TokenPositions(items=layout.item_tokens(S), labels=layout.label_tokens(S))

    def listed(self, *, at_end: bool) -> tuple[lab.Evaluation, ...]:
        """Return the evaluations at intervals, or those of the trained model, which has baselines besides."""
        options = self._config.eval
        count = options.final_count if at_end else options.count
        found = [
            lab.Evaluation(name, (name,), count, self._answers(name, with_baselines=at_end))
            for name in evaluation_names(self._config, at_end=at_end)
        ]
        has_heads = self._config.model.trunk in lab.TRANSFORMERS
        if has_heads and options.heads_count:
            found.append(lab.Evaluation(HEADS, (ICL,), options.heads_count, self._heads))
        if has_heads and at_end and options.ablation_count:
            found.append(lab.Evaluation("ablated_heads", (ICL, IWL), options.ablation_count, self._ablation))
        return tuple(found)

    def kind(self, name: SequenceName) -> evaluation.Evaluation:
        """Return an evaluation with the labels that are possible there."""
        form, class_set = SEQUENCES[name]
        sets = self._sets
        of_set = {"rare": sets.rare, "common": sets.common, "zipfian": [*sets.rare, *sets.common]}
        pairs = {"distractor_unfixed": range(2)} | dict.fromkeys(PAIRS, range(self._config.data.pair_labels))
        trained = {*of_set["zipfian"], *sets.few_shot}
        trained |= {*pairs["distractor_pairs"]} if "distractor_pairs" in self._config.data.train.kinds else set()
        of_form = pairs | {
            "few_shot": sets.few_shot,
            "mixed": sorted({*sets.few_shot, *sets.common}),
            "as_trained": sorted(trained),
        }
        return evaluation.Evaluation(name, of_form.get(form) or of_set[class_set])

    def _answers(self, name: SequenceName, *, with_baselines: bool) -> lab.MeasureFn:
        asked = with_baselines and SEQUENCES[name][0] in ("few_shot", "swapped", *DISTRACTORS)

        def measure(model: lab.Model, batches: Iterable[Any], *, count: int) -> evaluation.Result:
            answers = _of_last_batch(model.ask(self._functions.answer))

            def vectors(batch: Batch) -> Array:
                return answers(batch)[1]

            return evaluation.evaluate(
                lambda batch: answers(batch)[0],
                batches,
                self.kind(name),
                count=count,
                examples=min(4, count) if self._has_images else 0,
                label_sets=self._sets,
                baselines=evaluation.context_baselines(vectors, pixels=self._has_images) if asked else {},
            )

        return measure

    def _heads(self, model: lab.Model, batches: Iterable[Any], *, count: int) -> evaluation.Result:
        answer, attend = model.ask(self._functions.answer), model.ask(self._functions.attend)
        return evaluation.evaluate_heads(
            lambda batch: attend(batch, answer(batch)[1]),
            batches,
            self._positions,
            name=HEADS,
            count=count,
            causal=self._config.model.mask == "causal",
            examples=min(2, count) if self._has_images else 0,
            possible_labels=self._sets.few_shot,
        )

    def _ablation(self, model: lab.Model, icl: Iterable[Any], iwl: Iterable[Any], *, count: int) -> evaluation.Result:
        answer, without = model.ask(self._functions.answer), model.ask(self._functions.without)

        def encoded(batches: Iterable[Batch]) -> Iterator[Batch]:
            return ({**batch, "vectors": answer(batch)[1]} for batch in batches)

        def predict(batch: Batch, keep: Float[np.ndarray, "L H"]) -> Array:
            return without(batch, batch["vectors"], keep)

        first, second = make_headlines(self._config)
        return evaluation.ablate_heads(
            predict,
            {
                "icl": (self.kind(ICL), lambda: encoded(icl), first.metric),
                "iwl": (self.kind(IWL), lambda: encoded(iwl), second.metric),
            },
            layers=self._config.model.layers,
            heads=self._config.model.heads,
            count=count,
            label_sets=self._sets,
        )


def _of_last_batch(function: Callable[[Batch], PyTree]) -> Callable[[Batch], PyTree]:
    """Return a function that remembers what it made of the last batch: the model and baselines ask of the same one."""
    last: tuple[Batch | None, PyTree] = None, None

    def asked(batch: Batch) -> PyTree:
        nonlocal last
        if batch is not last[0]:
            last = batch, function(batch)
        return last[1]

    return asked
