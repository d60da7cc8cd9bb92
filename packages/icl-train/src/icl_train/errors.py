"""What can be wrong with a run that its user can mend."""

import signal


class RunError(ValueError):
    """A run that cannot be begun or gone on with as it was asked for; nothing in its folder has been changed."""


class NotFiniteError(ArithmeticError):
    """The loss or the gradient became infinite or no number; the state before that step was saved.

    Attributes:
        step: The step that failed. Its batch is the one with this number, counted from 1.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


class Interrupted(SystemExit):
    """Training was stopped by a signal or at its time limit, after its state was saved.

    A `SystemExit`: where nobody catches it, the process ends with code 128 + the number of the signal, as
    shells expect, or with 0 at a time limit, which was asked for.

    Attributes:
        signal: The signal; None at a time limit.
        message: What happened and how to go on; `train` has printed it to stderr.
    """

    def __init__(self, received: signal.Signals | None, message: str) -> None:
        super().__init__(0 if received is None else 128 + received)
        self.signal = received
        self.message = message

    def __str__(self) -> str:
        return self.message


class CheckpointError(OSError):
    """A checkpoint that the end of a run rests on could not be written."""
