"""The report of an ensemble's folder: a comparison of its members, as an ensemble's training writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from icl_eval import Headline, Result, __main__, append_evaluations, proportion, write_report

HEADLINE = Headline(name="icl", evaluation="holdout", metric="accuracy_closed", title="ICL", sentence="Closed.")


def member(ensemble: Path, number: int, **config: Any) -> Path:
    """Write what a training of many models does for each, without evaluations: metrics, and what sets it apart."""
    folder = ensemble / f"member-{number:03}"
    folder.mkdir(parents=True)
    logged = [{"step": step, "loss": (number + 1) / step} for step in (10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    if config:
        (folder / "config.json").write_text(json.dumps({"config": config}))
    return folder


def test_members_are_compared_by_their_headlines(
    tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble = tmp_path / "both"
    for number, right in enumerate((100, 190)):
        folder = member(ensemble, number)
        config = {"config": {"train": {"seed": number}}, "headlines": [HEADLINE.to_json()]}
        (folder / "config.json").write_text(json.dumps(config))
        append_evaluations(
            folder, step=20, results=[Result("holdout", {"accuracy_closed": proportion(right, 200)}, {})]
        )
    (ensemble / "config.json").write_text("{}")
    assert __main__.main(["report", str(ensemble), "--png"]) == 0
    assert capsys.readouterr().out.strip() == str(ensemble / "report.html")
    text = (ensemble / "report.html").read_text()
    assert "<title>both: Comparison of 2 runs</title>" in text
    assert "0.500 (" in text and "0.950 (" in text
    assert "from the lowest to the highest seed: member (2 seeds)" in text
    assert "python -m icl_eval report runs/both" in text
    assert (ensemble / "figures" / "training.png").exists()


def test_members_that_were_trained_alone_are_compared_by_their_losses_and_by_what_sets_them_apart(
    tmp_path: Path, undrawn: None
) -> None:
    for number, rate in enumerate((0.1, 0.01, 0.1)):
        member(tmp_path / "run", number, seed=number, learning_rate=rate)
    text = write_report(tmp_path / "run", to=tmp_path / "to").read_text()
    assert "share no headline" in text and "Training loss from 0.200 at step 10 to 0.100 at step 20" in text
    assert "learning_rate" in text and "(2 seeds)" in text  # 0 and 2 differ in nothing else
    assert not (tmp_path / "run" / "report.html").exists()


def test_members_that_say_nothing_of_themselves_and_folders_without_a_run_do_no_harm(
    tmp_path: Path, undrawn: None
) -> None:
    for number in range(13):  # more than there are colours
        member(tmp_path, number)
    (tmp_path / "member-013").mkdir()
    (tmp_path / "member-x").mkdir()
    text = write_report(tmp_path).read_text()
    assert "Comparison of 13 runs" in text and "member-012: config.json: not there." in text
    assert "got 13" in text


def test_a_run_with_such_a_folder_in_it_is_reported_as_itself(run: Path, undrawn: None) -> None:
    member(run, 0)
    assert "Comparison" not in write_report(run).read_text()
