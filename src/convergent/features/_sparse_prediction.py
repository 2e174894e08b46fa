"""One-to-many: each target unit is predicted from few source units.

For the Lasso, means, variances and products of the responses are enough. Those of a fold's training
stimuli are sums over the other folds, so each population is read once; a square root of the matrix
of products (as many rows as units) replaces the stimuli, exactly.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arguments import as_list, as_number
from ..base.arrays import Floats, Integers, correlate, to_numpy
from ..base.compute import Compute
from ..base.errors import InputError, warn
from ..base.progress import track
from ..data.assembly import Assembly
from ..metrics.linear import Linear
from ..metrics.population import Population
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.kinds import check_kind
from ._cross_moments import CrossMoments
from ._lasso import HeldOut, chosen_penalties, effective_number, held_out, lasso_weights
from ._results import OF_SCORES, result, used
from ._two_populations import TwoPopulations, prepare

__all__ = ["LEAST_FOLDS", "sparse_prediction", "sparse_prediction_of", "sparse_table"]

LEAST_FOLDS = 3  # the penalty is chosen within the training stimuli, by two folds or more
_PENALTIES = tuple(np.logspace(0, -2, 20).tolist())  # smaller ones are slow, and seldom best
_MODELS = ("single", "lasso", "lasso-best", "ridge")
_LARGE = 0.05  # a weight, in deviations of the target per deviation of the source
_LEAST_EXPLAINED = 0.01  # of the variance, by ridge: shares of less than this are not given


def sparse_prediction(
    source: Assembly,
    target: Assembly,
    *,
    penalties: tuple[float, ...] = _PENALTIES,
    **settings: Unpack[Settings],
) -> xr.Dataset:
    r"""Predict each target unit from few source units, from a single one, and from all of them.

    The Lasso on standardized units, at each penalty :math:`\lambda`,

    .. math:: \min_w \tfrac{1}{2n} \lVert y - X w \rVert^2 + \lambda \lVert w \rVert_1,

    with :math:`\lambda` as a share of the smallest penalty that makes all weights zero. Within the
    training stimuli of each fold, the other folds are held out in turn to choose it: the penalty
    with the lowest error ("best"), and the largest penalty whose error is within one standard error
    of that ("one-se"), which gives the smallest set of units that predicts as well. For comparison,
    the target is predicted from the single source unit with the highest absolute correlation in
    training, and from all source units by ridge regression.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    penalties : tuple of float
        Shares of the smallest penalty that makes all weights zero, falling from 1; by default 20
        from 1 to 0.01.
    **settings : Settings
        ``folds``, three or more, or ``protocol`` with them; ``study`` and ``progress``, or
        ``compute`` with these.

    Returns
    -------
    xarray.Dataset
        NaN for silent target units. At each penalty:

        - ``error`` (fold, penalty, target_unit): squared error on test stimuli, as a share of the
          unit's variance there.
        - ``n_weights``, ``n_large`` (fold, penalty, target_unit): number of weights that are not
          zero, and of those larger than 0.05.

        At the chosen penalties ("one-se" and "best" along ``rule``):

        - ``chosen`` (fold, rule, target_unit): the penalty.
        - ``n_chosen``, ``n_large_chosen`` (fold, rule, target_unit): numbers of its weights.
        - ``effective`` (fold, rule, target_unit): effective number of source units,
          :math:`(\sum |w|)^2 / \sum w^2`.

        Of "single", "lasso" (one-se), "lasso-best" and "ridge" along ``model``:

        - ``r``, ``error_of`` (fold, model, target_unit): correlation of prediction and response on
          test stimuli, and squared error as above.

        Of "lasso", over folds:

        - ``weights`` (source_unit, target_unit): mean weight.
        - ``selected`` (source_unit, target_unit): share of folds in which it is above 0.05.

        Attrs: ``n_not_converged``, ``n_stimuli``, ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If penalties are not shares that fall from 1, folds are fewer than three, or the
        populations do not fit.

    Warns
    -----
    UserWarning
        If some solutions have not converged.

    References
    ----------
    Tibshirani 1996, Journal of the Royal Statistical Society B 58; Friedman, Hastie and Tibshirani
    2010, Journal of Statistical Software 33 (coordinate descent, as in scikit-learn); Li, Yosinski,
    Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    protocol, compute = settle(
        settings, usual=Protocol(), without=(*OF_SCORES, "shuffle", "bootstrap")
    )
    given = as_list("penalties", penalties, "a list of falling shares")
    penalties = tuple(as_number("penalties", one, 0, 1) for one in given)
    if not penalties or not (np.diff([np.inf, *penalties, 0]) < 0).all():
        raise InputError(
            f"penalties {penalties!r} must be shares that fall, from 1 down to above 0, such as "
            "numpy.logspace(0, -2, 20)."
        )
    if protocol.folds.n < LEAST_FOLDS:
        raise InputError(
            f"folds.n is {protocol.folds.n}: give {LEAST_FOLDS} or more, as the penalty is chosen "
            "within the training stimuli of each."
        )
    pair = prepare(source, target, protocol.folds)
    return sparse_prediction_of(pair, protocol, compute, penalties)


def sparse_prediction_of(
    pair: TwoPopulations,
    protocol: Protocol,
    compute: Compute,
    penalties: tuple[float, ...] = _PENALTIES,
) -> xr.Dataset:
    """Predict units, as `sparse_prediction` does, of prepared populations."""
    grid = np.asarray(penalties, dtype=np.float64)
    make = partial(_predictions, pair, grid, compute.progress)
    own = used(protocol, "folds") | {"penalties": grid.tolist()}
    return result("sparse_prediction", pair, make, compute, own)


def _predictions(pair: TwoPopulations, grid: Floats, progress: bool | None) -> xr.Dataset:
    n, q = len(pair.splits), len(pair.target.units)
    errors = np.full((n, n, len(grid), q), np.nan)  # by outer and inner fold
    parts: list[xr.Dataset] = []
    unconverged = 0
    # a path without two folds serves either of them as the outer fold
    left_out = [*combinations(range(n), 2), *((outer,) for outer in range(n))]
    for apart in track(left_out, "sparse prediction", len(left_out), progress):
        tests = [pair.fold_moments[fold] for fold in apart]
        train = pair.moments
        for test in tests:
            train = train - test
        weights, open_gaps = lasso_weights(train, grid)
        unconverged += open_gaps
        if len(apart) == 2:
            for outer, inner, test in zip(apart[::-1], apart, tests, strict=True):
                errors[outer, inner] = held_out(weights, test, train).error
            continue
        (outer,) = apart
        chosen = chosen_penalties(np.delete(errors[outer], outer, axis=0))
        part = _at_penalties(weights, tests[0], train)
        part |= _at_chosen(weights, chosen, grid, tests[0], train, _ridge(pair, outer))
        parts.append(xr.Dataset(part))
    found: xr.Dataset = xr.concat(parts, "fold")
    for name in ("weights", "selected"):
        found[name] = found[name].mean("fold")
    if unconverged:
        warn(
            f"{unconverged} of {len(left_out) * len(grid) * q} sparse solutions are not converged: "
            "leave out the smallest penalties."
        )
    labels = {"penalty": grid, "rule": ["one-se", "best"], "model": list(_MODELS)}
    units = {"target_unit": pair.target.units, "source_unit": pair.source.units}
    found = found.where(xr.DataArray(~pair.target.silent, dims="target_unit"))
    return found.assign_coords(units | labels).assign_attrs(n_not_converged=unconverged)


def sparse_table(prediction: xr.Dataset) -> pd.DataFrame:
    """Compare the prediction from one, few and all source units: one row per target unit.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `sparse_prediction`.

    Returns
    -------
    pandas.DataFrame
        Means over folds, on test stimuli. ``unit``; ``r_single``, ``r_lasso``, ``r_lasso_best``,
        ``r_ridge``: r of each model. For the smallest set within one standard error of the best:
        ``n_sources``, number of weights, ``n_large``, those larger than 0.05, and ``effective``,
        effective number of source units. ``by_one`` and ``by_few``: the variance that the single
        unit and this set explain, as shares of what ridge explains; NaN if ridge explains less than
        1%.
    """
    check_kind(prediction, "sparse_prediction", "features.sparse_table")
    mean = prediction[["r", "error_of", "n_chosen", "n_large_chosen", "effective"]].mean("fold")
    few = mean.sel(rule="one-se")
    explained = 1 - mean["error_of"]
    whole = explained.sel(model="ridge").values
    whole = np.where(whole > _LEAST_EXPLAINED, whole, np.nan)
    columns = {
        f"r_{model.replace('-', '_')}": mean["r"].sel(model=model).values for model in _MODELS
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


def _at_penalties(weights: Floats, test: CrossMoments, train: CrossMoments) -> dict[str, Any]:
    """Errors and numbers of weights (penalty, source, target) of one fold, at each penalty."""
    dims = ("penalty", "target_unit")
    return {
        "error": (dims, held_out(weights, test, train).error),
        "n_weights": (dims, (weights != 0).sum(1).astype(float)),
        "n_large": (dims, (abs(weights) > _LARGE).sum(1) * 1.0),
    }


def _at_chosen(
    weights: Floats,
    chosen: Integers,
    grid: Floats,
    test: CrossMoments,
    train: CrossMoments,
    ridge: HeldOut,
) -> dict[str, Any]:
    """Weights of one fold at the chosen penalties, and scores of all models on its test stimuli."""
    taken = weights[chosen, :, np.arange(weights.shape[-1])[None]]  # (rule, target, source)
    size = np.abs(taken)
    lasso = held_out(np.moveaxis(taken, -1, -2), test, train)
    alone = held_out(_single(train), test, train)
    by_rule, by_model = ("rule", "target_unit"), ("model", "target_unit")
    of_units = ("source_unit", "target_unit")
    return {
        "chosen": (by_rule, grid[chosen]),
        "n_chosen": (by_rule, (size > 0).sum(-1).astype(float)),
        "n_large_chosen": (by_rule, (size > _LARGE).sum(-1) * 1.0),
        "effective": (by_rule, effective_number(taken, axis=-1)),
        "r": (by_model, np.stack([alone.r, *lasso.r, ridge.r])),
        "error_of": (by_model, np.stack([alone.error, *lasso.error, ridge.error])),
        "weights": (of_units, taken[0].T),
        "selected": (of_units, (size[0] > _LARGE).T * 1.0),
    }


def _single(train: CrossMoments) -> Floats:
    """Weight (source, target) of the source unit with the highest absolute r in training."""
    r = train.correlation
    best = np.abs(r).argmax(0), np.arange(r.shape[1])
    weights = np.zeros_like(r)
    weights[best] = r[best]
    return weights


def _ridge(pair: TwoPopulations, fold: int) -> HeldOut:
    train, test = pair.splits[fold]
    source, target = (Population(side.values).fold(train, test) for side in pair.sides)
    fitted = Linear().fit(source, target)
    predicted, observed = to_numpy(fitted.predict()), to_numpy(target.responses[1])
    total = np.sum(observed**2, axis=0)
    error = np.sum((predicted - observed) ** 2, axis=0)
    r = correlate(predicted, observed)
    error = np.divide(error, total, out=np.full(len(total), np.nan), where=total > 0)
    return HeldOut(np.where(np.isnan(r), np.nan, error), r)
