"""Scores of all folds with their labels, and their aggregate over folds and units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .folds import FoldMean
from .metrics import FoldScore
from .reliability import Reliability

__all__ = ["Cell", "TargetUnits", "aggregate", "label", "median"]

BY_UNIT = ("metric", "source", "fold", "unit")
BY_CELL_UNIT = ("metric", "source", "unit")


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
        Of each unit; NaN where there are no repeats.
    repeated : int array (q,)
        Number of stimuli of which a unit was recorded more than once.
    """

    names: NDArray[Any]
    scored: NDArray[np.intp]
    excluded: NDArray[Any]
    reliability: Reliability
    repeated: NDArray[np.intp]

    @property
    def kept(self) -> NDArray[np.intp]:
        """Which of the scored units count in the aggregate."""
        return np.flatnonzero(self.excluded[self.scored] == "")


@dataclass(frozen=True, eq=False)
class Cell:
    """All that is known of one (metric, source, target).

    Attributes
    ----------
    folds : list of FoldScore
        Scores of each fold.
    draws : dict of str to dict of str to float array (B,)
        For ``"r"`` and ``"normalized"``, the aggregate in the bootstrap's resamples of each factor.
    shuffled : float array (N,) or None
        The aggregate r in each shuffle of the stimuli.
    drawn : dict of str to int
        How many things the bootstrap draws of each factor.
    """

    folds: Sequence[FoldScore]
    draws: Mapping[str, Mapping[str, NDArray[np.float64]]]
    shuffled: NDArray[np.float64] | None
    drawn: Mapping[str, int]


def label(
    cells: Mapping[tuple[str, str, str], Cell],
    targets: Mapping[str, TargetUnits],
    ceilings: Mapping[str, NDArray[np.float64]],
    units: bool,
) -> xr.Dataset:
    """Put the results of all folds in one labelled dataset.

    Parameters
    ----------
    cells : dict
        Results of each (metric, source, target).
    targets : dict of str to TargetUnits
        In the order in which their units are to stand.
    ceilings : dict of str to float array (metrics, k)
        Of the scored units of each target.
    units : bool
        Keep the score of each unit, or the aggregate alone.

    Returns
    -------
    xarray.Dataset
        As `score` describes it, without its attrs.
    """
    metrics, sources = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    n_folds = len(next(iter(cells.values())).folds)
    sizes = [len(target.names) for target in targets.values()]
    start = dict(zip(targets, np.cumsum([0, *sizes]), strict=False))
    r = np.full((len(metrics), len(sources), n_folds, sum(sizes)), np.nan)
    ceiling = np.full((len(metrics), sum(sizes)), np.nan)
    pairs = {
        name: np.full((len(metrics), len(sources), len(targets), n_folds), np.nan)
        for name in ("similarity", "silent_source", "silent_target")
    }
    for (metric, source, target), cell in cells.items():
        i, j, k = metrics.index(metric), sources.index(source), list(targets).index(target)
        scored = start[target] + targets[target].scored
        r[i, j, :, scored] = np.stack([fold.r for fold in cell.folds], axis=1)
        ceiling[i, scored] = ceilings[target][i]
        for name, values in pairs.items():
            values[i, j, k] = [getattr(fold, name) for fold in cell.folds]
    scores = xr.Dataset(
        {
            "r": (BY_UNIT, r),
            "ceiling": (("metric", "unit"), ceiling),
            "normalized": (BY_UNIT, r / ceiling[:, None, None]),
            "explained_variance": (BY_UNIT, np.sign(r) * r**2 / ceiling[:, None, None] ** 2),
            **{
                name: (("metric", "source", "target_population", "fold"), values)
                for name, values in pairs.items()
            },
        },
        coords={
            "metric": metrics,
            "source": sources,
            "fold": np.arange(n_folds),
            "target_population": list(targets),
            **_unit_labels(targets),
        },
    )
    everything = list(targets.values())
    of_units: dict[str, list[NDArray[Any]]] = {
        "reliability": [target.reliability.full for target in everything],
        "split_half_r": [target.reliability.halves for target in everything],
        "n_repeated_stimuli": [target.repeated for target in everything],
    }
    scores = scores.assign({k: ("unit", np.concatenate(v)) for k, v in of_units.items()})
    scores = scores.assign(_resampled(cells, metrics, sources, list(targets)))
    return scores if units else aggregate(scores)


def _unit_labels(targets: Mapping[str, TargetUnits]) -> dict[str, Any]:
    """Coordinates along ``unit``; names carry the target's where they would come twice."""
    everything = list(targets.values())
    owner = np.repeat(list(targets), [len(target.names) for target in everything])
    names = np.concatenate([target.names for target in everything])
    if len(np.unique(names)) < len(names):
        names = np.array([f"{target}/{unit}" for target, unit in zip(owner, names, strict=True)])
    excluded = np.concatenate([target.excluded for target in everything])
    return {"unit": names, "target": ("unit", owner), "excluded": ("unit", excluded)}


def _resampled(
    cells: Mapping[tuple[str, str, str], Cell],
    metrics: Sequence[str],
    sources: Sequence[str],
    targets: Sequence[str],
) -> dict[str, Any]:
    """Draws of the bootstrap and of the shuffle, as variables; none where none were asked."""
    first = next(iter(cells.values()))
    shape = (len(metrics), len(sources), len(targets))
    by_cell = ("metric", "source", "target_population")
    order = [(i, j, k) for i in metrics for j in sources for k in targets]
    found: dict[str, Any] = {}
    for name, by_factor in first.draws.items():
        size = max(map(len, by_factor.values()))
        draws = np.full((len(by_factor), size, len(order)), np.nan)
        for at, key in enumerate(order):
            for f, values in enumerate(cells[key].draws[name].values()):
                draws[f, : len(values), at] = values
        found[f"{name}_draws"] = (
            ("factor", "draw", *by_cell),
            draws.reshape(len(by_factor), size, *shape),
        )
        found["factor"] = list(by_factor)
    if first.draws:
        drawn = [cells[metrics[0], sources[0], target].drawn for target in targets]
        found["n_drawn"] = (
            ("factor", "target_population"),
            [[each.get(factor, 0) for each in drawn] for factor in found["factor"]],
        )
    if first.shuffled is not None:
        shuffled = np.stack([np.asarray(cells[key].shuffled) for key in order], axis=1)
        found["r_shuffled"] = (("shuffle", *by_cell), shuffled.reshape(-1, *shape))
    return found


def aggregate(scores: xr.Dataset) -> xr.Dataset:
    """Mean over folds, then median over the units that are not excluded, for each target.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with unit scores or without.
    """
    if "unit" not in scores.dims:
        return scores
    names = scores["target_population"].values
    kept = [
        np.flatnonzero((scores["target"].values == name) & (scores["excluded"].values == ""))
        for name in names
    ]
    totals = np.array([(scores["target"].values == name).sum() for name in names])
    data: dict[str, Any] = {}
    for name in ("r", "normalized", "explained_variance"):
        over_folds = FoldMean.of(scores[name].transpose("fold", *BY_CELL_UNIT).values)
        data[name] = (
            ("metric", "source", "target"),
            np.stack([median(over_folds[..., units]) for units in kept], axis=-1),
        )
    ceiling = scores["ceiling"].transpose("metric", "unit").values
    data["ceiling"] = (
        ("metric", "target"),
        np.stack([median(ceiling[:, units]) for units in kept], axis=-1),
    )
    for name in ("reliability", "split_half_r", "n_repeated_stimuli"):
        data[name] = ("target", np.array([median(scores[name].values[units]) for units in kept]))
    n_units = np.array([len(units) for units in kept])
    data |= {"n_units": ("target", n_units), "n_units_excluded": ("target", totals - n_units)}
    rest = scores.drop_vars([str(k) for k, v in scores.variables.items() if "unit" in v.dims])
    return rest.rename(target_population="target").assign(data).assign_attrs(scores.attrs)


def median(values: NDArray[np.float64]) -> Any:
    """Median over the last axis, without NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(All-NaN slice|Mean of empty slice)", RuntimeWarning)
        return np.nanmedian(values, axis=-1) if values.size else np.full(values.shape[:-1], np.nan)
