"""Power laws: how the time of emergence grows with an option."""

import dataclasses
import math
from typing import Literal

import numpy as np

from icl_eval.sweeps.survival import Numbers, Truths


@dataclasses.dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A time that is scale * x ** exponent, but for a log-normal spread.

    Attributes:
      scale: the median time at x = 1.
      exponent: by which it grows.
      low: lower end of the 95 % interval of the exponent.
      high: upper end.
      spread: standard deviation of the logarithms of times about the line.
      count: how many times it is of.
      censored: how many of these are only known to be beyond a time, or before one.
      method: least squares on logarithms, or maximum likelihood where times are censored.

    >>> law = fit_power_law([1, 2, 4, 8], [10, 21, 39, 82], [True] * 4)
    >>> print(law)
    10.1 x^1.00 (exponent 0.89 to 1.11, n=4)
    """

    scale: float
    exponent: float
    low: float
    high: float
    spread: float
    count: int
    censored: int
    method: Literal["least squares", "maximum likelihood"]

    def __str__(self) -> str:
        return (
            f"{self.scale:.3g} x^{self.exponent:.2f} (exponent {self.low:.2f} to {self.high:.2f}, n={self.count}"
            f"{f', {self.censored} censored' if self.censored else ''})"
        )

    def at(self, x: float) -> float:
        """Return the median time at x."""
        return self.scale * x**self.exponent


def fit_power_law(x: Numbers, times: Numbers, happened: Truths, *, at_first: Truths | None = None) -> PowerLaw:
    """Return the power law by which times grow with x, with a 95 % interval for its exponent.

    Without censoring it is the least-squares line of logarithms, with Student's quantiles. With it, it is the line of
    the greatest likelihood with normal errors of the logarithms, in which a seed that did not come there counts by the
    probability that it takes longer. Its interval is the usual one from the curvature, widened as Student's is wider
    than the normal one and as the spread about a line is greater than what a fit leaves of it, with as many degrees of
    freedom as there are known times, less two. In simulations it held the exponent in 96 % of cases where 6 of 8 seeds
    came there, or 13 of 16; without being widened it would have in 86 and 93 %.

    Args:
      x: above 0; of each seed the option's value.
      times: above 0; when it happened, or until when it is known not to have.
      happened: whether it did.
      at_first: whether it had happened by the first evaluation, so that the time is the latest that it can be.

    Raises:
      ValueError: fewer than 3 known times, or of fewer than two different x; numbers that have no logarithm.

    Source: Olsen (1978), Note on the uniqueness of the maximum likelihood estimator for the Tobit model: in the
    parameters that are used here, the likelihood has one maximum.
    """
    event, early = np.asarray(happened, bool), np.zeros(len(times), bool) if at_first is None else np.asarray(at_first)
    numbers = np.array([x, times], np.float64)
    if len(x) != len(times) or len(event) != len(times) or not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError(
            "A power law wants a finite number above 0 for x and for the time of each seed; leave others out."
        )
    known = event & ~early
    log_x, log_t = np.log(numbers)
    if known.sum() < 3 or len(np.unique(log_x[known])) < 2:
        raise ValueError(
            f"A power law wants 3 or more times that are known, of two or more values; got {known.sum()} of "
            f"{len(np.unique(log_x[known]))}."
        )
    middle = float(log_x.mean())  # so that scale and exponent are estimated apart
    intercept, slope, error, spread = (
        _least_squares(log_x - middle, log_t)
        if known.all()
        else _likeliest(log_x - middle, log_t, side=np.where(known, 0, np.where(early, -1, 1)))
    )
    reach = error * _student(int(known.sum()) - 2)
    return PowerLaw(
        scale=math.exp(intercept - slope * middle),
        exponent=slope,
        low=slope - reach,
        high=slope + reach,
        spread=spread,
        count=len(times),
        censored=int((~known).sum()),
        method="least squares" if known.all() else "maximum likelihood",
    )


def _student(freedom: int) -> float:
    """Return the 0.975 quantile of Student's distribution."""
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Return intercept, slope, the standard error of the slope, and the spread about the line; x has the mean 0."""
    slope = float((x * y).sum() / (x * x).sum())
    intercept = float(y.mean())
    spread = math.sqrt(float(np.square(y - intercept - slope * x).sum()) / (len(x) - 2))
    return intercept, slope, spread / math.sqrt(float((x * x).sum())), spread


def _likeliest(x: np.ndarray, y: np.ndarray, *, side: np.ndarray) -> tuple[float, float, float, float]:
    """Return the same of the likeliest line; side is 0 where y is known, 1 where it is greater, and -1 where less."""
    from scipy import optimize

    known = side == 0
    start = _start(x[known], y[known])
    rows = np.stack([np.ones_like(x), x, -y], axis=1)  # times (intercept, slope, 1) / spread: minus the residual
    # A line through all known times would be infinitely likely, whatever the others are.
    if not _residual(x[known], y[known]) > 1e-7:
        raise ValueError("The known times lie on a power law exactly, which leaves no spread to judge the others by.")
    found = optimize.minimize(
        lambda theta: _minus_likelihood(theta, rows, side)[0],
        start,
        jac=lambda theta: _minus_likelihood(theta, rows, side)[1],
        hess=lambda theta: _minus_likelihood(theta, rows, side)[2],
        method="trust-exact",
        options={"gtol": 1e-5},
    )
    if not found.success:
        raise ValueError(f"No power law was found for these times: {found.message}")
    intercept, slope, precision = (float(each) for each in found.x)
    covariance = np.linalg.inv(_minus_likelihood(found.x, rows, side)[2])
    gradient = np.array([0.0, 1 / precision, -slope / precision**2])  # of the slope, slope / precision
    freedom = int(known.sum())
    error = math.sqrt(float(gradient @ covariance @ gradient) * freedom / (freedom - 2))
    return intercept / precision, slope / precision, error, math.sqrt(freedom / (freedom - 2)) / precision


def _start(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where to begin: the least-squares line of the times that are known, in Olsen's parameters."""
    slope, intercept = np.polyfit(x, y, 1)
    return np.array([intercept, slope, 1.0]) / max(_residual(x, y), 0.05)


def _residual(x: np.ndarray, y: np.ndarray) -> float:
    """Return the standard deviation about the least-squares line."""
    return float((y - np.polyval(np.polyfit(x, y, 1), x)).std())


def _minus_likelihood(theta: np.ndarray, rows: np.ndarray, side: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return minus the log-likelihood, but for a constant, with its gradient and its curvature."""
    from scipy import special

    known, precision = side == 0, float(theta[2])
    if precision <= 0:
        return math.inf, np.zeros(3), np.eye(3)
    z = rows @ theta
    beyond = z[~known] * side[~known]
    log_share = special.log_ndtr(beyond)
    hazard = np.exp(-0.5 * beyond**2 - 0.5 * math.log(2 * math.pi) - log_share)
    count = int(known.sum())
    value = 0.5 * float(np.square(z[known]).sum()) - count * math.log(precision) - float(log_share.sum())
    weights = np.where(known, z, 0.0)
    weights[~known] = -hazard * side[~known]
    curvatures = np.where(known, 1.0, 0.0)
    curvatures[~known] = hazard * (beyond + hazard)
    gradient, curvature = rows.T @ weights, (rows * curvatures[:, None]).T @ rows
    gradient[2] -= count / precision
    curvature[2, 2] += count / precision**2
    return value, gradient, curvature
