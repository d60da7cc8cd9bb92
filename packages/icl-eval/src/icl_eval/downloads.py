"""Downloads: what a report was made from, as JSON files that the page itself holds."""

import json
import math
from pathlib import Path
from typing import Any

from icl_eval.page import Html, data_uri, tag
from icl_eval.run import CONFIG, SUMMARY, Run


def downloads(run: Run, folder: Path) -> Html:
    """Offer summary.json, config.json and the results of all evaluations, those that there are."""
    evaluations = [
        {"step": step} | result.to_json() for results in run.evaluations.values() for step, result in results.items()
    ]
    offered = {SUMMARY: run.summary, CONFIG: run.config, "evaluations.json": evaluations}
    links = [
        tag("a", name, download=name, href=data_uri(json_bytes(content), "application/json"))
        for name, content in offered.items()
        if content
    ]
    return tag("ul", *(tag("li", link) for link in links), class_="downloads") if links else Html("")


def json_bytes(value: Any) -> bytes:
    """Return the value as JSON that every reader takes: with null for numbers that are not finite.

    >>> json_bytes({"loss": [float("nan"), 1]})
    b'{"loss": [null, 1]}'
    """
    return json.dumps(_finite(value), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
