"""Figures of networks against networks: across layers, training and distribution shift."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from ._figure import COLOURS, Picture, set_training_axis

__all__ = ["hierarchy", "shift", "trajectory"]


def hierarchy(results: xr.Dataset) -> Picture:
    """Score of each layer with each, a map a metric, over how far depth goes with depth.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.hierarchy`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`. In a map, dots mark the best source layer of each target
        layer, as large as its share of the resamples where these were drawn. Below, the depth of
        that partner; where depths correspond, it lies on the diagonal. Save with ``.savefig``.
    """
    metrics = results["metric"].values
    figure = Picture(figsize=(4.2 * len(metrics) + 0.4, 7.6), layout="constrained")
    panels = figure.subplots(2, len(metrics), squeeze=False, height_ratios=(1.4, 1))
    sources, targets = (results[side].values for side in ("source", "target"))
    for column, metric in enumerate(metrics):
        part = results.sel(metric=metric)
        panel, below = panels[:, column]
        image = panel.imshow(part["r"].values, cmap="viridis", origin="lower", aspect="auto")
        place = [list(sources).index(name) for name in part["partner_of_target"].values]
        share = np.ones(len(targets))
        if "sure_of_target" in part:
            share = part["sure_of_target"].values[np.arange(len(targets)), place]
        panel.scatter(
            np.arange(len(targets)), place, s=8 + 60 * share, color="white", edgecolor="black"
        )
        panel.set_xticks(range(len(targets)), targets, rotation=45, ha="right", parse_math=False)
        panel.set_yticks(range(len(sources)), sources, parse_math=False)
        panel.set_title(str(metric), fontsize="medium")
        panel.set_xlabel("target layer")
        figure.colorbar(image, ax=panel, label="r, median unit", shrink=0.8)
        below.plot([0, 1], [0, 1], color="0.8", linewidth=1)
        below.plot(
            part["target_depth"],
            part["source_depth"].values[place],
            "o-",
            color=COLOURS[0],
            markersize=4,
        )
        told = f"rank correlation {float(part['depth_correlation']):.2f}"
        if "depth_correlation_low" in part:
            ends = (float(part[f"depth_correlation_{end}"]) for end in ("low", "high"))
            told += " (95%: {:.2f} to {:.2f})".format(*ends)
        below.set_title(told, fontsize="small")
        below.set_xlabel("depth of target layer (0 first, 1 last)")
        below.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("source layer")
    panels[1, 0].set_ylabel("depth of best source layer")
    n_stimuli = results.attrs["n_stimuli"]
    figure.suptitle(
        f"{n_stimuli} stimuli, scored on those held out; dots: best source layer of each target",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    return figure


def shift(results: xr.Dataset, unit: str = "level of distortion") -> Picture:
    """What is left of each layer's score at each level of a distortion.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.shift`.
    unit : str
        What the levels are in.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a column a metric; above with the map of the undistorted
        stimuli, below with a new one; a line a layer, from first (dark) to last (light), with 95%
        intervals where there are resamples.
    """
    metrics, ways, layers = (results[name].values for name in ("metric", "map", "layer"))
    what = {"transferred": "map of the control", "refitted": "map fitted anew"}
    levels = [results.attrs["control"], *results["level"].values]
    figure = Picture(figsize=(3.6 * len(metrics) + 1.6, 5.6), layout="constrained")
    panels = figure.subplots(len(ways), len(metrics), squeeze=False, sharex=True, sharey=True)
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    for row, way in zip(panels, ways, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            for colour, layer in zip(colours, layers, strict=True):
                part = results.sel(metric=metric, map=way, layer=layer)
                label = f"{float(part['depth']):.2f} {layer}"  # hidden if it began with _
                panel.plot(levels, [1, *(1 - part["drop"].values)], color=colour, label=label)
                if "drop_low" in part:
                    ends = ([1, *(1 - part[f"drop_{end}"].values)] for end in ("high", "low"))
                    panel.fill_between(levels, *ends, color=colour, alpha=0.15, linewidth=0)
            panel.axhline(1, color="0.8", linewidth=0.8, zorder=0)
            panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            panel.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(f"r / r of control\n{what[str(way)]}")
    for panel, metric in zip(panels[0], metrics, strict=True):
        panel.set_title(str(metric), fontsize="medium")
    for panel in panels[-1]:
        panel.set_xlabel(unit)
        panel.tick_params(axis="x", rotation=45)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, title="depth, layer")
    figure.suptitle(
        f"{results.attrs['n_stimuli']} stimuli, scored on those held out",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    return figure


def trajectory(results: xr.Dataset, unit: str = "epochs of training") -> Picture:
    """Score of each layer at each step of two trainings, against the other then and at its end.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.trajectory`.
    unit : str
        What the steps are in.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a column a metric; above against the other network at the same
        step, below against its end. A line a layer, from first (dark) to last (light): the mean
        over pairs of runs, with 95% intervals of a single pair where there are resamples, or the
        range of several pairs. Dashed: the ceiling, mean over layers; dotted: chance; black:
        accuracy. Steps stand at their square roots, so that the first epoch can be seen.
    """
    metrics, ways = results["metric"].values, results["against"].values
    figure = Picture(figsize=(3.6 * len(metrics) + 2.2, 6.2), layout="constrained")
    panels = figure.subplots(len(ways), len(metrics), squeeze=False, sharex=True, sharey=True)
    for row, way in zip(panels, ways, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            _curves(panel, results.sel(metric=metric, against=way))
        other = "at the same step" if way == "same step" else "at its end"
        row[0].set_ylabel(f"r, median unit\nagainst the other {other}")
    for panel, metric in zip(panels[0], metrics, strict=True):
        panel.set_title(str(metric), fontsize="medium")
    for panel in panels[-1]:
        panel.set_xlabel(unit)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, title="depth, layer")
    pairs = results["pair"].values
    several = pairs[0] if len(pairs) == 1 else f"{len(pairs)} pairs of runs: mean and range"
    figure.suptitle(
        f"{results.attrs['n_stimuli']} stimuli, scored on those held out; {several}",
        fontsize="medium",
        x=0.01,
        ha="left",
        parse_math=False,
    )
    return figure


def _curves(panel: Axes, part: xr.Dataset) -> None:
    """One metric of a trajectory."""
    steps = part["step"].values
    layers = part["layer"].values
    for colour, layer in zip(
        colormaps["viridis"](np.linspace(0, 0.9, len(layers))), layers, strict=True
    ):
        r = part["r"].sel(layer=layer)
        label = f"{float(r['depth']):.2f} {layer}"  # hidden if it began with _
        panel.plot(steps, r.mean("pair"), color=colour, label=label)
        low, high = r.min("pair"), r.max("pair")
        if part.sizes["pair"] == 1 and "r_low" in part:
            low, high = (part[f"r_{end}"].sel(layer=layer)[0] for end in ("low", "high"))
        panel.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    ceiling = part["ceiling"].mean(["run", "layer"])
    panel.plot(steps, ceiling, "--", color="0.4", linewidth=1, label="ceiling (own copy)")
    for name, style in zip(part.coords.get("chance", ()), cycle((":", "-.")), strict=False):
        chance = part["r_chance"].sel(chance=name).mean(["pair", "layer"])
        panel.plot(steps, chance, style, color="0.5", linewidth=1, label=f"chance: {name.item()}")
    if "accuracy" in part:
        correct = part["accuracy"].mean("network")
        panel.plot(steps, correct, ".-", color="black", linewidth=1, label="accuracy")
    set_training_axis(panel, steps, part.attrs["early"])
    panel.spines[["top", "right"]].set_visible(False)
