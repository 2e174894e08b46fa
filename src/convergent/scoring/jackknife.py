"""Means over pairs of networks, and how far they would move with other seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import stats

__all__ = ["LEAST_SEEDS", "over_networks"]

LEAST_SEEDS = 3  # without one of them, two are left, and so a pair


def over_networks(
    result: xr.Dataset,
    statistic: Callable[[xr.Dataset], xr.DataArray],
    level: float = 0.95,
) -> xr.Dataset:
    r"""Find a statistic of all pairs of networks, with an interval for other networks.

    Pairs share networks, and so are not independent. Networks are: without those of one seed after
    the other, the statistic :math:`\theta_{-i}` gives the standard error of the jackknife,

    .. math:: \mathrm{SE}^2 = \frac{k - 1}{k} \sum_i (\theta_{-i} - \bar\theta)^2,

    and an interval of t with k - 1 degrees of freedom. Stimuli stay the same.

    Parameters
    ----------
    result : xarray.Dataset
        Along ``pair``: ``group``, ``source_seed`` and ``target_seed``.
    statistic : function
        From results whose groups are averaged over pairs, along ``group``, to what is to be known.
    level : float
        Of the confidence interval.

    Returns
    -------
    xarray.Dataset
        ``estimate``, ``low`` and ``high``; NaN ends where seeds are fewer than three, or all
        pairs share one, without which nothing is left.

    References
    ----------
    Efron and Stein 1981, Annals of Statistics 9.
    """
    source, target = result["source_seed"].values, result["target_seed"].values
    seeds = np.union1d(source, target)
    estimate = statistic(_by_group(result))
    low = high = xr.full_like(estimate, np.nan)
    in_all = ((source == seed) | (target == seed) for seed in seeds)
    if len(seeds) >= LEAST_SEEDS and not any(inside.all() for inside in in_all):
        rest = [
            statistic(_by_group(result.isel(pair=(source != seed) & (target != seed))))
            for seed in seeds
        ]
        without = xr.concat(rest, "without")
        k = len(seeds)
        spread = ((without - without.mean("without")) ** 2).sum("without", skipna=False)
        half = float(stats.t.ppf((1 + level) / 2, k - 1)) * np.sqrt((k - 1) / k * spread)
        low, high = estimate - half, estimate + half
    return xr.Dataset({"estimate": estimate, "low": low, "high": high})


def _by_group(result: xr.Dataset) -> xr.Dataset:
    numbers = [name for name, values in result.data_vars.items() if values.dtype.kind in "fiu"]
    return result[numbers].groupby("group").mean("pair")
