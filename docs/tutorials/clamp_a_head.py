# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Clamp a head while it trains
#
# A Transformer that learns in context stays on a plateau first: its loss is that of guessing among the labels of the
# context. What is it waiting for? Singh et al. (2024) *clamp* parts of the circuit while the model trains: what a head
# would compute is given to it, and the rest has to be learnt. If the plateau then is shorter, that part was what took
# long. This page asks the same of sequences of its own: three classes in the context, not two.

# %%
import dataclasses
import itertools
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.data import make_classes
from experiments.omniglot.run import OMNIGLOT

# %% [markdown]
# ## The sequences
#
# A kind is a class with one method. Three classes, one item of each, labelled 0, 1 and 2 in a random order: the query
# is of one of them, and only the context tells its label.


# %%
@dataclasses.dataclass(frozen=True)
class ThreeClasses:
    """A context of three classes and a query of one of them: `b c a (c)`."""

    def mixture(self, split, length):
        classes = split.distribution("rare")
        labels = data.PairLabels(pairs=tuple(itertools.permutations(range(3))))
        pattern = data.Pattern(classes=classes, others=classes, query="first_burst", labels=labels, ways=3, shots=1)
        return ((1.0, pattern),)


# %% [markdown]
# ## The experiment
#
# The experiment is omniglot's with another stream of training: model, loss, interventions, evaluations and folders
# stay. The preset `induction` is a model of two layers without MLPs, all heads of its second layer but one ablated.


# %%
def build(config):
    bank, split = make_classes(config.data)
    experiment = OMNIGLOT.build(config)

    def samplers(of_run):
        sampler = data.SequenceSampler(
            kind=ThreeClasses(), split=split, exemplar_counts=bank.counts, length=4, seed=of_run.train.seed
        )
        return {**experiment.samplers(of_run), lab.TRAIN: data.WithItems(sampler, bank)}

    return dataclasses.replace(experiment, samplers=samplers)


STUDY = lab.Definition("three_classes", build, OMNIGLOT.presets)

# %% [markdown]
# ## The sweep
#
# Three settings. In the first nothing is given; in the second a head of the first layer looks at the
# token before it, as the circuit wants it to; in the third the head of the second layer looks at the labels of items of
# the query's class. On a command line these are `--intervene` and `--grid.intervene`.

# %% tags=["hide-output"]
preset = OMNIGLOT.presets["induction"]
given = {
    "nothing": (),
    "previous token": ("clamp:layer=0,heads=0,to=previous_token",),
    "match": ("clamp:layer=1,heads=0,to=match",),
}
settings = {name: {"intervene": (*preset.intervene, *words)} for name, words in given.items()}
base = lab.with_options(
    preset,
    {
        "data.length": 4,
        "data.ways": 3,
        "optimizer.learning_rate": 1e-3,
        "train.steps": 600,
        "train.checkpoint_every": 600,
        "mode": "train",
        "report": False,
        "workdir": Path(tempfile.mkdtemp(), "clamps"),
    },
)
lab.execute_sweep(STUDY, lab.Sweep(base=base, settings=tuple(settings.values())), vary=("intervene",))

# %% [markdown]
# ## What took long
#
# The loss of training over its steps. The plateau lies at ln 3, the loss of guessing among three; with more seeds
# (`seeds=4` above) the lines are means.

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
when = {}
for name, setting in settings.items():
    wanted = lab.with_options(base, setting)
    runs = [run for run in lab.finished_runs(base) if lab.differ_in_seed_alone(run, wanted)]
    curves = [evaluation.read_run(run.workdir).training_curve("loss") for run in runs]
    mean = evaluation.over_seeds(curves)
    when[name] = evaluation.time_of_emergence(mean, threshold=0.4 * np.log(3), falling=True)
    axes.plot(mean.steps, mean.values, label=f"given: {name}")
    print(f"{name}: below 0.4 ln 3 {when[name]}")
axes.axhline(np.log(3), color="grey", linestyle=":", label="ln 3")
axes.set(xlabel="step", ylabel="loss of training", ylim=(0, 1.6))
axes.legend()
plt.show()
assert when["match"].happened and when["match"].step < when["nothing"].step

# %% [markdown]
# With the match given the plateau is gone: what is left to learn, copying a label that is attended to, takes some fifty
# steps. So finding the right label is what takes long, and the token before is the smaller part of it: given that one
# alone, the plateau outlasts these steps, as it does with nothing given.
#
# ## Further
#
# - [Interventions](../running.md#interventions-while-training): clamps, ablations, grafts of another run's parameters,
#   parameters that are forgotten on the way.
# - `nox -s sweep -- omniglot induction --workdir runs/induction` is the study of the paper, with eight seeds.
# - [Look inside](look_inside.py) does the same to a model that is trained.
