# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Watch in-context learning emerge
#
# A small Transformer sees eight images with their labels and a ninth image, and must name it. A class has the same
# label in all of training, so a model may learn the labels by heart: *in-weights learning* (IWL). But every sequence
# is *bursty*: the class of the ninth image stands among the eight, too, and its label can be read there: *in-context
# learning* (ICL). For a thousand steps and more the model seems to learn neither. Then, within a few hundred, it
# learns to look for the image in its context (Chan et al. 2022).

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.run import OMNIGLOT

# %% [markdown]
# ## The data
#
# An experiment is a value, and so is its configuration. `laptop` invents 1,600 characters to train on and holds 336
# out. These are a few sequences as training has them, each image below its label; the last one is the query.

# %%
config = lab.with_options(
    OMNIGLOT.presets["laptop"],
    {
        "train.steps": 3_600,
        "eval.every": 200,
        "eval.count": 400,
        "eval.final_count": 1_000,
        "eval.heads_count": 0,
        "eval.ablation_count": 0,
        "report": False,
        "workdir": Path(tempfile.mkdtemp(), "run"),
    },
)
training = OMNIGLOT.build(config).samplers(config)["train"]
batch = training.sample(np.arange(3))
figure, axes = plt.subplots(3, 9, figsize=(9, 3.6), layout="constrained")
for row, column in np.ndindex(3, 9):
    axes[row, column].imshow(batch["images"][row, column], cmap="gray_r", vmin=0, vmax=255)
    label = "?" if column == 8 else str(batch["labels"][row, column])
    axes[row, column].set(title=label, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## The run
#
# What the command `nox -s train -- laptop` does: train, evaluate on the way, and write everything into a folder. ICL
# is the accuracy on classes that were never trained on, between the two labels of the context: chance is 0.5. IWL is
# the accuracy on trained classes that the context does not show.

# %%
lab.execute(OMNIGLOT, config, [config])

# %% [markdown]
# ## When it came
#
# `load_run` gives a run back from its folder. Each number has a 95 % interval.

# %%
run = lab.load_run(config.workdir, experiment=OMNIGLOT)
icl = run.results.evaluation_curve("fewshot_holdout", "accuracy_closed")
iwl = run.results.evaluation_curve("no_support_zipfian", "accuracy_open")
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for curve, name in ((icl, "in context (ICL)"), (iwl, "in weights (IWL)")):
    axes.plot(curve.steps, curve.values, "o-", markersize=3, label=name)
    axes.fill_between(curve.steps, curve.low, curve.high, alpha=0.2)
axes.axhline(0.5, color="grey", linestyle=":", label="chance of ICL")
axes.set(xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
axes.legend()
plt.show()
assert icl.values[:2].max() < 0.65 and icl.values.max() > 0.85

# %%
print("ICL came to 0.8", evaluation.time_of_emergence(icl, threshold=0.8))

# %% [markdown]
# ## What it looks at
#
# The attention of the last layer, from the query back to the context, in three sequences that it answers. Tokens take
# turns: an image, its label, an image, its label. The model looks at the *labels* of images of the query's class: the
# token after each of them, which an *induction head* of two layers is known for.

# %%
held_out = run.sampler("fewshot_holdout").sample(np.arange(3))
_, values = run.instrument(held_out, capture=["block_*/attention"])
last = np.asarray(values[f"block_{run.model.trunk.layers - 1}/attention"])[:, :, -1].max(axis=1)
figure, axes = plt.subplots(3, 1, figsize=(9, 4), layout="constrained", sharex=True)
for row in range(3):
    same = held_out["classes"][row, :8] == held_out["classes"][row, 8]
    colours = [colour for is_same in same for colour in ("lightgrey", "C1" if is_same else "C0")] + ["lightgrey"]
    axes[row].bar(np.arange(17), last[row], color=colours)
    axes[row].set(ylabel="attention", ylim=(0, 1))
axes[2].set(xlabel="token (orange: labels of images of the query's class; blue: other labels; grey: images)")
plt.show()

# %% [markdown]
# ## Further
#
# - [Look inside](look_inside.py) takes heads out, and carries what one sequence made of its context into another.
# - `nox -s train -- laptop` has the whole report: intervals, baselines, scores of heads, ablations.
# - [Properties of the data](../results/properties.md): without bursts, or with few classes, ICL does not come.
