"""Many steps in a dispatch, by one program: where a run is cut changes no bit, and how long a dispatch is, is found."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import EnsembleConfig, EverySteps, Interrupted, Member, TrainConfig, latest_step, train_ensemble
from icl_train.dispatch.pace import Pace
from icl_train.dispatch.program import CompiledStep

STEPS = 40


class At:
    """An action that is due after some steps, and calls a function."""

    def __init__(self, steps, function):
        self.steps, self.function = set(steps), function

    def is_due(self, moment):
        return moment.step in self.steps

    def __call__(self, step, state):
        self.function(step, state)


def nothing(step, state):
    pass


def stop(step, state):
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def uncut(shared):
    return shared.run("uncut", steps=STEPS, checkpoint_every=STEPS), shared.untimed(shared.folder / "uncut")


@pytest.mark.parametrize("seed", range(3))
def test_where_a_run_is_cut_or_stopped_changes_no_bit(problem, uncut, seed):
    random = np.random.default_rng(seed)
    cuts, stops = (sorted(random.choice(np.arange(1, STEPS), size, replace=False).tolist()) for size in (9, 3))
    settings = {"steps": STEPS, "checkpoint_every": int(random.integers(3, 30))}
    for each in stops:
        with pytest.raises(Interrupted):
            problem.run("cut", actions=[At(cuts, nothing), At([each], stop)], resume=each != stops[0], **settings)
    result = problem.run("cut", actions=[At(cuts, nothing)], resume=True, **settings)
    assert problem.same(result.state, uncut[0].state)
    assert problem.untimed(problem.folder / "cut") == uncut[1]


def test_one_at_a_time_is_the_same_to_the_last_bit(problem, uncut):
    result = problem.run("single", steps=STEPS, checkpoint_every=STEPS, actions=[nothing])
    assert problem.same(result.state, uncut[0].state)


def test_one_program_makes_every_cut(problem, monkeypatch):
    compiled, counts = [], []
    compile_, call = CompiledStep._compile, CompiledStep.__call__

    def counted(self, *arguments):
        compiled.append(1)
        return compile_(self, *arguments)

    def called(self, state, batches, first, count):
        counts.append((int(first), int(count), len(batches["inputs"])))
        return call(self, state, batches, first, count)

    monkeypatch.setattr(CompiledStep, "_compile", counted)
    monkeypatch.setattr(CompiledStep, "__call__", called)
    problem.run("run", steps=30, steps_per_dispatch=8, checkpoint_every=13, actions=[EverySteps(10, nothing)])
    assert counts == [(1, 8, 8), (9, 2, 8), (11, 3, 8), (14, 7, 8), (21, 6, 8), (27, 4, 8)] and len(compiled) == 1


def test_auto_finds_how_many_steps_take_a_third_of_a_second(problem, monkeypatch):
    counts, call = [], CompiledStep.__call__

    def called(self, state, batches, first, count):
        counts.append(int(count))
        return call(self, state, batches, first, count)

    monkeypatch.setattr(CompiledStep, "__call__", called)
    times = iter(np.arange(10_000) * 1e-3)
    problem.run("run", steps=2_000, checkpoint_every=2_000, log_every=1_000, clock=lambda: next(times))
    assert counts[:2] == [1, 1] and max(counts) > 50 and sum(counts) == 2_000


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def after(pace, clock, *, steps, seconds):
    pace.dispatched(steps)
    clock.now += seconds


def test_a_dispatch_takes_a_third_of_a_second():
    clock = Clock()
    pace, batch = Pace("auto", clock), {"x": np.zeros((8, 4), np.float32)}
    assert pace.count() == 1 and pace.most(batch) == 1_000
    for steps, seconds, then in ((1, 0.01, 33), (33, 0.66, 16), (16, 16 * 2.0, 1), (1, 10_000.0, 1)):
        pace.dispatched(steps)
        clock.now += seconds
        pace.dispatched(1)
        assert pace.asks() and pace.count() == then
        pace.settled()
    pace.took(0.01, steps=1)  # from here on, it is the data that take a hundredth
    pace.dispatched(1)
    for count, then in ((1, 33), (33, 33), (33, 33)):
        clock.now += count * 0.01
        pace.took(count * 0.01, steps=count)
        pace.dispatched(count)
        assert pace.asks() and pace.count() == then
    pace.took(0.0, steps=1)
    pace.settled()
    pace.dispatched(16)
    clock.now += 0.16
    pace.settled()
    assert pace.asks() and pace.count() == 33, "what is due after every dispatch does not keep it from being measured"
    clock.now += 100
    pace.dispatched(16)
    assert pace.asks() and pace.count() == 33, "an evaluation is no step"


def test_batches_of_a_dispatch_are_bounded_in_memory_and_a_number_is_taken_at_its_word():
    large = {"x": np.broadcast_to(np.float32(0), (2**20,)), "y": np.zeros(2**20, np.int8)}  # 5 MB
    assert Pace("auto", Clock()).most(large) == 3
    assert Pace("auto", Clock()).most({"x": np.broadcast_to(np.float32(0), (2**26,))}) == 1
    assert Pace("auto", Clock()).most({"x": np.zeros((0, 3))}) == 1_000
    pace = Pace(7, Clock())
    assert (pace.count(), pace.most(large)) == (7, 7)


def test_the_rates_of_lines_within_a_dispatch_are_its_own(problem):
    clock = Clock()

    class Slow(problem.Rows):
        def __next__(self):
            clock.now += 0.01
            return super().__next__()

    problem.run("run", steps=1_000, log_every=10, checkpoint_every=1_000, batches=Slow(), clock=clock)
    lines = problem.lines(problem.folder / "run")
    rates = [line["steps_per_second"] for line in lines[10:-10]]
    assert len(lines) == 100 and np.all(np.diff([line["time"] for line in lines]) >= 0)
    assert max(rates) < 1.5 * min(rates) and lines[-1]["time"] == pytest.approx(10, rel=0.01)


class Ragged:
    """Batches of which every third is longer, and which may fail at one."""

    def __init__(self, fails=None):
        self.fails, self.position = fails, 0

    def __next__(self):
        if self.position == self.fails:
            raise RuntimeError("no more data")
        length = 3 if self.position % 3 else 6
        self.position += 1
        rows = np.random.default_rng(self.position).normal(size=(length, 3)).astype(np.float32)
        return {"inputs": rows, "targets": rows.sum(1)}

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def test_batches_of_several_kinds_are_dispatched_apart_and_saved_in_order(problem):
    whole = problem.run("whole", batches=Ragged(), steps=20)
    with pytest.raises(Interrupted):
        problem.run("parts", batches=Ragged(), steps=20, actions=[At([7], stop)])
    parts = problem.run("parts", batches=Ragged(), steps=20, resume=True)
    assert problem.same(parts.state, whole.state)


def test_a_batch_that_waits_for_its_dispatch_is_not_lost_by_a_stop(problem):
    class Stopped(Ragged):
        def __next__(self):
            if self.position == 9:
                signal.raise_signal(signal.SIGTERM)  # while the first batch of another kind is taken
            return super().__next__()

    whole = problem.run("whole", batches=Ragged(), steps=20, steps_per_dispatch=4)
    with pytest.raises(Interrupted, match="after step 9 of 20"):
        problem.run("parts", batches=Stopped(), steps=20, steps_per_dispatch=4, checkpoint_every=20)
    parts = problem.run("parts", batches=Ragged(), steps=20, steps_per_dispatch=4, resume=True)
    assert problem.same(parts.state, whole.state)


def test_an_error_in_the_data_loses_no_step(problem):
    for at in (1, 2, 11):
        with pytest.raises(RuntimeError, match="no more data"):
            problem.run(f"fails-{at}", batches=Ragged(at), steps=20, checkpoint_every=20)
        assert latest_step(problem.folder / f"fails-{at}") == at
    whole = problem.run("whole", batches=Ragged(), steps=20)
    assert problem.same(problem.run("fails-11", batches=Ragged(), steps=20, resume=True).state, whole.state)


class Numbers:
    """Numbers of rows of a table, as a stream."""

    def __init__(self, seed=0):
        self.seed, self.position = seed, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return {"rows": np.random.default_rng((self.seed, self.position)).integers(0, 50, 8).astype(np.int32)}

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


class Gathered(Numbers):
    """The same as arrays, from the host."""

    def __next__(self):
        return {"inputs": TABLE[super().__next__()["rows"]], "targets": np.ones(8, np.float32)}


TABLE = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def expand(resident, numbers):
    return {"inputs": resident["table"][numbers["rows"]], "targets": jnp.ones(len(numbers["rows"]), jnp.float32)}


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"steps_per_dispatch": 3}])
def test_resident_arrays_are_what_the_host_would_have_sent(problem, changes):
    here = problem.run("here", batches=Gathered(), **changes)
    resident = {"table": TABLE, "more": np.zeros(10**6, np.float32)}
    there = problem.run("there", batches=Numbers(), resident=resident, expand=expand, **changes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), here.state, there.state)
    assert sum(path.stat().st_size for path in (problem.folder / "there").rglob("*")) < 10**6, "no checkpoint has them"


def test_a_run_with_resident_arrays_goes_on_exactly(problem):
    arguments = {"resident": jax.device_put({"table": TABLE}), "expand": expand}
    whole = problem.run("whole", batches=Numbers(), **arguments)
    with pytest.raises(Interrupted):
        problem.run("parts", batches=Numbers(), actions=[At([5], stop)], **arguments)
    parts = problem.run("parts", batches=Numbers(), resume=True, **arguments)
    assert problem.same(parts.state, whole.state)


@pytest.mark.parametrize(("on_device", "devices"), [("map", 2), ("vmap", 1)])
def test_members_share_them(problem, on_device, devices):
    split = EnsembleConfig(members=2, on_device=on_device)
    together = train_ensemble(
        TrainConfig(steps=10, log_every=3, checkpoint_every=4, ensemble=split),
        init=problem.init,
        loss_fn=problem.loss_fn,
        optimizer=lambda hyper: optax.adam(0.05),
        members=[Member(seed, Numbers(seed)) for seed in (3, 4)],
        workdir=problem.folder / "together",
        mesh=split.build(jax.devices()[:devices]),
        resident={"table": TABLE},
        expand=expand,
    )
    alone = problem.run("alone", seed=4, batches=Gathered(4))
    mine = jax.tree.map(lambda leaf: leaf[1], together.state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), mine, alone.state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resident": {"table": TABLE}}, "wanted expand.* for the resident arrays, got none"),
        ({"resident": {"table": "a"}, "expand": expand}, "wanted a resident pytree of arrays, got str as 'table'"),
        ({"expand": lambda resident, numbers: 3}, "wanted expand to return a dict of arrays, got int"),
    ],
)
def test_what_cannot_be_expanded_is_refused(problem, changes, message):
    with pytest.raises(TypeError, match=message):
        problem.run("run", batches=Numbers(), **changes)


def test_a_session_ends_at_its_time_limit_and_another_goes_on_exactly(problem, uncut, capsys):
    settings = {"steps": STEPS, "checkpoint_every": STEPS, "stop_after_minutes": 1.0}

    def session(number):
        clock = Clock()

        def wait(step, state):
            clock.now += 5

        return problem.run("run", clock=clock, actions=[wait], resume=number > 1, **settings)

    for number in (1, 2, 3):
        with pytest.raises(Interrupted) as caught:
            session(number)
        assert caught.value.code == 0 and caught.value.signal is None
        assert f"Stopped after step {12 * number} of 40 at the limit of 1 minutes, saved in" in capsys.readouterr().err
    assert problem.same(session(4).state, uncut[0].state)
    assert problem.untimed(problem.folder / "run") == uncut[1]
