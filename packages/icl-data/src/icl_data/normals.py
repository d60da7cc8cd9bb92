"""Normal draws from uniform ones."""

import numpy as np
from jaxtyping import Float


def normals(uniforms: Float[np.ndarray, "rows even"]) -> Float[np.ndarray, "rows half"]:
    """Turn pairs of uniforms into standard normals (Box and Muller 1958).

    Args:
      uniforms: float64 [rows, 2 n] in [0, 1).

    Returns:
      float64 [rows, n], independent if the uniforms are.

    >>> normals(np.array([[0.0, 0.5, 0.25, 0.5]])).round(3)
    array([[ 0.   , -1.177]])
    """
    first, second = np.split(uniforms, 2, axis=1)
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
