"""A model of icl-models is scored and ablated by icl-eval, at the tokens that its layout names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval.attention.ablation import ablate_heads
from icl_eval.attention.evaluate_heads import evaluate_heads
from icl_eval.attention.token_positions import TokenPositions
from icl_eval.results.result import Evaluation
from icl_models import IdentityEncoder, Interleaved, SequenceClassifier, Transformer, instrument

S, V, D = 4, 3, 8


@pytest.mark.parametrize("trunk", [Transformer(layers=2, heads=2), Transformer(layers=2, heads=2, attention="linear")])
def test_a_real_model_is_scored_and_ablated_head_by_head(trunk: Transformer) -> None:
    L, H, layout = trunk.layers, trunk.heads, Interleaved()
    config = SequenceClassifier(num_labels=V, encoder=IdentityEncoder(), layout=layout, trunk=trunk, width=D)
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

    result = evaluate_heads(
        lambda batch: attend(batch["items"], batch["labels"]),
        [batch],
        TokenPositions(items=layout.item_tokens(S), labels=layout.label_tokens(S)),
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
