"""Summaries of scores: aggregates over units, and statistics with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from ..base.arrays import Floats, Integers
from ..scoring.pair_scores import PairScores
from ..statistics.aggregation import over_units
from ..statistics.inference import Factors, Kind, spread

__all__ = ["Arrays", "Statistic", "aggregates", "on_grid", "share_of_final", "with_intervals"]

Arrays = Mapping[str, xr.DataArray]  # scores by name


def aggregates(scores: PairScores, included: Integers) -> dict[Factors, Any]:
    """Median over units of the mean over folds, as found and in resamples.

    Parameters
    ----------
    scores : PairScores
        Of one metric, source and target.
    included : int array
        Scored units that count.

    Returns
    -------
    dict of tuple of str
        ``()``: r; with resamples ``("stimuli",)`` (B,) and ``("refit",)`` (b,).
    """
    found: dict[Factors, Any] = {(): over_units(scores.r[None, included])[0]}
    if scores.held_out is not None and scores.refitted is not None:
        found["stimuli",] = over_units(scores.held_out[:, included])
        found["refit",] = over_units(scores.refitted[:, included])
    return found


def on_grid(
    of: Callable[..., Mapping[Factors, Any]], coords: Mapping[str, Sequence[Any]]
) -> dict[Factors, xr.DataArray]:
    """Aggregates for all combinations of labels, as one array for each kind of resample.

    Parameters
    ----------
    of : function
        From one label of each dim, in their order, to what `aggregates` gives.
    coords : dict of sequence
        Labels by dim.

    Returns
    -------
    dict of tuple of str to xarray.DataArray
        Along the dims of `coords`; resamples along ``draw`` as well.
    """
    several = [of(*labels) for labels in product(*coords.values())]
    sizes = [len(labels) for labels in coords.values()]
    arrays = {}
    for factors in several[0]:
        values = np.array([one[factors] for one in several])
        dims = (*coords, "draw") if factors else tuple(coords)
        arrays[factors] = xr.DataArray(values.reshape(*sizes, *values.shape[1:]), dims=dims)
    return arrays


@dataclass(frozen=True)
class Statistic:
    """What follows from scores.

    Attributes
    ----------
    of : function
        From scores by name to an array; scores in resamples have a further dim, ``draw``.
    kind : {"score", "difference"}
        A score itself, or a comparison of scores of the same stimuli: decides how much of what
        fits add to the variance counts (`inference.spread`).
    bounds : tuple of float
        Least and greatest value that an interval may have.
    """

    of: Callable[[Arrays], xr.DataArray]
    kind: Kind
    bounds: tuple[float, float] = (-np.inf, np.inf)


def with_intervals(
    scores: Mapping[Factors, Arrays],
    statistics: Mapping[str, Statistic],
    n_drawn: float,
    n_folds: int,
    level: float,
) -> dict[str, xr.DataArray]:
    """Statistics of scores, with confidence intervals where there are resamples.

    Parameters
    ----------
    scores : dict of dict of xarray.DataArray
        By what was drawn: ``()`` holds the scores as found, ``("stimuli",)`` and ``("refit",)``
        those in resamples.
    statistics : dict of Statistic
        By name.
    n_drawn : float
        Number of stimuli (or groups of them) that the resamples draw from.
    n_folds : int
        Number of folds, within which stimuli are drawn.
    level : float
        Of the confidence intervals.

    Returns
    -------
    dict of str to xarray.DataArray
        Each statistic, and with resamples its ends, ``NAME_low`` and ``NAME_high``.
    """
    found: dict[str, xr.DataArray] = {}
    for name, statistic in statistics.items():
        estimate = found[name] = statistic.of(scores[()])
        draws: dict[Factors, Floats] = {
            factors: statistic.of(arrays).transpose("draw", *estimate.dims).values
            for factors, arrays in scores.items()
            if factors
        }
        if not draws:
            continue
        error = spread(draws, {"stimuli": n_drawn}, n_folds, statistic.kind)
        ends = error.interval(estimate.values, level)
        for end, values in zip(("low", "high"), ends, strict=True):
            found[f"{name}_{end}"] = estimate.copy(data=np.clip(values, *statistic.bounds))
    return found


def share_of_final(curve: xr.DataArray, early: float) -> xr.DataArray:
    """How much of what a curve gains over all steps it has gained at one of them.

    Parameters
    ----------
    curve : xarray.DataArray
        With the dim ``step``.
    early : float
        One of the steps.

    Returns
    -------
    xarray.DataArray
        Without ``step``; NaN where nothing is gained.
    """
    first, last = (curve.isel(step=place, drop=True) for place in (0, -1))
    gained = last - first
    return (curve.sel(step=early, drop=True) - first) / gained.where(gained > 0)
