"""The settings of a training run."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long to train, from which seed, and how often to log and to save.

    Raises:
        ValueError: If a value is out of the range stated with it.

    >>> TrainConfig(steps=500, log_every=10).seed
    0
    """

    steps: int = 2_000
    """Steps to make in all, at least 1. A finished run goes on when it is resumed with more."""

    seed: int = 0
    """Seed of initialisation and of the randomness inside the loss, 0 to 2**32 - 1. A run keeps it."""

    log_every: int = 50
    """Steps per line of metrics.jsonl, at least 1; losses and accuracies in it are means over them."""

    checkpoint_every: int = 500
    """Steps between checkpoints, at least 1. One more is saved at the end and when a signal comes."""

    keep_checkpoints: int = 2
    """Checkpoints to keep, the latest ones, at least 1."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "seed" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"wanted {field.name} to be a whole number of at least {least}, got {value!r}")
        if self.seed >= 2**32:
            raise ValueError(f"wanted a seed below 2**32, got {self.seed}; a key holds 32 bits of it")
