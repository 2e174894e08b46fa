"""Confidence intervals over networks that were trained from different seeds, by the jackknife."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import stats

__all__ = ["over_networks"]

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
    source, target = result["source_seed"].values, result["target_seed"].values
    seeds = np.union1d(source, target)
    estimate = statistic(_by_group(result))
    low = high = xr.full_like(estimate, np.nan)
    in_all = ((source == seed) | (target == seed) for seed in seeds)
    if len(seeds) >= _LEAST_SEEDS and not any(inside.all() for inside in in_all):
        rest = [
            statistic(_by_group(result.isel(pair=(source != seed) & (target != seed))))
            for seed in seeds
        ]
        without = xr.concat(rest, "without")  # theta_-i
        k = len(seeds)
        squares = ((without - without.mean("without")) ** 2).sum("without", skipna=False)
        half = float(stats.t.ppf((1 + level) / 2, k - 1)) * np.sqrt((k - 1) / k * squares)
        low, high = estimate - half, estimate + half
    return xr.Dataset({"estimate": estimate, "low": low, "high": high})


def _by_group(result: xr.Dataset) -> xr.Dataset:
    """Mean of all numeric variables over the pairs of each group."""
    numbers = [name for name, values in result.data_vars.items() if values.dtype.kind in "fiu"]
    return result[numbers].groupby("group").mean("pair")
