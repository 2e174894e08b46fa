"""Distances between populations, symmetric and in sample: they span a space of populations.

Each is a metric in the mathematician's sense: 0 between populations that differ by what it
ignores, the same in both directions, and no detour is shorter than the way. So they can be
embedded, clustered and averaged. Unlike a score they are not cross-validated: with fewer stimuli
than units they come out too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import array_api_compat as array_api
import numpy as np
from scipy.optimize import linear_sum_assignment

from ..base.arrays import Array, to_numpy
from ..base.errors import InputError
from .population import Population, PopulationFold
from .procrustes import nuclear_norm
from .references import check_stimuli, kept
from .soft_matching import SoftMatching

__all__ = [
    "DISTANCES",
    "LEAST_STIMULI",
    "angle",
    "angular",
    "chord",
    "euclidean",
    "permutation",
    "soft_matching",
]

LEAST_STIMULI = 3  # with two, all populations have the same shape


def angular(x: Population, y: Population, alpha: float = 1.0) -> float:
    r"""Angular shape distance: the angle that is left after the best rotation.

    .. math:: \min_Q \arccos \frac{\langle X_\alpha, Y_\alpha Q \rangle}{\|X_\alpha\| \|Y_\alpha\|}
              \quad\text{with}\quad X_\alpha = X (\alpha I + (1 - \alpha) (X^\top X)^{-1/2})

    over the orthogonal matrices Q, with centred responses; the smaller population is filled up
    with silent units. Ignores shift, scale, rotation and reflection, and with `alpha` 0 (as
    canonical correlation does) every invertible linear map.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.
    alpha : float
        From 0 (responses are whitened) to 1 (they are taken as they are).

    Returns
    -------
    float
        In radians, from 0 to pi / 2; NaN where a population does not respond to any stimulus.

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or fewer than 3, or `alpha` is out of range.

    Notes
    -----
    Whitened populations with at least as many units as stimuli are all alike: their distance is 0.
    With `alpha` between 0 and 1 the scale of the responses, and so the number of stimuli, matters:
    bring both to one scale before.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha!r}: give a number from 0 (whitened) to 1 (not whitened).")
    check_stimuli(x, y, LEAST_STIMULI, "the angular distance")
    a, b = (left * (alpha * singular + (1 - alpha)) for left, singular in (_axes(x), _axes(y)))
    lengths = _length(a) * _length(b)
    return angle(nuclear_norm(a.T @ b) / lengths) if lengths else float("nan")


def euclidean(x: Population, y: Population) -> float:
    r"""Size-and-shape distance: what is left after the best rotation.

    .. math:: \min_Q \|X - Y Q\|

    over the orthogonal matrices Q, with centred responses; the smaller population is filled up
    with silent units. Ignores shift, rotation and reflection; notices scale.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.

    Returns
    -------
    float
        In units of the responses; grows with the number of stimuli.

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or fewer than 3.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS; Schönemann 1966, Psychometrika 31.
    """
    check_stimuli(x, y, LEAST_STIMULI, "the Procrustes distance")
    a, b = (left * singular for left, singular in (_axes(x), _axes(y)))
    square = _length(a) ** 2 + _length(b) ** 2 - 2 * nuclear_norm(a.T @ b)
    return math.sqrt(max(square, 0.0))


def permutation(x: Population, y: Population) -> float:
    r"""Angle that is left after the best permutation of units.

    .. math:: \min_P \arccos \frac{\langle X, Y P \rangle}{\|X\| \|Y\|}

    over the permutation matrices P, with centred responses. Ignores shift, scale and the order of
    units. Holds the p x p products of units.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order, with as many units.

    Returns
    -------
    float
        In radians; NaN where a population does not respond to any stimulus.

    Raises
    ------
    InputError
        Where stimuli or units are not as many on both sides, or stimuli fewer than 3.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS.
    """
    check_stimuli(x, y, LEAST_STIMULI, "the permutation distance")
    if x.n_units != y.n_units:
        raise InputError(
            f"{x.n_units} units cannot be a permutation of {y.n_units}: take as many of both, or "
            "soft_matching, which spreads units over several partners."
        )
    a, b = _whole(x).responses[0], _whole(y).responses[0]
    products = to_numpy(a.T @ b)
    matched = float(products[linear_sum_assignment(products, maximize=True)].sum())
    lengths = _length(a) * _length(b)
    return angle(matched / lengths) if lengths else float("nan")


def soft_matching(x: Population, y: Population) -> float:
    r"""Soft matching distance: what is left once each unit has found its partners.

    .. math:: \min_T \sqrt{\sum_{ij} T_{ij} \|\hat x_i - \hat y_j\|^2}
              = \sqrt{2 - 2 \max_T \sum_{ij} T_{ij} \operatorname{corr}(x_i, y_j)}

    over the transport plans T of `SoftMatching`, with units centred and of length 1. Ignores the
    order of units and, unit by unit, shift and scale. Silent units are set aside.

    Parameters
    ----------
    x, y : Population
        Over the same stimuli, in the same order.

    Returns
    -------
    float
        From 0 to 2; the square root of 2 for units without any correlation.

    Raises
    ------
    InputError
        Where stimuli are not as many on both sides, or fewer than 3.

    References
    ----------
    Khosla and Williams 2024, "Soft matching distance", PMLR 243.
    """
    check_stimuli(x, y, LEAST_STIMULI, "the soft matching distance")
    return chord(SoftMatching().fit(_whole(x), _whole(y)).score().similarity)


def angle(cosine: float) -> float:
    """Angle between two directions, in radians.

    Parameters
    ----------
    cosine : float
        Of the angle; rounding may have carried it beyond 1.
    """
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def chord(cosine: float) -> float:
    """Distance between two points on the unit sphere.

    Parameters
    ----------
    cosine : float
        Of the angle between them; rounding may have carried it beyond 1.
    """
    return float(np.sqrt(2 - 2 * np.clip(cosine, -1.0, 1.0)))


def _whole(population: Population) -> PopulationFold:
    """The population with every stimulus on both sides of the split."""
    everything = np.arange(population.n_stimuli)
    return population.fold(everything, everything)


@kept
def _axes(population: Population) -> tuple[Array, Array]:
    """Principal axes of all responses: orthonormal columns (n, r), and lengths along them (r,)."""
    coordinates = _whole(population).coordinates
    return coordinates.left, coordinates.singular


def _length(values: Array) -> float:
    return math.sqrt(array_api.array_namespace(values).sum(values**2))


DISTANCES: dict[str, Callable[[Population, Population], float]] = {
    "angular": angular,
    "euclidean": euclidean,
    "permutation": permutation,
    "soft-matching": soft_matching,
}
