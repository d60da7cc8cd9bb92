"""The labelled sets of gpicl, and the sequences of its streams."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import icl_data as data
import icl_lab as lab
from experiments.gpicl.config import DataConfig, GpiclConfig
from experiments.gpicl.shifts import shifted

OTHER = "unseen_data_"  # before the name of a set that was not trained on
SEEN_IMAGES = "_seen_images"  # after the name of an evaluation on images that were trained on

META = "meta_training"  # the sequences of training, whole on every host: what a baseline is meta-trained on

Sets = dict[str, tuple[data.ExemplarBank, data.ExemplarBank]]
"""Labelled sets by name, as vectors: images to train on, and to be tested on. The first is the one that is trained on;
of all others the same images stand in both places."""


def read_banks(config: DataConfig) -> dict[str, data.ExemplarBank]:
    """Return the labelled sets by name, as images of bright ink. The first is the one that is trained on."""
    name, trained = _trained(config)
    others = [*_further_files(config), *_without_files(config, trained.num_classes)]
    others += [(_name(each), _alphabet(config.zips, each, trained.num_classes)) for each in config.extra_omniglot]
    names = [name, *(each for each, _ in others), "random"]
    if len(set(names)) < len(names):
        raise ValueError(f"Labelled sets want names of their own, by folder and file, got {', '.join(names)}.")
    return {name: trained} | dict(others)


def _trained(config: DataConfig) -> tuple[str, data.ExemplarBank]:
    if config.source == "digits":
        return "digits", _digits()
    if config.source == "idx":
        assert config.images is not None and config.labels is not None
        return "idx", data.bank_from_idx(config.images, config.labels, transposed=config.transposed)
    if config.source == "tfds":
        return _name(config.tfds), _from_tfds(config, config.tfds, transposed=config.transposed)
    return "glyphs", data.glyphs(config.glyphs)


def _further_files(config: DataConfig) -> list[tuple[str, data.ExemplarBank]]:
    pairs = zip(config.extra_idx[::2], config.extra_idx[1::2], strict=True)
    readers: list[tuple[str, Callable[..., data.ExemplarBank]]] = [
        (f"{images.parent.name}_{images.name}", functools.partial(data.bank_from_idx, images, labels))
        for images, labels in pairs
    ]
    readers += [(name, functools.partial(_from_tfds, config, name)) for name in config.extra_tfds]
    transposed = config.extra_transposed or [False] * len(readers)
    return [(_name(name), read(transposed=each)) for (name, read), each in zip(readers, transposed, strict=True)]


def _without_files(config: DataConfig, num_classes: int) -> list[tuple[str, data.ExemplarBank]]:
    return [(name, _digits() if name == "digits" else data.glyphs(num_classes)) for name in config.extra]


def _alphabet(zips: Sequence[Path], name: str, most: int) -> data.ExemplarBank:
    """Return the first characters of an alphabet of Omniglot, at most so many."""
    bank = data.omniglot(zips, alphabet=name)
    return bank.subset(np.arange(min(most, bank.num_classes)))


def _digits() -> data.ExemplarBank:
    digits = load_digits()
    return data.bank_from_labels((digits.images * 15).astype(np.uint8), digits.target)


def _from_tfds(config: DataConfig, name: str, *, transposed: bool) -> data.ExemplarBank:
    return data.bank_from_tfds(name, split="train", data_dir=config.tfds_dir, transposed=transposed)


def fingerprints(config: DataConfig, banks: Mapping[str, data.ExemplarBank]) -> dict[str, str]:
    """Return what tells the sets that were read from others, by name."""
    made = {"digits", "glyphs"} & {config.source, *config.extra}
    return {name: bank.fingerprint() for name, bank in banks.items() if name not in made}


def make_sets(config: DataConfig, banks: Mapping[str, data.ExemplarBank]) -> Sets:
    """Return labelled sets as vectors of their images: each by a way that is fitted to its first part.

    Only the set that is trained on has two parts; the others are whole, since some have few images of a class.

    Raises:
      ValueError: another set has fewer classes than a task has labels, or a set has images that cannot be had so.
    """
    name, trained = next(iter(banks.items()))
    side, num_labels = config.side or trained.items.shape[1], config.ways or trained.num_classes
    sets = {}
    for each, bank in banks.items():
        if each != name and bank.num_classes < num_labels:
            raise ValueError(
                f"Tasks have {num_labels} labels, but the labelled set {each} has {bank.num_classes} classes; ask for "
                f"--data.ways {bank.num_classes}, or leave that set out."
            )
        grey = dataclasses.replace(bank, items=_sized(_grey(bank.items), side))
        fitted = grey.split_exemplars(config.test_share)[0] if each == name else grey
        vectors = data.fit_vectors(fitted.every_item(), components=config.components).apply(grey)
        # Two views of the same items, or the same view twice.
        sets[each] = vectors.split_exemplars(config.test_share) if each == name else (vectors, vectors)
    dimensions = sets[name][0].items.shape[1]
    random = data.random_vectors(trained.num_classes, exemplars=2, dimensions=dimensions)
    return sets | {"random": (random, random)}


def _sized(images: np.ndarray, side: int) -> np.ndarray:
    """Return images of another side: smaller by averaging; larger by repeating pixels first."""
    times = -(-side // min(images.shape[1:]))
    return data.resize(images.repeat(times, axis=1).repeat(times, axis=2) if times > 1 else images, side)


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
    samplers = {
        **dict.fromkeys((lab.TRAIN, META) if meta_trains(config) else (lab.TRAIN,), training),
        lab.SEEN: sampler(bank=second, tasks=seen, stream=lab.SEEN),
        lab.UNSEEN: sampler(bank=second, tasks=unseen, stream=lab.UNSEEN),
        f"{lab.SEEN}{SEEN_IMAGES}": sampler(bank=first, tasks=seen, stream=f"{lab.SEEN}{SEEN_IMAGES}"),
        f"{lab.UNSEEN}{SEEN_IMAGES}": sampler(bank=first, tasks=unseen, stream=f"{lab.UNSEEN}{SEEN_IMAGES}"),
    } | {f"{OTHER}{name}": sampler(bank=sets[name][1], tasks=unseen, stream=f"{OTHER}{name}") for name in others}
    return samplers | shifted(config.eval, samplers[lab.UNSEEN])
