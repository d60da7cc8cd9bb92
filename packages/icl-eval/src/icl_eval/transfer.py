"""Transfer: how a model does on families of functions that it was not trained on, against baselines."""

from pathlib import Path

import numpy as np

from icl_eval.by_examples import MODEL
from icl_eval.estimate import Estimate, readable
from icl_eval.page import Html, join, table, tag
from icl_eval.parts import interval, title
from icl_eval.run import Run

TRANSFER, SQUARED = "transfer_", "squared_error"
_YARDSTICKS = ("3-NN", "constant", "averaging")


def transfer(run: Run, folder: Path) -> Html:
    """Return a table of squared errors: a row per family, the best in bold."""
    results = {
        name.removeprefix(TRANSFER): result
        for name, (_, result) in run.latest().items()
        if name.startswith(TRANSFER) and SQUARED in result.metrics
    }
    if not results:
        return Html("")
    prefix = f"{SQUARED}_"
    baselines = list(
        dict.fromkeys(
            metric.removeprefix(prefix)
            for result in results.values()
            for metric in result.metrics
            if metric.startswith(prefix)
        )
    )
    rows = []
    for family, result in results.items():
        model = result.metrics[SQUARED]
        others = {name: result.metrics.get(prefix + name) for name in baselines}
        known = {name: estimate for name, estimate in others.items() if estimate is not None}
        best = float(np.nanmin([np.inf, *(estimate.value for estimate in (model, *known.values()))]))
        cell = Html(_number(model, best) + tag("span", interval(model), class_="soft"))
        cells = [Html("") if e is None else Html(_overlap(model, e) + _number(e, best)) for e in others.values()]
        rows.append([title(family), cell, _below(model, known), *cells])
    note = (
        "Squared errors on families of functions that were not trained on, from the same examples; the best in bold, "
        "the model's with its 95 % interval. Below is by value; \N{ALMOST EQUAL TO} marks a baseline whose interval "
        "overlaps the model's."
    )
    whole = table(["family", MODEL, "model is below", *baselines], rows, label="Transfer", class_="transfer")
    return join([tag("p", note, class_="soft"), whole])


def _number(estimate: Estimate, best: float) -> Html:
    return tag("b" if estimate.value == best else "span", readable(estimate.value))


def _overlap(model: Estimate, baseline: Estimate) -> str:
    return "\N{ALMOST EQUAL TO} " if model.low <= baseline.high and baseline.low <= model.high else ""


def _below(model: Estimate, baselines: dict[str, Estimate]) -> Html:
    """Say how many baselines err more than the model, and whether those do that no learner may lose to."""
    beaten = [name for name, estimate in baselines.items() if model.value < estimate.value]
    if not baselines or len(beaten) == len(baselines):
        return Html(f"all {len(beaten)}" if baselines else "")
    lost = [name for name in _YARDSTICKS if name in baselines and name not in beaten]
    won = [name for name in _YARDSTICKS if name in beaten]
    said = f"not {', '.join(lost)}" if lost else f"with {', '.join(won)}" if won else ""
    return Html(tag("span", f"{len(beaten)} of {len(baselines)}") + tag("span", said, class_="soft"))
