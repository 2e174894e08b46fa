"""Partial soft matching: the share of two populations that matches best, and how well.

Soft matching gives every unit a partner, also those that have no counterpart. Here a share s of the
mass is matched, the best one, so that the others do not drag it down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
import xarray as xr
from numpy.typing import NDArray

from ..base.arrays import Floats
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.folds import Folds
from ._cross_moments import CrossMoments
from ._two_populations import Pair, pair_of

__all__ = ["SHARES", "partial_matching", "partial_plan"]

SHARES = tuple((np.arange(1, 21) / 20).tolist())


def partial_matching(
    source: Assembly,
    target: Assembly,
    *,
    shares: tuple[float, ...] = SHARES,
    folds: Folds = Folds(),
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Soft matching of a share of two populations, for several shares.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} r_{ij} \quad\text{with}\quad
              \sum_j T_{ij} \le \tfrac{1}{p}, \; \sum_i T_{ij} \le \tfrac{1}{q}, \;
              \sum_{ij} T_{ij} = s,

    on the training stimuli of each fold; the score is :math:`\sum T_{ij} r_{ij} / s` on its test
    stimuli: the mean correlation of what is matched. Silent units take no part.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    shares : tuple of float
        s, from above 0 to 1, in rising order; at 1 it is soft matching.
    folds : Folds
        How the stimuli are split.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        ``r`` and ``r_train`` (share, fold): score on test and training stimuli. ``mass`` (share,
        unit): how much of each unit is matched, from 0 to 1, mean over folds; along ``unit`` the
        source's, then the target's, told apart by ``side``. ``matched`` (unit): its mean over
        shares, by which units can be ranked: those that are matched first have most. ``corner``:
        the share at which what is matched in all, s times the score on test stimuli, lies highest
        above the line from nothing to everything; beyond, units match worse than the mean.

    Raises
    ------
    InputError
        Where shares are out of their range, or the populations do not fit.

    References
    ----------
    Chapel, Alaya and Gasso 2020, NeurIPS 33 (partial optimal transport, as POT has it); Khosla and
    Williams 2024, PMLR 243 (soft matching).
    """
    grid = np.asarray(shares, dtype=np.float64)
    if grid.ndim != 1 or not len(grid) or not (np.diff([0, *grid]) > 0).all() or grid[-1] > 1:
        raise InputError(
            f"shares {shares!r} must be numbers above 0 and up to 1, in rising order, such as "
            "(0.25, 0.5, 0.75, 1)."
        )
    pair = pair_of(source, target, folds)
    steps = [(fold, i) for fold in enumerate(pair.folds()) for i in range(len(grid))]
    r, r_train = np.empty((2, len(grid), folds.n))
    units = sum(len(side.units) for side in pair.sides)
    mass = np.zeros((len(grid), units))
    for (number, (train, test)), i in track(steps, "partial matching", len(steps), progress):
        plan, responsive = _fitted(pair, train, float(grid[i]))
        r_train[i, number] = (plan * train.correlation[responsive]).sum() / grid[i]
        r[i, number] = (plan * test.correlation[responsive]).sum() / grid[i]
        for side, part in enumerate((plan.sum(1) * plan.shape[0], plan.sum(0) * plan.shape[1])):
            place = responsive[side].ravel() + side * len(pair.source.units)
            mass[i, place] += part / folds.n
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
    found["corner"] = float(grid[np.argmax(total - grid * total[-1] / grid[-1])])
    return found.assign_attrs(pair.attrs)


def partial_plan(r: Floats, share: float) -> Floats:
    """Transport plan (p, q) of so much mass with the greatest total correlation.

    Parameters
    ----------
    r : float array (p, q)
        Correlations.
    share : float
        How much mass is matched, of 1.
    """
    p, q = r.shape
    masses = np.full(p, 1 / p), np.full(q, 1 / q)
    if share >= 1:
        return np.asarray(ot.emd(*masses, 1 - r))
    return np.asarray(ot.partial.partial_wasserstein(*masses, 1 - r, m=share))


def _fitted(
    pair: Pair, train: CrossMoments, share: float
) -> tuple[Floats, tuple[NDArray[Any], ...]]:
    """Plan of the units that are not silent, and where they stand."""
    responsive = np.ix_(*(~side.silent for side in pair.sides))
    return partial_plan(train.correlation[responsive], share), responsive
