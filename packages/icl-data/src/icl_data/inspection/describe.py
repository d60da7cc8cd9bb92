"""Text about a sampler: a table of one sequence, frequencies and repeats in many."""

import numpy as np
from jaxtyping import Int

from icl_data.batch import Batch
from icl_data.inspection.statistics import Statistics, statistics
from icl_data.sequences.sampler import SequenceSampler
from icl_data.sequences.split import ClassSplit

_BAR = 16  # characters for 100 %
_RANKS = {"most frequent": 0.0, "upper tenth": 0.1, "median": 0.5, "lower tenth": 0.9, "least frequent": 1.0}


def describe(sampler: SequenceSampler, *, index: int = 0, count: int = 20_000) -> str:
    """Return a table of one sequence, and of how often classes come and what repeats in many.

    Args:
      sampler: of any kind, labelling and split.
      index: which sequence to show.
      count: frequencies are those of the sequences 0 .. count - 1.

    Returns:
      Lines for a terminal.

    Raises:
      ValueError: an index that is negative, or a count below 1.
    """
    split, batch = sampler.split, sampler.sample(np.array([index], np.int64))
    found = statistics(sampler, count=count)
    return "\n\n".join(
        [
            f"{sampler.length} items a sequence, {split.rare} rare + {split.common} common + {split.holdout} holdout "
            f"of {split.num_classes} classes, V = {sampler.num_labels} labels\n{sampler.kind}\n{split}",
            f"sequence {index} (seed {sampler.seed}, stream {sampler.stream!r}): {drawn(batch['classes'][0])}",
            sequence_text(batch, 0, split),
            f"statistics of {count:,} sequences",
            frequency_text(found, split),
            repeat_text(found, num_labels=sampler.num_labels),
        ]
    )


def letters(classes: Int[np.ndarray, " S"]) -> list[str]:
    """Return names for the classes of one sequence: a, b, ..., z, aa, ab, ... in the order of their first items.

    >>> letters(np.array([7, 3, 7, 9]))
    ['a', 'b', 'a', 'c']
    """
    names: dict[int, str] = {}
    for cls in classes.tolist():
        names.setdefault(cls, _letter(len(names)))
    return [names[cls] for cls in classes.tolist()]


def drawn(classes: Int[np.ndarray, " S"]) -> str:
    """Return one sequence in this package's notation.

    >>> drawn(np.array([7, 3, 7, 9, 3]))
    'a b a c (b)'
    """
    *context, query = letters(classes)
    return " ".join([*context, f"({query})"])


def sequence_text(batch: Batch, row: int, split: ClassSplit) -> str:
    """Return a table of a batch's sequence: a line for each place, the query last and its letter in parentheses."""
    sets = np.full(split.num_classes, "unused", object)
    sets[split.classes] = _sets(split)
    classes = batch["classes"][row]
    *context, query = letters(classes)
    lines = [["place", "letter", "class", "exemplar", "label", "set"]]
    for place, letter in enumerate([*context, f"({query})"]):
        numbers = (batch[name][row, place] for name in ("classes", "exemplars", "labels"))
        lines.append([str(place), letter, *map(str, numbers), str(sets[classes[place]])])
    return _table(lines)


def frequency_text(statistics: Statistics, split: ClassSplit) -> str:
    """Return two tables: how many items are of each class set, and how frequent the classes are that occur."""
    counts, sets = statistics.class_counts[split.classes], _sets(split)
    shares = counts / statistics.class_counts.sum()
    lines = [["set", "classes", "items", "share"]]
    for name in ("rare", "common", "holdout"):
        of_set = sets == name
        lines.append([name, str(of_set.sum()), f"{counts[of_set].sum():,}", _percent(shares[of_set].sum())])
    found = np.flatnonzero(counts)
    ranked = found[np.argsort(-counts[found], kind="stable")]
    ranks = [[f"of {len(found)} classes", "class", "set", "items", "share"]]
    for name, quantile in _RANKS.items():
        position = ranked[round(quantile * (len(ranked) - 1))]
        numbers = (str(split.classes[position]), str(sets[position]), f"{counts[position]:,}")
        ranks.append([name, *numbers, _percent(shares[position], 4)])
    return f"{_table(lines)}\n\n{_table(ranks)}"


def repeat_text(statistics: Statistics, *, num_labels: int) -> str:
    """Return a table of what stands how often in a sequence, and lines on exemplars and the V labels."""
    N = statistics.sequences
    query_class, query_label = (np.append(each, 0) for each in (statistics.query_class, statistics.query_label))
    lines = [["n", "query's class n times in context", "query's label n times", "n different classes"]]
    for n, counts in enumerate(zip(query_class, query_label, statistics.different_classes, strict=True)):
        lines.append([str(n), *(_bar(count / N) for count in counts)])
    exemplars = f"exemplars that repeat within a sequence: in {statistics.repeats or 'none'} of {N:,} sequences"
    if statistics.forced_repeats:
        exemplars += f", but for {statistics.forced_repeats:,} in which a class has fewer exemplars than items"
    used = statistics.labels
    labels = f"labels: {used[0]}..{used[-1]}, {len(used)} different, of V = {num_labels}"
    return f"{_table(lines)}\n\n{exemplars}\n{labels}"


def _sets(split: ClassSplit) -> np.ndarray:
    """Return the name of each position's set."""
    return np.repeat(np.array(["rare", "common", "holdout"], object), [split.rare, split.common, split.holdout])


def _letter(number: int) -> str:
    """Return a, ..., z, aa, ab, ... for 0, 1, ..."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def _bar(share: float) -> str:
    return f"{_percent(share):>8} {'#' * round(_BAR * share):<{_BAR}}"


def _table(lines: list[list[str]]) -> str:
    """Return aligned columns: numbers to the right, words to the left, as the last line tells which is which."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [cell[:1].isdigit() for cell in lines[-1]]
    justified = (
        [cell.rjust(width) if numeric else cell.ljust(width) for cell, width, numeric in zip(*line, strict=True)]
        for line in ((cells, widths, right) for cells in lines)
    )
    return "\n".join(f"  {'  '.join(cells)}".rstrip() for cells in justified)
