"""The minimal model of Nguyen & Reddy: its sequences by their own recipe, its arithmetic by hand, its tables."""

import json

import haiku as hk
import jax
import numpy as np
import pytest
from scipy import stats

import icl_data as data
import icl_lab as lab
from experiments.kinetics.config import PRESETS
from experiments.kinetics.model import LabelBeside, QueryAttention
from experiments.kinetics.run import KINETICS, make_samplers
from experiments.kinetics.sequences import SharedLabels, WithQuery
from experiments.kinetics.sweeps import classes_settings, draw_classes, draw_onset, onset_settings
from tests.tiny import KINE, summary_of


def copies_by_the_papers_recipe(K, N, count):
    """Draw all items alike; where the query's class is absent, a random item becomes a copy of the query."""
    rng = np.random.default_rng(0)
    context, query = rng.integers(K, size=(count, N)), rng.integers(K, size=count)
    absent = (context != query[:, None]).all(axis=1)
    context[absent, rng.integers(N, size=absent.sum())] = query[absent]
    return np.bincount((context == query[:, None]).sum(axis=1), minlength=N + 1)


@pytest.mark.parametrize(("K", "N"), [(3, 6), (40, 20), (2, 1)])
def test_the_query_stands_in_its_context_as_often_as_by_the_papers_recipe(K, N):
    split = data.ClassSplit(num_classes=K, rare=K)
    mixture = WithQuery(labels=SharedLabels()).mixture(split, N + 1)
    chances = stats.binom.pmf(np.arange(N + 1), N, 1 / K)
    for probability, pattern in mixture:
        expected = chances[pattern.shots] + (chances[0] if pattern.shots == 1 else 0)
        assert probability == pytest.approx(expected, abs=1e-12)
    sampler = data.SequenceSampler(
        kind=WithQuery(labels=SharedLabels()), split=split, exemplar_counts=np.ones(K, np.int64), length=N + 1
    )
    classes = sampler.sample(np.arange(4_000))["classes"]
    found = np.bincount((classes[:, :-1] == classes[:, -1:]).sum(axis=1), minlength=N + 1)
    np.testing.assert_allclose(found / 4_000, copies_by_the_papers_recipe(K, N, 40_000) / 40_000, atol=0.03)


def test_a_class_keeps_its_label_and_its_mean_unless_it_is_fresh():
    config = lab.with_options(PRESETS["laptop"], {"data.classes": 9, "data.context": 5, "data.dimensions": 7})
    samplers = make_samplers(config)
    known: dict[int, tuple[int, bytes]] = {}
    for name in ("train", "no_support"):
        batch = samplers[name].sample(np.arange(60))
        for row in np.ndindex(batch["labels"].shape):
            one = int(batch["labels"][row]), batch["items"][row].tobytes()
            assert known.setdefault(int(batch["classes"][row]), one) == one
    assert len(known) == 9 and {label for label, _ in known.values()} == {0, 1}
    assert not (batch["classes"][:, :-1] == batch["classes"][:, -1:]).any(), "no support"
    new = samplers["new_classes"].sample(np.arange(60))
    assert not {item for _, item in known.values()} & {item.tobytes() for item in new["items"].reshape(-1, 7)}
    assert 0.4 < new["labels"].mean() < 0.6
    same = new["items"][:, :-1] == new["items"][:, -1:]
    assert same.all(axis=2).any(axis=1).all(), "the query's item stands in its context"


def test_the_model_is_the_papers_by_hand():
    B, S, D, V = 3, 5, 4, 2
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(B, S, D)).astype(np.float32), rng.integers(V, size=(B, S))
    layout, trunk = LabelBeside(num_labels=V), QueryAttention(hidden=(6, 3))
    tokens = layout.tokens(vectors, jax.numpy.asarray(labels), num_labels=V, width=D, label_init_std=0.1)
    assert (tokens[:, -1, D:] == 0).all() and tokens.shape == (B, S, layout.token_width(D))
    np.testing.assert_array_equal(tokens[:, :-1, D:].argmax(-1), labels[:, :-1])
    model = hk.transform(lambda x: trunk.apply(x, is_query=None, is_training=True))
    params = jax.jit(model.init)(jax.random.key(0), tokens)
    found = jax.jit(model.apply)(params, None, tokens)
    (own,) = (each for name, each in params.items() if "query" in each)
    x = np.asarray(tokens, np.float64)
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    for row in range(B):
        queries, keys, values = (normed[row] @ np.asarray(own[name], np.float64) for name in ("query", "key", "value"))
        scores = keys @ queries[-1]
        weights = np.exp(scores) / np.exp(scores).sum()
        units = x[row, -1] + weights @ values
        for number in range(2):
            layer = params[f"hidden_{number}"]
            units = np.maximum(units @ np.asarray(layer["w"]) + np.asarray(layer["b"]), 0)
        np.testing.assert_allclose(found[row, 0], units, rtol=1e-4, atol=1e-5)


def test_a_run_is_measured_on_new_classes_and_where_there_are_trained_ones_on_these(tmp_path):
    assert [each.name for each in KINETICS.build(KINE.parse()).at_end] == ["new_classes"]
    KINE.tiny("--data.classes", 6, "--workdir", tmp_path / "six")
    assert summary_of(tmp_path / "six")["evaluations"].keys() == {"new_classes", "no_support"}
    run = lab.load_run(tmp_path / "six", experiment=KINETICS, types=[LabelBeside, QueryAttention])
    batch = run.sampler("no_support").sample(np.arange(4))
    _, values = run.instrument(batch, capture=["*attention"])
    (attention,) = values.values()
    np.testing.assert_allclose(np.asarray(attention).sum(axis=-1), 1, rtol=1e-5)


def write(folder, curves):
    folder.mkdir(parents=True)
    lines = [
        {
            "step": step,
            "evaluation": name,
            "count": 9,
            "metrics": {"accuracy_closed": dict.fromkeys(ENDS, value) | {"count": 9}},
        }
        for name, values in curves.items()
        for step, value in values.items()
    ]
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


ENDS = ("value", "low", "high")


def test_the_exponent_of_times_is_that_of_the_times(tmp_path):
    base, runs = PRESETS["laptop"], []
    for name, setting in onset_settings(base).items():
        N = setting["data.context"]
        write(tmp_path / name, {"new_classes": {0: 0.5, N * N: 0.95, 2 * N * N: 1.0}})
        runs.append(lab.with_options(base, setting | {"workdir": tmp_path / name}))
    drawn = draw_onset(tmp_path, base, runs)
    assert "grows as N to the 2.00" in drawn.note and "theory has the exponent 1.00" in drawn.note
    assert ("16", "1", "step 256") in drawn.tables[0].rows
    assert "| 16 | 1 | step 256 |" in (tmp_path / "onset.md").read_text()


def test_the_number_of_classes_from_which_icl_wins_is_where_it_passes_three_quarters(tmp_path):
    base, runs = PRESETS["laptop"], []
    for name, setting in classes_settings(base).items():
        N, K = setting["data.context"], setting["data.classes"]
        icl = 1.0 if K > 8 * N else 0.5
        write(tmp_path / name, {"new_classes": {9: icl}, "no_support": {9: 1.5 - icl}})
        runs.append(lab.with_options(base, setting | {"workdir": tmp_path / name}))
    drawn = draw_classes(tmp_path, base, runs)
    stars = {row[0]: row[1] for row in drawn.tables[0].rows if row[1].startswith("K*")}
    # Halfway, in logarithms, between the two numbers of classes on both sides.
    assert stars == {"8": "K* 91", "12": "K* 91", "16": "K* 181", "24": "K* 181"}
    assert "K* grows as N to the 0.75" in drawn.note and "1.43" in drawn.note


@pytest.mark.parametrize(("icl", "told"), [(1.0, "K* below 16"), (0.5, "K* above 512")])
def test_a_winner_at_all_numbers_of_classes_is_told_from_one_at_none(tmp_path, icl, told):
    base, runs = PRESETS["laptop"], []
    for K in (16, 512):
        write(tmp_path / f"{K}", {"new_classes": {9: icl}, "no_support": {9: 0.5}})
        runs.append(lab.with_options(base, {"data.classes": K, "workdir": tmp_path / f"{K}"}))
    drawn = draw_classes(tmp_path, base, runs)
    assert [row[1] for row in drawn.tables[0].rows][-1] == told


def test_the_query_stands_in_its_context_as_often_with_new_classes_as_with_trained_ones():
    samplers = make_samplers(KINE.parse("--data.classes", 8, "--data.context", 16))
    new, trained = (samplers[name].sample(np.arange(2_000)) for name in ("new_classes", "train"))
    copies = [(each["classes"][:, :-1] == each["classes"][:, -1:]).sum(axis=1).mean() for each in (new, trained)]
    assert copies[0] == pytest.approx(copies[1], abs=0.1) and copies[0] > 2
