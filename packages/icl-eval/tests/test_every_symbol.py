"""Models of symbols at every place, against sums written out."""

import math

import numpy as np
import pytest

from icl_eval import evaluate_every_symbol, learning_curves, symbol_counts, urn_posterior

URNS = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
B, N, V = 7, 5, 3


@pytest.fixture(scope="module")
def tokens() -> np.ndarray:
    symbols = np.random.default_rng(0).integers(V, size=(B, N))
    return np.concatenate([np.full((B, 1), V), symbols], axis=1)


def model(batch: dict[str, np.ndarray]) -> np.ndarray:
    """Predict from the places alone, so that nothing is like a predictor."""
    rows = np.random.default_rng(1).dirichlet(np.ones(V), size=(1, N))
    return np.broadcast_to(rows, (len(batch["tokens"]), N, V))


PREDICTORS = {"urns": lambda symbols: urn_posterior(symbols, URNS), "counts": lambda symbols: symbol_counts(symbols, V)}


def test_every_metric_is_the_mean_of_what_is_written_out(tokens: np.ndarray) -> None:
    batches = [{"tokens": tokens[:4]}, {"tokens": tokens[4:]}]
    result = evaluate_every_symbol(
        model, batches, name="urns", count=6, predictors=PREDICTORS, between=("urns", "counts"), predictor_count=5
    )
    ours = model({"tokens": tokens})
    losses = [[-math.log(ours[b, n, tokens[b, n + 1]]) for n in range(N)] for b in range(6)]
    assert result.metrics["loss"].value == pytest.approx(np.mean(losses)) and result.metrics["loss"].count == 6
    np.testing.assert_allclose(result.arrays["shots"].curves["model"].values, np.mean(losses, axis=0))
    forth, back, theirs = (dict.fromkeys(PREDICTORS, 0.0) for _ in range(3))
    for each, predict in PREDICTORS.items():
        for b in range(5):
            for n in range(N):
                p, q = ours[b, n], predict(tokens[b : b + 1, 1:])[0, n]
                forth[each] += sum(q[v] * math.log(q[v] / p[v]) for v in range(V)) / (5 * N)
                back[each] += sum(p[v] * math.log(p[v] / q[v]) for v in range(V)) / (5 * N)
                theirs[each] -= math.log(q[tokens[b, n + 1]]) / (5 * N)
        assert result.metrics[f"divergence_{each}"].value == pytest.approx(forth[each])
        assert result.metrics[f"distance_{each}"].value == pytest.approx((forth[each] + back[each]) / 2)
        assert result.metrics[f"loss_{each}"].value == pytest.approx(theirs[each])
        assert result.metrics[f"excess_{each}"].value == pytest.approx(np.mean(losses[:5]) - theirs[each])
        assert result.metrics[f"excess_{each}"].count == 5
    (panel,) = learning_curves(result.arrays["shots"], title="Urns").axes
    assert panel.get_yscale() == "linear" and panel.get_ylabel() == "cross entropy"
    far = {each: forth[each] + back[each] for each in PREDICTORS}
    assert result.metrics["relative_distance"].value == pytest.approx(far["urns"] / sum(far.values()))


def test_a_predictor_as_a_model_is_at_no_distance_from_itself(tokens: np.ndarray) -> None:
    result = evaluate_every_symbol(
        lambda batch: PREDICTORS["urns"](batch["tokens"][:, 1:]), [{"tokens": tokens}], name="urns", count=B,
        predictors=PREDICTORS, between=("urns", "counts"),
    )  # fmt: skip
    for metric in ("excess_urns", "divergence_urns", "distance_urns", "relative_distance"):
        assert result.metrics[metric].value == pytest.approx(0, abs=1e-12)
    assert result.metrics["distance_counts"].value > 0.01


def test_mistakes_are_told(tokens: np.ndarray) -> None:
    def evaluated(predict=model, given=tokens, **options):
        return evaluate_every_symbol(predict, [{"tokens": given}], name="urns", count=2, **options)

    with pytest.raises(ValueError, match=r"symbols in 0\.\.2"):
        evaluated(given=np.full((B, N + 1), V))
    with pytest.raises(ValueError, match="urns"):
        evaluated(predict=lambda batch: np.ones((B, N + 1, V)))
    with pytest.raises(ValueError, match="between as two of the predictors"):
        evaluated(predictors=PREDICTORS, between=("urns", "urns"))
    with pytest.raises(ValueError, match="urns: counts"):
        evaluated(predictors={"counts": lambda symbols: np.ones((len(symbols), N, V + 1))})
