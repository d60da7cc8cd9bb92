# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A sweep and its table
#
# How many linear functions must a model be trained on before it learns linear regression, and not those functions?
# One option, four values, two seeds each: a *sweep*. Runs of equal shapes train together, a finished one is never
# run again, and all of them make one tidy table.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import icl_eval as evaluation
import icl_lab as lab
from experiments.linear.run import LINEAR

# %% [markdown]
# ## The sweep
#
# The same from the command line is `nox -s sweep -- linear laptop --grid.data.num-tasks 4 64 1024 None --seeds 2
# --workdir runs/s`.

# %% tags=["hide-output"]
base = lab.with_options(
    LINEAR.presets["laptop"],
    {
        "data.num_inputs": 3,
        "model.layers": 2,
        "model.width": 32,
        "train.steps": 1_000,
        "eval.every": 100,
        "eval.count": 256,
        "eval.baseline_count": 64,
        "report": False,
        "workdir": Path(tempfile.mkdtemp(), "sweep"),
    },
)
pools = (4, 64, 1_024, None)
sweep = lab.Sweep(base=base, settings=tuple({"data.num_tasks": count} for count in pools), seeds=2)
lab.execute_sweep(LINEAR, sweep, vary=("data.num_tasks",))

# %% [markdown]
# ## The table
#
# A row for each run and evaluated step, or for the last alone; each metric with its 95 % interval.

# %%
last = evaluation.table(base.workdir, last=True).to_pandas()
errors = {name: f"{name}_tasks.squared_error" for name in ("seen", "unseen")}
last[["data.num_tasks", "seed", "step", *errors.values(), f"{errors['unseen']}.high"]]

# %% [markdown]
# ## What it says
#
# The gap between seen and unseen tasks closes as the pool grows. `None` are fresh tasks for ever.

# %%
pooled = last[last["data.num_tasks"] != "None"]
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, column in errors.items():
    axes.scatter(pooled["data.num_tasks"].astype(int), pooled[column], label=f"{name} tasks")
axes.set(xscale="log", yscale="log", xlabel="tasks in the pool", ylabel="squared error after 1,000 steps")
axes.legend()
plt.show()
by_pool = last.groupby("data.num_tasks")[list(errors.values())].mean()
assert by_pool.loc["4", errors["unseen"]] > 50 * by_pool.loc["4", errors["seen"]]
assert by_pool.loc["1024", errors["unseen"]] < 2 * by_pool.loc["1024", errors["seen"]]

# %% [markdown]
# ## When it came
#
# The first step at which the error on unseen tasks came below a threshold, by interpolation between evaluations;
# with quartiles over seeds, and censored where it never did.

# %%
came = evaluation.emergence_table(base.workdir).to_pandas()
came[["data.num_tasks", "metric", "threshold", "seeds", "censored", "step.lower", "step.median", "step.upper"]]

# %% [markdown]
# ## Further
#
# - [Sweeps](../running.md#sweeps): grids of several options, named settings, dry runs with projected time, many
#   machines on one folder.
# - A page with figures of all of it is `sweep.html` of the folder.
