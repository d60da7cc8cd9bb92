# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # icl-data alone: PyTorch, Flax NNX, Equinox
#
# icl-data gives dictionaries of NumPy arrays and asks nothing of what takes them. This page trains the same small
# model in three libraries, each by a plain loop over the same stream. `pip install ./packages/icl-data` is all that
# it needs of this project.
#
# ## The stream
#
# Few-shot problems: two classes, each four times in the context under the label 0 or 1, then an item of one of
# them. Which label is which is drawn anew for each sequence, so it can only be learnt from the context.

# %%
import numpy as np

from icl_data import BatchSource, ClassSplit, FewShot, SequenceSampler, batches, gaussian

bank = gaussian(1000, dimensions=16, within=0.1)  # points around 1,000 class means: nothing to download
split = ClassSplit(num_classes=1000, rare=800, holdout=200)


def stream(classes):
    """Return batches of 64 few-shot problems of one set of classes; the same ones whenever it is called."""
    sampler = SequenceSampler(
        kind=FewShot(classes=classes), split=split, exemplar_counts=bank.counts, seed=0, stream=f"few_shot_{classes}"
    )
    return iter(batches(BatchSource(sampler=sampler, bank=bank, batch_size=64)))


batch = next(stream("rare"))
print({key: (values.dtype.name, values.shape) for key, values in batch.items()})
print(batch["labels"][:3])

# %% [markdown]
# The last item of a sequence is the query. A model must not see its label, so this is what all three are given:
# each item with its label in a code of two numbers, which are zero for the query. The model is one layer of
# attention; its answer is read off at the query.

# %%
STEPS, WIDTH, HEADS = 400, 64, 4


def tokens_and_answers(batch):
    """Return float32 [B, S, 18], items with their labels, and int64 [B], the labels of the queries."""
    code = np.eye(2, dtype=np.float32)[batch["labels"]]
    code[:, -1] = 0
    return np.concatenate([batch["items"], code], axis=-1), batch["labels"][:, -1].astype(np.int64)


test = [tokens_and_answers(batch) for _, batch in zip(range(16), stream("holdout"))]  # classes that no training sees


def accuracy(predict):
    """Return how often a function from tokens to logits is right, of 1,024 sequences."""
    return float(np.mean([np.asarray(predict(tokens)).argmax(-1) == answers for tokens, answers in test]))


# %% [markdown]
# ## PyTorch

# %% tags=["needs-torch"]
import torch


class TorchModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(18, WIDTH)
        self.attend = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.hidden = torch.nn.Linear(WIDTH, 4 * WIDTH)
        self.out = torch.nn.Linear(4 * WIDTH, 2)

    def forward(self, tokens):
        x = self.embed(tokens)
        query = x[:, -1:]
        query = query + self.attend(query, x, x, need_weights=False)[0]
        return self.out(torch.relu(self.hidden(query[:, 0])))


torch.manual_seed(0)
torch_model = TorchModel()
adam = torch.optim.Adam(torch_model.parameters(), lr=3e-3)
for _, batch in zip(range(STEPS), stream("rare")):
    tokens, answers = map(torch.from_numpy, tokens_and_answers(batch))
    loss = torch.nn.functional.cross_entropy(torch_model(tokens), answers)
    adam.zero_grad()
    loss.backward()
    adam.step()

with torch.no_grad():
    result = accuracy(lambda tokens: torch_model(torch.from_numpy(tokens)))
print(f"PyTorch: {result:.3f} on held-out classes, by chance 0.5")
assert result > 0.9

# %% [markdown]
# A `BatchSource` is also a map-style data set of whole batches, which PyTorch's `DataLoader` takes as it is, with
# worker processes of its own: [the README](../../packages/icl-data/README.md#batches-for-any-loop) has the lines.
#
# ## Flax NNX

# %%
import jax
import optax
from flax import nnx


class FlaxModel(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Linear(18, WIDTH, rngs=rngs)
        self.attend = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.hidden = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.out = nnx.Linear(4 * WIDTH, 2, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens)
        query = x[:, -1:]
        query = query + self.attend(query, x)
        return self.out(nnx.relu(self.hidden(query[:, 0])))


def cross_entropy(logits, answers):
    return optax.softmax_cross_entropy_with_integer_labels(logits, answers).mean()


@nnx.jit
def flax_step(model, optimizer, tokens, answers):
    gradients = nnx.grad(lambda model: cross_entropy(model(tokens), answers))(model)
    optimizer.update(model, gradients)


flax_model = FlaxModel(nnx.Rngs(0))
optimizer = nnx.Optimizer(flax_model, optax.adam(3e-3), wrt=nnx.Param)
for _, batch in zip(range(STEPS), stream("rare")):
    flax_step(flax_model, optimizer, *tokens_and_answers(batch))

result = accuracy(nnx.jit(flax_model))
print(f"Flax NNX: {result:.3f} on held-out classes, by chance 0.5")
assert result > 0.9

# %% [markdown]
# ## Equinox

# %%
import equinox as eqx


class EquinoxModel(eqx.Module):
    embed: eqx.nn.Linear
    attend: eqx.nn.MultiheadAttention
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.embed = eqx.nn.Linear(18, WIDTH, key=keys[0])
        self.attend = eqx.nn.MultiheadAttention(HEADS, WIDTH, key=keys[1])
        self.hidden = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=keys[2])
        self.out = eqx.nn.Linear(4 * WIDTH, 2, key=keys[3])

    def __call__(self, tokens):  # of one sequence
        x = jax.vmap(self.embed)(tokens)
        query = x[-1:]
        query = query + self.attend(query, x, x)
        return self.out(jax.nn.relu(self.hidden(query[0])))


equinox_adam = optax.adam(3e-3)


@eqx.filter_jit
def equinox_step(model, state, tokens, answers):
    gradients = eqx.filter_grad(lambda model: cross_entropy(jax.vmap(model)(tokens), answers))(model)
    updates, state = equinox_adam.update(gradients, state)
    return eqx.apply_updates(model, updates), state


equinox_model = EquinoxModel(jax.random.key(0))
state = equinox_adam.init(eqx.filter(equinox_model, eqx.is_inexact_array))
for _, batch in zip(range(STEPS), stream("rare")):
    equinox_model, state = equinox_step(equinox_model, state, *tokens_and_answers(batch))

result = accuracy(eqx.filter_jit(lambda tokens: jax.vmap(equinox_model)(tokens)))
print(f"Equinox: {result:.3f} on held-out classes, by chance 0.5")
assert result > 0.9

# %% [markdown]
# ## Stopping and going on
#
# The stream can say where it is, and go back there: store this beside your own checkpoint.

# %%
numbers = stream("rare")
next(numbers)
position = numbers.get_state()
later = next(numbers)["index"]
numbers.set_state(position)
assert np.array_equal(next(numbers)["index"], later)
print(position)

# %% [markdown]
# A loop with checkpoints, exact resuming, ensembles and metrics, for parameters of any of these JAX libraries, is
# [icl-train](../../packages/icl-train/README.md#models-of-flax-nnx-and-equinox).
