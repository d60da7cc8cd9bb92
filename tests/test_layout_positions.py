"""The token places that icl-eval scores heads by are where the layouts of icl-models put items and labels."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval.attention.ablation import ablate_heads
from icl_eval.attention.evaluate_heads import evaluate_heads
from icl_eval.attention.token_positions import TokenPositions
from icl_eval.results.result import Evaluation
from icl_models import (
    Concatenated,
    IdentityEncoder,
    Interleaved,
    PreviousLabel,
    SequenceClassifier,
    Transformer,
    instrument,
)

S, V, D = 4, 3, 8


@pytest.mark.parametrize(
    ("layout", "places"),
    [
        (Interleaved(), TokenPositions.interleaved(S)),
        (Concatenated(), TokenPositions.concatenated(S)),
        (PreviousLabel(), TokenPositions.previous_label(S)),
    ],
)
def test_an_item_or_label_moves_the_token_that_is_said_to_hold_it_and_no_other(
    layout: Any, places: TokenPositions
) -> None:
    def lay_out(vectors: jax.Array, labels: jax.Array) -> jax.Array:
        return layout.tokens(jnp.asarray(vectors), jnp.asarray(labels), num_labels=V, width=D, label_scale=1.0)

    model = hk.without_apply_rng(hk.transform(lay_out))
    vectors = np.random.default_rng(0).normal(size=(1, S, D)).astype(np.float32)
    labels = np.zeros((1, S), np.int32)
    params = model.init(jax.random.key(0), vectors, labels)
    before = model.apply(params, vectors, labels)

    def moved(vectors: np.ndarray, labels: np.ndarray) -> list[int]:
        changed = jnp.any(model.apply(params, vectors, labels) != before, axis=-1)[0]
        return np.flatnonzero(changed).tolist()

    one_hot = np.eye(S, dtype=np.int32)[:, None]
    assert before.shape[1] == places.length
    assert [moved(vectors + row[..., None], labels) for row in one_hot] == [[token] for token in places.items]
    assert [moved(vectors, labels + row) for row in one_hot[:-1]] == [[token] for token in places.labels]
    assert moved(vectors, labels + one_hot[-1]) == []


def test_a_real_model_is_scored_and_ablated_head_by_head() -> None:
    L, H = 2, 2
    config = SequenceClassifier(
        num_labels=V, encoder=IdentityEncoder(), layout=Interleaved(), trunk=Transformer(layers=L, heads=H), width=D
    )
    model = config.build()
    generator = np.random.default_rng(0)
    classes = generator.integers(2, size=(8, S)).astype(np.int32)
    batch = {"items": generator.normal(size=(8, S, D)).astype(np.float32), "labels": classes, "classes": classes}
    params, state = jax.jit(model.init)(jax.random.key(0), batch["items"], batch["labels"])

    @jax.jit
    def attend(items: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        run = instrument(model.apply, capture=["block_*/attention"])
        (logits, _), values = run(params, state, None, items, labels)
        return jnp.stack([values[f"block_{layer}/attention"] for layer in range(L)], axis=1), logits

    @jax.jit
    def predict(items: jax.Array, labels: jax.Array, keep: jax.Array) -> jax.Array:
        kept = {
            f"block_{layer}/heads": lambda value, one=keep[layer]: value * one[None, None, :, None]
            for layer in range(L)
        }
        (logits, _), _ = instrument(model.apply, replace=kept)(params, state, None, items, labels)
        return logits

    result, _ = evaluate_heads(
        lambda batch: attend(batch["items"], batch["labels"]),
        [batch],
        TokenPositions.interleaved(S),
        name="heads_fewshot_holdout",
        count=8,
    )
    assert set(result.metrics) == {
        f"{kind}_{layer}_{head}"
        for kind in ("induction", "previous_token", "same_class")
        for layer in range(L)
        for head in range(H)
    }
    ablated = ablate_heads(
        lambda batch, keep: predict(batch["items"], batch["labels"], keep),
        {"icl": (Evaluation("fewshot_holdout", range(2)), lambda: [batch], "loss")},
        layers=L,
        heads=H,
        count=8,
    )
    assert len({estimate.value for estimate in ablated.metrics.values()}) == 1 + L * H
