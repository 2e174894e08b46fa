"""Figures of the findings on small networks: one figure per finding."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..experiments.kapoor2025.verdicts import Findings, matched, mean_drop_slope
from ..scoring.jackknife import over_networks
from ..scoring.kinds import check_type
from ._figure import (
    AGAINST_LABELS,
    COLOURS,
    MAP_LABELS,
    Picture,
    add_band,
    add_headline,
    add_legend_beside,
    hide_spines,
    new_figure,
    set_training_axis,
)

__all__ = ["findings"]

_SCORES = (-0.1, 1.02)  # range of axes of scores


def findings(found: Findings) -> dict[str, Picture]:
    """Draw each finding, with its verdict and numbers as headline.

    Parameters
    ----------
    found : Findings
        From `convergent.findings`.

    Returns
    -------
    dict of Picture
        Figures by name: ``metrics``, ``correspondence``, ``training`` and ``shift``. Bands and bars
        are 95% confidence intervals for other seeds of the networks, if there are three seeds or
        more.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_type(found, Findings, "plot.findings", "convergent.findings")
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
        text = textwrap.fill(f"{row.finding}: {row.verdict}. {row.numbers}", width)
        add_headline(figure, text, size="small")
    return figures


def _metrics(found: Findings) -> Picture:
    """Scores of layers at the same depth over depth, one panel per group, with chance."""
    result = found.hierarchy
    groups = list(dict.fromkeys(result["group"].values))
    figure = new_figure(4.0 * len(groups) + 2.4, 4.4)
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for panel, group in zip(panels, groups, strict=True):
        part = result.isel(pair=(result["group"] == group).values)
        each = over_networks(part, lambda data: matched(data).isel(group=0))
        for colour, metric in _coloured(result):
            _band(panel, each["depth"], each.sel(metric=metric), colour, str(metric))
        chance = matched(part, "r_chance").sel(metric="soft-matching").mean("pair")
        _draw_chance(panel, chance["depth"], chance)
        panel.set_title(str(group), fontsize="medium", parse_math=False)
        panel.set_xlabel("depth of layer (0 first, 1 last)")
        panel.set_ylim(*_SCORES)
        hide_spines(panel)
    panels[0].set_ylabel("r of layers at the same depth, median unit")
    add_legend_beside(figure, panels[0])
    return figure


def _correspondence(found: Findings) -> Picture:
    """Mean scores of all pairs of layers, one row per group."""
    result = found.hierarchy
    groups, metrics = list(dict.fromkeys(result["group"].values)), result["metric"].values
    figure = new_figure(3.7 * len(metrics) + 0.6, 3.1 * len(groups) + 1)
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
            title = f"rank correlation of depths {float(one['estimate']):.2f}"
            if np.isfinite(one["low"]):
                title += f" [{float(one['low']):.2f}, {float(one['high']):.2f}]"
            panel.set_title(f"{metric}\n{title}", fontsize="small")
            figure.colorbar(image, ax=panel, shrink=0.9)
        row[0].set_ylabel(f"{group}\nsource layer", parse_math=False)
    for panel in panels[-1]:
        panel.set_xlabel("target layer (dot: its best source)")
    return figure


def _training(found: Findings) -> Picture:
    """Mean scores over layers at each step, with the other network then and at its last step."""
    result = found.trajectory
    figure = new_figure(11, 4.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    steps, early = result["step"].values, result.attrs["early"]
    each = over_networks(result, lambda data: data["r"].mean(["group", "layer"]))
    correct = over_networks(result, lambda data: data["accuracy"].mean(["group", "network"]))
    chance = result["r_chance"].sel(metric="soft-matching").mean(["pair", "layer"])
    for panel, way in zip(panels, result["against"].values, strict=True):
        for colour, metric in _coloured(result):
            _band(panel, steps, each.sel(metric=metric, against=way), colour, str(metric))
        _band(panel, steps, correct, "black", "accuracy")
        _draw_chance(panel, steps, chance.sel(against=way))
        set_training_axis(panel, steps, early)
        panel.set_title(f"with the other network {AGAINST_LABELS[str(way)]}", fontsize="medium")
        panel.set_xlabel("epochs of training")
        panel.set_ylim(*_SCORES)
        hide_spines(panel)
    panels[0].set_ylabel("r, mean over layers; accuracy")
    add_legend_beside(figure, panels[0])
    return figure


def _shift(found: Findings) -> Picture:
    """Drops of the last less the first layer, by distortion; drops over depth, mean over all."""
    result = found.shift
    distortions, maps = list(result["distortion"].values), list(result["map"].values)
    figure = new_figure(12, 0.34 * len(distortions) + 3.2)
    panels = figure.subplots(1, 2 * len(maps), width_ratios=[1.3, 1] * len(maps))
    slopes = over_networks(result, mean_drop_slope)
    drops = over_networks(
        result, lambda data: data["drop"].mean(["group", "level"]).mean("distortion")
    )
    for name, left, right in zip(maps, panels[::2], panels[1::2], strict=True):
        _draw_slopes(left, slopes.sel(map=name))
        left.set_title(MAP_LABELS[str(name)], fontsize="medium", loc="left")
        labels = distortions[::-1] if left is panels[0] else [""] * len(distortions)
        left.set_yticks(range(len(distortions)), labels)
        for colour, metric in _coloured(result):
            one = drops.sel(metric=metric, map=name)
            _band(right, drops["depth"], one, colour, str(metric))
        right.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        right.set_xlabel("depth of layer")
        right.set_ylabel("drop as share of r, mean over distortions", fontsize="small")
    hide_spines(*panels)
    add_legend_beside(figure, panels[1])
    return figure


def _draw_slopes(panel: Axes, slopes: xr.Dataset) -> None:
    """Draw how much more the last layer drops than the first; the first distortion is on top."""
    rows = np.arange(slopes.sizes["distortion"])[::-1]
    for i, (colour, metric) in enumerate(_coloured(slopes)):
        one = slopes.sel(metric=metric)
        x, y = one["estimate"], rows + 0.2 * (1 - i)
        bars = np.abs([x - one["low"], one["high"] - x])
        panel.errorbar(x, y, xerr=bars, fmt="o", color=colour, markersize=4, linewidth=1)
    panel.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    panel.set_xlabel("drop of last layer\nminus drop of first")


def _draw_chance(panel: Axes, x: Any, chance: xr.DataArray) -> None:
    """Draw chance scores of soft matching with each control, in broken lines."""
    for name, style in zip(chance["chance"].values, (":", "-.", "--"), strict=False):
        curve = chance.sel(chance=name)
        panel.plot(
            x, curve, style, color="0.4", linewidth=1, label=f"chance: soft matching, {name}"
        )


def _coloured(result: xr.Dataset) -> Iterator[tuple[str, Any]]:
    """Pair each metric with its colour."""
    return zip(COLOURS, result["metric"].values, strict=False)


def _band(panel: Axes, x: Any, estimate: xr.Dataset, colour: str, label: str) -> None:
    """Draw a curve with its interval."""
    panel.plot(x, estimate["estimate"], ".-", color=colour, label=label)
    low, high = estimate["low"].values, estimate["high"].values
    add_band(panel, x, low, high, colour)
