"""A network that has learnt where to begin, so that a few gradient steps on a context tell the labels of the rest."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.baselines.context import Inputs, Labels, Queries, labelled
from icl_eval.baselines.networks import (
    Context,
    Descent,
    Network,
    fitted,
    initial_network,
    mean_loss,
    predicted_labels,
)
from icl_eval.checks import check_positive, check_whole


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MAML:
    """A classifier that begins at a learnt point and takes a few gradient steps on the context; see `meta_train`.

    Attributes:
      network: where it begins.
      inner_steps: of plain gradient descent, all of the context in each.
      inner_rate: their learning rate.
      losses: cross-entropy of the queries after these steps, in nats, in each step of meta-training.

    Source: Finn et al. (2017), arXiv 1703.03400.
    """

    network: Network
    inner_steps: int
    inner_rate: float
    losses: Float[np.ndarray, " steps"]

    def predict(self, items: Inputs, labels: Labels, is_query: Queries, num_labels: int) -> Labels:
        """See `Classifier`; items and labels are of as many numbers and kinds as in meta-training, or a ValueError."""
        tasks = labelled(items, labels, is_query, num_labels)
        wanted = len(self.network[0].weights), len(self.network[-1].bias)
        if wanted != (tasks.inputs.shape[2], num_labels):
            raise ValueError(
                f"Wanted items of {wanted[0]} numbers with {wanted[1]} labels, as in meta-training, got "
                f"{tasks.inputs.shape[2]} and {num_labels}; meta-train on such tasks."
            )
        possible = np.ones((len(tasks.targets), num_labels), bool)
        return predicted_labels(self.network, tasks, possible, Descent(self.inner_steps, self.inner_rate))


def meta_train(
    batches: Iterable[Mapping[str, Any]],
    *,
    num_labels: int,
    steps: int,
    tasks_per_step: int = 64,
    hidden: tuple[int, ...] = (64,),
    inner_steps: int = 10,
    inner_rate: float = 3.0,
    outer: Any = None,
    seed: int = 0,
) -> MAML:
    """Return a point from which a few gradient steps on a context make a good classifier, by first-order MAML.

    Of each task the first n items are the context, n drawn uniformly from 1..S-1, and the rest are queries. The outer
    gradient is that of the queries' mean cross-entropy at the point that the inner steps come to, averaged over tasks.

    Args:
      batches: dicts of `items` [B, S, X] and `labels` int [B, S], of tasks such as the classifier is to meet; of any
        B, at least steps x tasks_per_step in all. What is not needed is not asked for.
      num_labels: V, how many labels there are.
      steps: of the outer optimiser, at least 1.
      tasks_per_step: tasks that an outer gradient is the mean over.
      hidden: the units of each hidden layer; () is a linear softmax.
      inner_steps: of plain gradient descent on the context, at least 1.
      inner_rate: their learning rate, for weights that are divided by the root of their fan-in and items whose numbers
        have a variance of about 1.
      outer: an `optax.GradientTransformation`; Adam at 0.003 if None.
      seed: of the initial weights and the sizes of contexts.

    Raises:
      ValueError: if an option is out of range, the batches end early or are not as above, or a loss is not finite.

    Source: Finn et al. (2017), arXiv 1703.03400, section 5.2, for the first-order form; Kirsch et al. (2022), arXiv
    2212.04458, table 1, for its use here.

    >>> sides = np.arange(8).reshape(1, 8, 1) % 3 - 1.0  # two kinds of items, and either may have either label
    >>> labels = (sides[:, :, 0] > 0).astype(np.int32) ^ np.array([[0], [1]], np.int32)
    >>> tasks = {"items": sides.repeat(2, axis=0), "labels": labels}
    >>> learnt = meta_train(itertools.repeat(tasks), num_labels=2, steps=3, tasks_per_step=2)
    >>> learnt.predict(sides, labels[1:], np.arange(8)[None] >= 4, 2)
    array([[1, 1, 0, 1, 1, 0, 1, 1]], dtype=int32)
    """
    import optax

    for name, value in {"steps": steps, "tasks_per_step": tasks_per_step, "inner_steps": inner_steps}.items():
        check_whole(name, value, least=1)
    for units in hidden:
        check_whole("each of hidden", units, least=1)
    check_whole("seed", seed, least=0)
    check_positive("inner_rate", inner_rate)
    optimizer = optax.adam(0.003) if outer is None else outer
    inner = Descent(inner_steps, inner_rate)

    @jax.jit
    def step(
        network: Network, moments: Any, items: Float[Array, "B S X"], labels: Int[Array, "B S"], known: Int[Array, " B"]
    ) -> tuple[Network, Any, Float[Array, ""]]:
        loss, gradient = _outer_gradient(network, items, labels, known, inner)
        updates, moments = optimizer.update(gradient, moments, network)
        return optax.apply_updates(network, updates), moments, loss

    generator = np.random.default_rng(seed)
    network: Network | None = None
    moments, losses = None, []
    for items, labels in itertools.islice(_tasks(batches, tasks_per_step), steps):
        _check_tasks(items, labels, num_labels)
        if network is None:
            network = initial_network(seed, (items.shape[2], *hidden, num_labels))
            moments = optimizer.init(network)
        known = generator.integers(1, labels.shape[1], size=len(labels))
        network, moments, loss = step(network, moments, items, labels, known)
        losses.append(loss)
    if network is None or len(losses) < steps:
        raise ValueError(
            f"Wanted {steps} x {tasks_per_step} tasks to meta-train on, got fewer than {len(losses) + 1} x "
            f"{tasks_per_step}; give more, or ask for fewer steps."
        )
    found = np.array(losses, np.float64)
    if not np.isfinite(found).all():
        raise ValueError(
            f"Meta-training came to a loss of {found[~np.isfinite(found)][0]}; lower inner_rate, or check the items."
        )
    return MAML(network=network, inner_steps=inner_steps, inner_rate=inner_rate, losses=found)


def _outer_gradient(
    network: Network, items: Float[Array, "B S X"], labels: Int[Array, "B S"], known: Int[Array, " B"], inner: Descent
) -> tuple[Float[Array, ""], Network]:
    """Return the mean loss of queries after the inner steps, and the mean of its gradients there."""

    def of_one(
        items: Float[Array, "S X"], labels: Int[Array, " S"], known: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Network]:
        is_known = jnp.arange(len(labels)) < known
        task = Context(items, labels, is_known.astype(jnp.float32), jnp.ones(len(network[-1].bias), bool))
        queries = task._replace(weight=1 - task.weight)
        return jax.value_and_grad(mean_loss)(fitted(network, task, inner), queries)

    return jax.tree.map(lambda each: each.mean(axis=0), jax.vmap(of_one)(items, labels, known))


def _tasks(
    batches: Iterable[Mapping[str, Any]], count: int
) -> Iterator[tuple[Float[np.ndarray, "B S X"], Int[np.ndarray, "B S"]]]:
    """Yield `count` tasks at a time, in their order, whatever the sizes of the batches."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        fresh = [np.asarray(batch["items"], np.float32), np.asarray(batch["labels"])]
        shapes = [[values.shape[1:] for values in each] for each in (waiting, fresh)]
        if shapes[0] and shapes[0] != shapes[1]:
            raise ValueError(f"Wanted tasks of one form, items and labels {shapes[0]} of each, got {shapes[1]} later.")
        waiting = [np.concatenate(pair) for pair in zip(waiting, fresh, strict=True)] if waiting else fresh
        while len(waiting[0]) >= count:
            items, labels = (values[:count] for values in waiting)
            waiting = [values[count:] for values in waiting]
            yield items, labels


def _check_tasks(items: np.ndarray, labels: np.ndarray, num_labels: int) -> None:
    labelled(items, labels, np.zeros(np.shape(labels), bool), num_labels)
    if labels.shape[1] < 2:
        raise ValueError(f"Wanted tasks of at least 2 items, a context and a query, got {labels.shape[1]}.")
