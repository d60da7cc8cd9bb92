"""Example sequences: each a row of images with labels beneath, the query marked off, and what was predicted.

It is HTML and not a figure, so that it stays crisp, wraps on a phone and reads aloud.
"""

from typing import NamedTuple

from icl_eval.figures.drawing import displayable
from icl_eval.report.html import NOTHING, Figures, Markup, picture, render
from icl_eval.results.saved_arrays import NO_LABEL, Examples
from icl_eval.runs.reading import Run


class Sequence(NamedTuple):
    """A sequence as a page shows it: images with labels, and what was predicted of the last."""

    context: list[tuple[str, int]]
    query: str
    right: bool
    predicted: str
    truth: int
    over_all: str | None


def example_strips(run: Run, figures: Figures) -> Markup:
    """Return the examples of every evaluation that has some."""
    evaluations = [{"name": name, "sequences": _sequences(examples)} for name, examples in run.examples.items()]
    return render("sequences", evaluations=evaluations) if evaluations else NOTHING


def _sequences(examples: Examples) -> list[Sequence]:
    made = []
    predictions = zip(examples.predicted_closed.tolist(), examples.predicted_open.tolist(), strict=True)
    for images, labels, (closed, over_all) in zip(
        displayable(examples.images), examples.labels.tolist(), predictions, strict=True
    ):
        *context, query = map(picture, images)
        made.append(
            Sequence(
                context=list(zip(context, labels[:-1], strict=True)),
                query=query,
                right=closed == labels[-1],
                predicted=_label(closed),
                truth=labels[-1],
                over_all=None if over_all == closed else _label(over_all),
            )
        )
    return made


def _label(predicted: int) -> str:
    return "nothing" if predicted == NO_LABEL else str(predicted)
