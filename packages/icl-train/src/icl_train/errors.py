"""What can be wrong with a run that its user can mend."""


class RunError(ValueError):
    """A run that cannot be begun or gone on with as it was asked for; nothing in its folder has been changed."""
