"""Which layer of one network corresponds to which of another, and whether depth goes with depth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..base.arrays import Floats
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..scoring.results import aggregate, included_units, with_long_names
from ..scoring.score import scored
from ..statistics.aggregation import over_units
from ..statistics.inference import Factors
from .conditions import ExperimentSettings, depths, settle_experiment
from .summaries import Arrays, Statistic, with_intervals

__all__ = ["LEAST_LAYERS", "hierarchy"]

LEAST_LAYERS = 2


def hierarchy(
    source: Mapping[str, Assembly],
    target: Mapping[str, Assembly],
    metrics: Any = None,
    *,
    controls: Mapping[str, Mapping[str, Assembly]] | None = None,
    level: float = 0.95,
    **settings: Unpack[ExperimentSettings],
) -> xr.Dataset:
    """Score each layer of one network against each of another, and find counterparts.

    Layers are in the order of the dicts, which is taken for their depth: from 0, the first, to 1,
    the last. Networks of different length are compared by this proportional depth. The target may
    be a recording as well: ``recording.by("region")``, with a ceiling from its repeats.

    Parameters
    ----------
    source, target : dict of Assembly
        Layers by name, from first to last; two or more on each side.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; all three by default.
    controls : dict, optional
        By name, what is scored in place of the source, to see what chance would give: `rotated` of
        the source, or the same layers of an untrained network.
    level : float
        Confidence level of the intervals.
    **settings
        As for `score`: ``folds``, ``ceiling`` (``"self"`` by default, for networks,
        which have no noise), ``min_reliability``, ``bootstrap``, ``shuffle``, ``device``,
        ``study``, ``progress``, or ``protocol`` and ``compute``. The bootstrap is over stimuli: it
        gives intervals, and how sure a partner is. Each of its ``refits`` fits all maps again.

    Returns
    -------
    xarray.Dataset
        ``r``, ``normalized`` (metric, source, target): aggregated, as `summary` has them;
        ``ceiling`` (metric, target); ``partner_of_target`` (metric, target) and
        ``partner_of_source`` (metric, source): the layer of the other side with the greatest r.
        By metric: ``depth_correlation``, Spearman's correlation of the depth of a target layer
        with that of its partner; ``diagonal``, how much higher r is, on average, for the source
        layer whose depth is nearest than for all others. With a bootstrap, ``sure_of_target``
        (metric, target, source) and ``sure_of_source`` (metric, source, target): in which share of
        the resamples, with maps fitted anew, each layer is the partner; ``*_low`` and ``*_high``
        of ``depth_correlation`` and ``diagonal``. With a shuffle, ``r_shuffled`` (metric, source,
        target, shuffle). With `controls`, ``r_chance`` (chance, metric, source, target). Along
        ``source`` and ``target`` stand ``source_depth`` and ``target_depth``.

    Raises
    ------
    InputError
        Where a side is no dict of two layers or more, or `score` raises.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Kornblith, Norouzi, Lee and Hinton 2019,
    ICML (layer correspondence).
    """
    _check_layers(source, target)
    controls, protocol, compute = settle_experiment(metrics, controls, settings)
    for name, substitute in controls.items():
        if list(substitute) != list(source):
            raise InputError(
                f"control {name!r} has layers {list(substitute)}, and the source {list(source)}: "
                "it stands in its place, so it needs the same."
            )
    scores = scored(
        "hierarchy", source, target, protocol, compute, units=protocol.bootstrap is not None
    )
    result = _with_partners(aggregate(scores))
    n_drawn = float("nan")
    if protocol.bootstrap is not None:
        n_drawn = float(scores["n_drawn"].sel(factor="stimuli")[0])
        result = result.assign(_how_sure(scores, result))
    several = _resampled(scores, result["r"])
    found = with_intervals(several, _STATISTICS, n_drawn, protocol.folds.n, level)
    result = result.assign(found)
    alone = replace(protocol, ceiling=None, bootstrap=None, shuffle=None)
    substitutes = {
        name: scored("hierarchy", layers, target, alone, compute, units=False)
        for name, layers in controls.items()
    }
    if substitutes:
        each = [scores["r"] for scores in substitutes.values()]
        result["r_chance"] = xr.concat(each, xr.Variable("chance", list(controls)))
    made = json.loads(scores.attrs["provenance"]) | {"level": level}
    made["controls"] = {
        name: json.loads(one.attrs["provenance"])["sources"] for name, one in substitutes.items()
    }
    attrs = scores.attrs | {"provenance": json.dumps(made)}
    return with_long_names(result, _LONG_NAMES).assign_attrs(attrs)


def _check_layers(source: object, target: object) -> None:
    """Make sure that both sides are layers in an order."""
    for side, layers in (("source", source), ("target", target)):
        if not isinstance(layers, Mapping) or len(layers) < LEAST_LAYERS:
            given = (
                f"{len(layers)} layer(s)" if isinstance(layers, Mapping) else type(layers).__name__
            )
            raise InputError(
                f"{side} is {given}: a hierarchy takes a dict of two layers or more, from first to "
                "last."
            )


def _with_partners(found: xr.Dataset) -> xr.Dataset:
    """Scores of all pairs of layers, with depths, and the partner of each layer."""
    names = ["r", "normalized", "ceiling", *(["r_shuffled"] if "r_shuffled" in found else [])]
    result: xr.Dataset = found[names].transpose("metric", "source", "target", ...)
    result = result.assign_coords(
        source_depth=("source", depths(result.sizes["source"])),
        target_depth=("target", depths(result.sizes["target"])),
    )
    r = result["r"].values
    for side, other in (("target", "source"), ("source", "target")):
        rank = _partner(r, axis=1 if side == "target" else 2)
        result[f"partner_of_{side}"] = (("metric", side), result[other].values[rank])
    return result


def _resampled(scores: xr.Dataset, r: xr.DataArray) -> dict[Factors, Arrays]:
    """Scores of all pairs of layers (metric, source, target), as found and in the resamples."""
    found: dict[Factors, Arrays] = {(): {"r": r}}
    names = {("stimuli",): "r_draws", ("refit",): "r_refits"}
    for factors, name in names.items() if "r_draws" in scores else ():
        values = scores[name].transpose(..., "metric", "source", "unit").values
        parts = [over_units(values[..., units]) for units in included_units(scores).values()]
        array = np.stack(parts, axis=-1).astype(np.float64)
        found[factors] = {"r": xr.DataArray(array, dims=("draw", "metric", "source", "target"))}
    return found


def _how_sure(scores: xr.Dataset, result: xr.Dataset) -> dict[str, Any]:
    """In which share of the resamples, with maps fitted again, each layer is the partner."""
    draws = _resampled(scores, result["r"])["refit",]["r"].values
    shares: dict[str, Any] = {}
    for side, other, axis in (("target", "source", 2), ("source", "target", 3)):
        rank = _partner(draws, axis)  # (draw, metric, side)
        each = np.arange(result.sizes[other])
        share = (rank[..., None] == each).mean(axis=0)
        shares[f"sure_of_{side}"] = (("metric", side, other), share)
    return shares


def _partner(r: Floats, axis: int) -> NDArray[np.intp]:
    """Who has the greatest score along an axis; a layer without a score is no partner."""
    return np.asarray(np.nan_to_num(r, nan=-np.inf).argmax(axis=axis))


def _depth_correlation(r: Floats) -> Floats:
    """Spearman's correlation of depth and partner's depth; r is (..., source, target)."""
    place = _partner(r, axis=-2).astype(np.float64)
    place = stats.rankdata(place, axis=-1)
    depth = np.arange(1, r.shape[-1] + 1) - (r.shape[-1] + 1) / 2
    place = place - place.mean(axis=-1, keepdims=True)
    lengths = np.sqrt((place**2).sum(axis=-1) * (depth**2).sum())
    # where all layers share one partner, depth says nothing
    r_depth = np.divide(place @ depth, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.asarray(r_depth)


def _diagonal(r: Floats) -> Floats:
    """Mean r at the nearest depth, less that of all other pairs; r is (..., source, target)."""
    sources, targets = r.shape[-2:]
    apart = np.abs(depths(sources)[:, None] - depths(targets))
    near = apart == apart.min(axis=0)
    return np.asarray(np.nanmean(r[..., near], axis=-1) - np.nanmean(r[..., ~near], axis=-1))


def _of_r(function: Callable[[Floats], Floats]) -> Callable[[Arrays], xr.DataArray]:
    """A statistic of r (..., source, target), as one of labelled scores."""

    def of(scores: Arrays) -> xr.DataArray:
        r = scores["r"].transpose(..., "metric", "source", "target")
        return xr.DataArray(function(r.values), dims=r.dims[:-2])

    return of


_STATISTICS = {
    "depth_correlation": Statistic(_of_r(_depth_correlation), "score", bounds=(-1, 1)),
    "diagonal": Statistic(_of_r(_diagonal), "score"),
}
_LONG_NAMES = {
    "depth_correlation": "rank correlation of the depth of layers with that of their partners",
    "diagonal": "r of layers of nearest depth less that of all other pairs",
    "partner_of_target": "source layer with the greatest r",
    "partner_of_source": "target layer with the greatest r",
    "sure_of_target": "share of resamples in which a source layer is the partner",
    "sure_of_source": "share of resamples in which a target layer is the partner",
    "source_depth": "proportional depth of the source layer, from 0 (first) to 1 (last)",
    "target_depth": "proportional depth of the target layer, from 0 (first) to 1 (last)",
    "r_chance": "score of a control in place of the source",
}
