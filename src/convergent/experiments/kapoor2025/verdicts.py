"""Verdicts: whether each of the four findings of the paper holds, with the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ...scoring.jackknife import over_networks, ratio_over_networks
from ..summaries import grown

__all__ = ["Findings", "matched", "mean_drop_slope", "verdicts"]

# Thresholds of the verdicts. They were set before any result was seen. Three rules came later.
# Two changed no verdict: alignment with the final network is tested too, and controls have no
# interval. By the third, a finding has a core without which it does not hold: that accuracy still
# climbs, as in any training, says nothing of alignment
_NEARLY_AS_HIGH = 0.8  # least ratio of Procrustes to linear
_FAR_ABOVE = 0.5  # greatest ratio of a control to the score
_CORRESPOND = 0.5  # least rank correlation of depths
_MOST = 0.5  # least share of the final alignment
_STILL_CLIMBS = 0.05  # least accuracy gained after the first epoch
_ANY = 1e-9  # least size of a slope
_AGAINST = {"same step": "with the network at the same step", "final": "with the final network"}
_Row = tuple[str, str, str]  # finding, verdict, numbers


@dataclass(frozen=True, eq=False)
class Findings:
    """Results of the study.

    Attributes
    ----------
    hierarchy, trajectory, shift : xarray.Dataset
        Results of these experiments, with all pairs of networks along ``pair``. Coordinates of a
        pair are its ``group`` (the two architectures), ``source_seed`` and ``target_seed``.
        Controls (``chance``) are scored for the first pair of each group only, and are NaN for the
        others. Layers are numbered from 0. `shift` has the further dim ``distortion``; levels are
        numbered from 0 along ``level``, and ``level_name`` (distortion, level) holds their names.
    verdicts : pandas.DataFrame
        One row per finding, with the columns ``finding``, ``verdict`` and ``numbers``.
    """

    hierarchy: xr.Dataset
    trajectory: xr.Dataset
    shift: xr.Dataset
    verdicts: pd.DataFrame


def matched(result: xr.Dataset, name: str = "r") -> xr.DataArray:
    """Select the scores of layers at the same position in both networks.

    Parameters
    ----------
    result : xarray.Dataset
        From `hierarchy`.
    name : str
        Variable with the dims ``source`` and ``target``.

    Returns
    -------
    xarray.DataArray
        Along ``layer``, with the coordinate ``depth``.
    """
    positions = xr.DataArray(np.arange(result.sizes["source"]), dims="layer")
    depth = result["source_depth"].values
    values = result[name].isel(source=positions, target=positions)
    return values.assign_coords(depth=("layer", depth))


def _alignment(result: xr.Dataset, name: str = "r") -> xr.DataArray:
    """Mean over groups and layers of the scores of layers at the same position."""
    return matched(result, name).mean(["group", "layer"])


def _depth_slope(values: xr.DataArray) -> xr.DataArray:
    """Value of the last layer minus that of the first, from a line fitted over depth."""
    centred = values["depth"] - values["depth"].mean()
    square = float((centred**2).sum())
    return (values * centred).sum("layer", skipna=False) / (square or np.nan)


def mean_drop_slope(result: xr.Dataset) -> xr.DataArray:
    """Average, over levels and groups, how much larger the drop of the last layer is.

    Parameters
    ----------
    result : xarray.Dataset
        From `shift`, for several groups of pairs.

    Returns
    -------
    xarray.DataArray
        Mean of ``slope``; NaN if the slope of a group is NaN at a level. Levels that a distortion
        does not have, at which all are NaN, do not count.
    """
    slope = result["slope"]
    others = [dim for dim in slope.dims if dim not in ("distortion", "level")]
    there = slope.count(others) > 0
    total: xr.DataArray = slope.where(there, 0).sum(["group", "level"], skipna=False)
    number = slope.sizes["group"] * there.sum("level")
    return total / number.where(number > 0)


def verdicts(hierarchy: xr.Dataset, trajectory: xr.Dataset, shift: xr.Dataset) -> pd.DataFrame:
    """Decide whether each finding of the paper holds here.

    A finding consists of several claims. A claim holds if the whole 95% confidence interval (for
    other seeds of the networks) lies beyond its threshold, and fails if the whole interval lies on
    the other side.

    Parameters
    ----------
    hierarchy, trajectory, shift : xarray.Dataset
        As in `Findings`.

    Returns
    -------
    pandas.DataFrame
        One row per finding, with these columns:

        - ``finding``: what the paper found;
        - ``verdict``: "holds" (all claims), "holds partly" (some, of the core too), "does not hold
          here" (all claims of the core fail), "not decided" (no claim of the core holds, and some
          thresholds lie in their intervals, or there are fewer than three seeds), or "cannot be
          judged", if a number that a claim is about is not defined. The core of the first finding
          is that soft matching is far above chance, that of the third is that most alignment is
          there after the first epoch; each claim is core to the others;
        - ``numbers``: estimates with their intervals.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """
    rows = [
        _metrics(hierarchy),
        _correspondence(hierarchy),
        _training(trajectory),
        _shift(shift),
    ]
    return pd.DataFrame(rows, columns=["finding", "verdict", "numbers"])


def _metrics(result: xr.Dataset) -> _Row:
    def of(metric: str) -> Callable[[xr.Dataset], xr.DataArray]:
        return lambda data: _alignment(data).sel(metric=metric, drop=True)

    # controls are scored in the first pair of each group only, so they have no interval
    known = result["r_chance"].count([dim for dim in result["r_chance"].dims if dim != "pair"])
    first = result.isel(pair=known.values > 0).groupby("group").mean("pair")
    alignment = _alignment(first)
    of_controls = _alignment(first, "r_chance") / alignment.where(alignment > 0)
    of_controls = of_controls.sel(metric="soft-matching")
    each = over_networks(result, _alignment)
    nearly = ratio_over_networks(result, of("procrustes"), of("linear"))
    soft = ratio_over_networks(result, of("soft-matching"), of("procrustes"))
    core = _below(of_controls, of_controls, _FAR_ABOVE)
    claims = [
        *_above(nearly["low"], nearly["high"], _NEARLY_AS_HIGH),
        *_below(soft["low"], soft["high"], 1 - _ANY),
    ]
    ratios = ", ".join(
        f"{name} {float(of_controls.sel(chance=name)):.2f}" for name in of_controls["chance"].values
    )
    numbers = (
        f"r {_by_metric(each)}; Procrustes / linear {_text(nearly)}; soft matching / Procrustes "
        f"{_text(soft)}; control / soft matching, in one pair of each group, {ratios}"
    )
    finding = "Procrustes nearly as high as linear, soft matching lower but far above chance"
    return finding, _verdict(core, each, claims), numbers


def _correspondence(result: xr.Dataset) -> _Row:
    ranks = over_networks(
        result, lambda data: data["depth_correlation"].mean("group", skipna=False)
    )
    slopes = over_networks(result, lambda data: _depth_slope(matched(data).mean("group")))
    claims = [
        *_above(ranks["low"], ranks["high"], _CORRESPOND),
        *_below(slopes["low"], slopes["high"], -_ANY),
    ]
    numbers = (
        f"rank correlation of depths {_by_metric(ranks)}; r of the last layer minus that of the "
        f"first {_by_metric(slopes)}"
    )
    finding = "matching layers correspond, early layers align most"
    return finding, _verdict(claims, slopes), numbers


def _training(result: xr.Dataset) -> _Row:
    early = result.attrs["early"]

    def growth(step: float) -> Callable[[xr.Dataset], xr.DataArray]:
        return lambda data: grown(data["r"].mean(["group", "layer"]), step)

    def correct(data: xr.Dataset) -> xr.DataArray:
        return data["accuracy"].mean(["group", "network"])

    last = float(result["step"][-1])
    shares = ratio_over_networks(result, growth(early), growth(last))
    curve = over_networks(result, correct)
    gain = over_networks(
        result,
        lambda data: (
            correct(data).isel(step=-1, drop=True) - correct(data).sel(step=early, drop=True)
        ),
    )
    core = _above(shares["low"], shares["high"], _MOST)
    climbs = _above(gain["low"], gain["high"], _STILL_CLIMBS)
    by_step = [
        f"{_AGAINST[against]}: {_by_metric(shares.sel(against=against))}"
        for against in result["against"].values
    ]
    numbers = (
        f"share of the final alignment after epoch {early:g}, {'; '.join(by_step)}; accuracy "
        f"{_text(curve.sel(step=early))} then, {_text(curve.isel(step=-1))} at the end"
    )
    finding = "most alignment is there after the first epoch, while accuracy still climbs"
    return finding, _verdict(core, gain, climbs), numbers


def _shift(result: xr.Dataset) -> _Row:
    slopes = over_networks(
        result, lambda data: mean_drop_slope(data).mean("distortion", skipna=False)
    )
    claims = _above(slopes["low"], slopes["high"], _ANY)
    each = over_networks(result, mean_drop_slope)["estimate"]
    steeper = (each > 0).sum("distortion")
    by_map = []
    for name in result["map"].values:
        counts = ", ".join(
            str(int(steeper.sel(map=name, metric=metric))) for metric in result["metric"].values
        )
        by_map.append(
            f"{name}: {_by_metric(slopes.sel(map=name))}, above 0 in {counts} of "
            f"{result.sizes['distortion']} distortions"
        )
    numbers = (
        "drop of the last layer minus that of the first, as a share of r, with maps that are "
        + "; ".join(by_map)
    )
    finding = "shift lowers alignment of later layers more than of early ones"
    return finding, _verdict(claims, slopes), numbers


def _above(low: xr.DataArray, high: xr.DataArray, threshold: float) -> list[str]:
    """Whether each claim, that a number is at or above a threshold, holds, fails, or is open."""
    states = np.full(low.shape, "open", "<U11")
    states[low.values >= threshold] = "holds"
    states[high.values < threshold] = "fails"
    states[np.isnan(low.values) | np.isnan(high.values)] = "not defined"
    return [str(state) for state in states.ravel()]


def _below(low: xr.DataArray, high: xr.DataArray, threshold: float) -> list[str]:
    """The same for claims that a number is at or below a threshold."""
    return _above(-high, -low, -threshold)


def _verdict(core: Sequence[str], estimate: xr.Dataset, others: Sequence[str] = ()) -> str:
    """Verdict on a finding, from whether the claims of its core, and its others, hold."""
    if np.isnan(estimate["low"]).all() and not np.isnan(estimate["estimate"]).all():
        return "not decided: fewer than three seeds"
    if "not defined" in (*core, *others):
        return "cannot be judged"
    if {*core, *others} == {"holds"}:
        return "holds"
    if "holds" in core:
        return "holds partly"
    return "not decided" if "open" in core else "does not hold here"


def _text(found: xr.Dataset) -> str:
    """Estimate with its interval, such as ``0.86 [0.80, 0.92]``."""
    value, low, high = (float(found[name]) for name in ("estimate", "low", "high"))
    if np.isnan(value):
        return "not defined"
    ends = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{ends}"


def _by_metric(found: xr.Dataset) -> str:
    """Estimates of all metrics, with their names."""
    return ", ".join(f"{name} {_text(found.sel(metric=name))}" for name in found["metric"].values)
