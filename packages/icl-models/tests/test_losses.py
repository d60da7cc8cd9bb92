import jax
import jax.numpy as jnp
import numpy as np

from icl_models import query_cross_entropy


def test_it_agrees_with_the_definition():
    logits = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) * 3
    labels = np.random.default_rng(1).integers(0, 6, 20)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    loss, metrics = query_cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    expected = -np.log([probabilities[row, label] for row, label in enumerate(labels)]).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], np.mean(logits.argmax(1) == labels))


def test_huge_logits_do_not_overflow():
    loss, _ = query_cross_entropy(jnp.array([[1e5, -1e5]]), jnp.array([0]))
    assert float(loss) == 0
    gradient = jax.grad(lambda logits: query_cross_entropy(logits, jnp.array([1]))[0])(jnp.array([[1e5, -1e5]]))
    assert jnp.isfinite(gradient).all()
