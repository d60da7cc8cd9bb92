"""The labelled sets of gpicl, and the sequences of its streams."""

import dataclasses
import functools
import re
from collections.abc import Mapping

import numpy as np
from sklearn.datasets import load_digits

import icl_data as data
import icl_lab as lab
from experiments.gpicl.config import DataConfig, GpiclConfig

OTHER = "unseen_data_"  # before the name of a set that was not trained on

META = "meta_training"  # the sequences of training, whole on every host: what a baseline is meta-trained on

Sets = dict[str, tuple[data.ExemplarBank, data.ExemplarBank]]
"""Labelled sets by name, as vectors: images to train on, and the others. The first is the one that is trained on."""


def read_banks(config: DataConfig) -> dict[str, data.ExemplarBank]:
    """Return the labelled sets by name, as images. The first is the one that is trained on."""
    tfds = functools.partial(data.bank_from_tfds, split="train", data_dir=config.tfds_dir)
    if config.source == "digits":
        digits = load_digits()
        banks = {"digits": data.bank_from_labels((digits.images * 15).astype(np.uint8), digits.target)}
    elif config.source == "idx":
        assert config.images is not None and config.labels is not None
        banks = {"idx": data.bank_from_idx(config.images, config.labels, transposed=config.transposed)}
    elif config.source == "tfds":
        banks = {_name(config.tfds): tfds(config.tfds, transposed=config.transposed)}
    else:
        banks = {"glyphs": data.glyphs(config.glyphs)}
    pairs = zip(config.extra_idx[::2], config.extra_idx[1::2], strict=True)
    readers = [
        (f"{images.parent.name}_{images.name}", functools.partial(data.bank_from_idx, images, labels))
        for images, labels in pairs
    ]
    readers += [(name, functools.partial(tfds, name)) for name in config.extra_tfds]
    transposed = config.extra_transposed or [False] * len(readers)
    others = [(_name(name), read(transposed=each)) for (name, read), each in zip(readers, transposed, strict=True)]
    names = [*banks, *(name for name, _ in others), "random"]
    if len(set(names)) < len(names):
        raise ValueError(f"Labelled sets want names of their own, by folder and file, got {', '.join(names)}.")
    return banks | dict(others)


def fingerprints(config: DataConfig, banks: Mapping[str, data.ExemplarBank]) -> dict[str, str]:
    """Return what tells the sets that were read from others, by name."""
    made = {"digits", "glyphs"} & {config.source}
    return {name: bank.fingerprint() for name, bank in banks.items() if name not in made}


def make_sets(config: DataConfig, banks: Mapping[str, data.ExemplarBank]) -> Sets:
    """Return labelled sets as vectors of their images: each by a way that is fitted to its first part."""
    side = config.side or next(iter(banks.values())).items.shape[1]
    sets = {}
    for name, bank in banks.items():
        grey = dataclasses.replace(bank, items=data.resize(_grey(bank.items), side))
        first, _ = grey.split_exemplars(config.test_share)
        vectors = data.fit_vectors(first.every_item(), components=config.components)
        sets[name] = vectors.apply(grey).split_exemplars(config.test_share)  # two views of the same items
    (trained, _), *_ = sets.values()
    dimensions = trained.items.shape[1]
    random = data.random_vectors(trained.num_classes, exemplars=2, dimensions=dimensions)
    return sets | {"random": (random, random)}


def _name(path: str) -> str:
    """Return the name of an evaluation for that of a file or set."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.removesuffix(".gz"))


def _grey(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 3 else np.round(images.mean(axis=-1)).astype(np.uint8)


def meta_trains(config: GpiclConfig) -> bool:
    """Return whether the evaluations at the end have a baseline that is meta-trained first."""
    return config.eval.maml_steps > 0 and config.eval.baseline_count > 0


def make_samplers(config: GpiclConfig, sets: Sets, *, num_labels: int) -> dict[str, data.ProjectedSampler]:
    """Return the sequences of training and of each evaluation.

    Args:
      config: of the run.
      sets: the labelled sets.
      num_labels: of a task.
    """
    trained, *others = sets
    options = config.data
    sampler = functools.partial(data.ProjectedSampler, ways=num_labels, length=options.length, seed=config.train.seed)
    tasks = lab.task_pools(config, options.num_tasks)
    seen, unseen = tasks[lab.SEEN], tasks[lab.UNSEEN]
    first, second = sets[trained]
    training = sampler(bank=first, tasks=tasks[lab.TRAIN], p_identity=options.p_identity)
    return {
        **dict.fromkeys((lab.TRAIN, META) if meta_trains(config) else (lab.TRAIN,), training),
        lab.SEEN: sampler(bank=second, tasks=seen, stream=lab.SEEN),
        lab.UNSEEN: sampler(bank=second, tasks=unseen, stream=lab.UNSEEN),
        f"{lab.SEEN}_seen_images": sampler(bank=first, tasks=seen, stream=f"{lab.SEEN}_seen_images"),
        f"{lab.UNSEEN}_seen_images": sampler(bank=first, tasks=unseen, stream=f"{lab.UNSEEN}_seen_images"),
    } | {f"{OTHER}{name}": sampler(bank=sets[name][1], tasks=unseen, stream=f"{OTHER}{name}") for name in others}
