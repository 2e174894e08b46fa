"""Figures of units: who matches whom, how many it takes, and in which groups."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..features._overview_tables import Overview
from ._figure import COLOURS, Picture, add_headline, add_legend_above, by_layer, label_layers

__all__ = ["KINDS", "MODELS", "UNKNOWN", "locality", "overview"]

KINDS = {"shared": COLOURS[0], "partly shared": COLOURS[5], "unique": COLOURS[1]}
UNKNOWN = {"unreliable": "0.7", "silent": "0.85"}

MODELS = {
    "single": ("one unit", COLOURS[1]),
    "lasso": ("few units (Lasso)", COLOURS[0]),
    "ridge": ("all units (ridge)", COLOURS[2]),
}


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
    figure = Picture(figsize=(9.6, 3.8), layout="constrained")
    axes, scale = figure.subplots(1, 2)
    layers = found["layer"].values
    by_layer(axes, layers, {"units as they are": found["native"], "rotated": found["rotated"]})
    axes.set_ylabel("r, soft matching")
    by_layer(
        scale,
        layers,
        {
            "soft matching": found["scale_soft"],
            "sparse prediction": found["scale_sparse"],
            "share of units that carry the match": found["participation"],
        },
    )
    scale.set_ylabel("0: one unit is enough\n1: all are needed")
    scale.set_ylim(-0.03, 1.03)
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
    figure = Picture(figsize=(max(8.0, 1.0 * len(layers) + 6), 7), layout="constrained")
    (kinds, spans), (models, scale) = figure.subplots(2, 2)
    base = np.zeros(len(layers))
    for kind, colour in KINDS.items():
        share = numbers[kind.replace(" ", "_")].values
        kinds.bar(np.arange(len(layers)), share, 0.7, bottom=base, color=colour, label=kind)
        base += share
    label_layers(kinds, layers)
    kinds.set_ylabel("share of the responsive units")
    kinds.set_ylim(0, 1)
    add_legend_above(kinds)
    by_layer(
        spans,
        layers,
        {
            "canonical: what they span": numbers["canonical"],
            "units paired one-to-one": numbers["matched"],
            "the same, rotated axes": numbers["matched_rotated"],
        },
    )
    spans.set_ylabel("r of clusters' parts")
    by_layer(models, layers, {told: numbers[f"r_{model}"] for model, (told, _) in MODELS.items()})
    models.set_ylabel("r of prediction, median unit")
    by_layer(
        scale,
        layers,
        {"soft matching": numbers["scale_soft"], "sparse prediction": numbers["scale_sparse"]},
    )
    scale.set_ylabel("0: one unit is enough\n1: all are needed")
    scale.set_ylim(-0.03, 1.03)
    add_headline(figure, numbers, "all on held-out stimuli")
    return figure
