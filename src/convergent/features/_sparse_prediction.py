"""One-to-many: each target unit from few source units, and how many it takes.

The Lasso needs of the responses their means, variances and products alone. Those of a fold's
training stimuli are sums over the other folds, so each population is read once; a square root of
the matrix of products (as many rows as units) stands for all stimuli, exactly.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path

from ..base.arrays import Floats, correlate, to_numpy
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..metrics.linear import Linear
from ..metrics.population import Population
from ..protocol.folds import Folds
from ._cross_moments import CrossMoments
from ._two_populations import Pair, pair_of

__all__ = [
    "LARGE",
    "LEAST_EXPLAINED",
    "LEAST_FOLDS",
    "MODELS",
    "MOST_ROUNDS",
    "PENALTIES",
    "SHORTEST",
    "TOLERANCE",
    "effective_number",
    "sparse_prediction",
    "sparse_table",
]

LARGE = 0.05  # a weight, in deviations of the target per deviation of the source
MODELS = ("single", "lasso", "lasso-best", "ridge")
LEAST_FOLDS = 3  # two are left to choose a penalty in
PENALTIES = tuple(np.logspace(0, -2, 20).tolist())  # less takes long, and is seldom best
TOLERANCE, MOST_ROUNDS = 3e-4, 5000  # duality gap, as a share of the variance
LEAST_EXPLAINED = 0.01  # of the variance, by ridge: there are no shares of less
SHORTEST = 1e-10  # of the longest axis of the sources: shorter ones are rounding


def sparse_prediction(
    source: Assembly,
    target: Assembly,
    *,
    penalties: tuple[float, ...] = PENALTIES,
    folds: Folds = Folds(),
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Predict each target unit from few source units, and from one and from all of them.

    The Lasso on standardized units, at each penalty :math:`\lambda`,

    .. math:: \min_w \tfrac{1}{2n} \lVert y - X w \rVert^2 + \lambda \lVert w \rVert_1,

    with :math:`\lambda` as a share of the least that leaves no weight. Of the training stimuli of
    each fold, the other folds are left out in turn to choose it: the one with the least error
    ("best"), and the largest whose error is no more than a standard error above ("one-se"), which
    gives the smallest set that predicts as well. Beside it stand the single source unit that
    correlates most in training, whatever its sign, and ridge regression on all.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    penalties : tuple of float
        Shares of the least penalty that leaves no weight, from 1 down.
    folds : Folds
        Three or more.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        ``error`` (penalty, fold, target_unit): squared error on test stimuli, as a share of the
        unit's variance there; ``n_weights``: weights that are not zero; ``n_large``: those above
        0.05. ``chosen`` (rule, fold, target_unit): the penalty; ``n_chosen``, ``n_large_chosen``:
        its weights; ``effective`` (rule, fold, target_unit): effective number of source units,
        :math:`(\sum |w|)^2 / \sum w^2`. ``r`` and ``error_of`` (model, fold, target_unit):
        correlation of prediction and response on test stimuli, and error, of "single", "lasso" (one
        standard error), "lasso-best" and "ridge". ``weights`` (source_unit, target_unit): of
        "lasso", mean over folds; ``selected``: share of folds in which one is above 0.05. Silent
        targets have NaN.

    Raises
    ------
    InputError
        Where penalties are not shares from 1 down, folds are fewer than three, or the populations
        do not fit.

    Warns
    -----
    UserWarning
        Where some solutions are not converged.

    References
    ----------
    Tibshirani 1996, Journal of the Royal Statistical Society B 58; Friedman, Hastie and Tibshirani
    2010, Journal of Statistical Software 33 (coordinate descent, as scikit-learn has it); Li et al.
    2015, arXiv 1511.07543.
    """
    grid = np.asarray(penalties, dtype=np.float64)
    if (
        grid.ndim != 1
        or not len(grid)
        or not (np.diff([np.inf, *grid, 0]) < 0).all()
        or grid[0] > 1
    ):
        raise InputError(
            f"penalties {penalties!r} must be shares that fall, from 1 down to above 0, such as "
            "numpy.logspace(0, -2, 20)."
        )
    if folds.n < LEAST_FOLDS:
        raise InputError(
            f"folds.n is {folds.n}: give {LEAST_FOLDS} or more, as the penalty is chosen within "
            "the training stimuli of each."
        )
    pair = pair_of(source, target, folds)
    n, q = folds.n, len(pair.target.units)
    errors = np.full((n, n, len(grid), q), np.nan)  # of one fold, without it and an outer one
    parts: list[xr.Dataset] = []
    unconverged = 0
    # a path that leaves out two folds serves either as the outer one
    left_out = [*combinations(range(n), 2), *((outer,) for outer in range(n))]
    for apart in track(left_out, "sparse prediction", len(left_out), progress):
        tests = [pair.fold_moments[fold] for fold in apart]
        train = pair.moments
        for test in tests:
            train = train - test
        weights, open_gaps = _weights(train, grid)
        unconverged += open_gaps
        if len(apart) == 2:
            for outer, inner, test in zip(apart[::-1], apart, tests, strict=True):
                errors[outer, inner] = _held_out(weights, test, train).error
            continue
        (outer,) = apart
        within = np.delete(errors[outer], outer, axis=0)
        parts.append(_fold(weights, grid, within, train, tests[0], _ridge(pair, outer)))
    result: xr.Dataset = xr.concat(parts, "fold")
    for name in ("weights", "selected"):
        result[name] = result[name].mean("fold")
    if unconverged:
        warnings.warn(
            f"{unconverged} of {len(left_out) * len(grid) * q} sparse solutions are not converged: "
            "leave out the smallest penalties.",
            stacklevel=2,
        )
    silent = pair.target.silent
    result = result.where(xr.DataArray(~silent, dims="target_unit"))
    return result.assign_coords(
        target_unit=pair.target.units,
        source_unit=pair.source.units,
        penalty=grid,
        rule=["one-se", "best"],
        model=list(MODELS),
    ).assign_attrs(pair.attrs, n_not_converged=unconverged)


def sparse_table(prediction: xr.Dataset) -> pd.DataFrame:
    """Between one and many: a row a target unit.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `sparse_prediction`.

    Returns
    -------
    pandas.DataFrame
        ``unit``; held-out ``r`` of each model, ``r_single``, ``r_lasso``, ``r_lasso_best``,
        ``r_ridge``; ``n_sources``, weights of the smallest set within one standard error of the
        best, and ``n_large``, those above 0.05 (means over folds); ``effective``, its effective
        number of source units; ``by_one`` and ``by_few``, the shares of what ridge explains (of the
        variance) that the single unit and the small set explain.
    """
    mean = prediction[["r", "error_of", "n_chosen", "n_large_chosen", "effective"]].mean("fold")
    few = mean.sel(rule="one-se")
    explained = 1 - mean["error_of"]
    whole = explained.sel(model="ridge").values
    whole = np.where(whole > LEAST_EXPLAINED, whole, np.nan)
    columns = {
        f"r_{model.replace('-', '_')}": mean["r"].sel(model=model).values for model in MODELS
    }
    return pd.DataFrame(
        {
            "unit": prediction["target_unit"].values,
            **columns,
            "n_sources": few["n_chosen"].values,
            "n_large": few["n_large_chosen"].values,
            "effective": few["effective"].values,
            "by_one": explained.sel(model="single").values / whole,
            "by_few": explained.sel(model="lasso").values / whole,
        }
    )


def effective_number(weights: Floats, axis: int = 0) -> Floats:
    """How many of the weights count: (sum |w|)^2 / sum w^2; NaN where all are 0.

    Parameters
    ----------
    weights : float array
        Of any sign.
    axis : int
        Along which they are counted.
    """
    size = np.abs(weights)
    squares = (size**2).sum(axis)
    unknown = np.full(np.shape(squares), np.nan)
    return np.asarray(np.divide(size.sum(axis) ** 2, squares, out=unknown, where=squares > 0))


def _weights(train: CrossMoments, grid: Floats) -> tuple[Floats, int]:
    """Weights (penalty, source, target) of standardized units, and how many are not converged."""
    standard = train.standardized(train)
    products, across = standard.xx / train.n, standard.xy / train.n
    squares, axes = np.linalg.eigh(products)
    long = squares > SHORTEST * squares[-1]
    lengths = np.sqrt(squares[long])
    rows = len(lengths)
    # rows whose products are those of the units; scikit-learn divides squares by their number
    design = np.asfortranarray(rows**0.5 * lengths[:, None] * axes[:, long].T)
    aims = rows**0.5 * (axes[:, long].T @ across) / lengths[:, None]
    most = np.abs(across).max(0)
    weights = np.zeros((len(grid), *across.shape))

    def path(unit: int) -> int:
        _, found, gaps = lasso_path(
            design, aims[:, unit], alphas=most[unit] * grid, tol=TOLERANCE, max_iter=MOST_ROUNDS
        )
        weights[:, :, unit] = found.T
        return int(np.sum(np.asarray(gaps) > TOLERANCE * (aims[:, unit] @ aims[:, unit]) / rows))

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted instead
        return weights, sum(pool.map(path, np.flatnonzero(most)))


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """How predictions do on stimuli that they were not fitted on, (..., target)."""

    error: Floats
    r: Floats


def _held_out(weights: Floats, test: CrossMoments, train: CrossMoments) -> _HeldOut:
    """Error and correlation of weights (..., source, target) of units standardized in training."""
    shown = test.standardized(train)
    n = test.n
    products, across, own = shown.xx / n, shown.xy / n, np.diagonal(shown.yy) / n
    x, y = shown.x / n, shown.y / n
    flat = np.moveaxis(weights, -2, 0).reshape(len(products), -1)
    square = np.sum(flat * (products @ flat), axis=0).reshape(*weights.shape[:-2], -1)
    product = np.sum(weights * across, axis=-2)
    mean = np.einsum("...st,s->...t", weights, x)
    error = own - 2 * product + square
    spread = np.sqrt(np.maximum(square - mean**2, 0) * np.maximum(own - y**2, 0))
    rounding = 1e-9 * np.sqrt(square * own)
    r = np.divide(product - mean * y, spread, out=np.zeros_like(spread), where=spread > rounding)
    responsive = own - y**2 > 1e-12 * own
    return _HeldOut(
        np.where(responsive, error / np.where(own > 0, own, 1.0), np.nan),
        np.where(responsive, np.clip(r, -1, 1), np.nan),
    )


def _fold(
    weights: Floats,
    grid: Floats,
    inner: Floats,
    train: CrossMoments,
    test: CrossMoments,
    ridge: _HeldOut,
) -> xr.Dataset:
    """Choose penalties by the errors (fold, penalty, target) within, and predict a fold's test."""
    known = np.isfinite(inner).sum(0)  # a target may be silent in some folds
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(Mean of empty|Degrees of freedom)", RuntimeWarning)
        mean = np.nanmean(inner, axis=0)
        error = np.nan_to_num(np.nanstd(inner, axis=0, ddof=1)) / np.sqrt(np.maximum(known, 1))
    best = np.argmin(np.where(np.isnan(mean), np.inf, mean), axis=0)
    units = np.arange(mean.shape[1])
    enough = mean <= mean[best, units] + error[best, units]
    chosen = np.stack([np.where(enough.any(0), enough.argmax(0), best), best])
    taken = weights[chosen, :, units[None]]  # (rule, target, source)
    size = np.abs(taken)
    single = _single(train)
    lasso = _held_out(np.moveaxis(taken, -1, -2), test, train)
    alone = _held_out(single, test, train)
    return xr.Dataset(
        {
            "error": (("penalty", "target_unit"), _held_out(weights, test, train).error),
            "n_weights": (("penalty", "target_unit"), (weights != 0).sum(1).astype(float)),
            "n_large": (("penalty", "target_unit"), (abs(weights) > LARGE).sum(1) * 1.0),
            "chosen": (("rule", "target_unit"), grid[chosen]),
            "n_chosen": (("rule", "target_unit"), (size > 0).sum(-1).astype(float)),
            "n_large_chosen": (("rule", "target_unit"), (size > LARGE).sum(-1) * 1.0),
            "effective": (("rule", "target_unit"), effective_number(taken, axis=-1)),
            "r": (
                ("model", "target_unit"),
                np.stack([alone.r, *lasso.r, ridge.r]),
            ),
            "error_of": (
                ("model", "target_unit"),
                np.stack([alone.error, *lasso.error, ridge.error]),
            ),
            "weights": (("source_unit", "target_unit"), taken[0].T),
            "selected": (("source_unit", "target_unit"), (size[0] > LARGE).T * 1.0),
        }
    )


def _single(train: CrossMoments) -> Floats:
    """Weight (source, target) of the one source unit that correlates most in training."""
    r = train.correlation
    best = np.abs(r).argmax(0), np.arange(r.shape[1])
    weights = np.zeros_like(r)
    weights[best] = r[best]
    return weights


def _ridge(pair: Pair, number: int) -> _HeldOut:
    train, test = pair.splits[number]
    source, target = (Population(side.values).fold(train, test) for side in pair.sides)
    fitted = Linear().fit(source, target)
    predicted, observed = to_numpy(fitted.predict()), to_numpy(target.responses[1])
    total = np.sum(observed**2, axis=0)
    error = np.sum((predicted - observed) ** 2, axis=0)
    r = correlate(predicted, observed)
    error = np.divide(error, total, out=np.full(len(total), np.nan), where=total > 0)
    return _HeldOut(np.where(np.isnan(r), np.nan, error), r)
