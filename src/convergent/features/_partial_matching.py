"""Partial soft matching: how well the best part of two populations matches.

Soft matching gives a partner to every unit, even without a counterpart. Here only a share s of the
mass is matched, the best one, so that units without a counterpart do not lower the score.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import numpy as np
import ot
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import as_list, as_number
from ..base.arrays import Floats
from ..base.compute import Compute
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import Protocol, Settings, settle
from ._cross_moments import CrossMoments
from ._results import OF_SCORES, result, used
from ._two_populations import TwoPopulations, prepare

__all__ = ["partial_matching", "partial_matching_of", "partial_plan"]

_SHARES = tuple((np.arange(1, 21) / 20).tolist())


_RISING = "shares in rising order, such as (0.5, 1.0)"


def partial_matching(
    source: Assembly,
    target: Assembly,
    *,
    shares: tuple[float, ...] = _SHARES,
    **settings: Unpack[Settings],
) -> xr.Dataset:
    r"""Soft matching of a share of two populations, for several shares.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} r_{ij} \quad\text{with}\quad
              \sum_j T_{ij} \le \tfrac{1}{p}, \; \sum_i T_{ij} \le \tfrac{1}{q}, \;
              \sum_{ij} T_{ij} = s,

    on the training stimuli of each fold; the score is :math:`\sum T_{ij} r_{ij} / s` on its test
    stimuli, the mean correlation of the matched mass. Silent units are left out.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    shares : tuple of float
        s, above 0 and up to 1, in rising order; by default 0.05 to 1. At 1 this is soft matching.
    **settings : Settings
        ``folds``, or ``protocol`` with them; ``study`` and ``progress``, or ``compute`` with these.

    Returns
    -------
    xarray.Dataset
        ``r`` and ``r_train`` (share, fold): score on test and training stimuli. ``mass`` (share,
        unit): matched share of each unit, from 0 to 1, mean over folds; along ``unit`` stand the
        units of the source, then those of the target (coordinate ``side``). ``matched`` (unit):
        mean of mass over shares, by which units can be ranked: units that are matched first have
        most. ``best_share``: the share at which s times the score on test stimuli lies highest
        above the straight line from 0 to its value at the last share; beyond, additional units
        match worse than the mean. Attrs: ``n_stimuli``, ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If shares are out of their range, or the populations do not fit.

    References
    ----------
    Chapel, Alaya and Gasso 2020, NeurIPS 33 (partial optimal transport, as in POT); Khosla and
    Williams 2024, PMLR 243 (soft matching).
    """
    protocol, compute = settle(
        settings, usual=Protocol(), without=(*OF_SCORES, "shuffle", "bootstrap")
    )
    shares = tuple(as_number("shares", one, 0, 1) for one in as_list("shares", shares, _RISING))
    if not shares or not (np.diff([0, *shares]) > 0).all():
        raise InputError(
            f"shares {shares!r} must be numbers above 0 and up to 1, in rising order, such as "
            "(0.25, 0.5, 0.75, 1)."
        )
    return partial_matching_of(prepare(source, target, protocol.folds), protocol, compute, shares)


def partial_matching_of(
    pair: TwoPopulations,
    protocol: Protocol,
    compute: Compute,
    shares: tuple[float, ...] = _SHARES,
) -> xr.Dataset:
    """Match shares, as `partial_matching` does, of prepared populations."""
    grid = np.asarray(shares, dtype=np.float64)
    make = partial(_scores, pair, grid, compute.progress)
    own = used(protocol, "folds") | {"shares": grid.tolist()}
    return result("partial_matching", pair, make, compute, own)


def _scores(pair: TwoPopulations, grid: Floats, progress: bool | None) -> xr.Dataset:
    n_folds = len(pair.splits)
    steps = [(fold, i) for fold in enumerate(pair.train_and_test()) for i in range(len(grid))]
    r, r_train = np.empty((2, len(grid), n_folds))
    mass = np.zeros((len(grid), sum(len(side.units) for side in pair.sides)))
    for (number, (train, test)), i in track(steps, "partial matching", len(steps), progress):
        plan, responsive = _fitted(pair, train, float(grid[i]))
        r_train[i, number] = (plan * train.correlation[responsive]).sum() / grid[i]
        r[i, number] = (plan * test.correlation[responsive]).sum() / grid[i]
        for side, part in enumerate((plan.sum(1) * plan.shape[0], plan.sum(0) * plan.shape[1])):
            positions = responsive[side].ravel() + side * len(pair.source.units)
            mass[i, positions] += part / n_folds
    found = xr.Dataset(
        {
            "r": (("share", "fold"), r),
            "r_train": (("share", "fold"), r_train),
            "mass": (("share", "unit"), mass),
        },
        {"share": grid} | pair.unit_coords,
    )
    found["matched"] = found["mass"].mean("share")
    total = grid * r.mean(1)
    found["best_share"] = float(grid[np.argmax(total - grid * total[-1] / grid[-1])])
    return found


def partial_plan(r: Floats, share: float) -> Floats:
    """Transport plan (p, q) of a given mass with the greatest total correlation.

    Parameters
    ----------
    r : float array (p, q)
        Correlations.
    share : float
        Mass that is matched, above 0 and up to 1.

    Returns
    -------
    float array (p, q)
    """
    p, q = r.shape
    masses = np.full(p, 1 / p), np.full(q, 1 / q)
    if share >= 1:
        return np.asarray(ot.emd(*masses, 1 - r))
    return np.asarray(ot.partial.partial_wasserstein(*masses, 1 - r, m=share))


def _fitted(
    pair: TwoPopulations, train: CrossMoments, share: float
) -> tuple[Floats, tuple[NDArray[Any], ...]]:
    """Plan of the units that are not silent, and their positions."""
    responsive = np.ix_(*(~side.silent for side in pair.sides))
    return partial_plan(train.correlation[responsive], share), responsive
