"""How the trained model is evaluated: beside baselines, of which one learns from the tasks of training first."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.gpicl.config import GpiclConfig
from experiments.gpicl.data import META, OTHER, meta_trains
from experiments.gpicl.shifts import LONGER, ROTATION, ROTATIONS, SHIFTED, SHIFTED_TASKS

BASELINES = ("1-NN", "3-NN", "ridge", "logistic regression", "majority label", "SGD from scratch")

OTHER_DATA = evaluation.Family(title="Unseen data", sentence="Labelled sets that were not trained on, in unseen tasks.")


def evaluations_at_end(config: GpiclConfig, names: Sequence[str], *, num_labels: int) -> tuple[lab.Evaluation, ...]:
    """Return the evaluations of the trained model.

    Args:
      config: of the run.
      names: of the evaluations, and of their streams.
      num_labels: of a task.
    """
    compared = Compared(config=config, num_labels=num_labels)
    also = (META,) if meta_trains(config) else ()
    return tuple(
        lab.Evaluation(
            name,
            (name, *also),
            min(config.eval.final_count, ROTATIONS) if name == ROTATION else config.eval.final_count,
            functools.partial(compared, name=name),
            SHIFTED_TASKS if name.startswith((SHIFTED, LONGER)) else OTHER_DATA if name.startswith(OTHER) else None,
        )
        for name in names
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """Measures a model beside baselines, which are asked at a few positions.

    Attributes:
      config: of the run.
      num_labels: of a task.
      learnt: what was meta-trained in this session, by the seed and the first sequences of whom it was for.
    """

    config: GpiclConfig
    num_labels: int
    learnt: dict[tuple[Any, ...], evaluation.MAML | None] = dataclasses.field(default_factory=dict)

    def __call__(
        self,
        model: lab.Model,
        batches: Iterable[Mapping[str, Any]],
        meta_training: Iterable[Mapping[str, Any]] | None = None,
        *,
        name: str,
        count: int,
    ) -> evaluation.Result:
        """Return the result of `icl_eval.evaluate_labels`; the baseline that learns from `meta_training` is MAML."""
        asked = min(count, self.config.eval.baseline_count)
        classifiers = {each: evaluation.CLASSIFIERS[each] for each in BASELINES if asked}
        if meta_training is not None and (learnt := self.meta_trained(model.seed, meta_training)) is not None:
            classifiers["MAML"] = learnt
        return evaluation.evaluate_labels(
            model,
            batches,
            name=name,
            count=count,
            num_labels=self.num_labels,
            baselines={each: functools.partial(self.ask, classifier) for each, classifier in classifiers.items()},
            baseline_positions=self.positions(name) if asked else None,
            baseline_count=asked or None,
        )

    def ask(
        self, classifier: evaluation.Classifier, items: np.ndarray, labels: np.ndarray, positions: Sequence[int]
    ) -> np.ndarray:
        """Return what a classifier predicts at each position from what comes before it."""
        return evaluation.labels_by_position(classifier, items, labels, num_labels=self.num_labels, positions=positions)

    def positions(self, name: str) -> list[int]:
        """Return where an evaluation asks baselines: after 1, 2, 4, ... items, and where its last accuracy is."""
        length = self.config.eval.longer if name == LONGER else self.config.data.length
        last = range(length - max(1, length // 8), length)  # what the model's last accuracy is the mean over
        return sorted({2**power for power in range(length.bit_length()) if 2**power < length} | set(last))

    def meta_trained(self, seed: int, batches: Iterable[Mapping[str, Any]]) -> evaluation.MAML | None:
        """Return MAML, meta-trained once for each run of a session: members of an ensemble have their own tasks.

        None where that failed, as is said: a baseline costs the model none of its own results.
        """
        first = next(iter(batches))
        key = seed, *(np.asarray(first[part]).tobytes() for part in ("task", "classes"))
        if key not in self.learnt:
            steps = self.config.eval.maml_steps
            lab.log_line(f"MAML, a baseline, is meta-trained by {steps:,} steps")
            try:
                self.learnt[key] = evaluation.meta_train(batches, num_labels=self.num_labels, steps=steps, seed=seed)
            except ValueError as error:
                lab.log_line(f"MAML is left out: {error}")
                self.learnt[key] = None
        return self.learnt[key]
