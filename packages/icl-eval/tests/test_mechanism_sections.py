"""The parts of a report on heads, attention, baselines, frequencies, confusion and transience."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    AttentionMaps,
    Estimate,
    Examples,
    Result,
    append_evaluations,
    proportion,
    read_run,
    save_attention,
    write_report,
)
from icl_eval.report.mechanisms import BASELINES, head_curves


def share(value: float, count: int = 100) -> Estimate:
    return proportion(round(value * count), count)


@pytest.fixture
def rich(tmp_path: Path, make_examples: Callable[[], Examples]) -> Path:
    """Make the folder of a run with everything in it: 2 layers of 3 heads, of which (1, 2) is the induction head."""
    folder = tmp_path / "rich"
    for step in (10, 20):
        heads = {
            f"{kind}_{layer}_{head}": share(0.8 if (kind, layer, head) == ("induction", 1, 2) else 0.2, 30)
            for kind in ("induction", "previous_token", "same_class")
            for layer in range(2)
            for head in range(3)
        }
        append_evaluations(
            folder, step=step, results=[Result("heads_fewshot_holdout", heads, dict.fromkeys(heads, 0.25))]
        )
    confused = {"confusion_0_to_0": 0.7, "confusion_0_to_1": 0.2, "confusion_0_to_other": 0.1}
    confused |= {"confusion_1_to_0": 0.4, "confusion_1_to_1": 0.6, "confusion_1_to_other": 0.0}
    fewshot = {"accuracy_closed": share(0.9), "accuracy_in_context": share(0.91)}
    fewshot |= {name: share(value) for name, value in confused.items()}
    fewshot |= {f"accuracy_{name}": share(0.1 * place) for place, name in enumerate(BASELINES)}
    no_support = {"accuracy_open": share(0.3)}
    no_support |= {f"accuracy_open_decile_{tenth}": share(tenth / 10, 40) for tenth in range(2, 11)}
    ablated = {"icl": share(0.9), "iwl": share(0.3)}
    for layer, head in np.ndindex(2, 3):
        ablated[f"icl_without_{layer}_{head}"] = share(0.5 if (layer, head) == (1, 2) else 0.9)
        ablated[f"iwl_without_{layer}_{head}"] = share(0.1 if (layer, head) == (0, 0) else 0.3)
    earlier = [Result("fewshot_holdout", {"accuracy_closed": share(0.99)}, {})]
    append_evaluations(folder, step=10, results=earlier)
    last = {"fewshot_holdout": fewshot, "no_support_zipfian": no_support, "ablated_heads": ablated}
    append_evaluations(folder, step=20, results=[Result(name, metrics, {}) for name, metrics in last.items()])
    examples = make_examples()
    attention = np.full((2, 2, 3, 5, 5), 0.2, np.float32)
    save_attention(
        folder,
        "fewshot_holdout",
        AttentionMaps(
            images=examples.images,
            labels=examples.labels,
            predicted=examples.predicted_closed,
            attention=attention,
            item_tokens=np.array([0, 2, 4]),
            label_tokens=np.array([1, 3]),
        ),
    )
    return folder


def captions(folder: Path) -> dict[str, str]:
    """Return the captions of a page by the heading that they stand under, as plain text."""
    page = write_report(folder).read_text()
    found = {}
    for section in re.findall(r'<section id="([a-z-]+)" class="part">(.*?)</section>', page, re.DOTALL):
        found[section[0]] = re.sub(r"<[^>]+>", " ", re.sub(r'="[^"]*"', "", section[1]))
    return found


def test_each_part_says_what_it_shows_and_of_how_many_sequences(rich: Path) -> None:
    said = captions(rich)
    assert list(said)[:7] == ["training", "later", "baselines", "frequency", "confusion", "heads", "attention"]
    assert "highest at step 10 (0.990)" in said["later"] and "100 sequences per point" in said["later"]
    for place, name in enumerate(BASELINES.values()):
        assert re.search(rf"{name}\s+{f'{0.1 * place:.3f}' if place else '0'}\s", said["baselines"]), name
    assert re.search(r"model, closed\s+0\.900", said["baselines"])
    assert "from the rarest to the most frequent" in said["frequency"] and "100 sequences" in said["frequency"]
    assert "200 sequences" in said["confusion"]  # 100 of each label
    assert "the mean over 30 sequences of fewshot_holdout" in said["heads"]
    lowest = "ICL 0.500 without layer 1 head 2 (0.900 with all); IWL 0.100 without layer 0 head 0 (0.300 with all)"
    assert lowest in said["heads"] and "100 sequences each" in said["heads"]
    assert "The whole attention of layer 1 head 2" in said["attention"]  # the one that scores highest


def test_the_figures_are_saved_too(rich: Path) -> None:
    write_report(rich)
    assert {path.stem for path in (rich / "figures").iterdir()} == {
        "emergence", "transience", "frequency", "confusion_fewshot_holdout", "ablations",
        "induction_heads_fewshot_holdout", "previous_token_heads_fewshot_holdout", "same_class_heads_fewshot_holdout",
        "attention_fewshot_holdout_0", "attention_fewshot_holdout_1", "attention_map_fewshot_holdout",
    }  # fmt: skip


def test_a_run_without_them_has_none_of_these_parts(run: Path) -> None:
    assert not {"baselines", "frequency", "confusion", "heads", "attention"} & captions(run).keys()


def test_attention_without_scores_is_shown_in_the_order_of_the_heads(rich: Path) -> None:
    lines = [line for line in (rich / "eval.jsonl").read_text().splitlines() if "heads_fewshot" not in line]
    (rich / "eval.jsonl").write_text("\n".join(lines) + "\n")
    assert "The whole attention of layer 0 head 0" in captions(rich)["attention"]


def test_damaged_attention_is_named_and_left_out(rich: Path) -> None:
    (rich / "arrays" / "attention_fewshot_holdout.npz").write_bytes(b"PK\x03\x04 no archive")
    said = captions(rich)
    assert "attention" not in said and "attention_fewshot_holdout.npz: damaged" in said["missing"]


def test_head_curves_take_only_what_is_named_as_heads_are(rich: Path) -> None:
    odd = {"induction_x_0": share(0.5), "induction_0": share(0.5), "induction_1_2_3": share(0.5)}
    append_evaluations(rich, step=30, results=[Result("heads_fewshot_holdout", odd, {})])
    curves = head_curves(read_run(rich), "heads_fewshot_holdout", "induction")
    assert list(curves) == [(layer, head) for layer in range(2) for head in range(3)]
    assert curves[1, 2].values.tolist() == [0.8, 0.8] and curves[1, 2].chance == 0.25
