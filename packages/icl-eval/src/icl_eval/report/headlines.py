"""The two numbers of Chan et al. (2022), for sections that do not read a run's own headlines yet."""

from icl_eval.runs.reading import Run

HEADLINES = {"icl": ("fewshot_holdout", "accuracy_closed"), "iwl": ("no_support_zipfian", "accuracy_open")}


def headline(run: Run, name: str) -> tuple[str, str]:
    """Return the evaluation and the metric of a headline."""
    found = {each.name: (each.evaluation, each.metric) for each in run.headlines}
    return found.get(name, HEADLINES[name])
