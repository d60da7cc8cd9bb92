"""A run over training, drawn below the cell of a notebook that trains it."""

import base64
import html
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import icl_eval as evaluation
import icl_train as training

_SHARE = 20  # drawing takes at most one second in so many


class LivePlot:
    """Draws a run's headlines and loss below the cell that trains it: an action of `icl_train.train`.

    It draws what the run's folder says by then, so it stands after actions that evaluate. It waits for nobody, and
    takes at most a twentieth of the time: where drawing is slow, it draws less often. A drawing that fails ends no
    run. Outside a notebook nothing is drawn. The last drawing is also what a notebook shows of this object.

    Args:
      workdir: folder of the run; of an ensemble, the folder of the member to be drawn.
      steps: steps from one drawing to the next, at least 1; after the last step there is one in any case.
      clock: returns the time in seconds.

    Raises:
      ValueError: if ``steps`` is below 1.

    >>> plot = LivePlot("runs/mine", steps=100)
    >>> [step for step in (50, 100, 250) if plot.is_due(training.Moment(step, 0.0, is_last=step == 250))]
    [100, 250]
    """

    def __init__(self, workdir: str | Path, *, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._due = training.EverySteps(steps, lambda step, state: None)
        self._workdir, self._clock = training.expanded(workdir), clock
        self._last: int | None = None  # step of the run, once that is known
        self._next = -float("inf")  # time before which it does not draw
        self._shown: Any = None  # its place below the cell
        self._fails = False
        self._drawn: str | None = None

    def is_due(self, moment: training.Moment) -> bool:
        """Return whether to draw then, if there is time: after a multiple of ``steps``, and after the last step."""
        if moment.is_last:  # which the call is not told
            self._last = moment.step
        return self._due.is_due(moment)

    def __call__(self, step: int, state: Any) -> None:
        """Draw the run as its folder has it."""
        show = notebook_display()
        if show is None or self._fails or not training.is_primary_host():
            return
        begun = self._clock()
        if begun < self._next and step != self._last:
            return
        try:
            self._draw()
            if self._shown is None:
                self._shown = show(self, display_id=True)
            else:
                self._shown.update(self)
        except Exception as error:  # whatever it is: a picture is worth no run
            self._fails = True
            training.say(f"LivePlot draws no more: {type(error).__name__}: {error}", to="stderr")
        ended = self._clock()
        self._next = ended + (_SHARE - 1) * (ended - begun)

    def _draw(self) -> None:
        if not self._workdir.is_dir():  # it has yet to be made
            return
        run = evaluation.read_run(self._workdir, arrays=False)
        figure = evaluation.run_over_training(run)
        if figure is None:
            return
        png = base64.b64encode(evaluation.encode(figure, form="png")).decode()
        width = round(100 * figure.get_figwidth())
        alt = html.escape(f"{run.name} over training")
        look = "max-width:100%;height:auto"
        self._drawn = f'<img alt="{alt}" width="{width}" style="{look}" src="data:image/png;base64,{png}">'

    def __repr__(self) -> str:
        return f"LivePlot({str(self._workdir)!r}, steps={self._due.steps})"

    def _repr_html_(self) -> str:
        """Return the last drawing."""
        nothing = "nothing is logged yet; of an ensemble, name the folder of a member"
        return self._drawn or f"<div>{html.escape(self._workdir.name)}: {nothing}</div>"


def notebook_display() -> Callable[..., Any] | None:
    """Return IPython's ``display`` where there is a notebook to show something in, and otherwise None."""
    # Not a dependency: where there is a notebook it has been imported, and elsewhere it is not wanted.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return importlib.import_module("IPython.display").display if hasattr(shell, "kernel") else None
