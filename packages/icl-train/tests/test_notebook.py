"""In a real Jupyter kernel: training shows that it is alive, interrupts do not end the kernel, threads may train."""

import os
import time
from queue import Empty

import pytest
from jupyter_client.manager import start_new_kernel

SECONDS = 120  # more than anything here takes on a busy machine

PROBLEM = """
import signal, threading, time
import jax.numpy as jnp, numpy as np, optax
from icl_train import EverySteps, TrainConfig, flag_signals, train


class Rows:
    position = 0

    def __next__(self):
        self.position += 1
        return {"x": np.full((8, 1), self.position % 7, np.float32)}

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def run(name, *, steps=20, resume=False, wait=0.0):
    return train(
        TrainConfig(steps=steps, log_every=5),
        init=lambda rng: ({"w": jnp.zeros(1)}, {}),
        loss_fn=lambda params, state, rng, batch: (jnp.mean((batch["x"] @ params["w"] - 1) ** 2), ({}, state)),
        optimizer=optax.sgd(0.01),
        batches=Rows(),
        workdir=f"{FOLDER}/{name}",
        actions=[EverySteps(1, lambda step, state: time.sleep(wait))],
        resume=resume,
    ).steps
"""

HANG = """
with flag_signals() as flag:
    print("begun", flush=True)
    while flag.signal is None:
        time.sleep(0.1)
    print("more", flush=True)
    while True:
        time.sleep(0.1)
"""

THREAD = """
done = []
thread = threading.Thread(target=lambda: done.append(run("thread")))
thread.start()
thread.join()
done
"""


class Kernel:
    """A kernel, and what the cells that it runs show."""

    def __init__(self, folder):
        # As users have it: ipykernel itself behaves otherwise below pytest, and JAX below these tests.
        tests = {"PYTEST_CURRENT_TEST", "XLA_FLAGS"}
        environment = {name: value for name, value in os.environ.items() if name not in tests}
        self.manager, self.client = start_new_kernel(startup_timeout=SECONDS, env=environment)
        assert self.run(f"FOLDER = {str(folder)!r}\n{PROBLEM}")[1] is None

    def run(self, code, *, interrupt_after=()):
        """Return the text that a cell writes, its last value and error; interrupt it once each of some words is there.

        After each interruption, what was written before does not count.
        """
        self.client.execute(code)
        written, value, error, unread, waited = "", None, None, 0, list(interrupt_after)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                assert self.manager.is_alive(), written
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                written += content["text"]
            elif kind == "execute_result":
                value = content["data"]["text/plain"]
            elif kind == "error":
                error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                assert not waited, f"it never said {waited[0]}: {written}"
                return written, error, value
            if waited and waited[0] in written[unread:]:
                unread = len(written)
                del waited[0]
                self.manager.interrupt_kernel()
        raise AssertionError(f"the cell is not done: {written}")

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.close()


@pytest.mark.lengthy
def test_a_cell_shows_a_bar_with_steps_and_loss_that_moves(kernel):
    written, error, value = kernel.run("run('bar', wait=0.2)")
    assert (error, value) == (None, "20")
    drawn = [line for line in written.split("\r") if line.startswith("bar:")]
    assert len(drawn) > 2 and "20/20" in drawn[-1] and "loss" in drawn[-1]
    assert max(len(line.rstrip()) for line in drawn) <= 100  # whatever terminal the kernel was started from


def test_an_interrupt_saves_the_run_and_a_second_one_ends_the_cell_but_not_the_kernel(kernel):
    kernel.run("mine = 'still here'")
    written, error, _ = kernel.run("run('one', steps=400, wait=0.1)", interrupt_after=["one:"])
    assert error == "Interrupted" and "SIGINT: finishing this step and saving" in written
    assert "Stopped by SIGINT after step" in written
    written, error, _ = kernel.run(HANG, interrupt_after=["begun", "more"])
    assert error == "KeyboardInterrupt"
    written, error, value = kernel.run("mine, signal.getsignal(signal.SIGINT) is signal.default_int_handler")
    assert (error, value) == (None, "('still here', True)")
    assert kernel.run("run('one', steps=410, resume=True)")[1:] == (None, "410")


def test_a_second_interrupt_while_the_run_is_stopping_leaves_a_run_that_goes_on(kernel):
    code = "run('two', steps=40, wait=100 if first else 0, resume=not first)"
    _, error, _ = kernel.run(f"first = True\n{code}", interrupt_after=["two:", "one more interrupt"])
    assert error == "KeyboardInterrupt"
    assert kernel.run(f"first = False\n{code}")[1:] == (None, "40")


def test_a_thread_of_the_kernel_may_train(kernel):
    assert kernel.run(THREAD)[1:] == (None, "[20]")
