"""Ratios of two estimates, with intervals after Fieller."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from ..base.arrays import Floats
from .inference import ROUNDING, Spread

__all__ = ["ratio"]


def ratio(
    part: Floats,
    whole: Floats,
    spread_of: Callable[[Floats, Floats], Spread],
    level: float,
) -> tuple[Floats, Floats, Floats]:
    r"""Compute a ratio of two estimates, with an interval that holds however noisy the whole is.

    The variance of a ratio N / D has no bound, since D can come arbitrarily close to 0. So the
    interval is not made from it. It holds each ratio s that the data do not contradict by a t-test
    of :math:`N - s D = 0`,

    .. math:: |N - s D| \le t \, \mathrm{SE}(N - s D).

    If D is not above 0 by the same test, these s have no end, and the ratio has no number.

    Parameters
    ----------
    part, whole : float array
        The estimates N and D.
    spread_of : function
        Takes two arrays a and b, and returns the spread of a N + b D.
    level : float
        Coverage, such as 0.95.

    Returns
    -------
    estimate, lower, upper : float array
        The ratio and the ends of its interval; NaN where D is not significantly above 0.

    References
    ----------
    Fieller 1954, Journal of the Royal Statistical Society B 16.

    Examples
    --------
    >>> import numpy as np
    >>> def apart(a, b):  # part and whole each have the standard error 0.1, independently
    ...     return Spread(0.1 * np.sqrt(a**2 + b**2), np.full(np.shape(a), np.inf))
    >>> found = ratio(np.array([0.4, 0.1]), np.array([0.8, 0.1]), apart, 0.95)
    >>> [ends.round(2).tolist() for ends in found]
    [[0.5, nan], [0.25, nan], [0.82, nan]]
    """
    one, none = np.ones(np.shape(whole)), np.zeros(np.shape(whole))
    known = whole > ROUNDING
    near = np.divide(part, whole, out=none.copy(), where=known)
    # written about the ratio that was found: u = N - near D is 0, and its error is the one that
    # decides the width
    of_u, of_whole = spread_of(one, -near), spread_of(none, one)
    both = (of_u.error > 0) & (of_whole.error > 0)
    scale = np.divide(of_u.error, of_whole.error, out=one.copy(), where=both)
    more, less = (spread_of(one, sign * scale - near).error ** 2 for sign in (1, -1))
    most = of_u.error * of_whole.error
    shared = np.clip((more - less) / (4 * scale), -most, most)  # covariance of u and D
    t = stats.t.ppf((1 + level) / 2, of_u.degrees)
    # shift of the ratio x: x^2 (D^2 - t^2 V_D) + 2 x t^2 C - t^2 V_u <= 0
    square = whole**2 - (t * of_whole.error) ** 2
    sure = known & (square > 0)
    square = np.where(sure, square, np.nan)
    middle = -(t**2) * shared / square
    half = np.sqrt(middle**2 + (t * of_u.error) ** 2 / square)
    return np.where(sure, near, np.nan), near + middle - half, near + middle + half
