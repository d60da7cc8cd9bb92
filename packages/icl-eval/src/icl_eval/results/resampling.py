"""Resampling: the weights of the Poisson bootstrap, which know a sequence by its number alone.

So sums over batches, or over hosts, of weighted values add up to the same resamples, in whatever parts they were made.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

RESAMPLES = 1024
_WORDS = RESAMPLES // 4  # 64-bit words for a sequence: 16 bits for each resample
_BLOCK = 4  # words that Philox makes at once


def _poisson_table() -> UInt8[np.ndarray, " 65536"]:
    """Return the number that each 16-bit word stands for: Poisson with mean 1."""
    cumulative = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(10)])
    return np.searchsorted(np.round(cumulative * 2**16), np.arange(2**16), side="right").astype(np.uint8)


_POISSON = _poisson_table()


def resampling_weights(first: int, count: int, *, seed: int = 0) -> Float[np.ndarray, "{count} 1024"]:
    """Return how often each of 1024 resamples has each of the sequences first..first+count-1.

    Args:
      first: number of the first sequence, at least 0.
      count: how many sequences.
      seed: of the resampling.

    Returns:
      float64, independent Poisson numbers of mean 1.

    Source: Chamandy, Muralidharan, Najmi and Naidu (2012), Estimating uncertainty for massive data streams, section 3.

    >>> np.array_equal(resampling_weights(0, 9)[4:], resampling_weights(4, 5))
    True
    """
    words = np.random.Philox(key=seed).advance(first * (_WORDS // _BLOCK)).random_raw(count * _WORDS)
    return _POISSON[words.view(np.uint16)].reshape(count, RESAMPLES).astype(np.float64)
