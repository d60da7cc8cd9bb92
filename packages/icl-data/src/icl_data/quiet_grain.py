"""Grain, imported without what it says of a profiler that nothing here uses, as where there is no jax."""

import logging

from absl import logging as absl_logging

__all__ = ["grain"]


def _is_of_use(record: logging.LogRecord) -> bool:
    return "profil" not in record.getMessage()


_logger = absl_logging.get_absl_logger()
_logger.addFilter(_is_of_use)
try:
    import grain
finally:
    _logger.removeFilter(_is_of_use)
