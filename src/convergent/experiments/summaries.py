"""Summaries of scores: aggregates over units, and statistics with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from ..base.arrays import Floats, Integers
from ..base.errors import warn
from ..protocol.design import Design
from ..scoring.pair_scores import PairScores
from ..scoring.targets import Target
from ..statistics.aggregation import over_units
from ..statistics.inference import ROUNDING, Factors, Kind, Spread, spread
from ..statistics.ratio import ratio

__all__ = [
    "Arrays",
    "Share",
    "Statistic",
    "aggregates",
    "drawn_from",
    "grown",
    "on_grid",
    "plain_share",
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


@dataclass(frozen=True)
class Share:
    """A ratio of two numbers that are computed from scores of the same stimuli.

    Attributes
    ----------
    part, whole : function
        Numerator and denominator, as ``of`` of a `Statistic`.
    of_what : str
        What the whole is, for the warning that it is not above its error.
    """

    part: Callable[[Arrays], xr.DataArray]
    whole: Callable[[Arrays], xr.DataArray]
    of_what: str


def with_intervals(
    scores: Mapping[Factors, Arrays],
    statistics: Mapping[str, Statistic | Share],
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
    statistics : dict of Statistic or Share
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
        ``NAME_high``. A share is NaN where the whole is not above 0, or, with resamples, not above
        its error; a warning counts these.
    """
    found: dict[str, xr.DataArray] = {}
    for name, statistic in statistics.items():
        if isinstance(statistic, Share):
            several = _share(name, statistic, scores, drawn, n_folds, level)
        else:
            several = _interval(statistic, scores, drawn, n_folds, level)
        ends = (name, f"{name}_low", f"{name}_high")
        found |= dict(zip(ends, several, strict=False))
    return found


def _interval(
    statistic: Statistic,
    scores: Mapping[Factors, Arrays],
    drawn: Mapping[str, float],
    n_folds: int,
    level: float,
) -> list[xr.DataArray]:
    """Compute a statistic and, with resamples, the ends of its interval."""
    estimate = statistic.of(scores[()])
    draws = _draws(statistic.of, scores, estimate)
    if not draws:
        return [estimate]
    error = spread(draws, drawn, n_folds, statistic.kind)
    ends = error.interval(estimate.values, level)
    known = ~np.isnan(estimate.values)
    clipped = (np.where(known, np.clip(values, *statistic.bounds), np.nan) for values in ends)
    return [estimate, *(estimate.copy(data=values) for values in clipped)]


def _share(
    name: str,
    share: Share,
    scores: Mapping[Factors, Arrays],
    drawn: Mapping[str, float],
    n_folds: int,
    level: float,
) -> list[xr.DataArray]:
    """Compute a share and, with resamples, the ends of its interval."""
    part, whole = xr.broadcast(share.part(scores[()]), share.whole(scores[()]))
    parts, wholes = (_draws(of, scores, part) for of in (share.part, share.whole))

    def spread_of(a: Floats, b: Floats) -> Spread:
        draws = {factors: a * parts[factors] + b * wholes[factors] for factors in parts}
        return spread(draws, drawn, n_folds, "difference")

    if not parts:
        return [plain_share(part, whole)]
    values = ratio(part.values, whole.values, spread_of, level)
    lacking = np.isnan(values[0]) & ~np.isnan(part.values)
    if lacking.any():
        warn(
            f"{name!r} is NaN in {lacking.sum()} of {lacking.size} cases, in which the "
            f"{share.of_what} is not significantly above 0: there is nothing to take a share of. "
            "More stimuli make the error smaller."
        )
    return [part.copy(data=each) for each in values]


def _draws(
    of: Callable[[Arrays], xr.DataArray],
    scores: Mapping[Factors, Arrays],
    estimate: xr.DataArray,
) -> dict[Factors, Floats]:
    """Values in resamples, with the dims of the estimate after ``draw``."""
    found = {}
    for factors, arrays in scores.items():
        if factors:
            values = of(arrays)
            size = {"draw": values.sizes["draw"], **estimate.sizes}
            found[factors] = values.broadcast_like(estimate).transpose(*size).values
    return found


def plain_share(part: xr.DataArray, whole: xr.DataArray) -> xr.DataArray:
    """Compute a share of numbers whose error is not known.

    Parameters
    ----------
    part, whole : xarray.DataArray
        Numerator and denominator.

    Returns
    -------
    xarray.DataArray
        The share; NaN where the whole is not above 0.
    """
    return part / whole.where(whole > ROUNDING)


def grown(curve: xr.DataArray, step: float) -> xr.DataArray:
    """Growth of a curve from its first step to a step.

    Parameters
    ----------
    curve : xarray.DataArray
        Values along ``step``, and any other dims.
    step : float
        Step until which it grew.

    Returns
    -------
    xarray.DataArray
        Without the dim ``step``.
    """
    return curve.sel(step=step, drop=True) - curve.isel(step=0, drop=True)
