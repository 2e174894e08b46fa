"""Figures of clusters of units."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import (
    COLOURS,
    Picture,
    add_diagonal,
    add_headline,
    add_legend,
    hide_spines,
    new_figure,
    side_label,
)

__all__ = ["clusters"]

_MOST_BORDERS = 30  # more lines between clusters would hide the correlations


def clusters(found: xr.Dataset) -> Picture:
    """Draw clusters of units of two populations: correlations, number and shared subspaces.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.clusters`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` of three panels. Left, absolute correlations between the
        populations, with units sorted by cluster and lines between clusters. Middle, the singular
        values of the graph, with the number of clusters. Right, one dot per cluster, whose area is
        its number of units: the mean canonical correlation of its parts (its source units and its
        target units) over the correlation of its units paired one-to-one. A horizontal line ends at
        the correlation of pairs when the axes of one part are rotated. Left of the diagonal, the
        parts share a subspace, but not its axes.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "clusters", "plot.clusters")
    figure = new_figure(12.4, 4)
    matrix, gap, parts = figure.subplots(1, 3, width_ratios=(1.2, 0.9, 1))
    _draw_sorted_correlations(figure, matrix, found)
    _draw_singular_values(gap, found)
    _draw_parts(parts, found)
    hide_spines(gap, parts)
    stable = float(found["stability"].mean())
    add_headline(
        figure,
        f"{found.attrs['n_stimuli']} stimuli; clusters of halves of the stimuli agree by "
        f"{stable:.2f} (adjusted Rand)",
    )
    return figure


def _draw_sorted_correlations(figure: Picture, panel: Axes, found: xr.Dataset) -> None:
    """Draw absolute correlations between the populations, with units sorted by cluster."""
    label, leaf = found["label"].values, found["place"].values
    key = np.where(label < 0, label.max() + 1, label)  # units in no cluster come last
    orders, borders = [], []
    for side in SIDES:
        here = np.flatnonzero(found["side"].values == side)
        order = np.lexsort((leaf[here], key[here]))
        orders.append(order)
        borders.append(np.flatnonzero(np.diff(key[here][order])) + 0.5)
    values = np.abs(found["between"].values)[np.ix_(*orders)]
    image = panel.imshow(values, cmap="magma", vmin=0, aspect="auto")
    if len(borders[0]) <= _MOST_BORDERS:
        for draw, ends in zip((panel.axhline, panel.axvline), borders, strict=True):
            for end in ends:
                draw(end, color="white", linewidth=0.4)
    panel.set_ylabel(f"{side_label(found, 'source')}, by cluster", parse_math=False)
    panel.set_xlabel(f"{side_label(found, 'target')}, by cluster", parse_math=False)
    figure.colorbar(image, ax=panel, label="|correlation|")


def _draw_singular_values(panel: Axes, found: xr.Dataset) -> None:
    """Draw the singular values of the graph, with the number of clusters."""
    spectrum, k = found["singular_values"].values, int(found.attrs["k"])
    panel.plot(np.arange(1, len(spectrum) + 1), spectrum, ".-", color="0.4", markersize=4)
    panel.axvline(k + 0.5, color=COLOURS[1], linewidth=1, label=f"{k} clusters")
    panel.set_xlabel("singular vector")
    panel.set_ylabel("singular value (1: separate component)")
    panel.set_ylim(0, 1.05)
    add_legend(panel)


def _draw_parts(panel: Axes, found: xr.Dataset) -> None:
    """Draw the canonical correlation of the parts of each cluster over that of paired units."""
    size = found["n_units"].sum("population").values
    single, span = found["matched"].values, found["canonical_mean"].values
    rotated = found["matched_rotated"].values
    add_diagonal(panel)
    panel.hlines(
        span, single, rotated, color=COLOURS[1], linewidth=0.8, label="change with rotated axes"
    )
    panel.scatter(single, span, s=6 * size, color=COLOURS[0], alpha=0.6, edgecolor="white")
    panel.set_xlabel("r of units paired one-to-one")
    panel.set_ylabel("mean canonical correlation of the parts")
    panel.set_xlim(right=1)
    panel.set_ylim(top=1)
    add_legend(panel)
