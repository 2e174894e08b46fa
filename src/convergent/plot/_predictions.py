"""Figures of sparse prediction and of partial matching."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..features._two_populations import SIDES
from ._figure import (
    COLOURS,
    MODELS,
    Picture,
    add_headline,
    add_legend,
    add_legend_above,
    hide_spines,
    new_figure,
    side_label,
)

__all__ = ["partial_matching", "sparse_prediction"]

_MOST_LINES = 100  # of single units


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
    figure = new_figure(12, 3.8)
    path, count, curves = figure.subplots(1, 3)
    mean = prediction.mean("fold")
    _draw_errors(path, mean)
    _draw_numbers_of_units(count, mean)
    _draw_correlations(curves, mean)
    hide_spines(path, count, curves)
    source, target = (prediction.attrs[side] for side in SIDES)
    add_headline(
        figure,
        f"{prediction.attrs['n_stimuli']} stimuli; units of the target, {target}, from few of the "
        f"source, {source}",
    )
    return figure


def _draw_errors(panel: Axes, mean: xr.Dataset) -> None:
    """Error over number of weights: single units, their median, and one or all source units."""
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
    panel.set_xlabel("source units with a weight (0 at the left end)")
    panel.set_ylabel("held-out error / variance")
    panel.set_ylim(0, max(1.1, float(middle.max())))
    add_legend_above(panel)


def _draw_numbers_of_units(panel: Axes, mean: xr.Dataset) -> None:
    """Histogram of the number of source units in the smallest set within one standard error."""
    chosen = mean["n_chosen"].sel(rule="one-se").values
    chosen = chosen[~np.isnan(chosen)]
    top = max(float(chosen.max(initial=1)), 1.0)
    panel.hist(chosen, bins=np.linspace(0, top, 31).tolist(), color=COLOURS[0])
    middle = float(np.median(chosen)) if len(chosen) else 0.0
    panel.axvline(middle, color="black", linewidth=1, label=f"median {middle:.1f}")
    panel.set_xlabel("source units in the smallest set")
    panel.set_ylabel("target units")
    add_legend(panel)


def _draw_correlations(panel: Axes, mean: xr.Dataset) -> None:
    """Correlation of prediction and response from one, few and all source units."""
    r = mean["r"].sel(model=list(MODELS)).values
    order = np.argsort(-np.nan_to_num(r[-1], nan=-2.0))
    for (label, colour), values in zip(MODELS.values(), r, strict=True):
        panel.plot(values[order], ".-", color=colour, label=label, markersize=3, linewidth=0.8)
    panel.set_xlabel("target units, sorted by the r of all units")
    panel.set_ylabel("r, held-out stimuli")
    add_legend(panel)


def partial_matching(found: xr.Dataset) -> Picture:
    """How well the best share of two populations matches, for all shares.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.partial_matching`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: the score against the share that is matched, with its corner,
        and how much of each unit is matched, mean over shares, sorted.
    """
    figure = new_figure(8.6, 3.6)
    curve, units = figure.subplots(1, 2)
    _draw_shares(curve, found)
    _draw_matched_mass(units, found)
    hide_spines(curve, units)
    add_headline(figure, f"{found.attrs['n_stimuli']} stimuli; partial soft matching")
    return figure


def _draw_shares(panel: Axes, found: xr.Dataset) -> None:
    """Score over the share of the populations that is matched."""
    share, best = found["share"].values, float(found["corner"])
    for name, style, label in (
        ("r", "-", "held-out stimuli"),
        ("r_train", ":", "training stimuli"),
    ):
        panel.plot(share, found[name].mean("fold"), style, color=COLOURS[0], label=label)
    panel.axvline(best, color=COLOURS[1], linewidth=1, label=f"corner {best:.2f}")
    panel.set_xlabel("share that is matched")
    panel.set_ylabel("mean correlation of what is matched")
    panel.set_xlim(0, 1)
    panel.set_ylim(bottom=min(0.0, float(found["r"].mean("fold").min())))
    add_legend(panel)


def _draw_matched_mass(panel: Axes, found: xr.Dataset) -> None:
    """How much of each unit is matched, mean over shares, from the most to the least."""
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mass = np.sort(found["matched"].values[found["side"].values == side])[::-1]
        rank = (np.arange(len(mass)) + 0.5) / len(mass)
        panel.plot(rank, mass, color=colour, label=f"{side_label(found, side)} ({len(mass)})")
    panel.set_xlabel("units, first matched first")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_ylabel("matched mass, mean over shares")
    panel.set_ylim(0, 1.05)
    add_legend(panel)
