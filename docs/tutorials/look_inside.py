# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Look inside: capture, ablate, patch
#
# A Transformer that has learned to learn is in the repository: `zoo/gpicl`. It sees vectors with labels, under a
# projection and a permutation of labels that are new in every sequence, and names each vector before it is told.
# Which of its heads does that?

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import experiments
import icl_eval as evaluation
import icl_lab as lab
from experiments.gpicl.run import GPICL

ZOO = Path(experiments.__file__).parents[1] / "zoo"
run = lab.load_run(ZOO / "gpicl", experiment=GPICL)
batch = run.sampler("unseen_tasks").sample(np.arange(512))
answers = batch["labels"][:, -1]


def accuracy(logits):
    """Return the share of sequences whose last item is named rightly."""
    return float((np.asarray(logits)[:, -1].argmax(axis=1) == answers).mean())


print(run.model.trunk, f"accuracy {accuracy(run.predict(batch)):.3f}, chance 0.25", sep="\n")

# %% [markdown]
# ## Capture
#
# Inner values have names; a pattern takes several. Attention is [B, heads, queries, keys]. A token holds an item and
# the label of the item *before* it. So the label of item j stands in token j + 1, and what a head would have to look
# at are the tokens after items of the query's class.

# %%
_, values = run.instrument(batch, capture=["block_*/attention"])
S = batch["labels"].shape[1]
after_same = np.zeros((len(answers), S), bool)
after_same[:, 1:] = batch["labels"][:, :-1] == answers[:, None]
expected = after_same.mean(axis=1)  # what a head would have there that looks everywhere alike
scores = np.array(
    [
        [(np.asarray(attention)[:, head, -1] * after_same).sum(axis=1).mean() for head in range(attention.shape[1])]
        for attention in values.values()
    ]
)
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
image = axes.imshow(scores, vmin=0, vmax=1, cmap="viridis")
axes.set(
    xlabel="head",
    ylabel="block",
    yticks=range(len(scores)),
    title=f"attention after items of the same label (alike: {expected.mean():.2f})",
)
figure.colorbar(image)
plt.show()
assert scores.max() > 2 * expected.mean()

# %% [markdown]
# ## Ablate
#
# `replace` puts something else in the place of a value, here zeros where a head gives its output, and the rest of the
# model goes on with that.


# %%
def without(block, head):
    """Return the accuracy without a head."""
    logits, _ = run.instrument(batch, replace={f"block_{block}/heads": lambda heads: heads.at[:, :, head].set(0)})
    return accuracy(logits)


layers, heads = scores.shape
lost = accuracy(run.predict(batch)) - np.array(
    [[without(block, head) for head in range(heads)] for block in range(layers)]
)
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
for block in range(layers):
    axes.scatter(scores[block], lost[block], label=f"block {block}")
axes.set(xlabel="attention after items of the same label", ylabel="accuracy lost without the head")
axes.legend()
plt.show()
block, head = np.unravel_index(lost.argmax(), lost.shape)
print(f"most is lost without head {head} of block {block}: {lost.max():.3f}")

# %% [markdown]
# The head that is missed most looks at none of those tokens. A label stands one token after its item, so somebody
# must first bring the two together: a *previous-token head*. Then heads of the next block can look for labels of
# items like the query. Together they are an induction circuit (Olsson et al. 2022).

# %%
first = np.asarray(values["block_0/attention"])  # [B, H, T, T]
previous = first[:, :, np.arange(1, S), np.arange(S - 1)].mean(axis=(0, 2))
print("attention to the token before, by head of block 0:", previous.round(2))
assert block == 0 and previous.argmax() == head

# %% [markdown]
# ## Patch
#
# Two contexts that differ in their labels alone: in the second every label is shifted by one. What a model has made
# of the first context is then carried into its run on the second: the residual stream at all tokens but the last,
# after one of the blocks. If the answer is read from the context at a later block, it turns from the second's to the
# first's.

# %%
other = dict(batch, labels=(batch["labels"] + 1) % 4)
_, source = run.instrument(batch, capture=["block_*/residual"])


def patched(block):
    """Return how often the answer is that of the first context, and that of the second."""
    taken = source[f"block_{block}/residual"]
    replace = {f"block_{block}/residual": lambda own: taken.at[:, -1].set(own[:, -1])}
    logits, _ = run.instrument(other, replace=replace)
    named = np.asarray(logits)[:, -1].argmax(axis=1)
    return (named == answers).mean(), (named == (answers + 1) % 4).mean()


shares = np.array([patched(block) for block in range(layers)])
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
axes.plot(shares[:, 0], "o-", label="the first context's answer")
axes.plot(shares[:, 1], "o-", label="the second's")
axes.set(xlabel="context carried over after block", ylabel="share of answers", xticks=range(layers), ylim=(0, 1))
axes.legend()
plt.show()
assert shares[0, 0] > shares[0, 1]  # after the first block, most of the answer is still to be read from the context
assert shares[-1, 1] > shares[-1, 0]  # after the last block nothing is read any more

# %% [markdown]
# ## Patch one token at a time
#
# Which tokens carry it? `run.patching` takes single values of the first run into the second, and `patch_each` asks it
# for each layer and token: how much of the difference between the two answers' logits comes back with that value
# alone. All of it is 1.

# %%
names = [f"block_{block}/residual" for block in range(layers)]
carried = run.patching(batch, other, names=names)
found = evaluation.patch_each(
    lambda mask: carried(mask)[:, -1], layers=layers, tokens=S, first_answers=answers, second_answers=(answers + 1) % 4
)
evaluation.heat_map(
    found.recovered.round(2) + 0.0,  # no -0.00
    row_names=[f"block {block}" for block in range(layers)],
    column_names=[str(token) for token in range(S)],
    row_title="after",
    column_title="token",
    title="Share of the logit difference that comes back",
)

# %% [markdown]
# After the first block the context holds the answer, and the query fetches it later; after the last block the query
# has it, and what the context holds no longer matters.
#
# ## Further
#
# - [All names](../../packages/icl-models/README.md) that can be captured and replaced.
# - Whole runs measure heads by themselves: scores over training, and what is lost without each, are in every report
#   of `omniglot`.
