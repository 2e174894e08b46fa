"""Distances between populations, symmetric and in sample: they span a space of populations.

Each is a metric in the mathematical sense: it is 0 between populations that differ only by what it
ignores, it is the same in both directions, and the triangle inequality holds. So populations can
be embedded, clustered and averaged. Unlike a score, distances are not cross-validated: with fewer
stimuli than units they come out too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import array_api_compat as array_api
import numpy as np
from scipy.optimize import linear_sum_assignment

from ..base.arguments import as_number, check_type
from ..base.arrays import Array, to_numpy
from ..base.errors import InputError
from .inputs import Responses, paired_populations
from .procrustes import nuclear_norm
from .soft_matching import SoftMatching

__all__ = [
    "DISTANCES",
    "angle",
    "angular",
    "chord",
    "euclidean",
    "permutation",
    "soft_matching",
]

_REAL = (int, float, np.integer, np.floating)
_LEAST_STIMULI = 3  # with two, all populations have the same shape


def angular(x: Responses, y: Responses, alpha: float = 1.0) -> float:
    r"""Angular shape distance: the angle that remains after the best rotation.

    .. math:: \min_Q \arccos \frac{\langle X_\alpha, Y_\alpha Q \rangle}{\|X_\alpha\| \|Y_\alpha\|}
              \quad\text{with}\quad X_\alpha = X (\alpha I + (1 - \alpha) (X^\top X)^{-1/2})

    over the orthogonal matrices Q, with centred responses; the smaller population is filled up
    with silent units. Ignores shift, scale, rotation and reflection, and with `alpha` 0 (as
    canonical correlation does) every invertible linear map.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.
    alpha : float
        From 0 (responses are whitened) to 1 (they are taken as they are).

    Returns
    -------
    float
        In radians, from 0 to pi / 2; NaN where a population does not respond to any stimulus.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, values are missing, or `alpha` is out
        of range.

    Notes
    -----
    Whitened populations with at least as many units as stimuli are all alike: their distance is 0.
    With `alpha` between 0 and 1 the scale of the responses, and so the number of stimuli, matters:
    bring both to one scale before.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((50, 3))
    >>> mixed = x @ np.diag([1.0, 2.0, 3.0])
    >>> round(cv.distances.angular(x, 2 * x[:, ::-1]), 4)  # scale and order do not matter
    0.0
    >>> round(cv.distances.angular(x, mixed), 2), round(cv.distances.angular(x, mixed, alpha=0), 2)
    (0.42, 0.0)
    """
    alpha = as_number("alpha", alpha, 0, 1)  # whitened, not whitened
    one, other = paired_populations(x, y, _LEAST_STIMULI, "the angular distance")
    a, b = (left * (alpha * singular + (1 - alpha)) for left, singular in (one.axes, other.axes))
    lengths = _length(a) * _length(b)
    return angle(nuclear_norm(a.T @ b) / lengths) if lengths else float("nan")


def euclidean(x: Responses, y: Responses) -> float:
    r"""Size-and-shape distance: the distance that remains after the best rotation.

    .. math:: \min_Q \|X - Y Q\|

    over the orthogonal matrices Q, with centred responses; the smaller population is filled up
    with silent units. Ignores shift, rotation and reflection; notices scale.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.

    Returns
    -------
    float
        In units of the responses; grows with the number of stimuli.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, or values are missing.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS; Schönemann 1966, Psychometrika 31.
    """
    one, other = paired_populations(x, y, _LEAST_STIMULI, "the Procrustes distance")
    a, b = (left * singular for left, singular in (one.axes, other.axes))
    square = _length(a) ** 2 + _length(b) ** 2 - 2 * nuclear_norm(a.T @ b)
    return math.sqrt(max(square, 0.0))


def permutation(x: Responses, y: Responses) -> float:
    r"""Angle that remains after the best permutation of units.

    .. math:: \min_P \arccos \frac{\langle X, Y P \rangle}{\|X\| \|Y\|}

    over the permutation matrices P, with centred responses. Ignores shift, scale and the order of
    units. Holds the p x p products of units in memory.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p)
        Two populations with equally many units. Stimuli of assemblies are matched by name and
        repeats averaged; arrays and populations are over the same stimuli in the same order.

    Returns
    -------
    float
        In radians, from 0 to pi; NaN where a population does not respond to any stimulus.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, values are missing, or the numbers of
        units differ.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS.
    """
    one, other = paired_populations(x, y, _LEAST_STIMULI, "the permutation distance")
    if one.n_units != other.n_units:
        raise InputError(
            f"{one.n_units} units cannot be a permutation of {other.n_units}: take as many of "
            "both, or soft_matching, which spreads units over several partners."
        )
    a, b = one.whole().responses[0], other.whole().responses[0]
    products = to_numpy(a.T @ b)
    matched = float(products[linear_sum_assignment(products, maximize=True)].sum())
    lengths = _length(a) * _length(b)
    return angle(matched / lengths) if lengths else float("nan")


def soft_matching(x: Responses, y: Responses) -> float:
    r"""Soft matching distance: the distance that remains once each unit has its partners.

    .. math:: \min_T \sqrt{\sum_{ij} T_{ij} \|\hat x_i - \hat y_j\|^2}
              = \sqrt{2 - 2 \max_T \sum_{ij} T_{ij} \operatorname{corr}(x_i, y_j)}

    over the transport plans T of `SoftMatching`, with units centred and of length 1. Ignores the
    order of units and, unit by unit, shift and scale. Silent units are set aside.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.

    Returns
    -------
    float
        From 0 to 2; the square root of 2 for units without any correlation; NaN where a population
        does not respond to any stimulus.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, or values are missing.

    References
    ----------
    Khosla and Williams 2024, "Soft matching distance", PMLR 243.
    """
    one, other = paired_populations(x, y, _LEAST_STIMULI, "the soft matching distance")
    return chord(SoftMatching().fit(one.whole(), other.whole()).score().similarity)


def angle(cosine: float) -> float:
    """Angle between two directions.

    Parameters
    ----------
    cosine : float
        Of the angle; rounding may have carried it beyond 1.

    Returns
    -------
    float
        In radians, from 0 to pi.
    """
    check_type(_REAL, "a number", cosine=cosine)
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def chord(cosine: float) -> float:
    """Distance between two points on the unit sphere.

    Parameters
    ----------
    cosine : float
        Of the angle between them; rounding may have carried it beyond 1.

    Returns
    -------
    float
        From 0 to 2.
    """
    check_type(_REAL, "a number", cosine=cosine)
    return float(np.sqrt(2 - 2 * np.clip(cosine, -1.0, 1.0)))


def _length(values: Array) -> float:
    return math.sqrt(array_api.array_namespace(values).sum(values**2))


DISTANCES: dict[str, Callable[[Responses, Responses], float]] = {
    "angular": angular,
    "euclidean": euclidean,
    "permutation": permutation,
    "soft-matching": soft_matching,
}
