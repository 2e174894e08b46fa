"""Scores of all folds with their labels, and their aggregate over folds and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import warn
from ..statistics.aggregation import FoldMean, median
from ..statistics.ceilings import Ceiling
from .pair_scores import Key, PairResults, PairScores
from .targets import Target

__all__ = ["aggregate", "described", "included_units", "label"]

_BY_UNIT = ("metric", "source", "fold", "unit")
_BY_PAIR_UNIT = ("metric", "source", "unit")


@dataclass(frozen=True, eq=False)
class _Goal:
    """A target and its ceiling; NaN where no ceiling is asked for."""

    target: Target
    ceiling: Ceiling


def label(
    results: PairResults,
    metrics: Sequence[str],
    sources: Sequence[str],
    targets: Mapping[str, Target],
) -> xr.Dataset:
    """Put the scores of all folds in one labelled dataset.

    Parameters
    ----------
    results : PairResults
        From the engine.
    metrics, sources : sequence of str
        Names, in the order of the result.
    targets : dict of Target
        In the order in which their units are to stand.

    Returns
    -------
    xarray.Dataset
        As `score` describes it, without its attrs.
    """
    goals = {
        name: _Goal(target, _ceiling(results.ceilings.get(name), target, metrics))
        for name, target in targets.items()
    }
    first = next(iter(results.pairs.values()))
    by_unit = _Units(metrics, sources, goals)
    r = by_unit.collect(lambda key: np.stack([fold.r for fold in results.pairs[key].folds]))
    variables = _scores(r.transpose(1, 2, 0, 3), by_unit)
    variables |= _of_pairs(results, metrics, sources, list(targets))
    of_units: dict[str, list[NDArray[Any]]] = {
        "reliability": [target.reliability.full for target in targets.values()],
        "split_half_r": [target.reliability.halves for target in targets.values()],
        "n_repeated_stimuli": [target.repeated for target in targets.values()],
    }
    variables |= {name: ("unit", np.concatenate(values)) for name, values in of_units.items()}
    variables |= _resampled(results, goals, by_unit)
    coords = {
        "metric": list(metrics),
        "source": list(sources),
        "fold": np.arange(len(first.folds)),
        "target_population": list(targets),
        **_unit_labels(targets),
    }
    return described(xr.Dataset(variables, coords=coords))


def _scores(r: NDArray[np.float64], by_unit: _Units) -> dict[str, Any]:
    """Scores, and what they are divided by."""
    ceiling = by_unit.collect_ceiling(lambda goal: goal.ceiling.r[None])[0]
    each = ceiling[:, None, None]
    return {
        "r": (_BY_UNIT, r),
        "ceiling": (("metric", "unit"), ceiling),
        "normalized": (_BY_UNIT, r / each),
        "explained_variance": (_BY_UNIT, np.sign(r) * r**2 / each**2),
    }


def _of_pairs(
    results: PairResults, metrics: Sequence[str], sources: Sequence[str], targets: Sequence[str]
) -> dict[str, Any]:
    """Numbers that stand for two populations, not for a unit."""

    def collect(of: Callable[[PairScores], Any]) -> list[Any]:
        return [
            [[of(results.pairs[Key(m, s, t)]) for t in targets] for s in sources] for m in metrics
        ]

    dims = ("metric", "source", "target_population")
    variables: dict[str, Any] = {
        name: ((*dims, "fold"), collect(partial(_of_folds, name=name)))
        for name in ("similarity", "silent_source", "silent_target")
    }
    if next(iter(results.pairs.values())).shuffled is not None:
        variables["r_shuffled"] = ((*dims, "shuffle"), np.array(collect(lambda s: s.shuffled)))
    return variables


def _of_folds(scores: PairScores, name: str) -> list[Any]:
    return [getattr(fold, name) for fold in scores.folds]


def _ceiling(ceiling: Ceiling | None, target: Target, metrics: Sequence[str]) -> Ceiling:
    """Leave out ceilings that are not above 0, with a warning where they would have counted."""
    if ceiling is None:
        return Ceiling(np.full((len(metrics), len(target.scored)), np.nan), None)
    r = np.where(ceiling.r > 0, ceiling.r, np.nan)
    lost = np.isnan(r[:, target.included]).sum(1)
    if lost.any():
        counts = ", ".join(f"{lost[i]} ({m})" for i, m in enumerate(metrics) if lost[i])
        warn(
            f"of {len(target.included)} units of target {target.name!r}, the ceiling is not above "
            f"0, or not known, in {counts}: these have no normalized score."
        )
    draws = ceiling.resampled
    return Ceiling(r, None if draws is None else np.where(draws > 0, draws, np.nan))


def _resampled(results: PairResults, goals: Mapping[str, _Goal], by_unit: _Units) -> dict[str, Any]:
    """Scores in the resamples of the bootstrap, as variables; none without one."""
    variables: dict[str, Any] = {}
    if next(iter(results.pairs.values())).held_out is not None:
        each = ("metric", "source", "unit")
        held_out = by_unit.collect(lambda key: results.pairs[key].held_out, np.float32)
        refitted = by_unit.collect(lambda key: results.pairs[key].refitted, np.float32)
        variables["r_draws"] = (("draw", *each), held_out)
        variables["r_refits"] = (("refit", *each), refitted)
        if all(goal.ceiling.resampled is not None for goal in goals.values()):
            found = by_unit.collect_ceiling(_ceiling_draws, np.float32)
            variables["ceiling_draws"] = (("draw", "metric", "unit"), found)
    targets = [goal.target for goal in goals.values()]
    if all(target.unit_counts is not None for target in targets):
        variables["unit_draws"] = (("draw", "unit"), by_unit.collect_counts())
    if variables:
        factors = list(targets[0].drawn)
        counts = [[target.drawn[factor] for target in targets] for factor in factors]
        variables["n_drawn"] = (("factor", "target_population"), counts)
        variables["factor"] = factors
    return variables


def _ceiling_draws(goal: _Goal) -> NDArray[np.float64]:
    draws = goal.ceiling.resampled
    assert draws is not None
    return draws.transpose(1, 0, 2)


class _Units:
    """Where the units of each target stand; NaN for those that were not scored."""

    def __init__(
        self, metrics: Sequence[str], sources: Sequence[str], goals: Mapping[str, _Goal]
    ) -> None:
        self._metrics, self._sources, self._goals = metrics, sources, goals
        start = np.cumsum([0, *(len(goal.target.units) for goal in goals.values())])
        self._n = int(start[-1])
        self._places = {
            name: at + goal.target.scored
            for at, (name, goal) in zip(start, goals.items(), strict=False)
        }

    def collect(self, of: Callable[[Key], Any], dtype: Any = np.float64) -> NDArray[Any]:
        """Arrays (m, k) of the cells as one, (m, metric, source, unit)."""
        filled: NDArray[Any] | None = None
        for i, metric in enumerate(self._metrics):
            for j, source in enumerate(self._sources):
                for target, places in self._places.items():
                    values = of(Key(metric, source, target))
                    if filled is None:
                        shape = (len(values), len(self._metrics), len(self._sources), self._n)
                        filled = np.full(shape, np.nan, dtype=dtype)
                    filled[:, i, j, places] = values
        assert filled is not None
        return filled

    def collect_ceiling(
        self, of: Callable[[_Goal], NDArray[np.float64]], dtype: Any = np.float64
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
            assert goal.target.unit_counts is not None
            places.append(self._places[name][goal.target.included])
            parts.append(goal.target.unit_counts)
        filled = np.zeros((len(parts[0]), self._n), dtype=np.int32)
        filled[:, np.concatenate(places)] = np.concatenate(parts, axis=1)
        return filled


def _unit_labels(targets: Mapping[str, Target]) -> dict[str, Any]:
    """Coordinates along ``unit``; names carry the target's where they would come twice."""
    everything = list(targets.values())
    owner = np.repeat(list(targets), [len(target.units) for target in everything])
    names = np.concatenate([target.units for target in everything])
    if len(np.unique(names)) < len(names):
        names = np.array([f"{target}/{unit}" for target, unit in zip(owner, names, strict=True)])
    excluded = np.concatenate([target.excluded for target in everything])
    return {"unit": names, "target": ("unit", owner), "excluded": ("unit", excluded)}


_LONG_NAMES = {
    "r": "score: Pearson r of prediction and response",
    "ceiling": "noise ceiling: the r that noise leaves possible",
    "normalized": "score divided by its ceiling",
    "explained_variance": "share of the explainable variance that is explained",
    "reliability": "reliability of the mean over repeats",
    "split_half_r": "correlation of the means of halves of the repeats",
    "n_repeated_stimuli": "number of stimuli with two or more repeats",
    "similarity": "similarity of the two populations after the map",
    "silent_source": "number of source units without variance on the training stimuli",
    "silent_target": "number of target units without variance on the training stimuli",
    "r_shuffled": "aggregate score with shuffled stimuli",
    "r_draws": "score in resamples of the held-out stimuli",
    "r_refits": "score in resamples with maps fitted again",
    "ceiling_draws": "ceiling in resamples of the stimuli",
    "unit_draws": "how often a unit is drawn",
    "n_drawn": "number of things to draw from",
    "n_units": "number of units in the aggregate",
    "n_units_excluded": "number of units left out of the aggregate",
    "metric": "metric",
    "source": "population that is mapped",
    "target": "population that is predicted",
    "target_population": "population that is predicted",
    "chance": "control that is scored in place of the source",
    "run": "training that is predicted",
    "pair": "source training > target training",
    "source_run": "training that is mapped",
    "target_run": "training that is predicted",
    "against": "step of the target: the same, or the final one",
    "layer": "layer of the source",
    "target_layer": "layer of the target",
    "network": "network",
    "kind": "similarity or distance",
    "role": "metric or reference",
    "cross_validated": "whether maps are scored on held-out stimuli",
    "unit": "unit of a target",
    "fold": "split of the stimuli",
    "excluded": "why a unit is left out of the aggregate",
}


def described(result: xr.Dataset, more: Mapping[str, str] | None = None) -> xr.Dataset:
    """The same result, with a ``long_name`` for each variable and coordinate.

    Parameters
    ----------
    result : xarray.Dataset
        Any result.
    more : dict of str, optional
        Long names of further variables.
    """
    known = _LONG_NAMES | dict(more or {})
    for name in map(str, result.variables):
        if name in known:
            result[name] = result[name].assign_attrs(long_name=known[name])
    return result


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
        over_folds = FoldMean.of(scores[name].transpose("fold", *_BY_PAIR_UNIT).values)
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
