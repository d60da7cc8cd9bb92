"""How fast evaluation is: against the bare forward pass, against one sequence at a time, and as a share of training.

nox -s bench

About two minutes on two cores.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

import icl_eval as evaluation
import icl_models as models
import icl_train as training
from experiments.omniglot.data import make_classes
from experiments.omniglot.labels import make_label_sets
from experiments.omniglot.model import make_model
from experiments.omniglot.presets import PRESETS
from experiments.omniglot.run import OMNIGLOT, build
from icl_lab import checkpoints, driver
from tools.bench_data import race, report, seconds

COUNT, EVERY = 10_000, 500
KIND = evaluation.Evaluation("fewshot_holdout", range(2))

Batches = Sequence[Mapping[str, Any]]
Predict = Callable[[Mapping[str, Any]], Array]


def one_by_one(predict: Predict, batches: Batches, count: int) -> float:
    """Evaluate the closed accuracy one sequence at a time, as the original does: never to be made slower."""
    right = 0
    single = ({key: values[n : n + 1] for key, values in b.items()} for b in batches for n in range(len(b["labels"])))
    for batch in itertools.islice(single, count):
        logits = np.asarray(predict(batch))
        right += int(logits.reshape(-1, logits.shape[-1])[-1, :2].argmax() == batch["labels"][0, -1])
    return right / count


def bare(predict: Predict, batches: Batches) -> None:
    """Run the model on the batches and wait for the logits."""
    jax.block_until_ready([predict(batch) for batch in batches])


def bench_rate() -> None:
    """Time the evaluation of 10,000 sequences against the forward pass on the same batches."""
    config = PRESETS["laptop"]
    bank, split = make_classes(config.data)
    classifier = make_model(config, bank, split)
    experiment = build(config)
    sampler, size = experiment.samplers(config)[KIND.name], config.eval.batch_size
    batches = [sampler.sample(np.arange(start, start + size)) for start in range(0, COUNT, size)]
    params, state = jax.jit(classifier.build().init)(jax.random.key(0), batches[0]["images"], batches[0]["labels"])
    every: models.SequenceClassifier = dataclasses.replace(classifier, outputs="every_item")

    def predictor(classifier: models.SequenceClassifier) -> Predict:
        apply = classifier.build().apply
        forward = jax.jit(lambda images, labels: apply(params, state, None, images, labels)[0])
        return lambda batch: forward(batch["images"], batch["labels"])

    def race_of(predict: Predict, named: str) -> None:
        sets = make_label_sets(config.data, split)

        def evaluate() -> None:
            evaluation.evaluate(predict, batches, KIND, count=COUNT, label_sets=sets)

        turns = race(lambda: bare(predict, batches), evaluate, repeats=5)
        figure = f"{COUNT / turns.second:,.0f} of {COUNT / turns.first:,.0f}/s, {turns.ratio:.1%}"
        report(f"evaluating {named}, of the bare forward rate", figure, ">= 90 %", turns.ratio >= 0.9)
        logits = itertools.cycle([predict(batch) for batch in batches])
        rest = min(
            seconds(lambda: evaluation.evaluate(lambda _: next(logits), batches, KIND, count=COUNT, label_sets=sets))
            for _ in range(3)
        )
        report("  measures, sums and intervals alone, given the logits", f"{rest:.2f} of {turns.second:.2f} s")
        single = race(evaluate, lambda: one_by_one(predict, batches, 100), repeats=3)
        faster = COUNT / 100 / single.ratio
        report(f"evaluating {named} in batches, against one at a time", f"{faster:.1f} times", ">= 1", faster >= 1)

    race_of(predictor(classifier), "the query")
    race_of(predictor(every), "every item")


def bench_share() -> None:
    """Time an evaluation of the laptop preset against the training steps between two of them."""
    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(PRESETS["laptop"], workdir=Path(folder))
        runs = driver.prepare(OMNIGLOT, config, [config])
        resident, expand = runs.trained_on
        program = training.compile_single(
            training.StepSpec(
                runs.init,
                runs.experiment.loss_fn,
                config.optimizer.build(config.train.steps),
                expand=expand,
            ),
            seed=0,
            mesh=training.MeshConfig().build(jax.devices()[:1]),
            resident=resident,
        )
        state, batches = program.init_state(), iter(runs.first.streams["train"])

        def steps() -> None:
            nonlocal state
            for number in range(25):
                state, scalars = program.step(
                    state, program.to_devices([next(batches)], 1), np.int32(number + 1), np.int32(1)
                )
            jax.block_until_ready(scalars)

        def evaluate() -> None:
            checkpoints.evaluate(runs, runs.first, state, runs.experiment.at_intervals)

        turns = race(evaluate, steps, repeats=5)
        share = turns.ratio * 25 / EVERY
        figure = f"{turns.first:.2f} s, {share:.1%}"
        report(f"evaluating every {EVERY} steps, against training", figure, "< 10 %", share < 0.1)


def main() -> None:
    """Run everything."""
    bench_rate()
    bench_share()


if __name__ == "__main__":
    main()
