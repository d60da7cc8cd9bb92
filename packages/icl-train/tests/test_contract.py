"""Each mistake in what a run is given is one line that says what to do, before anything is trained."""

import json
from collections import OrderedDict
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from icl_train import (
    EnsembleConfig,
    EverySteps,
    Member,
    NotFiniteError,
    OptimizerConfig,
    RunError,
    TrainConfig,
    restore_model,
    train_ensemble,
)


@pytest.fixture(autouse=True)
def unchecked():
    """As users have it: without the checks of signatures that the tests have, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def refused(problem, words, kind=(TypeError, ValueError), **changes):
    with pytest.raises(kind, match=words) as caught:
        problem.run("run", **changes)
    assert "\n" not in str(caught.value)
    folder = problem.folder / "run"
    assert not (folder / "checkpoints").exists() or not any((folder / "checkpoints").iterdir())
    return folder.exists()


def test_init_that_gives_no_model_state_is_told_to(problem):
    params = {"w": jnp.zeros(3), "b": jnp.zeros(())}  # two keys, which unpack into two strings
    for made in (params, OrderedDict(params), [jnp.zeros(3), {}], (params,), jnp.zeros((2, 3)), (params, {}, {})):
        assert not refused(
            problem, r"return \(params, model_state\), got .*return \(params, \{\}\)", init=lambda _, m=made: m
        )
    with pytest.raises(TypeError, match=r"got \(float32\[3\], float32\[3\], float32\[3\]\)"):
        problem.run("run", init=lambda _: (jnp.zeros(3),) * 3)
    assert not refused(problem, "got no parameters; in Flax NNX", init=lambda _: ({}, params))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"layers": [{"activation": jax.nn.relu, "w": np.zeros(3)}]},
            "got custom_jvp as 'layers/0/activation'.*eqx.part",
        ),
        ({"name": "linear"}, "wanted parameters of arrays, got str as 'name'"),
        ({"w": np.array(["a"])}, "wanted parameters of arrays, got ndarray as 'w'"),
        (
            {"count": np.zeros(2, np.int32)},
            r"floats, since they are trained, got int32\[2\] as 'count'; put what is not",
        ),
        ({"rngs": jax.random.key(0)}, r"floats, since they are trained, got key<fry>\[\] as 'rngs'.*nnx.split"),
    ],
    ids=["function", "string", "strings", "integers", "key"],
)
def test_parameters_that_cannot_be_trained_are_named(problem, params, words):
    assert not refused(problem, words, kind=TypeError, init=lambda _: (params, {}))
    if "floats" not in words:
        assert not refused(
            problem, "wanted model state of", kind=TypeError, init=lambda _: ({"w": jnp.zeros(3)}, params)
        )


@pytest.mark.parametrize("separator", ["/", "."])
def test_names_that_differ_by_a_separator_alone_are_refused(problem, separator):
    """Orbax gives both arrays the values of one, for the dot without a word."""
    params = {f"a{separator}b": jnp.zeros(2), "a": {"b": jnp.ones(2)}, "ab": jnp.zeros(2)}
    words = r"got \['params'\]\['a'\]\['b'\] and \['params'\]\['a[/.]b'\], which are both 'params[/.]a[/.]b'"
    assert not refused(problem, words, kind=ValueError, init=lambda _: (params, {}))


def test_a_name_with_separators_is_kept_where_it_is_the_only_one(problem):
    params = {"a/b": jnp.zeros(2), "a": {"c": jnp.ones(2), "d.e": jnp.full(2, 2.0)}}

    def loss_fn(p, state, rng, batch):
        return jnp.sum(p["a/b"]), ({}, state)

    problem.run("run", steps=1, init=lambda _: (params, {}), loss_fn=loss_fn, optimizer=optax.sgd(0.0))
    restored = restore_model(problem.folder / "run", init=lambda _: (params, {}))
    assert problem.same(jax.tree.map(np.asarray, restored.params), jax.tree.map(np.asarray, params))


def returning(*parts):
    """A loss function that returns what these functions make of the model state and a loss."""
    return lambda params, state, rng, batch: parts[0](jnp.sum(params["linear/~/w"]), state)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda loss, state: loss, r"got float32\[\]; without metrics and model state, return \(loss, \(\{\}, "),
        (lambda loss, state: (loss, {"a": loss}), r"got \(float32\[\], dict\); without"),
        (lambda loss, state: (loss, {"a": loss}, state), r"got \(float32\[\], dict, dict\)"),
        (lambda loss, state: (loss, (loss, state)), r"got \(float32\[\], \(float32\[\], dict\)\)"),
        (lambda loss, state: (loss[None], ({}, state)), r"a scalar, the mean over the batch, got float32\[1\]; take"),
        (lambda loss, state: (jnp.int32(loss), ({}, state)), r"a loss that is a float, got int32\[\]"),
        (lambda loss, state: (None, ({}, state)), "a loss that is a float, got NoneType"),
        (lambda loss, state: (loss, ({"a": "high"}, state)), "metrics that are numbers, got 'a': str"),
        (lambda loss, state: (loss, ({"a": None}, state)), "metrics that are numbers, got 'a': NoneType"),
        (lambda loss, state: (loss, ({3: loss}, state)), "the name 3, which is no string"),
        (lambda loss, state: (loss, ({"a": loss + 1j}, state)), r"real numbers, got 'a': complex64\[\]"),
        (lambda loss, state: (loss, ({}, {})), r"mean: wanted float32\[3\], got nothing; return it"),
        (lambda loss, state: (loss, ({}, {"mean": print})), r"mean: wanted float32\[3\], got builtin_function"),
        (lambda loss, state: (loss, ({}, None)), "model state like the one it was given, mean: wanted"),
    ],
)  # fmt: skip
def test_a_loss_function_that_returns_something_else_is_told_what_to_return(problem, made, words):
    refused(problem, words, loss_fn=returning(made))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_metrics_may_be_any_numbers(problem, accumulate):
    def loss_fn(params, state, rng, batch):
        loss = jnp.sum(params["linear/~/w"])
        return loss, ({"python": 0.5, "whole": 3, "truth": True, "numpy": np.float64(0.25), "jax": jnp.int8(2)}, state)

    problem.run("run", steps=2, log_every=1, loss_fn=loss_fn, accumulate=accumulate)
    line = problem.lines(problem.folder / "run")[-1]
    assert [line[name] for name in ("python", "whole", "truth", "numpy", "jax")] == [0.5, 3, 1, 0.25, 2]


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (iter([{}]), "got list_iterator without get_state and set_state; exact resuming rests on.*as in the README"),
        (({} for _ in "ab"), "got generator without get_state and set_state"),
        ([{}], r"wanted an iterator of batches, got list; give iter\(...\) of it"),
        (3, "wanted an iterator of batches, got int; exact"),
        (SimpleNamespace(__next__=dict, get_state=dict), "got SimpleNamespace without set_state"),
        (SimpleNamespace(__next__=dict, get_state=lambda: {"at": {1}}, set_state=print), r"set in get_state\(\)\['at"),
    ],
)  # fmt: skip
def test_batches_whose_position_cannot_be_saved_are_refused_before_anything_is_made(problem, batches, words):
    assert not refused(problem, words, kind=TypeError, batches=batches)


def test_what_is_no_optimizer_or_function_is_refused(problem):
    assert not refused(
        problem, r"optax transformation .* got OptimizerConfig; call its build", optimizer=OptimizerConfig()
    )
    assert not refused(problem, "optax transformation as optimizer, got float", optimizer=0.1)
    assert not refused(problem, "wanted init to be a function, got dict", init={})
    assert not refused(problem, "wanted loss_fn to be a function, got NoneType", loss_fn=None)


def test_a_batch_of_what_is_no_numbers_is_refused(problem):
    class Named(problem.Rows):
        def __next__(self):
            return super().__next__() | {"names": np.array(["a"] * 8)}

    refused(problem, r"wanted a batch of numbers, got names of dtype <U1", kind=TypeError, batches=Named())


def test_a_plain_function_is_an_action_after_every_step(problem):
    seen = []
    problem.run("run", steps=3, actions=[lambda step, state: seen.append((step, int(state.step)))])
    assert seen == [(1, 1), (2, 2), (3, 3)]
    wrong = (
        (EverySteps, "list of actions, got type"),
        ([3], "action or a function of step and state, got 3"),
        ([EverySteps], "got <class"),
    )
    for actions, words in wrong:
        with pytest.raises(TypeError, match=words):
            problem.run("other", actions=actions)


def ensemble(problem, members, name="run", **changes):
    arguments = {"init": problem.init, "loss_fn": problem.loss_fn, "optimizer": lambda hyper: optax.sgd(0.01)}
    config = TrainConfig(steps=2, ensemble=EnsembleConfig(members=len(members)))
    return train_ensemble(config, members=members, workdir=problem.folder / name, **(arguments | changes))


def test_members_of_an_ensemble_are_asked_for_by_number(problem):
    ensemble(problem, [Member(seed, problem.Rows()) for seed in range(2)])
    problem.run("alone", steps=1)
    for member in (None, 2, -1):
        with pytest.raises(RunError, match=rf"of the ensemble in .*run, 0 to 1, got {member}; .*as in member=0"):
            restore_model(problem.folder / "run", init=problem.init, member=member)
    with pytest.raises(RunError, match=r"is of one model, got member=0; leave it out"):
        restore_model(problem.folder / "alone", init=problem.init, member=0)
    with pytest.raises(RunError, match=r"has an ensemble; give an init that returns what restore_model"):
        problem.run("warm", init_from=problem.folder / "run")
    with pytest.raises(TypeError, match=r"return \(params, model_state\), got dict"):
        restore_model(problem.folder / "alone", init=lambda rng: problem.init(rng)[0])


@pytest.mark.parametrize(
    ("seed", "hyper", "words"),
    [
        (0.5, {}, "the seed of member 1 to be a whole number of at least 0 and at most 4294967295, got 0.5"),
        (True, {}, "seed of member 1 to be .*, got True"),
        (-1, {}, "seed of member 1 to be .*, got -1"),
        (2**32, {}, "seed of member 1 to be .*, got 4294967296"),
        (0, {"rate": "high"}, "numbers, got 'rate' of member 1: str; members share one program"),
        (0, {"rate": np.zeros(2)}, r"numbers, got 'rate' of member 1: float64\[2\]"),
        (0, {"rate": float("nan")}, "'rate' of member 1: NaN"),
    ],
)
def test_what_members_cannot_differ_in_is_named(problem, seed, hyper, words):
    members = [Member(0, problem.Rows(), dict.fromkeys(hyper, 0.1)), Member(seed, problem.Rows(), hyper)]
    with pytest.raises((TypeError, ValueError), match=words):
        ensemble(problem, members)
    assert not (problem.folder / "run").exists()


def test_an_ensemble_wants_a_function_that_builds_the_optimizer(problem):
    members = [Member(seed, problem.Rows()) for seed in range(2)]
    with pytest.raises(TypeError, match="wanted optimizer to be a function, got GradientTransformation"):
        ensemble(problem, members, optimizer=optax.sgd(0.1))
    with pytest.raises(
        TypeError, match="wanted an optax transformation as optimizer, got OptimizerConfig; call its build"
    ):
        ensemble(problem, members, optimizer=lambda hyper: OptimizerConfig())
    with pytest.raises(TypeError, match="wanted batches of member 1 whose position can be saved"):
        ensemble(problem, [Member(0, problem.Rows()), Member(1, iter(()))])


def test_parameters_that_are_nan_from_the_start_are_named(problem):
    def init(rng):
        params, state = problem.init(rng)
        return params | {"linear/~/w": params["linear/~/w"] * jnp.nan}, state

    with pytest.raises(NotFiniteError, match=r"linear/~/w had NaN before it\."):
        problem.run("run", init=init)
    assert json.loads((problem.folder / "run" / "metrics.jsonl").read_text()) == {"step": 1, "failed": True}
