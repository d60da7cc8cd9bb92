import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from icl_eval import Estimate, Examples, Headline, Measure, Result, append_evaluations, proportion, write_summary

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_disable_most_optimizations", True)  # soon rather than well


@pytest.fixture
def stream() -> Callable[..., Iterator[dict[str, np.ndarray]]]:
    """Give batches of few-shot sequences; sequence i is the same whatever the batch size."""

    def batches(*, batch_size: int, total: int, ways: int = 2, items: int = 5) -> Iterator[dict[str, np.ndarray]]:
        generator = np.random.default_rng(0)
        labels = generator.integers(ways, size=(total, items), dtype=np.int32)
        images = generator.integers(256, size=(total, items, 6, 4), dtype=np.uint8)
        for start in range(0, total, batch_size):
            rows = slice(start, start + batch_size)
            index = np.arange(total, dtype=np.int64)[rows]
            same = {
                "labels": labels[rows],
                "classes": labels[rows] + 10,
                "exemplars": np.zeros_like(labels[rows]),
            }
            yield {
                "images": images[rows],
                "is_rare": np.zeros_like(labels[rows], bool),
                "index": index,
            } | same

    return batches


@pytest.fixture
def make_examples() -> Callable[[], Examples]:
    """Make two sequences of three images, the first predicted right, the second wrong."""

    def make() -> Examples:
        images = np.random.default_rng(0).integers(256, size=(2, 3, 5, 5), dtype=np.uint8)
        labels = np.array([[0, 1, 1], [1, 0, 0]], np.int32)
        return Examples(
            images=images,
            labels=labels,
            predicted_closed=np.array([1, 1], np.int32),
            predicted_open=np.array([77, 1], np.int32),
        )

    return make


@pytest.fixture
def run(tmp_path: Path, make_examples: Callable[[], Examples]) -> Path:
    """Make a complete run folder, with hostile text in its configuration."""
    folder = tmp_path / "a <run> & more"
    for step, right in ((0, 100), (50, 150), (100, 190)):
        results = [
            Result(
                evaluation=name,
                metrics={
                    "accuracy_closed": proportion(right, 200),
                    "accuracy_open": proportion(right // 9, 200),
                },
                chance={"accuracy_closed": 0.5, "accuracy_open": 0.01},
                measures={
                    "accuracy_closed": Measure(sentence="Share of sequences that are right.", kind="proportion"),
                    "accuracy_open": Measure(sentence="Share right among all labels.", kind="proportion"),
                },
                arrays={"examples": make_examples()},
            )
            for name in ("fewshot_holdout", "no_support_zipfian")
        ]
        append_evaluations(folder, step=step, results=results)
    logged = [{"step": step, "time": step / 25, "loss": 5 / (step + 1)} for step in range(10, 101, 10)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    headlines = [
        Headline(
            name="icl",
            evaluation="fewshot_holdout",
            metric="accuracy_closed",
            title="In context (ICL)",
            sentence="Closed accuracy on classes never trained on.",
        ),
        Headline(
            name="iwl",
            evaluation="no_support_zipfian",
            metric="accuracy_open",
            title="In weights (IWL)",
            sentence="Open accuracy on trained classes whose context does not hold the answer.",
        ),
    ]
    config = {
        "seed": 7,
        "headlines": [headline.to_json() for headline in headlines],
        "config": {"data": {"note": "<script>alert('x')</script>", "zips": ["a.zip", "b.zip"]}, "steps": 100},
        "versions": {"jax": "0.10.2"},
        "git": {"revision": "abc123", "dirty": False},
        "devices": ["CPU_0"],
        'a"key<': "javascript:alert(1)",
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_summary(folder)
    return folder


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """Write the run folder that a training leaves: two headlines over training, and half of it for one that goes on."""

    def write(
        folder: Path, curve: Mapping[int, float], *, seed: int | None = 0, steps: int = 100, **options: Any
    ) -> Path:
        measures = {"accuracy": Measure(sentence="Share that is right.", kind="proportion")}
        chance = {"accuracy": 0.5}
        for step, value in curve.items():
            known = (
                Estimate(math.nan, math.nan, math.nan, 200)
                if math.isnan(value)
                else proportion(round(200 * value), 200)
            )
            results = [Result(name, {"accuracy": known}, chance, measures) for name in ("new", "old")]
            append_evaluations(folder, step=step, results=results)
        folder.mkdir(parents=True, exist_ok=True)
        logged = [
            {"step": step, "time": step / 5, "loss": 1.0, "steps_per_second": 5.0, "items_per_second": 160.00001}
            for step in curve
            if step
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
        headlines = [
            Headline(name=name, evaluation=name, metric="accuracy", title=name.upper(), sentence="Right.").to_json()
            for name in ("new", "old")
        ]
        config = {"train": {"steps": steps, "seed": seed, "log_every": 1 + (seed or 0)}, "data": options}
        if seed is None:
            del config["train"]["seed"], config["train"]["log_every"]
        record = {"config": config, "headlines": headlines} | ({} if seed is None else {"seed": seed})
        (folder / "config.json").write_text(json.dumps(record))
        if curve and max(curve) >= steps:
            write_summary(folder)
        return folder

    return write


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the encoding of figures, which is slow, where a test asks about the rest of a page."""

    def encode(figure: Figure, *, form: str) -> bytes:
        for panel in figure.axes:  # bad numbers show in ticks
            panel.get_xticks(), panel.get_yticks()
        return b'<svg viewBox="0 0 1 1"></svg>\n'

    monkeypatch.setattr("icl_eval.report.html.encode", encode)
