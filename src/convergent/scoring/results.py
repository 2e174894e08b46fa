"""Results: the scores of all folds with labels, and their aggregate over folds and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import warn
from ..statistics.aggregation import FoldMean, median, ratio_of_sums, signed_square
from ..statistics.ceilings import Ceiling
from .pair_scores import Key, PairResults, PairScores
from .targets import VOXEL_AXES, Target

__all__ = ["aggregate", "included_units", "label", "with_long_names"]

_BY_UNIT = ("metric", "source", "fold", "unit")
_BY_PAIR_UNIT = ("metric", "source", "unit")
_OF_UNIT = ("metric", "unit")
_DRAWS_OF_CEILINGS = {
    "ceiling_draws": "resampled",
    "expected_ceiling_draws": "expected_resampled",
}


def label(
    results: PairResults,
    metrics: Sequence[str],
    sources: Sequence[str],
    targets: Mapping[str, Target],
) -> xr.Dataset:
    """Collect the scores of all folds in one labelled dataset.

    Parameters
    ----------
    results : PairResults
        From the engine.
    metrics, sources : sequence of str
        Names, in the order of the result.
    targets : dict of Target
        By name, in the order in which their units follow each other along ``unit``.

    Returns
    -------
    xarray.Dataset
        As `score` describes it, without its attrs.
    """
    ceilings = {
        name: _positive(results.ceilings.get(name), target, metrics)
        for name, target in targets.items()
    }
    first = next(iter(results.pairs.values()))
    by_unit = _Units(metrics, sources, targets)
    r = by_unit.collect(lambda key: np.stack([fold.r for fold in results.pairs[key].folds]))
    ceiling, expected, weight = (
        by_unit.collect_ceilings({k: select(each)[None] for k, each in ceilings.items()})[0]
        for select in (
            lambda each: each.r,
            lambda each: each.expected,
            lambda each: np.broadcast_to(each.weight, each.r.shape),
        )
    )
    variables = _scores(r.transpose(1, 2, 0, 3), ceiling)
    variables["expected_ceiling"] = (_OF_UNIT, expected)
    variables["weight"] = ("unit", weight[0])
    variables |= _of_pairs(results, metrics, sources, list(targets))
    of_units: dict[str, list[NDArray[Any]]] = {
        "reliability": [target.reliability.full for target in targets.values()],
        "split_half_r": [target.reliability.halves for target in targets.values()],
        "n_repeated_stimuli": [target.repeated for target in targets.values()],
    }
    variables |= {name: ("unit", np.concatenate(values)) for name, values in of_units.items()}
    variables |= _resampled(results, list(targets.values()), ceilings, by_unit)
    coords = {
        "metric": list(metrics),
        "source": list(sources),
        "fold": np.arange(len(first.folds)),
        "target_population": list(targets),
        **_unit_labels(targets),
    }
    return with_long_names(xr.Dataset(variables, coords=coords))


def _scores(r: NDArray[np.float64], ceiling: NDArray[np.float64]) -> dict[str, Any]:
    """Scores (metric, source, fold, unit), and the same divided by their ceilings."""
    divisor = ceiling[:, None, None]
    return {
        "r": (_BY_UNIT, r),
        "ceiling": (_OF_UNIT, ceiling),
        "normalized": (_BY_UNIT, r / divisor),
        "explained_variance": (
            _BY_PAIR_UNIT,
            signed_square(FoldMean.of(np.moveaxis(r, 2, 0)) / divisor[:, 0]),
        ),
    }


def _of_pairs(
    results: PairResults, metrics: Sequence[str], sources: Sequence[str], targets: Sequence[str]
) -> dict[str, Any]:
    """Variables with one value per pair of populations, not per unit."""

    def collect(select: Callable[[PairScores], Any]) -> list[Any]:
        return [
            [[select(results.pairs[Key(m, s, t)]) for t in targets] for s in sources]
            for m in metrics
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


def _positive(ceiling: Ceiling | None, target: Target, metrics: Sequence[str]) -> Ceiling:
    """Replace ceilings that are not above 0 by NaN, with a warning; all are NaN without any."""
    if ceiling is None:
        unknown = np.full((len(metrics), len(target.scored)), np.nan)
        return Ceiling(unknown, unknown, unknown[0], None)
    r = np.where(ceiling.r > 0, ceiling.r, np.nan)
    lacking = np.isnan(r[:, target.included]).sum(axis=1)
    whole = ratio_of_sums(ceiling.expected, ceiling.expected, ceiling.weight)
    without = [metric for metric, one in zip(metrics, whole, strict=True) if np.isnan(one)]
    said = []
    if lacking.any():
        counts = ", ".join(f"{lacking[i]} ({m})" for i, m in enumerate(metrics) if lacking[i])
        said.append(
            f"of {len(target.included)} units of target {target.name!r}, the ceiling is not above "
            f"0, or not known, in {counts}: these have no normalized score of their own."
        )
    if without and len(target.included):
        said.append(
            f"target {target.name!r} has no normalized score ({', '.join(without)}): the ceiling "
            "of its units together is not above its error, so that scores cannot be divided by "
            "it. More repeats or more stimuli would be needed."
        )
    if said:
        warn(" ".join(said))
    draws = ceiling.resampled
    draws = None if draws is None else np.where(draws > 0, draws, np.nan)
    return replace(ceiling, r=r, resampled=draws)


def _resampled(
    results: PairResults,
    targets: Sequence[Target],
    ceilings: Mapping[str, Ceiling],
    by_unit: _Units,
) -> dict[str, Any]:
    """Variables of the resamples of the bootstrap; none without a bootstrap."""
    variables: dict[str, Any] = {}
    if next(iter(results.pairs.values())).held_out is not None:
        held_out = by_unit.collect(lambda key: results.pairs[key].held_out, np.float32)
        refitted = by_unit.collect(lambda key: results.pairs[key].refitted, np.float32)
        variables["r_draws"] = (("draw", *_BY_PAIR_UNIT), held_out)
        variables["r_refits"] = (("refit", *_BY_PAIR_UNIT), refitted)
        for variable, field in _DRAWS_OF_CEILINGS.items():
            draws = {
                name: getattr(ceiling, field).transpose(1, 0, 2)
                for name, ceiling in ceilings.items()
                if getattr(ceiling, field) is not None
            }
            if len(draws) == len(ceilings):
                found = by_unit.collect_ceilings(draws, np.float32)
                variables[variable] = (("draw", *_OF_UNIT), found)
    if all(target.unit_counts is not None for target in targets):
        variables["unit_draws"] = (("draw", "unit"), by_unit.collect_counts())
    if variables:
        factors = list(targets[0].drawn)
        counts = [[target.drawn[factor] for target in targets] for factor in factors]
        variables["n_drawn"] = (("factor", "target_population"), counts)
        variables["factor"] = factors
        if "stimuli" in factors:
            effective = [target.n_effective for target in targets]
            variables["n_effective"] = ("target_population", effective)
    return variables


class _Units:
    """Joins arrays of single targets along ``unit``; NaN for units that are not scored."""

    def __init__(
        self, metrics: Sequence[str], sources: Sequence[str], targets: Mapping[str, Target]
    ) -> None:
        self._metrics, self._sources, self._targets = metrics, sources, targets
        start = np.cumsum([0, *(len(target.units) for target in targets.values())])
        self._n = int(start[-1])
        self._positions = {
            name: first + target.scored
            for first, (name, target) in zip(start, targets.items(), strict=False)
        }

    def collect(self, select: Callable[[Key], Any], dtype: Any = np.float64) -> NDArray[Any]:
        """Arrays (m, k) of all pairs as one, (m, metric, source, unit)."""
        filled: NDArray[Any] | None = None
        for i, metric in enumerate(self._metrics):
            for j, source in enumerate(self._sources):
                for target, positions in self._positions.items():
                    values = select(Key(metric, source, target))
                    if filled is None:
                        shape = (len(values), len(self._metrics), len(self._sources), self._n)
                        filled = np.full(shape, np.nan, dtype=dtype)
                    filled[:, i, j, positions] = values
        assert filled is not None
        return filled

    def collect_ceilings(
        self, parts: Mapping[str, NDArray[np.float64]], dtype: Any = np.float64
    ) -> NDArray[Any]:
        """Arrays (m, metric, k) of all targets as one, (m, metric, unit)."""
        length = len(next(iter(parts.values())))
        filled = np.full((length, len(self._metrics), self._n), np.nan, dtype=dtype)
        for name, values in parts.items():
            filled[:, :, self._positions[name]] = values
        return filled

    def collect_counts(self) -> NDArray[np.int32]:
        """How often each unit is drawn, (draw, unit); 0 for units that are not scored."""
        positions, parts = [], []
        for name, target in self._targets.items():
            assert target.unit_counts is not None
            positions.append(self._positions[name])
            parts.append(target.unit_counts)
        filled = np.zeros((len(parts[0]), self._n), dtype=np.int32)
        filled[:, np.concatenate(positions)] = np.concatenate(parts, axis=1)
        return filled


def _unit_labels(targets: Mapping[str, Target]) -> dict[str, Any]:
    """Coordinates along ``unit``; if names repeat, the name of the target is put before them."""
    everything = list(targets.values())
    owner = np.repeat(list(targets), [len(target.units) for target in everything])
    names = np.concatenate([target.units for target in everything])
    if len(np.unique(names)) < len(names):
        names = np.array([f"{target}/{unit}" for target, unit in zip(owner, names, strict=True)])
    excluded = np.concatenate([target.excluded for target in everything])
    found = {"unit": names, "target": ("unit", owner), "excluded": ("unit", excluded)}
    if all(target.voxels is None for target in everything):
        return found
    nowhere = (-1,) * len(VOXEL_AXES)
    voxels = np.concatenate(
        [
            np.full((len(target.units), len(VOXEL_AXES)), nowhere)
            if target.voxels is None
            else target.voxels
            for target in everything
        ]
    )
    return found | {axis: ("unit", voxels[:, i]) for i, axis in enumerate(VOXEL_AXES)}


_LONG_NAMES = {
    "r": "score: Pearson r of prediction and response",
    "ceiling": "noise ceiling: the r that noise leaves possible",
    "expected_ceiling": "noise ceiling, given the responses of all units",
    "weight": "weight of the unit in the normalized score of the target",
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
    "expected_ceiling_draws": "ceiling in resamples, given the responses of all units",
    "unit_draws": "how often a unit is drawn",
    "n_drawn": "number of stimuli, units or subjects that resamples draw from",
    "n_effective": "effective number of stimuli, by how much they drive the units",
    "factor": "what resamples draw: stimuli, units or subjects",
    "n_units": "number of units in the aggregate",
    "n_units_excluded": "number of units left out of the aggregate",
    "n_units_normalized": "number of units in the normalized aggregate",
    "metric": "metric",
    "source": "population that is mapped",
    "target": "population that is predicted",
    "target_population": "population that is predicted",
    "chance": "control that is scored in place of the source",
    "run": "training that is predicted",
    "pair": "source training > target training",
    "source_run": "training that is mapped",
    "target_run": "training that is predicted",
    "against": "step of the target: the same as that of the source, or the final one",
    "layer": "layer of the source",
    "target_layer": "layer of the target",
    "network": "network",
    "kind": "similarity or distance",
    "role": "metric or reference",
    "cross_validated": "whether maps are scored on held-out stimuli",
    "unit": "unit of a target",
    "fold": "split of the stimuli",
    "excluded": "why a unit is left out of the aggregate",
    "voxel_i": "first index of the voxel in its volume, -1 if the unit is none",
    "voxel_j": "second index of the voxel in its volume, -1 if the unit is none",
    "voxel_k": "third index of the voxel in its volume, -1 if the unit is none",
}


def with_long_names(result: xr.Dataset, more: Mapping[str, str] | None = None) -> xr.Dataset:
    """Add a ``long_name`` to each variable and coordinate, as its attr.

    Parameters
    ----------
    result : xarray.Dataset
        Any result.
    more : dict of str, optional
        Long names that hold for this kind of result alone.

    Returns
    -------
    xarray.Dataset
        The same result.
    """
    known = _LONG_NAMES | dict(more or {})
    for name in map(str, result.variables):
        if name in known:
            result[name] = result[name].assign_attrs(long_name=known[name])
    return result


def included_units(scores: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    """Find the units that count in the aggregate.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with the scores of units.

    Returns
    -------
    dict of int array
        Positions along ``unit``, by target.
    """
    owner, counts = scores["target"].values, scores["excluded"].values == ""
    return {
        str(name): np.flatnonzero((owner == name) & counts)
        for name in scores["target_population"].values
    }


def aggregate(scores: xr.Dataset) -> xr.Dataset:
    r"""Aggregate scores over folds and units.

    ``r`` is the mean over folds, then the median over the included units of each target.
    ``normalized`` is a ratio of aggregates, over all units that are scored:
    :math:`N = \sum_u w_u r_u / \sum_u w_u k_u`, with the weights w and the expected ceilings k.
    ``explained_variance`` is its square, with its sign.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`; aggregated scores (``units=False``) are returned as they are.

    Returns
    -------
    xarray.Dataset
        ``r``, ``normalized``, ``explained_variance`` (metric, source, target), ``ceiling``
        (metric, target), and ``reliability``, ``split_half_r``, ``n_repeated_stimuli``,
        ``n_units``, ``n_units_excluded``, ``n_units_normalized`` (target), beside the variables
        that have no ``unit``.
    """
    if "unit" not in scores.dims:
        return scores
    names = scores["target_population"].values
    included = list(included_units(scores).values())
    of_target = [np.flatnonzero(scores["target"].values == name) for name in names]

    def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([median(values[..., units]) for units in included], axis=-1)

    r = FoldMean.of(scores["r"].transpose("fold", *_BY_PAIR_UNIT).values)
    expected = scores["expected_ceiling"].transpose("metric", "unit").values
    weight = scores["weight"].values
    normalized = np.stack(
        [ratio_of_sums(r[..., u], expected[:, None, u], weight[u]) for u in of_target], axis=-1
    )
    over_all = ("metric", "source", "target")
    data: dict[str, Any] = {
        "r": (over_all, medians(r)),
        "normalized": (over_all, normalized),
        "explained_variance": (over_all, signed_square(normalized)),
        "ceiling": (("metric", "target"), medians(scores["ceiling"].transpose(*_OF_UNIT).values)),
    }
    for name in ("reliability", "split_half_r", "n_repeated_stimuli"):
        data[name] = ("target", medians(scores[name].values))
    counts = {
        "n_units": [len(units) for units in included],
        "n_units_excluded": [len(u) - len(i) for u, i in zip(of_target, included, strict=True)],
        "n_units_normalized": [np.isfinite(weight[units]).sum() for units in of_target],
    }
    data |= {name: ("target", np.array(values)) for name, values in counts.items()}
    resampled = [name for name in ("n_drawn", "n_effective", "factor") if name in scores.variables]
    of_units = [str(k) for k, v in scores.variables.items() if "unit" in v.dims]
    rest = scores.drop_vars([*of_units, *resampled])
    return rest.rename(target_population="target").assign(data).assign_attrs(scores.attrs)
