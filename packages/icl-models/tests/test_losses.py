import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import every_item_cross_entropy, masked_squared_error, query_cross_entropy, weighted_cross_entropy

B, S, V = 6, 4, 5


def draw():
    logits = np.random.default_rng(0).normal(size=(B, S, V)).astype(np.float32) * 3
    labels = np.random.default_rng(1).integers(0, V, (B, S), dtype=np.int32)
    return jnp.asarray(logits), jnp.asarray(labels)


def slow(logits, labels):
    """Give cross-entropy and hit of each item, [B, S], by the definition."""
    losses, hits = np.zeros((B, S)), np.zeros((B, S))
    for b in range(B):
        for s in range(S):
            powers = np.exp(np.asarray(logits[b, s], np.float64))
            losses[b, s] = -np.log(powers[labels[b, s]] / powers.sum())
            hits[b, s] = max(range(V), key=lambda v: powers[v]) == labels[b, s]
    return losses, hits


def check(result, loss, **metrics):
    np.testing.assert_allclose(result[0], loss, rtol=1e-5)
    assert set(result[1]) == set(metrics)
    for name, value in metrics.items():
        np.testing.assert_allclose(result[1][name], value, rtol=1e-6)


def test_they_agree_with_their_definitions():
    logits, labels = draw()
    losses, hits = slow(logits, labels)
    accuracy = hits[:, -1].mean()
    assert 0 < accuracy < 1
    check(query_cross_entropy(logits[:, -1], labels[:, -1]), losses[:, -1].mean(), accuracy=accuracy)
    check(
        weighted_cross_entropy(logits, labels, context_weight=0.3),
        0.3 * losses[:, :-1].mean() + 0.7 * losses[:, -1].mean(),
        accuracy=accuracy,
        context_accuracy=hits[:, :-1].mean(),
    )
    check(every_item_cross_entropy(logits, labels), losses.mean(), accuracy=accuracy, every_item_accuracy=hits.mean())


def test_their_gradients_are_probabilities_less_the_label():
    logits, labels = draw()
    rest = jax.nn.softmax(logits) - jax.nn.one_hot(labels, V)
    for loss, weights in (
        (lambda logits: query_cross_entropy(logits[:, -1], labels[:, -1]), [0, 0, 0, 1 / B]),
        (
            lambda logits: weighted_cross_entropy(logits, labels, context_weight=0.3),
            [*[0.3 / (B * (S - 1))] * (S - 1), 0.7 / B],
        ),
        (lambda logits: every_item_cross_entropy(logits, labels), [1 / (B * S)] * S),
    ):
        gradient = jax.jit(jax.grad(lambda logits, loss=loss: loss(logits)[0]))(logits)
        np.testing.assert_allclose(gradient, rest * jnp.asarray(weights)[None, :, None], rtol=1e-4, atol=1e-7)


def test_a_weight_of_0_is_the_loss_of_the_query_and_that_of_one_part_ignores_the_other():
    logits, labels = draw()
    query, _ = query_cross_entropy(logits[:, -1], labels[:, -1])
    np.testing.assert_allclose(weighted_cross_entropy(logits, labels, context_weight=0.0)[0], query, rtol=1e-6)
    gradient = jax.grad(lambda logits: weighted_cross_entropy(logits, labels, context_weight=1.0)[0])(logits)
    assert not gradient[:, -1].any() and gradient[:, :-1].all()


def test_huge_logits_do_not_overflow():
    loss, _ = query_cross_entropy(jnp.array([[1e5, -1e5]]), jnp.array([0]))
    assert float(loss) == 0
    gradient = jax.grad(lambda logits: query_cross_entropy(logits, jnp.array([1]))[0])(jnp.array([[1e5, -1e5]]))
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_beyond_0_to_1_is_refused(weight):
    logits, labels = draw()
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got"):
        weighted_cross_entropy(logits, labels, context_weight=weight)


def test_sequences_without_context_are_refused():
    logits, labels = draw()
    with pytest.raises(ValueError, match="at least 2; for the query alone, query_cross_entropy"):
        weighted_cross_entropy(logits[:, :1], labels[:, :1], context_weight=0.5)


def points():
    rng = np.random.default_rng(2)
    predictions, targets = rng.standard_normal((2, 3, 5, 2), np.float32)
    is_query = np.array([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], bool)
    return jnp.asarray(predictions), jnp.asarray(targets), jnp.asarray(is_query)


def test_the_squared_error_is_the_mean_over_all_queries_and_outputs():
    predictions, targets, is_query = points()
    errors = [
        (float(predictions[b, n, y]) - float(targets[b, n, y])) ** 2
        for b in range(3)
        for n in range(5)
        for y in range(2)
        if is_query[b, n]
    ]
    assert len(errors) == 8
    check(masked_squared_error(predictions, targets, is_query), np.mean(errors))
    gradient = jax.jit(jax.grad(lambda predictions: masked_squared_error(predictions, targets, is_query)[0]))(
        predictions
    )
    expected = np.where(np.asarray(is_query)[:, :, None], 2 * (predictions - targets) / 8, 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf])
def test_what_is_not_a_query_may_be_no_number(nonsense):
    predictions, targets, is_query = points()
    loss = jax.jit(jax.value_and_grad(lambda *inputs: masked_squared_error(*inputs, is_query)[0], argnums=(0, 1)))
    asked = is_query[:, :, None]
    spoilt = loss(jnp.where(asked, predictions, nonsense), jnp.where(asked, targets, nonsense))
    jax.tree.map(np.testing.assert_array_equal, spoilt, loss(predictions, targets))


def test_without_queries_the_squared_error_and_its_gradient_are_0():
    predictions, targets, is_query = points()
    loss, gradient = jax.value_and_grad(lambda *inputs: masked_squared_error(*inputs, is_query & False)[0])(
        predictions, targets
    )
    assert float(loss) == 0 and not gradient.any()


def test_a_target_that_is_no_number_shows_where_it_is_asked_for():
    predictions, targets, is_query = points()
    assert jnp.isnan(masked_squared_error(predictions, targets.at[0, 1].set(jnp.nan), is_query)[0])
