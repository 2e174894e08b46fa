"""Pairs of populations, each scored by itself, with what a study keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from ..scoring.pair_scores import PairScores
from ..scoring.tasks import Sweep
from ..statistics.aggregation import FoldMean, over_units
from ..statistics.inference import REFIT_SHARE, REFIT_SHARE_OF_DIFFERENCE, spread

__all__ = ["aggregates", "summarize"]


def aggregates(cell: PairScores) -> dict[str, Any]:
    """Median over units of the mean over folds: ``r``, and with resamples ``stimuli``, ``refit``.

    Parameters
    ----------
    cell : PairScores
        All units count.
    """
    found: dict[str, Any] = {"r": over_units(FoldMean.of(f.r for f in cell.folds)[None])[0]}
    if cell.held_out is not None and cell.refitted is not None:
        found |= {"stimuli": over_units(cell.held_out), "refit": over_units(cell.refitted)}
    return found


def summarize(
    result: xr.Dataset,
    statistics: Callable[[xr.Dataset, str], dict[str, xr.DataArray]],
    sweep: Sweep,
    level: float,
) -> xr.Dataset:
    """Add what follows from the scores, with intervals where there are resamples of these.

    Parameters
    ----------
    result : xarray.Dataset
        Scores, and with resamples the same by name ``@stimuli`` and ``@refit``, along a dim of that
        name; these are left out of what is returned.
    statistics : function
        From the dataset, and ``""``, ``"@stimuli"`` or ``"@refit"``, to what follows from those
        scores. The scores themselves begin with r; all else compares scores of the same stimuli.
    sweep : Sweep
        Folds and resamples.
    level : float
        Of the confidence intervals.
    """
    given = statistics(result, "")
    kept = result[[name for name in result.variables if "@" not in str(name)]].assign(given)
    if "r@refit" not in result:
        return kept
    draws = {factor: statistics(result, f"@{factor}") for factor in ("stimuli", "refit")}
    n_drawn = {"stimuli": float(sweep.resamples.n_drawn)}
    for name, estimate in given.items():
        moved = {
            factor: several[name].transpose(factor, *estimate.dims).values
            for factor, several in draws.items()
        }
        share = REFIT_SHARE if name.startswith("r") else REFIT_SHARE_OF_DIFFERENCE
        found = spread(moved, n_drawn, len(sweep.splits), share)
        ends = found.interval(estimate.values, level)
        for end, values in zip(("low", "high"), ends, strict=True):
            kept[f"{name}_{end}"] = estimate.copy(data=values)
    return kept
