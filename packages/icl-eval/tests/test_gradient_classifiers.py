"""Classifiers that adapt by gradient descent, from scratch and from a learnt point, beside oracles of another hand."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
from sklearn.linear_model import LogisticRegression

from icl_eval import MAML, TrainedClassifier, labels_by_position, meta_train
from icl_eval.baselines import maml, networks

Batch = dict[str, np.ndarray]
V = 3


def clusters(*, tasks: int, items: int, width: int = 4, spread: float = 1.0, seed: int = 0) -> Batch:
    """Make tasks whose classes lie around random means; the first items have each label once."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(V, size=(tasks, items), dtype=np.int32)
    labels[:, :V] = np.arange(V)
    means = generator.normal(size=(tasks, V, width))
    drawn = means[np.arange(tasks)[:, None], labels] + spread * generator.normal(size=(tasks, items, width))
    return {"items": drawn.astype(np.float32), "labels": labels}


def signs(*, tasks: int, seed: int) -> Batch:
    """Make tasks of one family: the sign of the first number tells the label, but which has which differs."""
    generator = np.random.default_rng(seed)
    items = generator.normal(size=(tasks, 8, 10)).astype(np.float32)
    flipped = generator.integers(2, size=(tasks, 1))
    return {"items": items, "labels": ((items[:, :, 0] > 0) ^ flipped).astype(np.int32)}


def from_item(batch: Batch, context: int) -> np.ndarray:
    """Return which items are queries: all after the first so many."""
    return np.broadcast_to(np.arange(batch["labels"].shape[1]) >= context, batch["labels"].shape)


def cross_entropy(network: Any, items: Any, labels: Any) -> Any:
    """Return the mean cross-entropy of a network, written out."""
    hidden, last = network
    inner = jnp.maximum(items @ hidden.weights / np.sqrt(len(hidden.weights)) + hidden.bias[None], 0)
    outputs = inner @ last.weights / np.sqrt(len(last.weights)) + last.bias[None]
    shares = jnp.exp(outputs) / jnp.exp(outputs).sum(axis=1, keepdims=True)
    return -jnp.log(shares[jnp.arange(len(labels)), labels]).mean()


loss_and_gradient = jax.jit(jax.value_and_grad(cross_entropy))


def by_hand(network: Any, items: Any, labels: Any, *, steps: int, rate: float) -> Any:
    """Return a network after steps of gradient descent."""
    for _ in range(steps):
        _, gradient = loss_and_gradient(network, items, labels)
        network = jax.tree.map(lambda value, slope: value - rate * slope, network, gradient)
    return network


def begun() -> Any:
    """Return a network no weights of which are 0."""
    generator = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(generator.normal(size=leaf.shape), jnp.float32),
        networks.initial_network(0, (4, 6, V)),
    )


def assert_close(ours: Any, theirs: Any, *, atol: float = 1e-5) -> None:
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=atol), ours, theirs)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("penalty", [0.3, 3.0])
def test_without_hidden_units_it_comes_to_scikit_learns_logistic_regression(penalty: float) -> None:
    batch, is_query = clusters(tasks=2, items=40), from_item(clusters(tasks=2, items=40), 25)
    items = batch["items"] / np.sqrt(np.square(batch["items"][:, :25]).mean(axis=(1, 2), keepdims=True))
    linear = TrainedClassifier(hidden=(), steps=1500, learning_rate=3.0, penalty=penalty)
    predicted = linear.predict(items, batch["labels"], is_query, V)
    for b in range(2):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=1000).fit(items[b, :25], batch["labels"][b, :25])
        np.testing.assert_array_equal(predicted[b], theirs.predict(items[b]))
        task = networks.Context(items[b], batch["labels"][b], np.float32(~is_query[b]), np.ones(V, bool))
        (fitted,) = networks.fitted(networks.initial_network(0, (4, V)), task, networks.Descent(1500, 3.0, penalty))
        np.testing.assert_allclose(fitted.weights / 2, theirs.coef_.T, atol=1e-3)
        np.testing.assert_allclose(fitted.bias - fitted.bias.mean(), theirs.intercept_, atol=1e-3)


def test_of_the_random_data_set_everything_that_came_before_is_known_at_the_end() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.integers(20, size=(12, 100))
    items = generator.normal(size=(20, 16)).astype(np.float32)[drawn]
    labels = (drawn // 2).astype(np.int32)
    predicted = labels_by_position(TrainedClassifier(), items, labels, num_labels=10, positions=[10, 99])
    before = np.array([drawn[b, 99] in drawn[b, :99] for b in range(12)])
    assert before.any() and (predicted[:, 1] == labels[:, 99])[before].all()
    assert (predicted[:, 0] == labels[:, 10]).mean() < 0.9


@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_is_along_the_gradient(steps: int) -> None:
    batch, context = clusters(tasks=1, items=9), 5
    items, labels = batch["items"][0], batch["labels"][0]
    task = networks.Context(items, labels, np.float32(np.arange(9) < context), np.ones(V, bool))
    ours = networks.fitted(begun(), task, networks.Descent(steps, 0.7))
    assert_close(ours, by_hand(begun(), items[:context], labels[:context], steps=steps, rate=0.7))


def test_the_first_step_of_adam_moves_weights_by_the_learning_rate() -> None:
    batch = clusters(tasks=1, items=9)
    task = networks.Context(batch["items"][0], batch["labels"][0], np.ones(9, np.float32), np.ones(V, bool))
    (linear,) = networks.fitted(networks.initial_network(0, (4, V)), task, networks.Descent(1, 0.1), "adam")
    np.testing.assert_allclose(np.abs(linear.weights), 0.1, rtol=1e-4)
    found = TrainedClassifier(optimizer="adam", learning_rate=0.03).predict(
        **batch, is_query=from_item(batch, 9), num_labels=V
    )
    assert (found == batch["labels"]).mean() > 0.9


def test_permuted_labels_come_to_permuted_predictions_and_only_labels_of_the_context_are_predicted() -> None:
    batch, order = clusters(tasks=3, items=30, spread=0.5), np.array([4, 0, 2], np.int32)
    predicted = TrainedClassifier().predict(**batch, is_query=from_item(batch, 12), num_labels=V)
    permuted = TrainedClassifier().predict(
        batch["items"], order[batch["labels"]], is_query=from_item(batch, 12), num_labels=7
    )
    np.testing.assert_array_equal(permuted, order[predicted])


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_items_does_not_matter(scale: float) -> None:
    batch = clusters(tasks=3, items=30)
    asked = from_item(batch, 15), V
    there = TrainedClassifier().predict(scale * batch["items"], batch["labels"], *asked)
    np.testing.assert_array_equal(there, TrainedClassifier().predict(batch["items"], batch["labels"], *asked))


def test_one_program_serves_any_number_of_tasks_and_steps_and_up_to_16_items() -> None:
    batch = clusters(tasks=40, items=16, width=3)
    for B, S, steps in ((2, 16, 1), (40, 4, 2), (1, 1, 3)):
        part = {name: values[:B, :S] for name, values in batch.items()}
        TrainedClassifier(hidden=(3,), steps=steps).predict(**part, is_query=from_item(part, 2), num_labels=V)
        compiled = networks._labels._cache_size() if B == 2 else compiled
        assert networks._labels._cache_size() == compiled


def test_the_outer_gradient_is_that_of_the_queries_at_the_point_the_context_leads_to() -> None:
    batch, known = clusters(tasks=2, items=8), jnp.array([2, 6])
    loss, ours = maml._outer_gradient(begun(), *map(jnp.asarray, batch.values()), known, networks.Descent(3, 0.5))
    losses, gradients = [], []
    for items, labels, n in zip(*batch.values(), known, strict=True):
        there = by_hand(begun(), items[:n], labels[:n], steps=3, rate=0.5)
        value, gradient = loss_and_gradient(there, items[n:], labels[n:])
        losses.append(value)
        gradients.append(gradient)
    assert_close(loss, np.mean(losses))
    assert_close(ours, jax.tree.map(lambda *each: np.mean(each, axis=0), *gradients))


def test_what_was_meta_trained_on_a_family_knows_it_after_few_steps_and_what_was_not_does_not() -> None:
    batches = (signs(tasks=64, seed=seed) for seed in itertools.count())
    learnt = meta_train(batches, num_labels=2, steps=200, inner_steps=2, inner_rate=1.0, outer=optax.adam(0.03))
    assert learnt.losses.shape == (200,) and learnt.losses[-10:].mean() < 0.6 < learnt.losses[:3].min()
    unseen = signs(tasks=200, seed=10**6)
    asked = unseen["items"], unseen["labels"], from_item(unseen, 4), 2
    right = {
        each: (classifier.predict(*asked) == unseen["labels"])[:, 4:].mean()
        for each, classifier in (("learnt", learnt), ("scratch", TrainedClassifier(steps=2, learning_rate=1.0)))
    }
    assert right["learnt"] > right["scratch"] + 0.2


@pytest.fixture(scope="module")
def learnt() -> MAML:
    return meta_train([clusters(tasks=16, items=8)], num_labels=V, steps=4, tasks_per_step=4, hidden=(5,))


def test_maml_reads_no_label_of_a_query_nor_an_order_nor_other_tasks(learnt: MAML) -> None:
    batch = clusters(tasks=5, items=20)
    is_query, order = from_item(batch, 9), np.random.default_rng(0).permutation(20)
    predicted = learnt.predict(batch["items"], batch["labels"], is_query, V)
    nonsense = np.where(is_query, np.int32(-7), batch["labels"])
    np.testing.assert_array_equal(learnt.predict(batch["items"], nonsense, is_query, V), predicted)
    there = learnt.predict(batch["items"][:, order], batch["labels"][:, order], is_query[:, order], V)
    np.testing.assert_array_equal(there, predicted[:, order])
    alone = learnt.predict(batch["items"][3:4], batch["labels"][3:4], is_query[3:4], V)
    np.testing.assert_array_equal(alone[0], predicted[3])
    assert np.unique(predicted).size > 1
    assert not learnt.predict(batch["items"], batch["labels"], np.ones_like(is_query), V).any()


def test_meta_training_comes_to_the_same_however_the_tasks_are_batched_and_to_other_things_by_seed(
    learnt: MAML,
) -> None:
    tasks = clusters(tasks=16, items=8)
    options: dict[str, Any] = {"num_labels": V, "steps": 4, "tasks_per_step": 4, "hidden": (5,)}
    cut = [{name: values[rows] for name, values in tasks.items()} for rows in (slice(3), slice(3, 10), slice(10, None))]
    again = meta_train(cut, **options)
    jax.tree.map(np.testing.assert_array_equal, again.network, learnt.network)
    np.testing.assert_array_equal(again.losses, learnt.losses)
    other = meta_train(cut, **options, seed=1)
    assert not np.array_equal(other.losses, learnt.losses)
    assert optax.tree.norm(optax.tree.sub(other.network, learnt.network)) > 0.1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 5}, "Wanted 5 x 4 tasks to meta-train on, got fewer than 5 x 4"),
        ({"batches": []}, "got fewer than 1 x 4"),
        ({"num_labels": 2}, r"Wanted labels in 0\.\.1"),
        ({"batches": [clusters(tasks=16, items=8) | {"items": np.full((16, 8, 4), np.nan, np.float32)}]}, "items hold"),
        (
            {"batches": [{name: values[:, :1] for name, values in clusters(tasks=16, items=8).items()}]},
            "at least 2 items",
        ),
        ({"inner_rate": 1e30, "inner_steps": 40}, "Meta-training came to a loss of"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"tasks_per_step": 0}, "tasks_per_step must be a whole number"),
        ({"inner_steps": 0}, "inner_steps must be a whole number"),
        ({"inner_rate": 0.0}, "inner_rate must be a finite number above 0"),
        ({"hidden": (0,)}, "each of hidden must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_meta_training_refuses_what_it_cannot_do(changed: dict[str, Any], message: str, unchecked: None) -> None:
    options = {
        "batches": [clusters(tasks=16, items=8)],
        "num_labels": V,
        "steps": 4,
        "tasks_per_step": 4,
        "hidden": (5,),
    }
    with pytest.raises(ValueError, match=message):
        meta_train(**options | changed)


def test_maml_refuses_tasks_of_other_sizes(learnt: MAML) -> None:
    batch = clusters(tasks=2, items=5)
    with pytest.raises(ValueError, match=re.escape("Wanted items of 4 numbers with 3 labels")):
        learnt.predict(batch["items"], batch["labels"], from_item(batch, 3), V + 1)
    with pytest.raises(ValueError, match="got 3 and 3; meta-train on such tasks"):
        learnt.predict(batch["items"][:, :, 1:], batch["labels"], from_item(batch, 3), V)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("hidden", (0,)), ("hidden", (3, 1.5)), ("steps", 0), ("learning_rate", 0.0), ("optimizer", "lbfgs")],
        *[("penalty", -1.0), ("penalty", np.inf), ("seed", -1)],
    ],
)
def test_options_out_of_range_are_refused_by_name(field: str, value: Any, unchecked: None) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be .*, got "):
        dataclasses.replace(TrainedClassifier(), **{field: value})


def test_descent_that_diverges_is_said_and_counts_as_nothing_learnt() -> None:
    batch = clusters(tasks=3, items=9)
    is_query = np.arange(9)[None].repeat(3, axis=0) >= 6
    with pytest.warns(RuntimeWarning, match="diverged on 3 of 3 tasks"):
        found = TrainedClassifier(learning_rate=1e38).predict(*batch.values(), is_query, V)
    assert (found == 0).all()  # of a network whose last layer is 0 the first label


def test_tasks_of_another_form_than_the_first_are_refused_wherever_they_come() -> None:
    first, later = signs(tasks=4, seed=0), signs(tasks=4, seed=1)
    narrower = later | {"items": later["items"][:, :, :3]}
    with pytest.raises(ValueError, match="tasks of one form"):
        meta_train([first, narrower], num_labels=2, steps=2, tasks_per_step=4)
    beyond = later | {"labels": later["labels"] + 5}
    with pytest.raises(ValueError, match=r"Wanted labels in 0\.\.1"):
        meta_train([first, beyond], num_labels=2, steps=2, tasks_per_step=4)
