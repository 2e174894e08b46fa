"""Lasso paths from cross-moments, the choice of a penalty, and errors on held-out stimuli."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path

from ..base.arrays import Floats, Integers, is_rounding
from ._cross_moments import CrossMoments

__all__ = ["HeldOut", "chosen_penalties", "effective_number", "held_out", "lasso_weights"]

_TOLERANCE, _MOST_ROUNDS = 3e-4, 5000  # duality gap, as a share of the variance
_SHORTEST = 1e-10  # of the longest axis of the sources: shorter ones are rounding


def lasso_weights(train: CrossMoments, grid: Floats) -> tuple[Floats, int]:
    """Weights of standardized source units that predict each target unit, at each penalty.

    Parameters
    ----------
    train : CrossMoments
        Of the training stimuli.
    grid : float array (k,)
        Penalties, as shares of the smallest one that makes all weights zero.

    Returns
    -------
    weights : float array (k, source, target)
    unconverged : int
        How many of the k x target solutions have not converged.
    """
    standard = train.standardized(train)
    products, across = standard.xx / train.n, standard.xy / train.n
    squares, axes = np.linalg.eigh(products)
    long = squares > _SHORTEST * squares[-1]
    lengths = np.sqrt(squares[long])
    rows = len(lengths)
    # rows with the same products as the responses; scikit-learn divides squares by their number
    design = np.asfortranarray(rows**0.5 * lengths[:, None] * axes[:, long].T)
    responses = rows**0.5 * (axes[:, long].T @ across) / lengths[:, None]
    most = np.abs(across).max(0)
    weights = np.zeros((len(grid), *across.shape))

    def path(unit: int) -> int:
        response = responses[:, unit]
        _, found, gaps = lasso_path(
            design, response, alphas=most[unit] * grid, tol=_TOLERANCE, max_iter=_MOST_ROUNDS
        )
        weights[:, :, unit] = found.T
        return int(np.sum(np.asarray(gaps) > _TOLERANCE * (response @ response) / rows))

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted instead
        return weights, sum(pool.map(path, np.flatnonzero(most)))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Quality of predictions on stimuli that they were not fitted on.

    Attributes
    ----------
    error : float array (..., target)
        Squared error, as a share of the target unit's variance.
    r : float array (..., target)
        Correlation of prediction and response. Both are NaN for units that are silent there.
    """

    error: Floats
    r: Floats


def held_out(weights: Floats, test: CrossMoments, train: CrossMoments) -> HeldOut:
    """Error and correlation on test stimuli.

    Parameters
    ----------
    weights : float array (..., source, target)
        Of units that were standardized on the training stimuli.
    test, train : CrossMoments
        Of the test and the training stimuli.
    """
    standard = test.standardized(train)
    n = test.n
    products, across, own = standard.xx / n, standard.xy / n, np.diagonal(standard.yy) / n
    x, y = standard.x / n, standard.y / n
    flat = np.moveaxis(weights, -2, 0).reshape(len(products), -1)
    square = np.sum(flat * (products @ flat), axis=0).reshape(*weights.shape[:-2], -1)
    product = np.sum(weights * across, axis=-2)
    mean = np.einsum("...st,s->...t", weights, x)
    error = own - 2 * product + square
    spread = np.sqrt(np.maximum(square - mean**2, 0) * np.maximum(own - y**2, 0))
    rounding = 1e-9 * np.sqrt(square * own)
    r = np.divide(product - mean * y, spread, out=np.zeros_like(spread), where=spread > rounding)
    responsive = ~is_rounding(own - y**2, own, n)
    return HeldOut(
        np.where(responsive, error / np.where(own > 0, own, 1.0), np.nan),
        np.where(responsive, np.clip(r, -1, 1), np.nan),
    )


def chosen_penalties(inner: Floats) -> Integers:
    """Positions of the penalties chosen for each target unit, (2, target).

    First the largest penalty whose error is within one standard error of the lowest ("one-se"),
    then the one with the lowest error ("best").

    Parameters
    ----------
    inner : float array (fold, penalty, target)
        Errors on the inner folds; NaN where a unit is silent.
    """
    known = np.isfinite(inner).sum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(Mean of empty|Degrees of freedom)", RuntimeWarning)
        mean = np.nanmean(inner, axis=0)
        error = np.nan_to_num(np.nanstd(inner, axis=0, ddof=1)) / np.sqrt(np.maximum(known, 1))
    best = np.argmin(np.where(np.isnan(mean), np.inf, mean), axis=0)
    units = np.arange(mean.shape[1])
    enough = mean <= mean[best, units] + error[best, units]
    return np.stack([np.where(enough.any(0), enough.argmax(0), best), best])


def effective_number(weights: Floats, axis: int = 0) -> Floats:
    r"""Effective number of weights, :math:`(\sum |w|)^2 / \sum w^2`; NaN where all are 0.

    Parameters
    ----------
    weights : float array
        Of any sign.
    axis : int
        The axis along which they are counted.
    """
    size = np.abs(weights)
    squares = (size**2).sum(axis)
    unknown = np.full(np.shape(squares), np.nan)
    return np.asarray(np.divide(size.sum(axis) ** 2, squares, out=unknown, where=squares > 0))
