"""Figures of sparse prediction and of partial matching."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.ticker import PercentFormatter

from ..features._two_populations import SIDES
from ._figure import (
    COLOURS,
    Picture,
    add_headline,
    add_legend,
    add_legend_above,
    new_figure,
    short_name,
)
from ._overview import MODELS

__all__ = ["partial_matching", "sparse_prediction"]


def sparse_prediction(prediction: xr.Dataset) -> Picture:
    """How well few units predict one, and how many it takes.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `convergent.features.sparse_prediction`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: held-out error against the number of weights as the penalty
        falls (a thin line a target unit, thick their median), with the medians of one unit and of
        all; how many units the smallest set within one standard error has; and the correlation of
        one, few and all units, sorted by that of all.
    """
    figure = Picture(figsize=(12, 3.8), layout="constrained")
    path, count, curves = figure.subplots(1, 3)
    mean = prediction.mean("fold")
    error, weights = mean["error"].values, mean["n_weights"].values
    some = np.linspace(0, error.shape[1] - 1, min(error.shape[1], 100)).astype(int)
    path.plot(np.maximum(weights[:, some], 0.5), error[:, some], color=COLOURS[0], alpha=0.12)
    path.plot(
        np.maximum(np.nanmedian(weights, 1), 0.5),
        np.nanmedian(error, 1),
        color=COLOURS[0],
        linewidth=2,
        label="Lasso, median unit",
    )
    for model, style in (("single", ":"), ("ridge", "--")):
        name, colour = MODELS[model]
        level = float(mean["error_of"].sel(model=model).median())
        path.axhline(level, linestyle=style, color=colour, label=name)
    path.set_xscale("log")
    path.set_xlabel("source units with a weight (0 at the left end)")
    path.set_ylabel("held-out error / variance")
    path.set_ylim(0, max(1.1, float(np.nanmedian(error, 1).max())))
    add_legend_above(path)
    chosen = mean["n_chosen"].sel(rule="one-se").values
    chosen = chosen[~np.isnan(chosen)]
    top = max(float(chosen.max(initial=1)), 1.0)
    count.hist(chosen, bins=np.linspace(0, top, 31), color=COLOURS[0])
    middle = float(np.median(chosen)) if len(chosen) else 0.0
    count.axvline(middle, color="black", linewidth=1, label=f"median {middle:.1f}")
    count.set_xlabel("source units in the smallest set")
    count.set_ylabel("target units")
    add_legend(count)
    r = mean["r"].sel(model=list(MODELS)).values
    order = np.argsort(-np.nan_to_num(r[-1], nan=-2.0))
    for (name, colour), values in zip(MODELS.values(), r, strict=True):
        curves.plot(values[order], ".-", color=colour, label=name, markersize=3, linewidth=0.8)
    curves.set_xlabel("target units, sorted by the r of all units")
    curves.set_ylabel("r, held-out stimuli")
    add_legend(curves)
    for panel in (path, count, curves):
        new_figure(panel)
    source, target = (short_name(prediction, side) for side in SIDES)
    add_headline(
        figure, prediction, f"units of the target, {target}, from few of the source, {source}"
    )
    return figure


def partial_matching(found: xr.Dataset) -> Picture:
    """How well the best share of two populations matches, for all shares.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.partial_matching`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: the score against the matched share, with the best share,
        and how much of each unit is matched, mean over shares, sorted.
    """
    figure = Picture(figsize=(8.6, 3.6), layout="constrained")
    curve, units = figure.subplots(1, 2)
    share, best = found["share"].values, float(found["best_share"])
    for name, style, told in (("r", "-", "held-out stimuli"), ("r_train", ":", "training stimuli")):
        curve.plot(share, found[name].mean("fold"), style, color=COLOURS[0], label=told)
    curve.axvline(best, color=COLOURS[1], linewidth=1, label=f"best share {best:.2f}")
    curve.set_xlabel("share that is matched")
    curve.set_ylabel("mean correlation of what is matched")
    curve.set_xlim(0, 1)
    curve.set_ylim(bottom=min(0.0, float(found["r"].mean("fold").min())))
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mass = np.sort(found["matched"].values[found["side"].values == side])[::-1]
        place = (np.arange(len(mass)) + 0.5) / len(mass)
        units.plot(
            place, mass, color=colour, label=f"{side}: {short_name(found, side)} ({len(mass)})"
        )
    units.set_xlabel("units, first matched first")
    units.xaxis.set_major_formatter(PercentFormatter(1))
    units.set_ylabel("matched mass, mean over shares")
    units.set_ylim(0, 1.05)
    for panel in (curve, units):
        new_figure(panel)
        add_legend(panel)
    add_headline(figure, found, "partial soft matching")
    return figure
