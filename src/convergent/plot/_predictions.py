"""Figures of sparse prediction and of partial matching."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import (
    COLOURS,
    MODELS,
    Picture,
    add_headline,
    add_legend,
    add_legend_above,
    hide_spines,
    named,
    new_figure,
    side_label,
)

__all__ = ["partial_matching", "sparse_prediction"]

_MOST_LINES = 100  # of single units


def sparse_prediction(prediction: xr.Dataset) -> Picture:
    """Draw how well few source units predict a target unit, and how many are needed.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `convergent.features.sparse_prediction`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` of three panels. Left, held-out error over the number of
        nonzero weights as the penalty falls: each thin line is a target unit, the thick line is
        their median, and broken lines are the median errors of predictions from one and from all
        source units. Middle, the number of source units in the smallest set whose error is within
        one standard error of the least. Right, correlations of predictions from one, few and all
        source units, sorted by the last.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(prediction, "sparse_prediction", "plot.sparse_prediction")
    figure = new_figure(12, 3.8)
    path, count, curves = figure.subplots(1, 3)
    mean = prediction.mean("fold")
    _draw_errors(path, mean)
    _draw_numbers_of_units(count, mean)
    _draw_correlations(curves, mean)
    hide_spines(path, count, curves)
    source, target = (named(prediction.attrs[side], 32) for side in SIDES)
    text = f"units of the target, {target}, predicted from few units of the source, {source}"
    add_headline(figure, f"{prediction.attrs['n_stimuli']} stimuli; {text}")
    return figure


def _draw_errors(panel: Axes, mean: xr.Dataset) -> None:
    """Draw errors over the number of nonzero weights, for single units and their median."""
    error, weights = mean["error"].values, mean["n_weights"].values
    n_units = error.shape[1]
    some = np.linspace(0, n_units - 1, min(n_units, _MOST_LINES)).astype(int)
    at_least = 0.5  # stands for 0, which a logarithmic axis lacks
    number = np.maximum(weights[:, some], at_least)
    panel.plot(number, error[:, some], color=COLOURS[0], alpha=0.12)
    number, middle = np.maximum(np.nanmedian(weights, 1), at_least), np.nanmedian(error, 1)
    panel.plot(number, middle, color=COLOURS[0], linewidth=2, label="Lasso, median unit")
    for model, style in (("single", ":"), ("ridge", "--")):
        label, colour = MODELS[model]
        level = float(mean["error_of"].sel(model=model).median())
        panel.axhline(level, linestyle=style, color=colour, label=label)
    panel.set_xscale("log")
    panel.set_xlabel("source units with nonzero weight (left end: 0)")
    panel.set_ylabel("held-out error / variance")
    panel.set_ylim(0, max(1.1, float(middle.max())))
    add_legend_above(panel)


def _draw_numbers_of_units(panel: Axes, mean: xr.Dataset) -> None:
    """Draw a histogram of the number of source units in the smallest sufficient set."""
    chosen = mean["n_chosen"].sel(rule="one-se").values
    chosen = chosen[~np.isnan(chosen)]
    top = max(float(chosen.max(initial=1)), 1.0)
    panel.hist(chosen, bins=np.linspace(0, top, 31).tolist(), color=COLOURS[0])
    middle = float(np.median(chosen)) if len(chosen) else 0.0
    panel.axvline(middle, color="black", linewidth=1, label=f"median {middle:.1f}")
    panel.set_xlabel("source units in the smallest sufficient set")
    panel.set_ylabel("target units")
    add_legend(panel)


def _draw_correlations(panel: Axes, mean: xr.Dataset) -> None:
    """Draw correlations of predictions from one, few and all source units."""
    r = mean["r"].sel(model=list(MODELS)).values
    order = np.argsort(-np.nan_to_num(r[-1], nan=-2.0))
    for (label, colour), values in zip(MODELS.values(), r, strict=True):
        panel.plot(values[order], ".-", color=colour, label=label, markersize=3, linewidth=0.8)
    panel.set_xlabel("target units, sorted by the r of all units")
    panel.set_ylabel("r, held-out stimuli")
    add_legend(panel)


def partial_matching(found: xr.Dataset) -> Picture:
    """Draw how well two populations match if only a share of their units is matched.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.partial_matching`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`. Left, the score over the matched share, and the best share,
        beyond which units match worse than the mean. Right, how much of each unit is matched (mean
        over shares), from the most to the least.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "partial_matching", "plot.partial_matching")
    figure = new_figure(8.6, 3.6)
    curve, units = figure.subplots(1, 2)
    _draw_shares(curve, found)
    _draw_matched_mass(units, found)
    hide_spines(curve, units)
    add_headline(figure, f"{found.attrs['n_stimuli']} stimuli; partial soft matching")
    return figure


def _draw_shares(panel: Axes, found: xr.Dataset) -> None:
    """Draw the score over the share of the populations that is matched."""
    share, best = found["share"].values, float(found["best_share"])
    for name, style, label in (
        ("r", "-", "held-out stimuli"),
        ("r_train", ":", "training stimuli"),
    ):
        panel.plot(share, found[name].mean("fold"), style, color=COLOURS[0], label=label)
    panel.axvline(best, color=COLOURS[1], linewidth=1, label=f"best share {best:.2f}")
    panel.set_xlabel("share of the units that is matched")
    panel.set_ylabel("mean correlation of matched units")
    panel.set_xlim(0, 1)
    panel.set_ylim(bottom=min(0.0, float(found["r"].mean("fold").min())))
    add_legend(panel)


def _draw_matched_mass(panel: Axes, found: xr.Dataset) -> None:
    """Draw how much of each unit is matched (mean over shares), from the most to the least."""
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mass = np.sort(found["matched"].values[found["side"].values == side])[::-1]
        rank = (np.arange(len(mass)) + 0.5) / len(mass)
        panel.plot(rank, mass, color=colour, label=f"{side_label(found, side)} ({len(mass)})")
    panel.set_xlabel("units, sorted by matched mass")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_ylabel("matched mass, mean over shares")
    panel.set_ylim(0, 1.05)
    add_legend(panel)
