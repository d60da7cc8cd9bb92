"""Tables for the terminal, of one sequence and of statistics."""

import numpy as np
from jaxtyping import Float, Int

from icl_data.batch import Batch
from icl_data.inspection.statistics import Statistics
from icl_data.sequences.split import ClassSplit

_BAR = 16  # characters for 100 %
_BY_WEIGHTS = "by weights: as if all were drawn alike; rules that classes differ take a little from frequent ones"
_RANKS = {
    "most frequent": 0.0,
    "upper tenth": 0.1,
    "upper quarter": 0.25,
    "median": 0.5,
    "lower quarter": 0.75,
    "lower tenth": 0.9,
    "least frequent": 1.0,
}


def letters(classes: Int[np.ndarray, " S"]) -> list[str]:
    """Name the classes of one sequence a, b, ..., z, aa, ab, ... in the order in which they first occur.

    >>> letters(np.array([7, 3, 7, 9]))
    ['a', 'b', 'a', 'c']
    """
    names: dict[int, str] = {}
    for cls in classes.tolist():
        names.setdefault(cls, _letter(len(names)))
    return [names[cls] for cls in classes.tolist()]


def drawn(classes: Int[np.ndarray, " S"]) -> str:
    """Draw one sequence as this package's documentation does.

    >>> drawn(np.array([7, 3, 7, 9, 3]))
    'a b a c (b)'
    """
    *context, query = letters(classes)
    return " ".join([*context, f"({query})"])


def sequence_text(batch: Batch, row: int, split: ClassSplit) -> str:
    """Give a table of one sequence: a line for each place, the query last and its letter in parentheses."""
    sets = np.full(split.num_classes, "unused", object)
    sets[split.classes] = _sets(split)
    classes = batch["classes"][row]
    *context, query = letters(classes)
    lines = [["place", "letter", "class", "exemplar", "label", "set"]]
    for place, letter in enumerate([*context, f"({query})"]):
        numbers = (batch[name][row, place] for name in ("classes", "exemplars", "labels"))
        lines.append([str(place), letter, *map(str, numbers), str(sets[classes[place]])])
    return _table(lines)


def frequency_text(statistics: Statistics, split: ClassSplit, expected: Float[np.ndarray, " positions"]) -> str:
    """Give two tables: how many items are of each class set, and how frequent its most and least frequent classes are.

    Args:
      statistics: what was counted.
      split: the classes.
      expected: each position's expected share of the items.
    """
    counts = statistics.class_counts[split.classes]
    shares, sets = counts / max(1, statistics.class_counts.sum()), _sets(split)
    lines = [["set", "classes", "items", "share", "by weights"]]
    for name in ("rare", "common", "holdout"):
        of_set = sets == name
        measured, wanted = _percent(shares[of_set].sum()), _percent(expected[of_set].sum())
        lines.append([name, str(of_set.sum()), f"{counts[of_set].sum():,}", measured, wanted])
    able = np.flatnonzero(expected)
    ranked = able[np.argsort(-counts[able], kind="stable")]
    ranks = [[f"of {len(able)} classes", "class", "set", "items", "share", "by weights"]]
    for name, quantile in _RANKS.items():
        position = ranked[round(quantile * (len(able) - 1))]
        measured, wanted = _percent(shares[position], 4), _percent(expected[position], 4)
        ranks.append(
            [name, str(split.classes[position]), str(sets[position]), f"{counts[position]:,}", measured, wanted]
        )
    return f"{_table(lines)}\n\n{_table(ranks)}\n\n{_BY_WEIGHTS}"


def repeat_text(statistics: Statistics, *, num_labels: int) -> str:
    """Give a table of what stands how often in a sequence, and lines on exemplars and labels.

    Args:
      statistics: what was counted.
      num_labels: V, the number of labels there are.
    """
    N = statistics.sequences
    query_class, query_label = (np.append(each, 0) for each in (statistics.query_class, statistics.query_label))
    lines = [["n", "query's class n times in context", "query's label n times", "n different classes"]]
    for n, counts in enumerate(zip(query_class, query_label, statistics.different_classes, strict=True)):
        lines.append([str(n), *(_bar(count / N) for count in counts)])
    used = statistics.labels
    labels = f"labels: {used[0]}..{used[-1]}, {len(used)} different, of V = {num_labels}"
    if used[-1] >= num_labels:
        labels += f"; {used[-1]} IS BEYOND V - 1 = {num_labels - 1}"
    return f"{_table(lines)}\n\n{_exemplar_text(statistics)}\n{labels}"


def _exemplar_text(statistics: Statistics) -> str:
    """Say whether exemplars repeat within a sequence."""
    of_all = f"of {statistics.sequences:,} sequences"
    text = f"exemplars that repeat within a sequence: in {statistics.repeats or 'none'} {of_all}"
    if statistics.forced_repeats:
        text += f", but for {statistics.forced_repeats:,} in which a class has fewer exemplars than items"
    return text


def _sets(split: ClassSplit) -> np.ndarray:
    """Name the set of each position."""
    return np.repeat(np.array(["rare", "common", "holdout"], object), [split.rare, split.common, split.holdout])


def _letter(number: int) -> str:
    """Give a, ..., z, aa, ab, ... for 0, 1, ..."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def _bar(share: float) -> str:
    return f"{_percent(share):>8} {'#' * round(_BAR * share):<{_BAR}}"


def _table(lines: list[list[str]]) -> str:
    """Align columns: numbers to the right, words to the left, as the last line tells which is which."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [cell[:1].isdigit() for cell in lines[-1]]
    justified = (
        [cell.rjust(width) if numeric else cell.ljust(width) for cell, width, numeric in zip(*line, strict=True)]
        for line in ((cells, widths, right) for cells in lines)
    )
    return "\n".join(f"  {'  '.join(cells)}".rstrip() for cells in justified)
