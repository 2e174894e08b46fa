"""What the four findings of the paper come to: numbers, and whether they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...scoring.jackknife import over_networks
from ..summaries import share_of_final

__all__ = [
    "CORRESPOND",
    "FAR_ABOVE",
    "MOST",
    "NEARLY_AS_HIGH",
    "STILL_CLIMBS",
    "Findings",
    "Row",
    "alignment",
    "depth_slope",
    "matched",
    "mean_drop_slope",
    "verdicts",
]

# what is asked of each finding; set before any result was seen. That alignment against the other's
# end is asked as well, and that chance has no interval, came later, and changed no verdict
NEARLY_AS_HIGH = 0.8  # of linear
FAR_ABOVE = 0.5  # chance, as a share of the score, at the most
CORRESPOND = 0.5  # rank correlation of depths, at the least
MOST = 0.5  # share of the final alignment, at the least
STILL_CLIMBS = 0.05  # accuracy gained after the first epoch, at the least


@dataclass(frozen=True, eq=False)
class Findings:
    """Results of the study.

    Attributes
    ----------
    hierarchy, trajectory, shift : xarray.Dataset
        Results of these experiments, with all pairs of networks along ``pair``, and for each pair
        its ``group`` (architectures), ``source_seed`` and ``target_seed``; controls (``chance``)
        for the first pair of each group alone. Layers are counted from 0. The shift has the dim
        ``distortion`` as well; its levels are counted along ``level``, and ``level_name``
        (distortion, level) names them.
    verdicts : pandas.DataFrame
        One row per finding: ``finding``, ``verdict``, ``numbers``.
    """

    hierarchy: xr.Dataset
    trajectory: xr.Dataset
    shift: xr.Dataset
    verdicts: pd.DataFrame


def matched(result: xr.Dataset, name: str = "r") -> xr.DataArray:
    """Scores of layers at the same place of both networks, along ``layer``."""
    places = xr.DataArray(np.arange(result.sizes["source"]), dims="layer")
    depth = result["source_depth"].values
    return result[name].isel(source=places, target=places).assign_coords(depth=("layer", depth))


def alignment(result: xr.Dataset, name: str = "r") -> xr.DataArray:
    """Mean over groups and layers of the scores of layers at the same place."""
    return matched(result, name).mean(["group", "layer"])


def depth_slope(values: xr.DataArray) -> xr.DataArray:
    """How much the last layer has more than the first, from a line through all of them."""
    centred = values["depth"] - values["depth"].mean()
    return (values * centred).sum("layer", skipna=False) / float((centred**2).sum())


def mean_drop_slope(result: xr.Dataset) -> xr.DataArray:
    """How much faster the last layer drops than the first; mean over levels and groups."""
    return result["slope"].mean(["group", "level"])


def verdicts(hierarchy: xr.Dataset, trajectory: xr.Dataset, shift: xr.Dataset) -> pd.DataFrame:
    """Whether each finding holds here, with the numbers that say so.

    Intervals are for other seeds (95%); a claim holds where its whole interval does.

    Parameters
    ----------
    hierarchy, trajectory, shift : xarray.Dataset
        As in `Findings`.

    Returns
    -------
    pandas.DataFrame
        One row a finding: ``finding``, ``verdict`` ("holds", "holds partly", "does not hold here",
        or "not decided: fewer than three seeds"), ``numbers``.
    """
    rows = [
        _metrics(hierarchy),
        _correspondence(hierarchy),
        _training(trajectory),
        _shift(shift),
    ]
    return pd.DataFrame(rows, columns=["finding", "verdict", "numbers"])


Row = tuple[str, str, str]


def _metrics(result: xr.Dataset) -> Row:
    def ratio(one: str, other: str) -> Callable[[xr.Dataset], xr.DataArray]:
        def of(data: xr.Dataset) -> xr.DataArray:
            each = alignment(data)
            return each.sel(metric=one, drop=True) / each.sel(metric=other, drop=True)

        return of

    # chance is known of one pair of each group: no other seeds, and so no interval
    known = result["r_chance"].count([dim for dim in result["r_chance"].dims if dim != "pair"])
    some = result.isel(pair=known.values > 0).groupby("group").mean("pair")
    by_chance = alignment(some, "r_chance") / alignment(some)
    by_chance = by_chance.sel(metric="soft-matching")
    each = over_networks(result, alignment)
    nearly = over_networks(result, ratio("procrustes", "linear"))
    soft = over_networks(result, ratio("soft-matching", "procrustes"))
    parts = [
        nearly["low"] >= NEARLY_AS_HIGH,
        soft["high"] < 1,
        (by_chance <= FAR_ABOVE).all(),
    ]
    told_chance = ", ".join(
        f"{name} {float(by_chance.sel(chance=name)):.2f}" for name in by_chance["chance"].values
    )
    numbers = (
        f"r {_by_metric(each)}; Procrustes / linear {_told(nearly)}; soft matching / Procrustes "
        f"{_told(soft)}; chance / soft matching, in one pair of each group, {told_chance}"
    )
    told = "Procrustes nearly as high as linear, soft matching lower but far above chance"
    return told, _verdict(parts, nearly), numbers


def _correspondence(result: xr.Dataset) -> Row:
    ranks = over_networks(result, lambda data: data["depth_correlation"].mean("group"))
    slopes = over_networks(result, lambda data: depth_slope(matched(data).mean("group")))
    parts = [*(ranks["low"] >= CORRESPOND).values, *(slopes["high"] < 0).values]
    numbers = (
        f"rank correlation of depths {_by_metric(ranks)}; r of the last layer less that of the "
        f"first {_by_metric(slopes)}"
    )
    return (
        "matching layers correspond, early layers align most",
        _verdict(parts, ranks),
        numbers,
    )


def _training(result: xr.Dataset) -> Row:
    early = result.attrs["early"]

    def share(data: xr.Dataset) -> xr.DataArray:
        return share_of_final(data["r"].mean(["group", "layer"]), early)

    def correct(data: xr.Dataset) -> xr.DataArray:
        return data["accuracy"].mean(["group", "network"])

    shares = over_networks(result, share)
    curve = over_networks(result, correct)
    gain = over_networks(
        result,
        lambda data: (
            correct(data).isel(step=-1, drop=True) - correct(data).sel(step=early, drop=True)
        ),
    )
    parts = [*(shares["low"] >= MOST).values.ravel(), gain["low"] >= STILL_CLIMBS]
    told = [
        f"against the {way} {_by_metric(shares.sel(against=way))}"
        for way in result["against"].values
    ]
    numbers = (
        f"share of the final alignment after epoch {early:g}, {'; '.join(told)}; accuracy "
        f"{_told(curve.sel(step=early))} then, {_told(curve.isel(step=-1))} at the end"
    )
    return (
        "most alignment is there after the first epoch, while accuracy still climbs",
        _verdict(parts, gain),
        numbers,
    )


def _shift(result: xr.Dataset) -> Row:
    slopes = over_networks(result, lambda data: mean_drop_slope(data).mean("distortion"))
    parts = (slopes["low"] > 0).values.ravel().tolist()
    each = over_networks(result, mean_drop_slope)["estimate"]
    steeper = (each > 0).sum("distortion")
    told = []
    for way in result["map"].values:
        counts = ", ".join(
            str(int(steeper.sel(map=way, metric=m))) for m in result["metric"].values
        )
        told.append(
            f"{way}: {_by_metric(slopes.sel(map=way))}, above 0 in {counts} of "
            f"{result.sizes['distortion']} distortions"
        )
    numbers = "drop of the last layer less that of the first, as a share of r: " + "; ".join(told)
    return (
        "shift lowers alignment of later layers more than of early ones",
        _verdict(parts, slopes),
        numbers,
    )


def _verdict(parts: Sequence[Any], estimate: xr.Dataset) -> str:
    if np.isnan(estimate["low"]).all():
        return "not decided: fewer than three seeds"
    held = [bool(part) for part in parts]
    if all(held):
        return "holds"
    return "holds partly" if any(held) else "does not hold here"


def _told(found: xr.Dataset) -> str:
    value, low, high = (float(found[name]) for name in ("estimate", "low", "high"))
    if np.isnan(value):
        return "not defined"
    ends = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{ends}"


def _named(found: xr.Dataset, dim: str) -> str:
    return ", ".join(f"{name} {_told(found.sel({dim: name}))}" for name in found[dim].values)


def _by_metric(found: xr.Dataset) -> str:
    return _named(found, "metric")
