"""Correlations of units within and between two populations, and how active each unit is."""

from __future__ import annotations

from functools import partial
from typing import Unpack

import numpy as np
import xarray as xr

from ..base.compute import Compute
from ..data.assembly import Assembly
from ..protocol.settings import OF_PROTOCOL, Protocol, Settings, settle
from ._assignment import NO_PARTNER, bipartite
from ._cross_moments import CrossMoments, correlation
from ._results import result
from ._two_populations import SIDES, TwoPopulations, prepare

__all__ = ["correlations", "correlations_of"]


def correlations(source: Assembly, target: Assembly, **settings: Unpack[Settings]) -> xr.Dataset:
    """Correlate all units of two populations, over all stimuli that they share.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged, stimuli matched by name.
    **settings : Settings
        ``study``, or ``compute`` with it.

    Returns
    -------
    xarray.Dataset
        Pearson r, 0 for silent units: ``between`` (source_unit, target_unit), ``within_source``
        (source_unit, source_unit_2) and ``within_target`` (target_unit, target_unit_2). For each
        unit of the source (and likewise ``target_mean``, ``target_sd`` and ``target_place``):
        ``source_mean`` and ``source_sd``, mean and standard deviation of its responses over
        stimuli, in the units of the responses; ``source_place``, its place when the units of both
        populations are ordered by their bipartite matching, the pair with the highest correlation
        first, so that partners stand on the diagonal and units without a partner come last.
        Attrs: ``n_stimuli``, ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If the populations share no stimuli, or values are missing.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    _, compute = settle(settings, usual=Protocol(), without=OF_PROTOCOL)
    return correlations_of(prepare(source, target, None), compute)


def correlations_of(pair: TwoPopulations, compute: Compute) -> xr.Dataset:
    """Correlate all units, as `correlations` does, of prepared populations."""
    return result("correlations", pair, partial(_correlations, pair), compute, {})


def _correlations(pair: TwoPopulations) -> xr.Dataset:
    sums = CrossMoments.of(*(side.values for side in pair.sides))
    r = sums.correlation
    found = xr.Dataset(
        {"between": (("source_unit", "target_unit"), r)},
        {"source_unit": pair.source.units, "target_unit": pair.target.units},
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
