"""Figures of layers side by side: classes of their units, clusters, predictions, locality."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from ..base.arguments import check_known
from ..features._overview_tables import Overview
from ..scoring.kinds import check_kind, check_type
from ._clusters import PARTS, clusters
from ._figure import CLASS_COLOURS, COLOURS, MODELS, Labels, Picture, add_band, closed
from ._hover import add_hover
from ._matches import activation_spectra, correlation_matrices, matches
from ._panels import (
    arranged,
    draw_numbers_needed,
    draw_over_layers,
    entitle,
    headline,
    set_r_axis,
    write_layer_axis,
    write_small,
)
from ._predictions import partial_matching, sparse_prediction

__all__ = ["layer_figures", "locality", "overview"]


def locality(
    found: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw whether single units carry the code that two populations share, in each layer.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.local_or_distributed`.
    labels : dict of str, optional
        Texts for names of layers.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        Three panels over layers. First, r of soft matching for the units as they are, and for
        random rotations of them (mean, and two standard deviations to either side): if it is
        higher for the units, axes matter. Second, the effective number of source units that stand
        for a target unit, from one (local) to all (distributed). Third, the share of target units
        that contribute to the match.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "local_or_distributed", "plot.locality")
    panels = arranged(3, 3, (8.5, 3.2), figure, sharex=True)
    axes, needed, carry = panels.flat
    _draw_rotations(axes, found)
    entitle(axes, "Do axes matter?", 1)
    draw_numbers_needed(needed, found)
    entitle(needed, "Source units needed", 2)
    draw_over_layers(carry, {"": found["participation"].values}, COLOURS)
    carry.set_ylim(0, 1.02)
    carry.yaxis.set_major_formatter(PercentFormatter(1))
    carry.set_ylabel("share of target units")
    entitle(carry, "Units that carry the match")
    write_small(*panels.flat)
    write_layer_axis(panels, found["layer"].values, Labels.of(labels))
    return panels.figure


def _draw_rotations(panel: Axes, found: xr.Dataset) -> None:
    """Draw r of soft matching for original and for rotated units, with the spread of these."""
    native, rotated, z = (found[name].values for name in ("native", "rotated", "z"))
    gap = native - rotated
    spread = 2 * np.abs(np.divide(gap, z, out=np.zeros(len(z)), where=np.isfinite(z) & (z != 0)))
    x = np.arange(len(native))
    curves = {"units as they are": native, "rotated (mean, 2 SD)": rotated}
    draw_over_layers(panel, curves, (COLOURS[0], "0.5"))
    add_band(panel, x, rotated - spread, rotated + spread, "0.5")
    panel.set_ylabel("r of soft matching")
    set_r_axis(panel, native, rotated - spread)


def overview(
    found: Overview,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw what the units of two populations share in each layer.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    labels : dict of str, optional
        Texts for names of layers.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        Four panels over layers: shares of units that are shared, partly shared and unique; of
        groups of units, the canonical correlation of the two parts, and the r of their units;
        r of predictions from one, few and all units; and the effective number of source units that
        stand for a target unit, from one (local) to all (distributed).

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_type(found, Overview, "plot.overview", "features.overview")
    numbers = found.layers
    panels = arranged(4, 2, (7.5, 6), figure, sharex=True)
    classes, groups, models, needed = panels.flat
    _draw_classes(classes, numbers)
    parts = {label: numbers[name].values for name, (label, _) in PARTS.items()}
    draw_over_layers(groups, parts, [colour for _, colour in PARTS.values()])
    groups.set_ylabel("r, held-out stimuli")
    set_r_axis(groups, *parts.values())
    entitle(groups, "Parts of clusters of units", 2)
    predicted = {label: numbers[f"r_{model}"].values for model, (label, _) in MODELS.items()}
    draw_over_layers(models, predicted, [colour for _, colour in MODELS.values()])
    models.set_ylabel("r, held-out stimuli\n(median target unit)")
    set_r_axis(models, *predicted.values())
    entitle(models, "Prediction of a target unit from", 2)
    draw_numbers_needed(needed, numbers)
    entitle(needed, "Source units needed", 2)
    write_small(*panels.flat)
    write_layer_axis(panels, numbers["layer"].values, Labels.of(labels))
    headline(panels, f"What units share; {numbers.attrs['n_stimuli']} stimuli")
    return panels.figure


def _draw_classes(panel: Axes, numbers: xr.Dataset) -> None:
    """Draw stacked shares of shared, partly shared and unique units."""
    layers = np.arange(numbers.sizes["layer"])
    base = np.zeros(len(layers))
    for name, colour in CLASS_COLOURS.items():
        share = numbers[name.replace(" ", "_")].values
        bars = panel.bar(layers, share, 0.75, bottom=base, color=colour, label=name)
        for k, (bar, value) in enumerate(zip(bars, share, strict=True)):
            add_hover(bar, f"{name}, layer {k + 1}: {value:.0%}")
        base += share
    panel.set_ylabel("share of classified units")
    panel.set_ylim(0, 1)
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    entitle(panel, "Single units, by their best partner", 3)


def layer_figures(
    found: Overview, layer: str, *, labels: Mapping[str, str] | None = None
) -> dict[str, Picture]:
    """Draw the figures of one layer.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    layer : str
        One of its layers.
    labels : dict of str, optional
        Texts for the names of the two populations.

    Returns
    -------
    dict of Picture
        Figures by name. pyplot does not keep them, so ``plt.show()`` does not show them.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_type(found, Overview, "plot.layer_figures", "features.overview")
    check_known("layer", layer, found.steps)
    of = found.steps[layer]
    drawn = {
        "activation-spectra": activation_spectra(of["correlations"], labels=labels).figure,
        "correlation-matrices": correlation_matrices(of["correlations"], labels=labels),
        "matches": matches(of["matches"], labels=labels),
        "sparse-prediction": sparse_prediction(of["sparse"], labels=labels),
        "clusters": clusters(of["clusters"], labels=labels),
        "partial-matching": partial_matching(of["partial"], labels=labels).figure,
    }
    return {name: closed(figure) for name, figure in drawn.items() if isinstance(figure, Picture)}
