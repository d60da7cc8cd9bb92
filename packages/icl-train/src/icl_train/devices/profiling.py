"""A profile of a few steps of a run, by JAX's profiler: where their time goes, on the host and on the devices."""

from pathlib import Path

import jax
from jaxtyping import PyTree

from icl_train.checks import as_whole
from icl_train.log import logger

PROFILE_FOLDER = "profile"


class ProfiledSteps:
    """Traces some consecutive steps of a run. A context manager, told before and after every step.

    The trace begins when the devices are done with the step before ``first`` and ends when they are done with
    ``last``, so it shows the profiled steps and nothing else. A run that resumes between the two is traced
    from there on; one that resumes after ``last`` is not. If the run ends in between, what there is is kept.

    Args:
        folder: Where the trace goes, in a folder named after the time; made when tracing begins. TensorBoard's
            profile plugin (``pip install xprof``) shows it.
        steps: The first and the last step to trace, 1 <= first <= last; None traces nothing.

    Raises:
        TypeError: If ``steps`` is no pair.
        ValueError: If the numbers are not whole or out of that range.

    >>> with ProfiledSteps(Path('runs/line/profile'), steps=None) as profile:
    ...     for step in (1, 2, 3):
    ...         profile.before(step)
    ...         profile.after(step, outputs={'loss': 0.5})
    """

    def __init__(self, folder: Path, *, steps: tuple[int, int] | None) -> None:
        self._folder = folder
        self._first, self._last = (0, 0) if steps is None else profiled_steps(steps)
        self._tracing = False
        self._annotation: jax.profiler.StepTraceAnnotation | None = None
        self._outputs: PyTree = None

    def before(self, step: int) -> None:
        """Begin to trace if the step is the first of those to trace. Called just before it is dispatched.

        Args:
            step: The number of the step, at least 1.

        Raises:
            RuntimeError: If something else is being traced by JAX's profiler.
        """
        if not self._first <= step <= self._last:
            return
        if not self._tracing:
            jax.profiler.start_trace(self._folder)
            self._tracing = True
        self._annotation = jax.profiler.StepTraceAnnotation("train", step_num=step)
        self._annotation.__enter__()

    def after(self, step: int, outputs: PyTree) -> None:
        """End the trace if the step was the last of those to trace. Called just after it was dispatched.

        Args:
            step: The number of the step.
            outputs: Arrays that the step computes and that are not donated to the next, such as its metrics.
                They are waited for after the last profiled step and after the one before the first.
        """
        if step == self._first - 1:
            jax.block_until_ready(outputs)
        if self._tracing:
            self._leave_step()
            self._outputs = outputs
            if step == self._last:
                self._stop()

    def _leave_step(self) -> None:
        annotation, self._annotation = self._annotation, None
        if annotation is not None:
            annotation.__exit__(None, None, None)

    def _stop(self) -> None:
        outputs, self._outputs = self._outputs, None
        try:
            jax.block_until_ready(outputs)
        finally:
            self._tracing = False
            jax.profiler.stop_trace()
        logger.info(f"Profiled to {self._folder}: look at it with tensorboard --logdir {self._folder}")

    def __enter__(self) -> "ProfiledSteps":
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._leave_step()
        if self._tracing:
            if kind is not None:
                self._outputs = None  # of a step that failed: waiting for it would raise again, and hide the error
            self._stop()


def profiled_steps(steps: tuple[int, int]) -> tuple[int, int]:
    """Return the first and the last step to trace, as `ProfiledSteps` takes them.

    Args:
        steps: A pair of whole numbers, 1 <= first <= last.

    Raises:
        TypeError: If it is no pair.
        ValueError: If the numbers are not whole or out of that range.

    >>> profiled_steps((10, 5))
    Traceback (most recent call last):
    ValueError: wanted steps to profile with 1 <= first <= last, got first 10, last 5; ...
    """
    if not isinstance(steps, tuple) or len(steps) != 2:
        raise TypeError(f"wanted the first and the last step to profile, two whole numbers, got {steps!r}")
    first, last = (as_whole("a step to profile", step, least=0) for step in steps)
    if not 1 <= first <= last:
        raise ValueError(
            f"wanted steps to profile with 1 <= first <= last, got first {first}, last {last}; "
            "step 1 includes compilation, so (10, 12) shows more of how training goes"
        )
    return first, last
