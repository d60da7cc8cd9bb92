"""A member of an ensemble is trained as if it were alone, wherever and however it shares a device."""

import functools
import json
import math
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import (
    EnsembleConfig,
    EverySteps,
    Interrupted,
    Member,
    NotFiniteError,
    TrainConfig,
    checkpoint_steps,
    open_run,
    restore_model,
    train_ensemble,
)

RATES = (0.05, 0.1, 0.02, 0.05)


def optimizer(hyper):
    return optax.adam(hyper["learning_rate"])


def ensemble(problem, name, *, on_device="map", devices=1, count=4, steps=20, **changes):
    rates = [RATES[number % 4] for number in range(count)]
    members = [
        Member(7 + number, problem.Rows(seed=number // 2), {"learning_rate": rate}) for number, rate in enumerate(rates)
    ]
    split = EnsembleConfig(members=count, on_device=on_device)
    settings = {"log_every": 3, "checkpoint_every": 8} | {
        field: changes.pop(field) for field in ("accumulate", "steps_per_dispatch", "ema_decay") if field in changes
    }
    arguments = {"init": problem.init, "loss_fn": problem.loss_fn, "optimizer": optimizer, "members": members}
    return train_ensemble(
        TrainConfig(steps=steps, ensemble=split, **settings),
        workdir=problem.folder / name,
        mesh=split.build(jax.devices()[:devices]),
        **(arguments | changes),
    )


@pytest.fixture(scope="module")
def lone(shared):
    """``lone(member, **changes)``: what a member comes to alone, and the folder of that run; each is made once."""

    @functools.cache
    def run(member, **changes):
        name = f"lone-{member}-{'-'.join(changes)}"
        rows, rate = shared.Rows(seed=member // 2), optax.adam(RATES[member % 4])
        settings = {"seed": 7 + member, "steps": 20, "checkpoint_every": 8}
        return shared.run(name, batches=rows, optimizer=rate, **settings, **changes), shared.folder / name

    return run


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("on_device", "devices", "changes"),
    [
        ("map", 1, {}),
        ("vmap", 4, {}),
        ("map", 4, {"accumulate": 2, "ema_decay": 0.9}),
        ("map", 2, {"steps_per_dispatch": 4}),
    ],
)
def test_each_member_is_what_it_is_alone(problem, lone, on_device, devices, changes):
    together = ensemble(problem, "together", on_device=on_device, devices=devices, **changes)
    for member in (2,) if changes else (1, 2):
        alone, folder = lone(member, **changes)
        mine = jax.tree.map(lambda leaf, member=member: leaf[member], together.state)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), mine, alone.state)
        lines = problem.untimed(problem.folder / "together" / f"member-00{member}")
        for one, other in zip(lines, problem.untimed(folder), strict=True):
            assert one == pytest.approx(other, rel=1e-4)
        assert together.final_losses[member] == pytest.approx(alone.final_loss, rel=1e-4)
        restored = restore_model(problem.folder / "together", init=problem.init, member=member)
        assert problem.same(restored.params, mine.params) and problem.same(restored.model_state, mine.model_state)
    assert len(jax.tree.leaves(together.state)[0].sharding.device_set) == devices


def test_an_ensemble_that_was_stopped_goes_on_exactly(problem):
    whole = ensemble(problem, "whole", devices=2)
    stop = EverySteps(11, lambda step, state: signal.raise_signal(signal.SIGINT), at_end=False)
    with pytest.raises(Interrupted):
        ensemble(problem, "parts", devices=2, actions=[stop])
    parts = ensemble(problem, "parts", devices=2, resume=True)
    assert problem.same(parts.state, whole.state)
    for member in range(4):
        folders = [problem.folder / name / f"member-00{member}" for name in ("whole", "parts")]
        assert problem.untimed(folders[0]) == problem.untimed(folders[1])


@pytest.mark.lengthy
def test_a_member_that_diverges_stops_alone_and_stays_as_it_was_before(problem, capsys):
    class Broken(problem.Rows):
        def __next__(self):
            batch = super().__next__()
            if self.position == 13:
                batch["targets"] = batch["targets"] * np.inf
            return batch

    def run(name, kinds, **changes):
        pair = [Member(number, kind(), {"learning_rate": 0.05}) for number, kind in enumerate(kinds)]
        return ensemble(problem, name, count=2, members=pair, **changes)

    result = run("run", (problem.Rows, Broken))
    assert dict(result.failed) == {1: 13}
    assert "MEMBER 1 STOPS: its loss or gradient at step 13" in capsys.readouterr().err
    assert jax.tree.leaves(result.state.step)[0].tolist() == [20, 12]
    before = run("before", (problem.Rows, Broken), steps=12)
    well = run("well", (problem.Rows, problem.Rows))
    assert problem.same(*(jax.tree.map(lambda leaf: leaf[1], each.state.params) for each in (result, before)))
    assert problem.same(*(jax.tree.map(lambda leaf: leaf[0], each.state.params) for each in (result, well)))
    lines = [problem.untimed(problem.folder / "run" / f"member-00{member}") for member in (0, 1)]
    assert [line["step"] for line in lines[0]] == [3, 6, 9, 12, 15, 18, 20]
    assert [line["step"] for line in lines[1]] == [3, 6, 9, 12, 13] and lines[1][-1] == {"step": 13, "failed": True}
    assert math.isfinite(result.final_losses[1])
    steps = [restore_model(problem.folder / "run", init=problem.init, member=member).step for member in (0, 1)]
    assert steps == [20, 12]
    again = run("run", (problem.Rows, Broken), steps=24, resume=True)
    assert dict(again.failed) == {1: 13} and again.state.step.tolist() == [24, 12]
    assert problem.untimed(problem.folder / "run" / "member-001") == lines[1], "its failure is written down once"
    with pytest.raises(NotFiniteError, match="loss of step 13 is"):
        run("none", (Broken, Broken))


def test_the_members_are_shared_out_equally_or_some_devices_rest():
    for members, devices, used in ((8, 8, 8), (8, 3, 2), (3, 8, 3), (6, 4, 3), (7, 2, 1), (1, 8, 1)):
        assert dict(EnsembleConfig(members=members).build(jax.devices()[:devices]).shape) == {"member": used}


def test_members_that_do_not_go_together_are_refused(problem):
    with pytest.raises(ValueError, match=r"wanted 4 members, as config\.ensemble has, got 1"):
        ensemble(problem, "few", members=[Member(0, problem.Rows(), {})])
    odd = [Member(0, problem.Rows(), {"learning_rate": 0.1}), Member(1, problem.Rows(), {"rate": 0.1})]
    with pytest.raises(
        ValueError, match=r"same hyper-parameters .* \['learning_rate'\] for member 0 and \['rate'\] for"
    ):
        ensemble(problem, "odd", count=2, members=odd)
    uneven = [
        Member(0, problem.Rows(), {"learning_rate": 0.1}),
        Member(1, problem.Rows(size=4), {"learning_rate": 0.1}),
    ]
    with pytest.raises(ValueError, match=r"same names, shapes and dtypes for all members.*\[4\] for number 1"):
        ensemble(problem, "uneven", count=2, members=uneven)
    shared = problem.Rows()
    one = [Member(number, rows, {"learning_rate": 0.1}) for number, rows in enumerate((problem.Rows(), shared, shared))]
    with pytest.raises(
        ValueError, match="an iterator of batches for each member, got the same one for members 1 and 2"
    ):
        ensemble(problem, "in-turn", count=3, members=one)
    assert shared.position == 0 and not (problem.folder / "in-turn").exists()
    for wrong in ({"members": 0}, {"members": True}):
        with pytest.raises(ValueError, match="members to be a whole number of at least 1"):
            EnsembleConfig(**wrong)
    ensemble(problem, "run", steps=2)
    others = [Member(number, problem.Rows(), {"learning_rate": 0.5}) for number in range(4)]
    with pytest.raises(ValueError, match=r"with members .*'learning_rate': 0.5.* but it was begun with .*'seed': 7"):
        ensemble(problem, "run", steps=4, resume=True, members=others)
    with pytest.raises(ValueError, match=r"wanted one model, got config\.ensemble\.members=2; use train_ensemble"):
        problem.run("alone", ensemble=EnsembleConfig(members=2))
    with pytest.raises(ValueError, match="wanted a member of the ensemble"):
        restore_model(problem.folder / "run", init=problem.init, member=4)


@pytest.mark.lengthy
@pytest.mark.parametrize("kind", [np.float32, jnp.float32, np.float64], ids=["np.float32", "jax", "np.float64"])
def test_seeds_and_rates_of_numpy_and_jax_are_as_good_as_those_of_python(problem, kind):
    def run(name, number, seed, **changes):
        members = [Member(seed(n), problem.Rows(seed=n), {"learning_rate": number(0.1 * (n + 1))}) for n in (0, 1)]
        return ensemble(problem, name, count=2, members=members, **changes)

    ours = run("numpy", kind, np.int64, steps=8)
    assert problem.same(ours.state, run("plain", float, int, steps=8).state)
    assert checkpoint_steps(problem.folder / "numpy") == [8]
    assert problem.same(run("numpy", float, int, resume=True).state, run("plain", float, int, resume=True).state)


def test_batches_of_another_dtype_are_not_made_alike(problem):
    """NumPy would stack float32 with float64."""

    class Doubles(problem.Rows):
        def __next__(self):
            return {name: rows.astype(np.float64) for name, rows in super().__next__().items()}

    mixed = [Member(0, problem.Rows(), {"learning_rate": 0.1}), Member(1, Doubles(), {"learning_rate": 0.1})]
    with pytest.raises(ValueError, match=r"for all members, got inputs float32\[8, 3\].* inputs float64\[8, 3\]"):
        ensemble(problem, "mixed", count=2, members=mixed)


def test_each_members_folder_says_what_it_is_unless_it_says_more_already(problem):
    said = {"config": {"optimizer": {"learning_rate": 0.1}}, "headlines": []}
    folder = problem.folder / "run" / "member-001"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(said))
    for steps, resume in ((1, False), (2, True)):
        ensemble(problem, "run", count=3, steps=steps, resume=resume)
        records = [json.loads((folder.with_name(f"member-00{each}") / "config.json").read_text()) for each in range(3)]
        own = {"config": {"seed": 7, "learning_rate": 0.05}}, said, {"config": {"seed": 9, "learning_rate": 0.02}}
        assert records == list(own)
    open_run(folder.with_name("member-000"), own[0]["config"], resume=True)


def test_the_step_is_traced_once_whatever_the_number_of_members(problem):
    traces = []

    def loss_fn(params, model_state, rng, batch):
        traces.append(1)
        return problem.loss_fn(params, model_state, rng, batch)

    ensemble(problem, "run", count=8, loss_fn=loss_fn)
    assert len(traces) <= 2, "once for the shapes, once in the loop"


def test_hyperparameters_reach_schedules_too(problem):
    def scheduled(hyper):
        return optax.inject_hyperparams(optax.sgd)(learning_rate=lambda count: hyper["learning_rate"] / (count + 1))

    ensemble(problem, "run", optimizer=scheduled, steps=6)
    for member, rate in enumerate(RATES):
        lines = problem.lines(problem.folder / "run" / f"member-00{member}")
        assert [line["learning_rate"] for line in lines] == pytest.approx([rate / 3, rate / 6])
