# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own kind of sequence
#
# A *kind* of sequence says which classes stand where, and how they are labelled. icl-data has
# [several](../../packages/icl-data/README.md#sequences); this page makes another, looks at it, trains a small model
# on it and asks how well the model does.
#
# The question: *a class is shown a few times among other classes that are shown once, and every label is the throw
# of a coin. Then the class is shown again, without its label. Does a model learn to look for it?* The labels mean
# nothing outside of their sequence, so nothing can be learnt by heart.

# %%
import dataclasses
import tempfile

import jax
import matplotlib.pyplot as plt
import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_models as models
import icl_train

# %% [markdown]
# ## The labels
#
# A labelling is a class with two methods. It is given the *draws* of B sequences, and a number in [0, 1) for each.
# A draw is a class that was drawn: all items of a burst share one, so the class that is repeated keeps its label.


# %%
class Coins:
    """Label every class of a sequence 0 or 1, by a coin."""

    def label(self, draws, uniforms):
        return (uniforms < 0.5).astype(np.int64)

    def num_labels(self, split):
        return 2


# %% [markdown]
# ## The kind
#
# A kind is a class with one method, `mixture(split, length)`, which returns patterns with probabilities. A
# `Pattern` has bursts (`ways` classes, each `shots` times), fillers, and a query. Here there is one burst, which
# the query is of, and `avoid="query"` keeps its class out of the fillers. With several `shots` each is as likely as
# the others.


# %%
@dataclasses.dataclass(frozen=True, kw_only=True)
class Needle:
    """A class `shots` times among others: `a b a c d e f g (a)`."""

    shots: tuple[int, ...]
    classes: data.ClassSet = "rare"

    def mixture(self, split, length):
        classes = split.distribution(self.classes)
        patterns = [
            data.Pattern(
                classes=classes,
                others=classes,
                query="burst",
                labels=Coins(),
                ways=1,
                shots=shots,
                fillers=length - 1 - shots,
                avoid="query",
            )
            for shots in self.shots
        ]
        return tuple((1 / len(patterns), pattern) for pattern in patterns)


# %% [markdown]
# ## What it makes
#
# The items are points around class means, which need no download. Of 1,000 classes 800 are for training; the model
# never sees the other 200 until it is tested. A sampler makes sequence number *i*, always the same one, whatever
# the batch size.

# %%
bank = data.gaussian(1000, dimensions=16, within=0.1)
split = data.ClassSplit(num_classes=1000, rare=800, holdout=200)
training = data.SequenceSampler(kind=Needle(shots=(1, 2, 4)), split=split, exemplar_counts=bank.counts, seed=0)
print(data.describe(training, count=1000))

# %% [markdown]
# One look at the numbers: the query's class stands in the context once, twice or four times, each in a third of the
# sequences.

# %%
sequences = training.sample(np.arange(3000))
shown = (sequences["classes"][:, :-1] == sequences["classes"][:, -1:]).sum(axis=1)
print({number: int((shown == number).sum()) for number in (1, 2, 4)})
assert set(shown) == {1, 2, 4}

# %% [markdown]
# ## A model and its training
#
# One block of attention, over tokens that hold an item and its label. `icl_train.train` asks for a function that
# makes the parameters, one that gives the loss, and an iterator of batches.

# %%
config = models.SequenceClassifier(
    num_labels=2,
    encoder=models.LinearEncoder(),
    layout=models.Concatenated(),
    trunk=models.Transformer(layers=1, heads=4),
    width=64,
)
model = config.build()


def init(rng):
    batch = training.sample(np.arange(1))
    return model.init(rng, bank.gather(batch["classes"], batch["exemplars"]), batch["labels"])


def loss_fn(params, state, rng, batch):
    logits, state = model.apply(params, state, rng, batch["items"], batch["labels"], is_training=True)
    loss, metrics = models.query_cross_entropy(logits, batch["labels"][:, -1])
    return loss, (metrics, state)


steps = 1500
result = icl_train.train(
    icl_train.TrainConfig(steps=steps, log_every=250),
    init=init,
    loss_fn=loss_fn,
    optimizer=icl_train.OptimizerConfig(learning_rate=3e-3, schedule="cosine").build(steps),
    batches=iter(data.batches(data.BatchSource(sampler=training, bank=bank, batch_size=64))),
    workdir=tempfile.mkdtemp(),
)
print(f"loss {result.final_loss:.3f} after {result.steps} steps; that of guessing is {np.log(2):.3f}")

# %% [markdown]
# ## How well it does
#
# On classes that it never saw, by how often the query's class stands in the context. Guessing is right half of the
# time. *Majority* names the label that most of the context has: a burst of four has a part in that. A number comes
# with its 95 % interval.

# %%
predict = jax.jit(
    lambda batch: model.apply(result.state.params, result.state.model_state, None, batch["items"], batch["labels"])[0]
)
shots = (1, 2, 3, 4, 6)
accuracies, majorities = [], []
for each in shots:
    held_out = dataclasses.replace(training, kind=Needle(shots=(each,), classes="holdout"), stream=f"needle_{each}")
    found = evaluation.evaluate(
        predict,
        data.batches(data.BatchSource(sampler=held_out, bank=bank, batch_size=200)),
        evaluation.Evaluation(f"needle_{each}", possible_labels=range(2)),
        count=2000,
        baselines={"majority": evaluation.context_baselines()["majority"]},
    )
    accuracies.append(found.metrics["accuracy_closed"])
    majorities.append(found.metrics["accuracy_majority"])
    print(f"{each} shots: {accuracies[-1]}; majority {majorities[-1]}")
assert min(each.value for each in accuracies) > 0.9

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for estimates, name in ((accuracies, "model"), (majorities, "majority label")):
    values = np.array([(each.low, each.value, each.high) for each in estimates]).T
    axes.plot(shots, values[1], "o-", label=name)
    axes.fill_between(shots, values[0], values[2], alpha=0.2)
axes.axhline(0.5, color="grey", linestyle=":", label="chance")
axes.set(xlabel="how often the query's class is in the context", ylabel="accuracy, held-out classes", ylim=(0.4, 1.02))
axes.legend()
plt.show()

# %% [markdown]
# Three and six shots it was never trained on. Where one item alone tells the answer, the majority is of little use:
# the model finds that item.
#
# ## Further
#
# - `SequenceSampler` refuses a kind whose patterns do not fit the split or the length, and says why.
# - [`MixtureOf`](../../packages/icl-data/README.md#sequences) mixes your kind with others, each with a share.
# - A whole experiment around it, with a command line, checkpoints, resuming and a report, is
#   [a file of its own](../own_experiment.md).
