"""The error of linear attention on linear regression, in closed form (Lu et al. 2024)."""

import math

from icl_eval.checks import check_positive


def linear_attention_error(*, tau: float, alpha: float, kappa: float, rho: float) -> float:
    """Return the squared error on fresh tasks of linear attention that was fitted without a penalty.

    In the limit of many dimensions d: training is on tau d^2 sequences, each of alpha d examples and a query, of tasks
    w from a pool of kappa d, |w|^2 = d; x ~ N(0, I / d) and y = w x + noise of variance rho. The error includes the
    noise of the query's target, and so does that of predicting 0, 1 + rho. It has no bound at tau = 1, from memorising
    sequences to fitting them on average (double descent), and near kappa = 1 the model comes to learn in context.

    Args:
      tau: sequences per d^2, above 0.
      alpha: examples in a context per d, above 0.
      kappa: tasks in the pool per d, above 0; `math.inf` for a fresh one in each sequence.
      rho: variance of the noise, 0 or more.

    Returns:
      The error, at least `rho`; infinite at tau = 1.

    Raises:
      ValueError: a number out of its range.

    Source: Lu et al. (2024), arXiv 2405.11751, the ridgeless limit; see `LinearAttention`.

    >>> round(linear_attention_error(tau=0.5, alpha=1.0, kappa=0.5, rho=0.01), 3)
    1.261
    """
    check_positive("tau", tau)
    check_positive("alpha", alpha)
    if kappa != math.inf:
        check_positive("kappa", kappa)
    if not 0 <= rho < math.inf:
        raise ValueError(f"rho must be a finite variance of at least 0, got {rho!r}.")
    if tau == 1:
        return math.inf
    x = (1 + rho) / alpha
    if tau < 1:
        mu = x * _m(kappa / tau, x)
        explained = 1 - tau * (1 - mu) ** 2 - (x - rho) / x * mu
        return tau * (1 + x) / (1 - tau) * explained - 2 * tau * (1 - mu) + rho + 1
    m = _m(kappa, x)
    pooled = 0.0 if kappa == math.inf else kappa * (m / (kappa + m)) ** 2
    k = 1 / (1 - pooled)
    return (
        (k - 1 / (tau - 1)) * (1 + x) * (x * m) ** 2
        + (3 - 2 * tau) / (tau - 1) * m * x**2
        + ((1 + rho) / (tau - 1) * m + 1) * x
        + rho * m / (tau - 1)
        + rho
    )


def _m(q: float, x: float) -> float:
    """Return M_q(x), the Stieltjes transform that the Marchenko-Pastur law of ratio q leads to."""
    shifted = x + 1 - 1 / q
    return 2 / (shifted + math.sqrt(shifted**2 + 4 * x / q))
