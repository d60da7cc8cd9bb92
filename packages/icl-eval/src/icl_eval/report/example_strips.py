"""A strip: an example sequence as a row of images with labels beneath, the query marked off, and a verdict.

It is HTML and not a figure, so that it stays crisp, wraps on a phone and reads aloud.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from icl_eval.figures.drawing import displayable
from icl_eval.report.html import Html, join, picture, tag
from icl_eval.results.saved_arrays import NO_LABEL, Examples
from icl_eval.runs.reading import Run


def strips(run: Run, folder: Path) -> Html:
    """Show the examples of every evaluation that has some."""
    if not run.examples:
        return Html("")
    parts = [part for name, examples in run.examples.items() for part in _evaluation(name, examples)]
    note = (
        "Items come in the order shown, each with its label; the framed one at the end is the query, whose "
        "label the model must give."
    )
    return join([tag("p", note, class_="soft"), *parts])


def _evaluation(name: str, examples: Examples) -> list[Html]:
    truth, closed = examples.labels[:, -1], examples.predicted_closed
    right = int((truth == closed).sum())
    said = f"The first {len(truth)} sequences, {right} right. Predictions choose among the possible labels."
    drawn = displayable(examples.images)
    rows = (
        _sequence(drawn[k], examples.labels[k], int(closed[k]), int(examples.predicted_open[k]))
        for k in range(len(truth))
    )
    return [tag("h3", name), tag("p", said, class_="soft"), tag("ol", *rows, class_="sequences")]


def _sequence(images: UInt8[np.ndarray, "S H W"], labels: np.ndarray, closed: int, predicted_open: int) -> Html:
    cells = [
        tag(
            "div",
            tag("img", src=picture(image), alt="query" if query else f"item labelled {label}", class_="item"),
            tag("span", "?" if query else str(label)),
            class_="query" if query else "",
        )
        for image, label, query in zip(images, labels, np.arange(len(labels)) == len(labels) - 1, strict=True)
    ]
    columns = f"grid-template-columns: repeat({len(labels) - 1}, 1fr) .4rem 1fr"
    return tag(
        "li",
        tag("div", *cells, class_="items", style=columns),
        _verdict(int(labels[-1]), closed, predicted_open),
    )


def _verdict(truth: int, closed: int, predicted_open: int) -> Html:
    right = truth == closed
    mark = tag(
        "b",
        "\N{CHECK MARK} right" if right else "\N{MULTIPLICATION X} wrong",
        class_="right" if right else "wrong",
    )
    said = f" · predicted {_label(closed)}, truth {truth}"
    if predicted_open != closed:
        said += f" · over all labels {_label(predicted_open)}"
    return tag("p", mark, said, class_="verdict")


def _label(predicted: int) -> str:
    return "nothing" if predicted == NO_LABEL else str(predicted)
