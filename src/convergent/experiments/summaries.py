"""Summaries of scores: aggregates over units, and statistics with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from ..base.arrays import Floats, Integers
from ..protocol.design import Design
from ..scoring.pair_scores import PairScores
from ..scoring.targets import Target
from ..statistics.aggregation import over_units
from ..statistics.inference import Factors, Kind, spread

__all__ = [
    "Arrays",
    "Statistic",
    "aggregates",
    "drawn_from",
    "on_grid",
    "share_of_final",
    "with_intervals",
]

Arrays = Mapping[str, xr.DataArray]  # scores by name


def aggregates(scores: PairScores, included: Integers) -> dict[Factors, Any]:
    """Take the mean over folds, then the median over units; also in resamples.

    Parameters
    ----------
    scores : PairScores
        Scores of one metric, source and target.
    included : int array
        Positions of the scored units that count in the aggregate.

    Returns
    -------
    dict of float or float array
        By what was drawn: ``()`` is the aggregate of the data. If there are resamples,
        ``("stimuli",)`` (B,) are aggregates in resamples of the held-out stimuli, and
        ``("refit",)`` (b,) those with maps that are fitted again.
    """
    found: dict[Factors, Any] = {(): over_units(scores.r[None, included])[0]}
    if scores.held_out is not None and scores.refitted is not None:
        found["stimuli",] = over_units(scores.held_out[:, included])
        found["refit",] = over_units(scores.refitted[:, included])
    return found


def on_grid(
    aggregate: Callable[..., Mapping[Factors, Any]], coords: Mapping[str, Sequence[Any]]
) -> dict[Factors, xr.DataArray]:
    """Collect aggregates of all combinations of labels in arrays.

    Parameters
    ----------
    aggregate : function
        Takes one label of each dim, in the order of `coords`, and returns what `aggregates` does.
    coords : dict of sequence
        Labels by dim.

    Returns
    -------
    dict of xarray.DataArray
        By what was drawn, as in `aggregates`; with the dims of `coords`, and ``draw`` for
        resamples.
    """
    several = [aggregate(*labels) for labels in product(*coords.values())]
    sizes = [len(labels) for labels in coords.values()]
    arrays = {}
    for factors in several[0]:
        values = np.array([one[factors] for one in several])
        dims = (*coords, "draw") if factors else tuple(coords)
        arrays[factors] = xr.DataArray(values.reshape(*sizes, *values.shape[1:]), dims=dims)
    return arrays


def drawn_from(design: Design, targets: Mapping[Any, Target]) -> dict[str, float]:
    """Count what resamples draw from, for statistics of several targets.

    Parameters
    ----------
    design : Design
        Its stimuli are drawn.
    targets : dict of Target
        The least of their effective numbers of stimuli counts.

    Returns
    -------
    dict of float
        As `with_intervals` takes it.
    """
    effective = min(target.n_effective for target in targets.values())
    return {"stimuli": design.n_drawn, "effective": effective}


@dataclass(frozen=True)
class Statistic:
    """A number that is computed from scores, such as a slope.

    Attributes
    ----------
    of : function
        Takes scores by name and returns an array. Scores in resamples have a further dim, ``draw``.
    kind : {"score", "difference"}
        Whether it is a score, or a comparison of scores of the same stimuli. The two need different
        shares of the variance that refits add (`statistics.inference.spread`).
    bounds : tuple of float
        Least and greatest possible value; intervals are clipped to them.
    """

    of: Callable[[Arrays], xr.DataArray]
    kind: Kind
    bounds: tuple[float, float] = (-np.inf, np.inf)


def with_intervals(
    scores: Mapping[Factors, Arrays],
    statistics: Mapping[str, Statistic],
    drawn: Mapping[str, float],
    n_folds: int,
    level: float,
) -> dict[str, xr.DataArray]:
    """Compute statistics of scores, with confidence intervals if there are resamples.

    Parameters
    ----------
    scores : dict of dict of xarray.DataArray
        Scores by name, by what was drawn: ``()`` for the data, ``("stimuli",)`` and ``("refit",)``
        for resamples.
    statistics : dict of Statistic
        By name.
    drawn : dict of float
        Number of ``"stimuli"`` (or groups of them) that resamples draw from, and the
        ``"effective"`` number of them.
    n_folds : int
        Number of folds; stimuli are drawn within folds.
    level : float
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    dict of xarray.DataArray
        Each statistic by name; with resamples also the ends of its interval, ``NAME_low`` and
        ``NAME_high``.
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
        error = spread(draws, drawn, n_folds, statistic.kind)
        ends = error.interval(estimate.values, level)
        for end, values in zip(("low", "high"), ends, strict=True):
            found[f"{name}_{end}"] = estimate.copy(data=np.clip(values, *statistic.bounds))
    return found


def share_of_final(curve: xr.DataArray, early: float) -> xr.DataArray:
    """Share of the growth of a curve, from its first to its last step, that is reached early.

    Parameters
    ----------
    curve : xarray.DataArray
        Values along ``step``, and any other dims.
    early : float
        Step at which the share is computed.

    Returns
    -------
    xarray.DataArray
        Share, without the dim ``step``; NaN where the curve does not grow.
    """
    first, last = (curve.isel(step=end, drop=True) for end in (0, -1))
    growth = last - first
    return (curve.sel(step=early, drop=True) - first) / growth.where(growth > 0)
