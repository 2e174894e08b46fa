"""Figures of the findings on small networks, one each."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..experiments.kapoor2025.study import Findings
from ..experiments.kapoor2025.verdicts import matched, mean_drop_slope
from ..scoring.jackknife import over_networks
from ._figure import COLOURS, Picture, set_training_axis

__all__ = ["findings"]


def findings(found: Findings) -> dict[str, Picture]:
    """Draw each finding, under its verdict.

    Parameters
    ----------
    found : Findings
        From `convergent.findings`.

    Returns
    -------
    dict of Picture
        ``metrics``, ``correspondence``, ``training`` and ``shift``. Bands and bars are 95%
        intervals for other seeds, where there are three or more.
    """
    draw: dict[str, Callable[[Findings], Picture]] = {
        "metrics": _metrics,
        "correspondence": _correspondence,
        "training": _training,
        "shift": _shift,
    }
    figures = {}
    for (name, drawn), row in zip(draw.items(), found.verdicts.itertuples(), strict=True):
        figure = figures[name] = drawn(found)
        width = int(14 * figure.get_figwidth())  # characters
        told = textwrap.fill(f"{row.finding}: {row.verdict}. {row.numbers}", width)
        figure.suptitle(told, fontsize="small", x=0.01, ha="left")
    return figures


def _metrics(found: Findings) -> Picture:
    """Scores of layers at the same place, by group, with chance."""
    result = found.hierarchy
    groups = list(dict.fromkeys(result["group"].values))
    figure = Picture(figsize=(4.0 * len(groups) + 2.4, 4.4), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for panel, group in zip(panels, groups, strict=True):
        part = result.isel(pair=(result["group"] == group).values)
        each = over_networks(part, lambda data: matched(data).isel(group=0))
        for colour, metric in _coloured(result):
            _band(panel, each["depth"], each.sel(metric=metric), colour, str(metric))
        chance = matched(part, "r_chance").sel(metric="soft-matching").mean("pair")
        for name, style in zip(chance["chance"].values, (":", "-.", "--"), strict=False):
            curve = chance.sel(chance=name)
            label = f"soft matching, {name}"
            panel.plot(curve["depth"], curve, style, color="0.4", linewidth=1, label=label)
        panel.set_title(str(group), fontsize="medium", parse_math=False)
        panel.set_xlabel("depth of layer (0 first, 1 last)")
        panel.set_ylim(-0.1, 1.02)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("r of layers at the same place, median unit")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _correspondence(found: Findings) -> Picture:
    """Mean map of every layer with every layer, a row a group."""
    result = found.hierarchy
    groups, metrics = list(dict.fromkeys(result["group"].values)), result["metric"].values
    figure = Picture(
        figsize=(3.7 * len(metrics) + 0.6, 3.1 * len(groups) + 1), layout="constrained"
    )
    panels = figure.subplots(len(groups), len(metrics), squeeze=False, sharex=True, sharey=True)
    for row, group in zip(panels, groups, strict=True):
        part = result.isel(pair=(result["group"] == group).values)
        ranks = over_networks(part, lambda data: data["depth_correlation"].isel(group=0))
        for panel, metric in zip(row, metrics, strict=True):
            values = part["r"].sel(metric=metric).mean("pair").values
            image = panel.imshow(values, cmap="viridis", origin="lower", aspect="auto")
            best = values.argmax(axis=0)
            panel.plot(range(len(best)), best, "o", color="white", markeredgecolor="black")
            one = ranks.sel(metric=metric)
            told = f"rank correlation {float(one['estimate']):.2f}"
            if np.isfinite(one["low"]):
                told += f" [{float(one['low']):.2f}, {float(one['high']):.2f}]"
            panel.set_title(f"{metric}\n{told}", fontsize="small")
            figure.colorbar(image, ax=panel, shrink=0.9)
        row[0].set_ylabel(f"{group}\nlayer that is mapped", parse_math=False)
    for panel in panels[-1]:
        panel.set_xlabel("layer that is predicted (dot: its best)")
    return figure


def _training(found: Findings) -> Picture:
    """Mean over layers at each step, against the other network then and at its end."""
    result = found.trajectory
    figure = Picture(figsize=(11, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    steps, early = result["step"].values, result.attrs["early"]
    each = over_networks(result, lambda data: data["r"].mean(["group", "layer"]))
    correct = over_networks(result, lambda data: data["accuracy"].mean(["group", "network"]))
    chance = result["r_chance"].sel(metric="soft-matching").mean(["pair", "layer"])
    for panel, way in zip(panels, result["against"].values, strict=True):
        for colour, metric in _coloured(result):
            _band(panel, steps, each.sel(metric=metric, against=way), colour, str(metric))
        _band(panel, steps, correct, "black", "accuracy")
        for name, style in zip(chance["chance"].values, (":", "-."), strict=False):
            curve = chance.sel(chance=name, against=way)
            label = f"soft matching, {name}"
            panel.plot(steps, curve, style, color="0.4", linewidth=1, label=label)
        set_training_axis(panel, steps, early)
        other = "at the same step" if way == "same step" else "at its end"
        panel.set_title(f"against the other network {other}", fontsize="medium")
        panel.set_xlabel("epochs of training")
        panel.set_ylim(-0.1, 1.02)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("r, mean over layers; accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _shift(found: Findings) -> Picture:
    """How much faster late layers drop, by distortion; drops over depth, mean over distortions."""
    result = found.shift
    names = list(result["distortion"].values)
    ways = list(result["map"].values)
    figure = Picture(figsize=(12, 0.34 * len(names) + 3.2), layout="constrained")
    panels = figure.subplots(1, 2 * len(ways), width_ratios=[1.3, 1] * len(ways))
    slopes = over_networks(result, mean_drop_slope)
    drops = over_networks(
        result, lambda data: data["drop"].mean(["group", "level"]).mean("distortion")
    )
    what = {"transferred": "map of the control", "refitted": "map fitted anew"}
    for k, way in enumerate(ways):
        left, right = panels[2 * k], panels[2 * k + 1]
        for i, (colour, metric) in enumerate(_coloured(result)):
            one = slopes.sel(metric=metric, map=way)
            y = np.arange(len(names))[::-1] + 0.2 * (1 - i)
            bars = np.abs([one["estimate"] - one["low"], one["high"] - one["estimate"]])
            x = one["estimate"]
            left.errorbar(x, y, xerr=bars, fmt="o", color=colour, markersize=4, linewidth=1)
            _band(right, drops["depth"], drops.sel(metric=metric, map=way), colour, str(metric))
        left.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        left.set_yticks(range(len(names)), names[::-1] if k == 0 else [""] * len(names))
        left.set_title(what[str(way)], fontsize="medium", loc="left")
        left.set_xlabel("drop of last layer\nless that of first")
        right.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        right.set_xlabel("depth of layer")
        right.set_ylabel("drop, share of r; mean over distortions", fontsize="small")
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _coloured(result: xr.Dataset) -> Iterator[tuple[str, Any]]:
    return zip(COLOURS, result["metric"].values, strict=False)


def _band(panel: Axes, x: Any, estimate: xr.Dataset, colour: str, label: str) -> None:
    panel.plot(x, estimate["estimate"], ".-", color=colour, label=label)
    low, high = estimate["low"].values, estimate["high"].values
    panel.fill_between(np.asarray(x), low, high, color=colour, alpha=0.2, linewidth=0)
