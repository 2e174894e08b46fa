"""Correlations of units within and between two populations, and how active each unit is."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..data.assembly import Assembly
from ._assignment import NO_PARTNER, bipartite
from ._cross_moments import correlation
from ._two_populations import SIDES, pair_of

__all__ = ["correlations"]


def correlations(source: Assembly, target: Assembly) -> xr.Dataset:
    """Correlate all units of two populations, over all stimuli that they share.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.

    Returns
    -------
    xarray.Dataset
        ``between`` (source_unit, target_unit), ``within_source`` (source_unit, source_unit_2) and
        ``within_target``: Pearson r, 0 of silent units. Along ``source_unit`` and ``target_unit``,
        as ``source_mean``: mean response, ``_sd``: its standard deviation over stimuli, and
        ``_place``: place of the unit when both populations are ordered by their bipartite matching,
        the most alike pair first, so that partners stand on the diagonal; who is left over, last.

    Raises
    ------
    InputError
        Where the populations share no stimuli, or values are missing.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    pair = pair_of(source, target, folds=None)
    sums = pair.moments
    r = sums.correlation
    found = xr.Dataset(
        {"between": (("source_unit", "target_unit"), r)},
        {"source_unit": pair.source.units, "target_unit": pair.target.units},
        pair.attrs,
    )
    partner = bipartite(r)[0]
    rows = np.flatnonzero(partner != NO_PARTNER)
    rows = rows[np.argsort(-r[rows, partner[rows]], kind="stable")]
    own = {
        "source": (sums.source_covariance, sums.source_variance, rows),
        "target": (sums.target_covariance, sums.target_variance, partner[rows]),
    }
    for name, side in zip(SIDES, pair.sides, strict=True):
        covariance, variance, matched = own[name]
        unit = f"{name}_unit"
        found[f"within_{name}"] = (unit, f"{unit}_2"), correlation(covariance, variance, variance)
        found[f"{name}_mean"], found[f"{name}_sd"] = (unit, side.mean), (unit, side.sd)
        order = np.concatenate([matched, np.setdiff1d(np.arange(len(side.units)), matched)])
        found[f"{name}_place"] = unit, np.argsort(order)
    return found
