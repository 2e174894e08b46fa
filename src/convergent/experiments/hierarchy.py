"""Which layer of one network corresponds to which of another, and whether depth goes with depth."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..base.arrays import Floats
from ..base.errors import InputError
from ..base.study import Study
from ..data.assembly import Assembly
from ..metrics.table import METRICS
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..scoring.results import aggregate, included_units
from ..scoring.score import score
from ..statistics.aggregation import over_units
from ..statistics.inference import spread
from .conditions import check_design, depths

__all__ = ["LEAST_LAYERS", "hierarchy"]

LEAST_LAYERS = 2


def hierarchy(
    source: Mapping[str, Assembly],
    target: Mapping[str, Assembly],
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
    ceiling: str | None = "self",
    bootstrap: Bootstrap | None = None,
    shuffle: Shuffle | None = None,
    chance: Mapping[str, Mapping[str, Assembly]] | None = None,
    level: float = 0.95,
    device: str = "cpu",
    study: Study | str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Score each layer of one network against each of another, and find counterparts.

    Layers are in the order of the dicts, which is taken for their depth: from 0, the first, to 1,
    the last. Networks of different length are compared by this proportional depth. The target may
    be a recording as well: ``recording.by("region")``, with a ceiling from its repeats.

    Parameters
    ----------
    source, target : dict of Assembly
        Layers by name, from first to last; two or more on each side.
    metrics, folds, ceiling, shuffle, device, study, progress : as for `score`
        ``"self"`` is the ceiling for networks, which have no noise.
    bootstrap : Bootstrap, optional
        Over stimuli: how sure a partner is, and intervals. As many ``refits`` fit all maps anew,
        which takes as many times longer.
    chance : dict, optional
        By name, what is scored in place of the source, to see what chance would give: `rotated` of
        the source, or the same layers of an untrained network.
    level : float
        Of the confidence intervals.

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
        target, shuffle). With `chance`, ``r_chance`` (chance, metric, source, target). Along
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
    for side, layers in (("source", source), ("target", target)):
        if not isinstance(layers, Mapping) or len(layers) < LEAST_LAYERS:
            given = (
                f"{len(layers)} layer(s)" if isinstance(layers, Mapping) else type(layers).__name__
            )
            raise InputError(
                f"{side} is {given}: a hierarchy takes a dict of two layers or more, from first to "
                "last."
            )
    check_design(folds, bootstrap)
    for name, substitute in (chance or {}).items():
        if list(substitute) != list(source):
            raise InputError(
                f"chance {name!r} has layers {list(substitute)}, and the source {list(source)}: it "
                "stands in its place, so it needs the same."
            )
    score_these = partial(
        score,
        target=target,
        metrics=metrics,
        folds=folds,
        device=device,
        study=study,
        progress=progress,
    )
    scores = score_these(
        source,
        ceiling=ceiling,
        units=bootstrap is not None,
        bootstrap=bootstrap,
        shuffle=shuffle,
    )
    found = aggregate(scores)
    names = ["r", "normalized", "ceiling", *(["r_shuffled"] if shuffle else [])]
    result: xr.Dataset = found[names].transpose("metric", "source", "target", ...)
    result = result.assign_coords(
        source_depth=("source", depths(len(source))), target_depth=("target", depths(len(target)))
    )
    r = result["r"].values
    for side, other in (("target", "source"), ("source", "target")):
        place = _partner(r, axis=1 if side == "target" else 2)
        partner = result[other].values[place]
        result[f"partner_of_{side}"] = (("metric", side), partner)
    statistics: dict[str, Callable[[Floats], Floats]] = {
        "depth_correlation": _depth_correlation,
        "diagonal": _diagonal,
    }
    for name, statistic in statistics.items():
        result[name] = ("metric", statistic(r))
    if bootstrap is not None:
        result = result.assign(_how_sure(scores, result, statistics, level))
    if chance:
        each = [score_these(layers, ceiling=None, units=False)["r"] for layers in chance.values()]
        result["r_chance"] = xr.concat(each, xr.Variable("chance", list(chance)))
    return result.assign_attrs(scores.attrs)


def _how_sure(
    scores: xr.Dataset,
    result: xr.Dataset,
    statistics: Mapping[str, Callable[[Floats], Floats]],
    level: float,
) -> dict[str, Any]:
    """Shares of resamples, and intervals."""
    draws = {}
    for factor, name in (("stimuli", "r_draws"), ("refit", "r_refits")):
        values = scores[name].transpose(..., "metric", "source", "unit").values
        parts = [over_units(values[..., units]) for units in included_units(scores).values()]
        draws[factor] = np.stack(parts, axis=-1).astype(np.float64)
    sure: dict[str, Any] = {}
    for side, other, axis in (("target", "source", 2), ("source", "target", 3)):
        place = _partner(draws["refit"], axis)  # (draw, metric, side)
        each = np.arange(result.sizes[other])
        share = (place[..., None] == each).mean(axis=0)
        sure[f"sure_of_{side}"] = (("metric", side, other), share)
    n_drawn = {"stimuli": float(scores["n_drawn"].sel(factor="stimuli")[0])}
    for name, statistic in statistics.items():
        moved = {factor: statistic(values) for factor, values in draws.items()}
        found = spread(moved, n_drawn, scores.sizes["fold"])
        low, high = found.interval(result[name].values, level)
        if name == "depth_correlation":
            low, high = (np.clip(end, -1, 1) for end in (low, high))
        sure |= {f"{name}_low": ("metric", low), f"{name}_high": ("metric", high)}
    return sure


def _partner(r: Floats, axis: int) -> NDArray[np.intp]:
    """Who has the greatest score along an axis; a layer without a score is nobody's partner."""
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
