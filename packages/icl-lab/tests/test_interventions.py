"""Interventions by their words; grafts and forgetting in runs, resumed ones and ensembles."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import icl_lab as lab
import icl_train as training
from icl_models import Ablate, Clamp, Preserve
from icl_train import Forget

VALUES = [
    (Clamp(to="match", layer=1, heads=(0,)), "clamp:layer=1,heads=0,to=match"),
    (Ablate(layer=0), "ablate:layer=0"),
    (
        Preserve(layer=1, taps=("attention", "value"), ablated_layer=0, ablated_heads=(1, 2)),
        "preserve:layer=1,taps=attention+value,ablated_layer=0,ablated_heads=1+2",
    ),
    (
        lab.Graft(run=Path("/runs/x"), params="b{1,2}/(query|key)", step=500, layers=(1,), frozen=True),
        "graft:run=/runs/x,params=b{1,2}/(query|key),step=500,layers=1,frozen",
    ),
    (Forget(params="a,b=", every=100, until=2_000), "forget:params=a,b=,every=100,until=2000"),
]


@pytest.mark.parametrize(("value", "words"), VALUES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_value_is_its_words_and_words_are_their_value(value, words):
    assert lab.words_of(value) == words
    assert lab.intervention_of(words) == value


def test_ranges_and_paths_are_written_in_one_way(toy):
    asked = ["ablate:heads=0-2+7,layer=1", "graft:run=here,params=w"]
    assert toy.ToyConfig(intervene=tuple(asked)).intervene == (
        "ablate:layer=1,heads=0+1+2+7",
        f"graft:run={Path('here').absolute()},params=w",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("clmp:layer=1", "the kinds are clamp, ablate, preserve, graft, forget"),
        ("clamp", "begins with its kind"),
        ("ablate:layr=1", "ablate has no 'layr'; perhaps layer was meant"),
        ("ablate:layer=1,layer=2", "has layer twice"),
        ("ablate:heads=1", "lacks layer"),
        ("ablate:layer=one", "wants whole numbers, such as 2 or, of several, 0-3"),
        ("ablate:layer=0,heads=1,2", "wants whole numbers"),
        ("ablate:layer=0,heads=7-1", "ranges from low to high, such as 1-7"),
        ("graft:run=x,params=(", "regular expression"),
        ("preserve:layer=1,taps=key,ablated_heads=1", "wants the ablated_layer"),
        ("graft:run=x,params=w,frozen=yes", "it stands alone, as in frozen"),
        ("graft:run,params=w", "it wants a value, as in run="),
        ("forget:params=(,every=1", "regular expression"),
    ],
)
def test_words_that_say_nothing_are_refused_with_what_there_is(words, message, toy):
    with pytest.raises(ValueError, match=message):
        toy.ToyConfig(intervene=(words,))


def params_of(folder, step=6):
    member = int(folder.name[-3:]) if folder.name.startswith("member") else None
    where = folder if member is None else folder.parent
    return np.asarray(training.restore_model(where, step=step, member=member).params["w"])


def test_a_graft_is_what_a_run_begins_with_and_a_frozen_one_what_it_ends_with(run, finished, tmp_path):
    words = ["--intervene", f"graft:run={finished},params=w,step=3,layers=0,frozen", "--train.seed", 5, "--no-report"]
    run("toy", *words, "--workdir", tmp_path / "frozen")
    np.testing.assert_array_equal(params_of(tmp_path / "frozen"), params_of(finished, 3))
    recorded = json.loads((tmp_path / "frozen" / "config.json").read_text())["config"]["intervene"]
    assert recorded == [f"graft:run={finished},params=w,step=3,layers=0,frozen"]


def test_a_run_that_was_stopped_needs_its_source_no_more(run, finished, tmp_path):
    source = shutil.copytree(finished, tmp_path / "source")
    words = ["--intervene", f"graft:run={source},params=w", "--train.seed", 5, "--no-report"]
    run("toy", *words, "--workdir", tmp_path / "whole")
    run("toy", *words, "--workdir", tmp_path / "cut", "--train.steps", 3)
    shutil.rmtree(source)
    run(tmp_path / "cut", "--resume", "--train.steps", 6, "--no-report")
    np.testing.assert_array_equal(params_of(tmp_path / "whole"), params_of(tmp_path / "cut"))
    assert not np.any(params_of(tmp_path / "whole") == params_of(finished)), "it is trained on"


def test_members_of_an_ensemble_take_the_same_graft_and_forget_by_their_own_seeds(run, finished, tmp_path):
    taken, words = params_of(finished), ["--train.ensemble.members", 2, "--no-report"]
    run("toy", "--intervene", f"graft:run={finished},params=w,frozen", *words, "--workdir", tmp_path / "grafted")
    still = [
        "--optimizer.learning-rate",
        1e-30,
    ]  # so that what is drawn after step 5 is there after 6
    run("toy", "--intervene", "forget:params=w,every=5", *still, *words, "--workdir", tmp_path / "forgetful")
    members = [tmp_path / "grafted" / f"member-00{number}" for number in (0, 1)]
    for each in members:
        np.testing.assert_array_equal(params_of(each), taken)
    for seed in (0, 1):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 0), 5)
        drawn = jax.random.normal(key, taken.shape)
        np.testing.assert_allclose(params_of(tmp_path / "forgetful" / f"member-00{seed}"), drawn, rtol=1e-6)


@pytest.mark.parametrize(
    ("intervene", "message"),
    [
        (["graft:run=/nowhere,params=w"], "wanted a checkpoint in /nowhere"),
        (["graft:run={run},params=w,step=4"], "the checkpoint of step 4"),
        (["graft:run={run},params=v"], "matches a parameter, got 'v'; the parameters are w"),
        (["graft:run={run},params=w,layers=7"], "rows of 'w' below"),
        (["forget:params=v,every=3"], "matches no parameter; there are w"),
        (["graft:run={run},params=w", "forget:params=.,every=3"], "would draw w anew, which Graft"),
        (["ablate:layer=0"], "for a loss that has interventions"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(run, finished, tmp_path, capsys, intervene, message):
    words = [each.format(run=finished) for each in intervene]
    with pytest.raises(SystemExit):
        run("toy", "--intervene", *words, "--workdir", tmp_path / "run")
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_begun_with_another_and_with_grafts(toy):
    with pytest.raises(ValueError, match="init_from would take the place"):
        toy.ToyConfig(init_from=Path("x"), intervene=("graft:run=y,params=w",))
