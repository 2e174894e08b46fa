"""Means over folds, medians over units, and ratios of sums over units."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FoldMean", "median", "over_units", "ratio_of_sums", "signed_square", "weighted_sum"]


class FoldMean:
    """Mean over the folds in which a unit could be scored, as a running sum.

    Examples
    --------
    >>> import numpy as np
    >>> FoldMean.of([np.array([0.2, np.nan]), np.array([0.4, 0.5])]).round(1).tolist()
    [0.3, 0.5]
    """

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._known: NDArray[np.intp] | int = 0

    @classmethod
    def of(cls, folds: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Mean over folds.

        Parameters
        ----------
        folds : iterable of float array
            Scores of each fold; NaN where a unit has none.

        Returns
        -------
        float array
            Of the shape of the scores; NaN where no fold has one.
        """
        running = cls()
        for r in folds:
            running.add(r)
        return running.mean()

    def add(self, r: NDArray[np.float64]) -> None:
        """Add the scores of one fold.

        Parameters
        ----------
        r : float array
            NaN where a unit has no score.
        """
        known = ~np.isnan(r)
        self._total = self._total + np.where(known, r, 0.0)
        self._known = self._known + known

    def mean(self) -> NDArray[np.float64]:
        """Mean over the folds that were added.

        Returns
        -------
        float array
            Of the shape of the scores; NaN where no fold has one.
        """
        known = np.asarray(self._known)
        return np.where(known > 0, self._total / np.maximum(known, 1), np.nan)


def over_units(
    values: NDArray[np.floating], counts: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Median over units in each resample, ignoring NaN.

    Parameters
    ----------
    values : float array (B, q) or (1, q)
        Scores of units.
    counts : float array (B, q), optional
        How often each unit is drawn; once by default.

    Returns
    -------
    float array (B,)
        NaN where no unit has a score.
    """
    if counts is None:
        return np.asarray(median(values), dtype=np.float64)
    shape = np.broadcast_shapes(values.shape, counts.shape)
    order = np.broadcast_to(np.argsort(values, axis=1), shape)  # NaN come last
    values = np.take_along_axis(np.broadcast_to(values, shape), order, axis=1)
    weights = np.take_along_axis(counts, order, axis=1) * ~np.isnan(values)
    passed = 2 * np.cumsum(weights, axis=1)
    total = passed[:, -1:] / 2
    lower = np.take_along_axis(values, (passed >= total).argmax(1)[:, None], axis=1)
    upper = np.take_along_axis(values, (passed > total).argmax(1)[:, None], axis=1)
    return np.where(total > 0, (lower + upper) / 2, np.nan)[:, 0]


def median(values: NDArray[np.floating]) -> Any:
    """Median over the last axis, ignoring NaN.

    Parameters
    ----------
    values : float array (..., q)
        Scores of units.

    Returns
    -------
    float array (...)
        NaN where no unit has a score.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(All-NaN slice|Mean of empty slice)", RuntimeWarning)
        return np.nanmedian(values, axis=-1) if values.size else np.full(values.shape[:-1], np.nan)


def ratio_of_sums(
    scores: NDArray[np.floating],
    ceilings: NDArray[np.floating],
    weights: NDArray[np.floating],
) -> NDArray[np.float64]:
    r"""Divide scores by ceilings, after both were summed over units.

    .. math:: N = \frac{\sum_u w_u r_u}{\sum_u w_u k_u}

    With :math:`w_u = k_u` this is the slope of the least-squares line through the origin, of scores
    against ceilings.

    Parameters
    ----------
    scores, ceilings : float array (..., q)
        r and k of units.
    weights : float array (..., q)
        w of units.

    Returns
    -------
    float array (...)
        NaN where no unit has all three, or the ceilings do not sum to more than 0.
    """
    known = np.isfinite(scores) & np.isfinite(ceilings)
    above, below = (weighted_sum(np.where(known, x, np.nan), weights) for x in (scores, ceilings))
    unknown = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.asarray(np.divide(above, below, out=unknown, where=below > 0))


def weighted_sum(
    values: NDArray[np.floating], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Sum over units.

    Parameters
    ----------
    values, weights : float array (..., q)
        Units that have NaN in either are left out.

    Returns
    -------
    float array (...)
        0 where no unit has a value.
    """
    return np.asarray(np.nansum(values * weights, axis=-1), dtype=np.float64)


def signed_square(values: NDArray[np.floating]) -> NDArray[np.float64]:
    r"""Square values and keep their sign, :math:`\operatorname{sign}(x) \, x^2`.

    Parameters
    ----------
    values : float array
        Of any shape.

    Returns
    -------
    float array
        Of the same shape.
    """
    return np.asarray(np.sign(values) * values**2, dtype=np.float64)
