"""Figures of layers side by side: classes of their units, clusters, predictions, locality."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..features._overview import Overview
from ._figure import (
    CLASS_COLOURS,
    MODELS,
    Picture,
    add_headline,
    add_legend_above,
    draw_by_layer,
    draw_scale,
    hide_spines,
    label_layers,
    new_figure,
)

__all__ = ["locality", "overview"]


def locality(found: xr.Dataset) -> Picture:
    """How local the shared code is, from layer to layer.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.local_or_distributed`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: soft matching of units as they are and of rotations; and the
        effective number of source units for one target unit, on a scale from one (0) to all (1).
    """
    figure = new_figure(9.6, 3.8)
    axes, scale = figure.subplots(1, 2)
    layers = found["layer"].values
    native = {"units as they are": found["native"], "rotated": found["rotated"]}
    draw_by_layer(axes, layers, native)
    axes.set_ylabel("r, soft matching")
    curves = {
        "soft matching": found["scale_soft"],
        "sparse prediction": found["scale_sparse"],
        "share of units that carry the match": found["participation"],
    }
    draw_scale(scale, layers, curves)
    return figure


def overview(found: Overview) -> Picture:
    """What the units of two populations share, from layer to layer: a row of panels a claim.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: shares of units that are shared and unique; clusters' parts
        and their units; one, few and all units; and the scale from local to distributed.
    """
    numbers = found.layers
    layers = numbers["layer"].values
    figure = new_figure(max(8.0, 1.0 * len(layers) + 6), 7)
    (classes, clusters), (models, scale) = figure.subplots(2, 2)
    _draw_classes(classes, layers, numbers)
    parts = {
        "canonical: what they span": numbers["canonical"],
        "units paired one-to-one": numbers["matched"],
        "the same, rotated axes": numbers["matched_rotated"],
    }
    draw_by_layer(clusters, layers, parts)
    clusters.set_ylabel("r of clusters' parts")
    predictions = {label: numbers[f"r_{model}"] for model, (label, _) in MODELS.items()}
    draw_by_layer(models, layers, predictions)
    models.set_ylabel("r of prediction, median unit")
    curves = {
        "soft matching": numbers["scale_soft"],
        "sparse prediction": numbers["scale_sparse"],
    }
    draw_scale(scale, layers, curves)
    add_headline(figure, f"{numbers.attrs['n_stimuli']} stimuli; all on held-out stimuli")
    return figure


def _draw_classes(panel: Axes, layers: NDArray[Any], numbers: xr.Dataset) -> None:
    """Stacked shares of shared and unique units."""
    base = np.zeros(len(layers))
    for name, colour in CLASS_COLOURS.items():
        share = numbers[name.replace(" ", "_")].values
        panel.bar(np.arange(len(layers)), share, 0.7, bottom=base, color=colour, label=name)
        base += share
    label_layers(panel, layers)
    hide_spines(panel)
    panel.set_ylabel("share of the responsive units")
    panel.set_ylim(0, 1)
    add_legend_above(panel)
