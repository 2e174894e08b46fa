"""Scores of all folds with their labels, and their aggregate over folds and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..statistics.aggregation import FoldMean, median
from .pair_scores import PairScores
from .targets import Goal, TargetUnits

__all__ = ["BY_CELL_UNIT", "BY_UNIT", "aggregate", "included_units", "label"]

BY_UNIT = ("metric", "source", "fold", "unit")
BY_CELL_UNIT = ("metric", "source", "unit")


def label(
    cells: Mapping[tuple[str, str, str], PairScores], goals: Mapping[str, Goal]
) -> xr.Dataset:
    """Put the results of all folds in one labelled dataset.

    Parameters
    ----------
    cells : dict
        Results of each (metric, source, target).
    goals : dict of str to Goal
        The targets, in the order in which their units are to stand.

    Returns
    -------
    xarray.Dataset
        As `score` describes it, without its attrs.
    """
    metrics, sources = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    first = next(iter(cells.values()))
    n_folds = len(first.folds)
    by_unit = _Units(metrics, sources, goals)
    r = by_unit.collect(lambda key: np.stack([fold.r for fold in cells[key].folds]))
    r = r.transpose(1, 2, 0, 3)
    ceiling = by_unit.collect_ceiling(lambda goal: goal.ceiling.r[None])[0]
    pairs = {
        name: [
            [[[getattr(f, name) for f in cells[m, s, t].folds] for t in goals] for s in sources]
            for m in metrics
        ]
        for name in ("similarity", "silent_source", "silent_target")
    }
    units = [goal.units for goal in goals.values()]
    of_units: dict[str, list[NDArray[Any]]] = {
        "reliability": [target.reliability.full for target in units],
        "split_half_r": [target.reliability.halves for target in units],
        "n_repeated_stimuli": [target.repeated for target in units],
    }
    cell = ("metric", "source", "target_population")
    variables: dict[str, Any] = {
        "r": (BY_UNIT, r),
        "ceiling": (("metric", "unit"), ceiling),
        "normalized": (BY_UNIT, r / ceiling[:, None, None]),
        "explained_variance": (BY_UNIT, np.sign(r) * r**2 / ceiling[:, None, None] ** 2),
        **{name: ((*cell, "fold"), values) for name, values in pairs.items()},
        **{name: ("unit", np.concatenate(values)) for name, values in of_units.items()},
    }
    variables |= _resampled(cells, goals, by_unit)
    if first.shuffled is not None:
        null = [[[cells[m, s, t].shuffled for t in goals] for s in sources] for m in metrics]
        variables["r_shuffled"] = ((*cell, "shuffle"), np.array(null))
    coords = {
        "metric": metrics,
        "source": sources,
        "fold": np.arange(n_folds),
        "target_population": list(goals),
        **_unit_labels({name: goal.units for name, goal in goals.items()}),
    }
    return xr.Dataset(variables, coords=coords)


def _resampled(
    cells: Mapping[tuple[str, str, str], PairScores], goals: Mapping[str, Goal], by_unit: _Units
) -> dict[str, Any]:
    """What the bootstrap drew, as variables; none where there was none."""
    variables: dict[str, Any] = {}
    if next(iter(cells.values())).held_out is not None:
        each = ("metric", "source", "unit")
        held_out = by_unit.collect(lambda key: cells[key].held_out, np.float32)
        refitted = by_unit.collect(lambda key: cells[key].refitted, np.float32)
        variables["r_draws"] = (("draw", *each), held_out)
        variables["r_refits"] = (("refit", *each), refitted)
        if all(goal.ceiling.resampled is not None for goal in goals.values()):
            found = by_unit.collect_ceiling(_ceiling_draws, np.float32)
            variables["ceiling_draws"] = (("draw", "metric", "unit"), found)
    if all(goal.unit_counts is not None for goal in goals.values()):
        variables["unit_draws"] = (("draw", "unit"), by_unit.collect_counts())
    if variables:
        factors = list(next(iter(goals.values())).drawn)
        counts = [[goal.drawn[factor] for goal in goals.values()] for factor in factors]
        variables["n_drawn"] = (("factor", "target_population"), counts)
        variables["factor"] = factors
    return variables


def _ceiling_draws(goal: Goal) -> NDArray[np.float64]:
    draws = goal.ceiling.resampled
    assert draws is not None
    return draws.transpose(1, 0, 2)


class _Units:
    """Where the units of each target stand; NaN for those that were not scored."""

    def __init__(
        self, metrics: Sequence[str], sources: Sequence[str], goals: Mapping[str, Goal]
    ) -> None:
        self._metrics, self._sources, self._goals = metrics, sources, goals
        start = np.cumsum([0, *(len(goal.units.names) for goal in goals.values())])
        self._n = int(start[-1])
        self._places = {
            name: at + goal.units.scored
            for at, (name, goal) in zip(start, goals.items(), strict=False)
        }

    def collect(
        self, of: Callable[[tuple[str, str, str]], Any], dtype: Any = np.float64
    ) -> NDArray[Any]:
        """Arrays (m, k) of the cells as one, (m, metric, source, unit)."""
        filled: NDArray[Any] | None = None
        for i, metric in enumerate(self._metrics):
            for j, source in enumerate(self._sources):
                for target, places in self._places.items():
                    values = of((metric, source, target))
                    if filled is None:
                        shape = (len(values), len(self._metrics), len(self._sources), self._n)
                        filled = np.full(shape, np.nan, dtype=dtype)
                    filled[:, i, j, places] = values
        assert filled is not None
        return filled

    def collect_ceiling(
        self, of: Callable[[Goal], NDArray[np.float64]], dtype: Any = np.float64
    ) -> NDArray[Any]:
        """Arrays (m, metric, k) of the targets as one, (m, metric, unit)."""
        parts = {name: of(goal) for name, goal in self._goals.items()}
        length = len(next(iter(parts.values())))
        filled = np.full((length, len(self._metrics), self._n), np.nan, dtype=dtype)
        for name, values in parts.items():
            filled[:, :, self._places[name]] = values
        return filled

    def collect_counts(self) -> NDArray[np.int32]:
        """How often each unit is drawn, (draw, unit); 0 for those that do not count."""
        places, parts = [], []
        for name, goal in self._goals.items():
            assert goal.unit_counts is not None
            places.append(self._places[name][goal.units.kept])
            parts.append(goal.unit_counts)
        filled = np.zeros((len(parts[0]), self._n), dtype=np.int32)
        filled[:, np.concatenate(places)] = np.concatenate(parts, axis=1)
        return filled


def _unit_labels(targets: Mapping[str, TargetUnits]) -> dict[str, Any]:
    """Coordinates along ``unit``; names carry the target's where they would come twice."""
    everything = list(targets.values())
    owner = np.repeat(list(targets), [len(target.names) for target in everything])
    names = np.concatenate([target.names for target in everything])
    if len(np.unique(names)) < len(names):
        names = np.array([f"{target}/{unit}" for target, unit in zip(owner, names, strict=True)])
    excluded = np.concatenate([target.excluded for target in everything])
    return {"unit": names, "target": ("unit", owner), "excluded": ("unit", excluded)}


def included_units(scores: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    """Positions along ``unit`` of those that count in the aggregate, by target."""
    owner, counts = scores["target"].values, scores["excluded"].values == ""
    return {
        str(name): np.flatnonzero((owner == name) & counts)
        for name in scores["target_population"].values
    }


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
    kept = list(included_units(scores).values())
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
    resampled = [name for name in ("n_drawn", "factor") if name in scores.variables]
    of_units = [str(k) for k, v in scores.variables.items() if "unit" in v.dims]
    rest = scores.drop_vars([*of_units, *resampled])
    return rest.rename(target_population="target").assign(data).assign_attrs(scores.attrs)
