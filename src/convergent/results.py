"""Scores of all folds with their labels, and their tidy summary."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .ceiling import Reliability
from .metrics import FoldScore

__all__ = ["TargetUnits", "label", "summary"]

BY_UNIT = ("metric", "source", "fold", "unit")


@dataclass(frozen=True, eq=False)
class TargetUnits:
    """The units of a target: which could be scored, and which count in the aggregate.

    Attributes
    ----------
    names : str array (q,)
        All units.
    scored : int array (k,)
        Positions of those that were scored.
    excluded : str array (q,)
        Why a unit does not count in the aggregate; '' where it does.
    reliability : Reliability
        Of each unit; NaN where no ceiling was asked.
    """

    names: NDArray[Any]
    scored: NDArray[np.intp]
    excluded: NDArray[Any]
    reliability: Reliability


def label(
    results: Mapping[tuple[str, str, str], Sequence[FoldScore]],
    targets: Mapping[str, TargetUnits],
    units: bool,
) -> xr.Dataset:
    """Put the results of all folds in one labelled dataset.

    Parameters
    ----------
    results : dict
        Fold scores of each (metric, source, target).
    targets : dict of str to TargetUnits
        In the order in which their units are to stand.
    units : bool
        Keep the score of each unit, or the aggregate alone.

    Returns
    -------
    xarray.Dataset
        As `convergent.score` describes it.
    """
    metrics, sources = (list(dict.fromkeys(key[i] for key in results)) for i in (0, 1))
    starts = np.cumsum([0, *(len(target.names) for target in targets.values())])
    start = dict(zip(targets, starts, strict=False))
    n_folds = len(next(iter(results.values())))
    r = np.full((len(metrics), len(sources), n_folds, starts[-1]), np.nan)
    pairs = {
        name: np.full((len(metrics), len(sources), len(targets), n_folds), np.nan)
        for name in ("similarity", "silent_source", "silent_target")
    }
    for (metric, source, target), folds in results.items():
        i, j, k = metrics.index(metric), sources.index(source), list(targets).index(target)
        r[i, j, :, start[target] + targets[target].scored] = np.stack([f.r for f in folds], axis=1)
        for name, values in pairs.items():
            values[i, j, k] = [getattr(fold, name) for fold in folds]
    everything = list(targets.values())
    owner = np.repeat(list(targets), [len(target.names) for target in everything])
    names = np.concatenate([target.names for target in everything])
    if len(np.unique(names)) < len(names):
        names = np.array([f"{target}/{unit}" for target, unit in zip(owner, names, strict=True)])
    full, halves = (
        np.concatenate([getattr(target.reliability, name) for target in everything])
        for name in ("full", "halves")
    )
    positive = np.where(full > 0, full, np.nan)
    scores = xr.Dataset(
        {
            "r": (BY_UNIT, r),
            "ceiling": ("unit", np.sqrt(positive)),
            "normalized": (BY_UNIT, r / np.sqrt(positive)),
            "explained_variance": (BY_UNIT, np.sign(r) * r**2 / positive),
            "reliability": ("unit", full),
            "split_half_r": ("unit", halves),
            **{
                name: (("metric", "source", "target_population", "fold"), values)
                for name, values in pairs.items()
            },
        },
        coords={
            "metric": metrics,
            "source": sources,
            "fold": np.arange(n_folds),
            "unit": names,
            "target": ("unit", owner),
            "excluded": ("unit", np.concatenate([target.excluded for target in everything])),
            "target_population": list(targets),
        },
    )
    return scores if units else _aggregate(scores)


def summary(scores: xr.Dataset) -> pd.DataFrame:
    """Tidy table of scores: mean over folds, then median over units.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.

    Returns
    -------
    pandas.DataFrame
        One row a (metric, source, target): ``r``, ``ceiling``, ``normalized``,
        ``explained_variance``, ``reliability``, ``n_stimuli``, ``n_units`` (in the aggregate) and
        ``n_units_excluded`` (left out of it).
    """
    if "unit" in scores.dims:
        scores = _aggregate(scores)
    rows = []
    for metric in scores["metric"].values:
        for source in scores["source"].values:
            for target in scores["target"].values:
                cell = scores.sel(metric=metric, source=source, target=target)
                numbers = {
                    name: float(cell[name])
                    for name in ("r", "ceiling", "normalized", "explained_variance", "reliability")
                }
                rows.append(
                    {"metric": str(metric), "source": str(source), "target": str(target)}
                    | numbers
                    | {"n_stimuli": int(scores.attrs["n_stimuli"])}
                    | {name: int(cell[name]) for name in ("n_units", "n_units_excluded")}
                )
    return pd.DataFrame(rows)


def _aggregate(scores: xr.Dataset) -> xr.Dataset:
    """Mean over folds, then median over the units that are not excluded, for each target."""
    names = scores["target_population"].values
    kept = [
        np.flatnonzero((scores["target"].values == name) & (scores["excluded"].values == ""))
        for name in names
    ]
    totals = np.array([(scores["target"].values == name).sum() for name in names])
    data: dict[str, Any] = {}
    for name in ("r", "normalized", "explained_variance"):
        over_folds = _mean_over_folds(scores[name].transpose(*BY_UNIT).values)
        data[name] = (
            ("metric", "source", "target"),
            np.stack([_median(over_folds[..., units]) for units in kept], axis=-1),
        )
    for name in ("ceiling", "reliability", "split_half_r"):
        data[name] = ("target", np.array([_median(scores[name].values[units]) for units in kept]))
    n_units = np.array([len(units) for units in kept])
    data |= {"n_units": ("target", n_units), "n_units_excluded": ("target", totals - n_units)}
    rest = scores[["similarity", "silent_source", "silent_target"]]
    rest = rest.drop_vars(["target", "excluded", "unit"], errors="ignore")
    return rest.rename(target_population="target").assign(data).assign_attrs(scores.attrs)


def _mean_over_folds(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over axis 2 of the folds in which a unit could be scored."""
    known = ~np.isnan(r)
    count = known.sum(2)
    return np.where(count > 0, np.where(known, r, 0.0).sum(2) / np.maximum(count, 1), np.nan)


def _median(values: NDArray[np.float64]) -> Any:
    """Median over the last axis, without NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(All-NaN slice|Mean of empty slice)", RuntimeWarning)
        return np.nanmedian(values, axis=-1) if values.size else np.full(values.shape[:-1], np.nan)
