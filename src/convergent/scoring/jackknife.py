"""Confidence intervals over networks that were trained from different seeds, by the jackknife."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from ..base.arrays import Floats
from ..statistics.inference import ROUNDING, Spread
from ..statistics.ratio import ratio

__all__ = ["over_networks", "ratio_over_networks"]

_LEAST_SEEDS = 3  # without one seed, two remain, which still form a pair


def over_networks(
    result: xr.Dataset,
    statistic: Callable[[xr.Dataset], xr.DataArray],
    level: float = 0.95,
) -> xr.Dataset:
    r"""Compute a statistic of pairs of networks, with a confidence interval for other networks.

    Pairs of networks share networks, so they are not independent; networks of different seeds are.
    The statistic is computed again without the networks of seed i, for each of the k seeds. From
    these values :math:`\theta_{-i}` follows the standard error of the jackknife,

    .. math:: \mathrm{SE}^2 = \frac{k - 1}{k} \sum_i (\theta_{-i} - \bar\theta)^2.

    The interval is that of a t distribution with k - 1 degrees of freedom. It holds for other
    networks with the same stimuli.

    Parameters
    ----------
    result : xarray.Dataset
        Results of pairs, along ``pair``, with the coordinates ``group``, ``source_seed`` and
        ``target_seed``.
    statistic : function
        Takes the result averaged over the pairs of each group, along ``group``, and returns the
        statistic, an array.
    level : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``estimate``, ``low`` and ``high``, with the dims of the statistic. ``low`` and ``high`` are
        NaN if there are fewer than three seeds, or all pairs share one seed.

    References
    ----------
    Efron and Stein 1981, Annals of Statistics 9.
    """
    estimate = statistic(_by_group(result))
    without = _without_each_seed(result, statistic)
    if without is None:
        low = high = xr.full_like(estimate, np.nan)
    else:
        ends = _spread(without.values).interval(estimate.values, level)
        low, high = (estimate.copy(data=end) for end in ends)
    return xr.Dataset({"estimate": estimate, "low": low, "high": high})


def ratio_over_networks(
    result: xr.Dataset,
    part: Callable[[xr.Dataset], xr.DataArray],
    whole: Callable[[xr.Dataset], xr.DataArray],
    level: float = 0.95,
) -> xr.Dataset:
    """Compute a ratio of two statistics, with a confidence interval for other networks.

    Parameters
    ----------
    result, level
        As for `over_networks`.
    part, whole : function
        Numerator and denominator, as the statistic of `over_networks`; with the same dims.

    Returns
    -------
    xarray.Dataset
        As `over_networks` returns it; the interval is Fieller's (`statistics.ratio`). All three are
        NaN where the whole is not significantly above 0 (not above 0, if there is no interval).
    """
    above, below = xr.broadcast(part(_by_group(result)), whole(_by_group(result)))
    parts, wholes = (_without_each_seed(result, of) for of in (part, whole))
    if parts is None or wholes is None:
        estimate = above / below.where(below > ROUNDING)
        low = high = xr.full_like(estimate, np.nan)
        return xr.Dataset({"estimate": estimate, "low": low, "high": high})
    several = (each.transpose("without", *above.dims).values for each in (parts, wholes))
    parts_of, wholes_of = several

    def spread_of(a: Floats, b: Floats) -> Spread:
        return _spread(a * parts_of + b * wholes_of)

    found = ratio(above.values, below.values, spread_of, level)
    names = ("estimate", "low", "high")
    return xr.Dataset({k: above.copy(data=v) for k, v in zip(names, found, strict=True)})


def _without_each_seed(
    result: xr.Dataset, statistic: Callable[[xr.Dataset], xr.DataArray]
) -> xr.DataArray | None:
    """Compute a statistic without each of the seeds; None if what remains says nothing."""
    source, target = result["source_seed"].values, result["target_seed"].values
    seeds = np.union1d(source, target)
    in_all = ((source == seed) | (target == seed) for seed in seeds)
    if len(seeds) < _LEAST_SEEDS or any(inside.all() for inside in in_all):
        return None
    rest = [
        statistic(_by_group(result.isel(pair=(source != seed) & (target != seed))))
        for seed in seeds
    ]
    return xr.concat(rest, "without")


def _spread(without: Floats) -> Spread:
    """Jackknife error of a statistic (k, ...) that was computed without each of k seeds."""
    k = len(without)
    squares = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return Spread(np.sqrt((k - 1) / k * squares), np.full(squares.shape, k - 1.0))


def _by_group(result: xr.Dataset) -> xr.Dataset:
    """Mean of all numeric variables over the pairs of each group; NaN if a pair lacks a number."""
    numbers = [name for name, values in result.data_vars.items() if values.dtype.kind in "fiu"]
    return result[numbers].groupby("group").mean("pair", skipna=False)
