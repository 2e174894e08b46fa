"""Figures of layers side by side: classes of their units, clusters, predictions, locality."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..base.arguments import check_known
from ..features._overview_tables import Overview
from ..scoring.kinds import check_kind, check_type
from ._clusters import clusters
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
    room_for,
    tick_labels,
)
from ._matches import activation_spectra, correlation_matrices, matches
from ._predictions import partial_matching, sparse_prediction

__all__ = ["layer_figures", "locality", "overview"]


def locality(found: xr.Dataset) -> Picture:
    """Draw how local or distributed the shared code is in each layer.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.local_or_distributed`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`. Left, scores of soft matching for the original units and for
        random rotations of them. Right, the effective number of source units that correspond to a
        target unit, on a scale from one unit (0) to all units (1).

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "local_or_distributed", "plot.locality")
    figure = new_figure(9.6, 3.8)
    axes, scale = figure.subplots(1, 2)
    layers = found["layer"].values
    native = {"original units": found["native"], "rotated": found["rotated"]}
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
    """Draw what the units of two populations share in each layer.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` of four panels over layers: shares of units that are shared,
        partly shared and unique; correlations between the two parts of clusters, and between their
        units; correlations of predictions from one, few and all units; and the effective number of
        units, from local (0) to distributed (1).

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_type(found, Overview, "plot.overview", "features.overview")
    numbers = found.layers
    layers = numbers["layer"].values
    figure = new_figure(max(8.0, 1.0 * len(layers) + 6), 7 + 1.4 * room_for(tick_labels(layers)))
    (classes, clusters), (models, scale) = figure.subplots(2, 2)
    _draw_classes(classes, layers, numbers)
    parts = {
        "canonical correlation": numbers["canonical"],
        "units paired one-to-one": numbers["matched"],
        "paired, axes rotated": numbers["matched_rotated"],
    }
    draw_by_layer(clusters, layers, parts)
    clusters.set_ylabel("r between parts of clusters")
    predictions = {label: numbers[f"r_{model}"] for model, (label, _) in MODELS.items()}
    draw_by_layer(models, layers, predictions)
    models.set_ylabel("r of prediction, median unit")
    curves = {
        "soft matching": numbers["scale_soft"],
        "sparse prediction": numbers["scale_sparse"],
    }
    draw_scale(scale, layers, curves)
    add_headline(
        figure, f"{numbers.attrs['n_stimuli']} stimuli; all numbers are of held-out stimuli"
    )
    return figure


def _draw_classes(panel: Axes, layers: NDArray[Any], numbers: xr.Dataset) -> None:
    """Draw stacked shares of shared, partly shared and unique units."""
    base = np.zeros(len(layers))
    for name, colour in CLASS_COLOURS.items():
        share = numbers[name.replace(" ", "_")].values
        panel.bar(np.arange(len(layers)), share, 0.7, bottom=base, color=colour, label=name)
        base += share
    label_layers(panel, layers)
    hide_spines(panel)
    panel.set_ylabel("share of the classified units")
    panel.set_ylim(0, 1)
    add_legend_above(panel)


def layer_figures(found: Overview, layer: str) -> dict[str, Picture]:
    """Draw the figures of one layer.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    layer : str
        One of its layers.

    Returns
    -------
    dict of Picture
        Figures by name.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_type(found, Overview, "plot.layer_figures", "features.overview")
    check_known("layer", layer, found.steps)
    of = found.steps[layer]
    return {
        "activation-spectra": activation_spectra(of["correlations"]),
        "correlation-matrices": correlation_matrices(of["correlations"]),
        "matches": matches(of["matches"]),
        "sparse-prediction": sparse_prediction(of["sparse"]),
        "clusters": clusters(of["clusters"]),
        "partial-matching": partial_matching(of["partial"]),
    }
