"""The experiment `hierarchy`: which layer of one network corresponds to which of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..base.arguments import as_share, check_type
from ..base.arrays import Floats
from ..base.errors import InputError, examples, warn
from ..data.assembly import Assembly
from ..scoring.results import aggregate, included_units, with_long_names
from ..scoring.score import scored
from ..statistics.aggregation import over_units
from ..statistics.inference import Factors
from .conditions import ExperimentSettings, depths, settle_experiment
from .summaries import Arrays, Statistic, with_intervals

__all__ = ["hierarchy"]

_LEAST_LAYERS = 2
_TIE = 1e-6  # scores that differ by less are equal; those of resamples are float32


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

    The order of the layers is that of the dicts. Depth is the proportional position in this order,
    from 0 (first layer) to 1 (last layer), so that networks of different length can be compared.
    The target may also be a recording (``recording.by("region")``), with a ceiling from its
    repeats.

    Parameters
    ----------
    source, target : dict of Assembly
        Layers by name, from first to last; two or more on each side.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; by default, all three.
    controls : dict of dict of Assembly, optional
        Layers that are scored in place of the source, by name of the control, to see what chance
        gives: `rotated` of the source, or the same layers of an untrained network.
    level : float
        Confidence level of the intervals, between 0 and 1.
    **settings
        As for `score`: ``folds``, ``ceiling`` (by default ``"self"``, since networks have no
        noise), ``min_reliability``, ``bootstrap``, ``shuffle``, ``device``, ``study``,
        ``progress``; or ``protocol`` and ``compute``. The bootstrap draws only stimuli. Maps are
        fitted again in each of its ``refits``.

    Returns
    -------
    xarray.Dataset
        Results, with these variables:

        - ``r``, ``normalized`` (metric, source, target) and ``ceiling`` (metric, target):
          aggregates, as in `summary`;
        - ``partner_of_target`` (metric, target), ``partner_of_source`` (metric, source): name of
          the layer of the other network with the highest r, the first of those that tie; '' where
          a layer has no score;
        - ``depth_correlation`` (metric): Spearman's correlation of the depth of each target layer
          with the depth of its partner; NaN, with a warning, if all have the same partner;
        - ``diagonal`` (metric): mean r of the pairs of layers with the nearest depth, minus the
          mean r of all other pairs.

        With a bootstrap:

        - ``sure_of_target`` (metric, target, source), ``sure_of_source`` (metric, source, target):
          share of the resamples, with maps fitted again, in which each layer is the partner;
        - ``depth_correlation_low``, ``depth_correlation_high``, ``diagonal_low``,
          ``diagonal_high``: ends of the confidence intervals. Those of the depth correlation are
          too wide where partners are unsure (they held the truth in all of 52 simulated
          experiments), because resamples add chance to that in the data. Those of the diagonal held
          it in 90 to 95%.

        With a shuffle, ``r_shuffled`` (metric, source, target, shuffle). With `controls`,
        ``r_chance`` (chance, metric, source, target), where ``chance`` is the name of the control.
        The coordinates ``source_depth`` and ``target_depth`` are depths of the layers.

    Raises
    ------
    InputError
        If a side is no dict of two or more layers, a control has other layers than the source, or
        as `score` does.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Kornblith, Norouzi, Lee and Hinton 2019,
    ICML (correspondence of layers).

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> shared = [rng.standard_normal((30, 5)) for _ in range(3)]  # what networks have in common
    >>> def network():
    ...     return {
    ...         f"layer{k}": cv.Assembly.from_array(x + rng.standard_normal((30, 5)), stimuli=names)
    ...         for k, x in enumerate(shared)
    ...     }
    >>> found = cv.hierarchy(network(), network(), "procrustes", folds=cv.Folds(3))
    >>> found["partner_of_target"].values.tolist()
    [['layer0', 'layer1', 'layer2']]
    >>> found["depth_correlation"].values.round(2).tolist()
    [1.0]
    """
    level = as_share("level", level)
    _check_layers(source, target)
    controls, protocol, compute = settle_experiment(metrics, controls, settings)
    _check_controls(controls, source)
    scores = scored(
        "hierarchy", source, target, protocol, compute, units=protocol.bootstrap is not None
    )
    result = _with_partners(aggregate(scores))
    several = _by_draw(scores, result["r"])
    drawn: dict[str, float] = {}
    if protocol.bootstrap is not None:
        drawn["stimuli"] = float(scores["n_drawn"].sel(factor="stimuli")[0])
        drawn["effective"] = float(scores["n_effective"].min())
        result = result.assign(_shares_of_draws(several, result))
    result = result.assign(with_intervals(several, _STATISTICS, drawn, protocol.folds.n, level))
    _warn_of_no_order(result)
    alone = replace(protocol, ceiling=None, bootstrap=None, shuffle=None)
    of_controls = {
        name: scored("hierarchy", layers, target, alone, compute, units=False, known_order=True)
        for name, layers in controls.items()
    }
    if of_controls:
        each = [one["r"] for one in of_controls.values()]
        result["r_chance"] = xr.concat(each, xr.Variable("chance", list(controls)))
    content = json.loads(scores.attrs["provenance"]) | {"level": level}
    content["controls"] = {
        name: json.loads(one.attrs["provenance"])["sources"] for name, one in of_controls.items()
    }
    attrs = scores.attrs | {"provenance": json.dumps(content)}
    return with_long_names(result, _LONG_NAMES).assign_attrs(attrs)


def _check_layers(source: object, target: object) -> None:
    """Make sure that both sides are dicts of layers."""
    for side, layers in (("source", source), ("target", target)):
        if not isinstance(layers, Mapping) or len(layers) < _LEAST_LAYERS:
            given = (
                f"{len(layers)} layer(s)" if isinstance(layers, Mapping) else type(layers).__name__
            )
            raise InputError(
                f"{side} is {given}: a hierarchy takes a dict of two layers or more, from first to "
                "last."
            )


def _check_controls(
    controls: Mapping[str, Mapping[str, Assembly]], source: Mapping[str, Assembly]
) -> None:
    """Make sure that controls have the layers of the source."""
    for name, layers in controls.items():
        check_type(Mapping, "a dict of layers", **{f"control {name!r}": layers})
        if list(layers) != list(source):
            raise InputError(
                f"control {name!r} has layers {list(layers)}, and the source {list(source)}: a "
                "control is scored in place of the source, so give the same layers."
            )


def _with_partners(found: xr.Dataset) -> xr.Dataset:
    """Scores of all pairs of layers, with the depths of layers and the partner of each."""
    names = ["r", "normalized", "ceiling", *(["r_shuffled"] if "r_shuffled" in found else [])]
    result: xr.Dataset = found[names].transpose("metric", "source", "target", ...)
    result = result.assign_coords(
        source_depth=("source", depths(result.sizes["source"])),
        target_depth=("target", depths(result.sizes["target"])),
    )
    r = result["r"].values
    for side, other in (("target", "source"), ("source", "target")):
        partner = _partner(r, axis=1 if side == "target" else 2)
        found_names = np.where(partner < 0, "", result[other].values[partner])
        result[f"partner_of_{side}"] = (("metric", side), found_names)
    return result


def _by_draw(scores: xr.Dataset, r: xr.DataArray) -> dict[Factors, Arrays]:
    """Scores of all pairs of layers (metric, source, target): of the data, and in resamples."""
    found: dict[Factors, Arrays] = {(): {"r": r}}
    names = {("stimuli",): "r_draws", ("refit",): "r_refits"}
    for factors, name in names.items() if "r_draws" in scores else ():
        values = scores[name].transpose(..., "metric", "source", "unit").values
        parts = [over_units(values[..., units]) for units in included_units(scores).values()]
        array = np.stack(parts, axis=-1).astype(np.float64)
        found[factors] = {"r": xr.DataArray(array, dims=("draw", "metric", "source", "target"))}
    return found


def _shares_of_draws(scores: Mapping[Factors, Arrays], result: xr.Dataset) -> dict[str, Any]:
    """Share of the resamples, with maps fitted again, in which each layer is the partner."""
    draws = scores["refit",]["r"].values
    shares: dict[str, Any] = {}
    for side, other, axis in (("target", "source", 2), ("source", "target", 3)):
        partner = _partner(draws, axis)  # (draw, metric, side)
        layers = np.arange(result.sizes[other])
        share = (partner[..., None] == layers).mean(axis=0)
        shares[f"sure_of_{side}"] = (("metric", side, other), share)
    return shares


def _partner(r: Floats, axis: int) -> NDArray[np.intp]:
    """Position of the layer with the highest score along an axis, the first of those that tie.

    It is -1 where there is no score.
    """
    known = np.nan_to_num(r, nan=-np.inf)
    highest = known.max(axis=axis, keepdims=True)
    partner = (known >= highest - _TIE).argmax(axis=axis)
    return np.where(np.isinf(highest).squeeze(axis), -1, partner)


def _depth_correlation(r: Floats) -> Floats:
    """Spearman's correlation of depths of layers and partners; r is (..., source, target).

    NaN where all layers have the same partner, or one has none.
    """
    partner = _partner(r, axis=-2)
    rank = stats.rankdata(partner.astype(np.float64), axis=-1)
    rank = rank - rank.mean(axis=-1, keepdims=True)
    depth = np.arange(1, r.shape[-1] + 1) - (r.shape[-1] + 1) / 2
    lengths = np.sqrt((rank**2).sum(axis=-1) * (depth**2).sum())
    vary = (lengths > 0) & (partner >= 0).all(axis=-1)
    r_depth = np.divide(rank @ depth, lengths, out=np.full_like(lengths, np.nan), where=vary)
    return np.asarray(r_depth)


def _warn_of_no_order(result: xr.Dataset) -> None:
    """Warn of metrics by which the depths of partners have no rank correlation."""
    same: list[str] = []
    none: list[str] = []
    for metric in result["metric"].values[np.isnan(result["depth_correlation"].values)]:
        partners = result["partner_of_target"].sel(metric=metric).values
        (none if "" in partners else same).append(str(metric))
    what = "'depth_correlation' is NaN by"
    if same:
        names = np.unique(result["partner_of_target"].sel(metric=same).values)
        warn(
            f"{what} {examples(same)}: all target layers have the same partner "
            f"({examples(names.tolist())}), so depths of partners have no order to be compared. "
            "Look at 'r': this layer predicts all others best, or all scores are alike."
        )
    if none:
        warn(
            f"{what} {examples(none)}: a target layer has no score with any source layer, and so "
            "no partner. Leave out layers that are constant over stimuli."
        )


def _diagonal(r: Floats) -> Floats:
    """Mean r of pairs of nearest depth, minus that of all others; r is (..., source, target)."""
    sources, targets = r.shape[-2:]
    apart = np.abs(depths(sources)[:, None] - depths(targets))
    near = apart == apart.min(axis=0)
    return np.asarray(np.nanmean(r[..., near], axis=-1) - np.nanmean(r[..., ~near], axis=-1))


def _of_r(function: Callable[[Floats], Floats]) -> Callable[[Arrays], xr.DataArray]:
    """Turn a function of an array r (..., source, target) into one of labelled scores."""

    def of(scores: Arrays) -> xr.DataArray:
        r = scores["r"].transpose(..., "metric", "source", "target")
        return xr.DataArray(function(r.values), dims=r.dims[:-2])

    return of


_STATISTICS = {
    "depth_correlation": Statistic(_of_r(_depth_correlation), "score", bounds=(-1, 1)),
    "diagonal": Statistic(_of_r(_diagonal), "score"),
}
_LONG_NAMES = {
    "depth_correlation": "rank correlation of the depths of layers with those of their partners",
    "diagonal": "r of pairs of layers of nearest depth minus r of all other pairs",
    "partner_of_target": "source layer with the highest r",
    "partner_of_source": "target layer with the highest r",
    "sure_of_target": "share of resamples in which a source layer is the partner",
    "sure_of_source": "share of resamples in which a target layer is the partner",
    "source_depth": "proportional depth of the source layer, from 0 (first) to 1 (last)",
    "target_depth": "proportional depth of the target layer, from 0 (first) to 1 (last)",
    "r_chance": "score of a control in place of the source",
}
