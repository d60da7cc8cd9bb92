"""The parts of a report on heads, attention, baselines, frequencies, confusion and transience."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    AttentionMaps,
    Estimate,
    Headline,
    Measure,
    Result,
    append_evaluations,
    proportion,
    read_run,
    write_report,
)
from icl_eval.attention.scores import SCORES
from icl_eval.report.mechanisms import head_curves

pytestmark = pytest.mark.usefixtures("undrawn")

SHARE = Measure(sentence="Share that are right.", kind="proportion")
WITHOUT = Measure(sentence="Without a head.", kind="proportion", shown="…_without_L_H", detail=True)


def share(value: float, count: int = 100) -> Estimate:
    return proportion(round(value * count), count)


def maps() -> AttentionMaps:
    images = np.random.default_rng(0).integers(256, size=(2, 3, 5, 5), dtype=np.uint8)
    return AttentionMaps(
        images=images, labels=np.array([[0, 1, 1], [1, 0, 0]]), predicted=np.array([1, 1]),
        attention=np.full((2, 2, 3, 5, 5), 0.2, np.float32), item_tokens=np.array([0, 2, 4]),
        label_tokens=np.array([1, 3]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of a run with everything in it: 2 layers of 3 heads, of which (1, 2) is the induction head."""
    folder = tmp_path_factory.mktemp("made") / "rich"
    for step in (10, 20):
        heads = {
            f"{score}_{layer}_{head}": share(0.8 if (score, layer, head) == ("induction", 1, 2) else 0.2, 30)
            for score in SCORES
            for layer in range(2)
            for head in range(3)
        }
        words = {metric: SCORES[metric.rsplit("_", 2)[0]] for metric in heads}
        scored = Result("heads_few", heads, dict.fromkeys(heads, 0.25), words, arrays={"attention": maps()})
        append_evaluations(folder, step=step, results=[scored])
    few = {"accuracy_closed": share(0.9), "confusion_0_to_0": share(0.7), "confusion_0_to_1": share(0.2)}
    few |= {"confusion_0_to_other": share(0.1), "confusion_1_to_0": share(0.4), "confusion_1_to_1": share(0.6)}
    plain = {"accuracy_open": share(0.3)}
    plain |= {f"accuracy_open_decile_{tenth}": share(tenth / 10, 40) for tenth in range(2, 11)}
    other = {f"accuracy_open_decile_{tenth}": share(0.5) for tenth in range(1, 11)}
    ablated = {"icl": share(0.9), "iwl": share(0.3)}
    for layer, head in np.ndindex(2, 3):
        ablated[f"icl_without_{layer}_{head}"] = share(0.5 if (layer, head) == (1, 2) else 0.9)
        ablated[f"iwl_without_{layer}_{head}"] = share(0.1 if (layer, head) == (0, 0) else 0.3)
    append_evaluations(folder, step=10, results=[Result("few", {"accuracy_closed": share(0.99)}, {})])
    last = {"a_first": other, "few": few, "plain": plain, "removed": ablated}
    results = [
        Result(name, metrics, {}, {each: WITHOUT if "without" in each else SHARE for each in metrics})
        for name, metrics in last.items()
    ]
    append_evaluations(folder, step=20, results=results)
    headlines = [
        Headline(name=name, evaluation=evaluation, metric=metric, title=name.upper(), sentence="A number.").to_json()
        for name, evaluation, metric in (("icl", "few", "accuracy_closed"), ("iwl", "plain", "accuracy_open"))
    ]
    (folder / "config.json").write_text(json.dumps({"config": {}, "headlines": headlines}))
    return folder


@pytest.fixture
def rich(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "rich")


def captions(folder: Path) -> dict[str, str]:
    """Return the text of each part of a page by its anchor."""
    text = write_report(folder).read_text()
    parts = re.findall(r'<section id="([a-z-]+)" class="part">(.*?)</section>', text, re.DOTALL)
    return {anchor: " ".join(re.sub(r"<[^>]+>", " ", content).split()) for anchor, content in parts}


def test_each_part_says_what_it_shows_and_of_how_many_sequences(rich: Path) -> None:
    said = captions(rich)
    assert list(said)[:6] == ["training", "later", "frequency", "confusion", "heads", "attention"]
    assert "ICL: highest at step 10 (0.990)" in said["later"] and "100 sequences per point" in said["later"]
    assert "from the rarest to the most frequent" in said["frequency"] and "100 sequences" in said["frequency"]
    assert "few: of the queries" in said["confusion"]
    assert "200 sequences" in said["confusion"]  # 100 of each label
    wanted = (
        "Induction: attention of head H in layer L from the query to the labels of context items of its class; the mean"
    )
    assert f"{wanted} over 30 sequences of heads_few, with 95 % bands" in said["heads"]
    assert "Previous token: attention" in said["heads"] and "Same class: attention" in said["heads"]
    lowest = "ICL 0.500 without layer 1 head 2 (0.900 with all); IWL 0.100 without layer 0 head 0 (0.300 with all)"
    assert lowest in said["heads"] and "100 sequences each" in said["heads"]
    assert "The whole attention of layer 1 head 2" in said["attention"]  # the one that scores highest
    assert "in the order of their induction scores" in said["attention"]


def test_frequencies_of_headlines_come_before_others(rich: Path) -> None:
    text = write_report(rich).read_text()
    (said,) = re.findall(r'aria-label="By class frequency: (.*?)\."', text)
    assert [each.split()[0] for each in said.split("; ")] == ["plain", "a_first"]
    assert said.startswith("plain from 0.200 for the rarest to 1.000 for the most frequent")


def test_every_figure_can_be_written_as_a_file(rich: Path) -> None:
    write_report(rich, png=True)
    assert {path.stem for path in (rich / "figures").iterdir()} == {
        "emergence", "transience", "frequency", "confusion_few", "ablations_removed", "induction_heads_few",
        "previous_token_heads_few", "same_class_heads_few", "attention_heads_few_0", "attention_heads_few_1",
        "attention_map_heads_few",
    }  # fmt: skip


def test_a_run_without_them_has_none_of_these_parts(run: Path) -> None:
    assert not {"baselines", "frequency", "confusion", "heads", "attention"} & captions(run).keys()


def test_attention_without_scores_is_shown_in_the_order_of_the_heads(rich: Path) -> None:
    lines = [line for line in (rich / "eval.jsonl").read_text().splitlines() if "heads_few" not in line]
    (rich / "eval.jsonl").write_text("\n".join(lines) + "\n")
    said = captions(rich)["attention"]
    assert "The whole attention of layer 0 head 0" in said and "in the order of" not in said


def test_damaged_attention_is_named_and_left_out(rich: Path) -> None:
    (rich / "arrays" / "attention_heads_few.npz").write_bytes(b"PK\x03\x04 no archive")
    said = captions(rich)
    assert "attention" not in said and "attention_heads_few.npz: damaged" in said["missing"]


def test_head_curves_take_only_what_is_named_as_heads_are(rich: Path) -> None:
    odd = {"induction_x_0": share(0.5), "induction_0": share(0.5), "induction_1_2_3": share(0.5)}
    append_evaluations(rich, step=30, results=[Result("heads_few", odd, {})])
    curves = head_curves(read_run(rich), "heads_few", "induction")
    assert list(curves) == [(layer, head) for layer in range(2) for head in range(3)]
    assert curves[1, 2].values.tolist() == [0.8, 0.8] and curves[1, 2].chance == 0.25
