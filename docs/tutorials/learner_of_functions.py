# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A learner of functions, from scratch and in your hands
#
# A Transformer is shown points of functions that random networks make, a new one each time, and asked for others. It
# ends up with a way of fitting functions, which then works on functions that no network made (Kirsch et al. 2022).
# This page trains a small one, and uses it as an estimator of scikit-learn.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.neighbors import KNeighborsRegressor

import experiments
import icl_lab as lab
from experiments.functions.run import FUNCTIONS

# %% [markdown]
# ## The tasks
#
# Networks of one input, some steeper than others; targets have mean 0 and variance 1 in the context.

# %%
config = lab.with_options(
    FUNCTIONS.presets["laptop"],
    {
        "model.layers": 2,
        "model.width": 32,
        "train.steps": 1_500,
        "eval.every": 250,
        "eval.count": 128,
        "eval.final_count": 128,
        "eval.baseline_count": 0,
        "report": False,
        "workdir": Path(tempfile.mkdtemp(), "run"),
    },
)
tasks = FUNCTIONS.build(config).samplers(config)["train"].sample(np.arange(4))
figure, axes = plt.subplots(1, 4, figsize=(10, 2.4), layout="constrained", sharey=True)
for each, inputs, targets, is_query in zip(axes, tasks["inputs"], tasks["targets"], tasks["is_query"], strict=True):
    each.scatter(inputs[~is_query], targets[~is_query], s=8, label="shown")
    each.scatter(inputs[is_query], targets[is_query], s=14, marker="x", label="asked for")
axes[0].legend()
plt.show()

# %% [markdown]
# ## Training
#
# Errors are a share of those of the best constant: 1 is as good as that, 0 is perfect.

# %%
lab.execute(FUNCTIONS, config, [config])

# %% [markdown]
# ## In your hands
#
# The folder is all that is needed. `fit` trains nothing: it keeps the examples, and `predict` shows them to the
# model. Inputs and targets may have any units.

# %%
ours = lab.Learner.load(config.workdir)
published = lab.Learner.load(Path(experiments.__file__).parents[1] / "zoo" / "functions")  # 4 layers, 3,000 steps
rng = np.random.default_rng(1)
X = rng.uniform(0, 100, size=(30, 1))


def truth(x):
    """Return a function that no network made, in units of its own."""
    return 1e3 * np.sin(x[:, 0] / 12) + 500 * (x[:, 0] > 60)


grid = np.linspace(0, 100, 200)[:, None]
learners = {
    "this run": ours,
    "zoo/functions": published,
    "3-NN": KNeighborsRegressor(3),
    "Gaussian process": GaussianProcessRegressor(RBF(10), alpha=1e-3, optimizer=None, normalize_y=True),
}
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
axes.plot(grid, truth(grid), color="black", linewidth=1, label="truth")
axes.scatter(X, truth(X), color="black", s=14, zorder=3, label="examples")
found = {}
for name, each in learners.items():
    predicted = each.fit(X, truth(X)).predict(grid)
    found[name] = 1 - np.mean((predicted - truth(grid)) ** 2) / np.var(truth(grid))
    axes.plot(grid, predicted, label=f"{name}: R² {found[name]:.2f}")
axes.legend()
plt.show()
assert found["this run"] > 0.6 and found["zoo/functions"] > 0.7

# %% [markdown]
# ## Further
#
# - [Predictions from a trained run](../learners.md): classifiers, tables from the command line, what fits and what
#   does not.
# - `nox -s train -- functions` is the whole run: 12 known families of functions that it was never trained on, each
#   beside twelve baselines and the untrained model.
