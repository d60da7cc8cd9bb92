"""Words of numbers: what a report says of estimates and curves, and may say of chance."""

import itertools
from collections.abc import Iterable, Sequence

from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Kind, Result
from icl_eval.runs.reading import Run


def judged(estimate: Estimate, level: float | None, kind: Kind) -> str:
    """Return what the interval allows to say about chance or the best constant, and no more.

    >>> judged(Estimate(value=0.5, low=0.4, high=0.6, count=9), 0.1, "proportion")
    'above chance (0.1)'
    """
    if level is None:
        return ""
    above, below = ("worse than", "better than") if kind == "error" else ("above", "below")
    found = above if estimate.low > level else below if estimate.high < level else "not distinguishable from"
    return f"{found} {'the best constant' if kind == 'error' else 'chance'} ({level:.2g})"


def title(name: str) -> str:
    """Return a name of files and evaluations as words.

    >>> title("random_mlp_tanh")
    'Random mlp tanh'
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def titles(names: Sequence[str]) -> dict[str, str]:
    """Return names as words, without what all begin with.

    >>> titles(["transfer_sines", "transfer_wide_steps"]), titles(["transfer_sines"])
    ({'transfer_sines': 'Sines', 'transfer_wide_steps': 'Wide steps'}, {'transfer_sines': 'Transfer sines'})
    """
    words = {name: name.split("_") for name in names}
    alike = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*words.values(), strict=False))
    shared = min(len(list(alike)), *(len(of_name) - 1 for of_name in words.values())) if len(words) > 1 else 0
    return {name: title("_".join(of_name[shared:])) for name, of_name in words.items()}


def counted(results: Iterable[Result]) -> str:
    """Return of how many sequences or tasks results are.

    >>> half = Estimate(value=0.5, low=0.4, high=0.6, count=100)
    >>> counted([Result("a", {"accuracy_open": half}, {})] * 2)
    '100 sequences'
    """
    by_unit: dict[str, set[int]] = {}
    for result in results:
        by_unit.setdefault(result.unit, set()).add(result.count)
    said = []
    for unit, counts in by_unit.items():
        ends = dict.fromkeys((min(counts), max(counts)))
        said.append(f"{' to '.join(f'{count:,}' for count in ends)} {unit}")
    return " or ".join(said) or "no sequences"


def results_of(run: Run, names: Iterable[str]) -> list[Result]:
    """Return all results of some evaluations."""
    return list(itertools.chain.from_iterable(run.evaluations.get(name, {}).values() for name in names))


def headlines_first(run: Run, names: Iterable[str]) -> list[str]:
    """Return evaluations, those of headlines before the others."""
    order = [headline.evaluation for headline in run.headlines]
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))
