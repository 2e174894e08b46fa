"""Figures of clusters of units."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..features._two_populations import SIDES
from ._figure import COLOURS, Picture, add_headline, add_legend, new_figure, short_name

__all__ = ["clusters"]


def clusters(found: xr.Dataset) -> Picture:
    """Clusters of two populations: where they lie, how many there are, and what they share.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.clusters`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: sizes of the correlations between the populations, units
        sorted by cluster (lines part them); singular values, with the number of clusters; and for
        each cluster (a dot as large as its units are many) the mean canonical correlation of its
        parts against the correlation of its units paired one-to-one, with a line to what pairing
        gives when the axes are rotated. Left of the diagonal, parts share a subspace, but not axes.
    """
    figure = Picture(figsize=(12.4, 4), layout="constrained")
    matrix, gap, parts = figure.subplots(1, 3, width_ratios=(1.2, 0.9, 1))
    label, place = found["label"].values, found["place"].values
    key = np.where(label < 0, label.max() + 1, label)
    orders, edges = [], []
    for side in SIDES:
        here = np.flatnonzero(found["side"].values == side)
        order = np.lexsort((place[here], key[here]))
        orders.append(order)
        edges.append(np.flatnonzero(np.diff(key[here][order])) + 0.5)
    values = np.abs(found["between"].values)[np.ix_(*orders)]
    image = matrix.imshow(values, cmap="magma", vmin=0, aspect="auto")
    if len(edges[0]) <= 30:
        for at in edges[0]:
            matrix.axhline(at, color="white", linewidth=0.4)
        for at in edges[1]:
            matrix.axvline(at, color="white", linewidth=0.4)
    matrix.set_ylabel(f"source: {short_name(found, 'source')}, by cluster", parse_math=False)
    matrix.set_xlabel(f"target: {short_name(found, 'target')}, by cluster", parse_math=False)
    figure.colorbar(image, ax=matrix, label="|correlation|")
    spectrum, k = found["singular_values"].values, int(found.attrs["k"])
    gap.plot(np.arange(1, len(spectrum) + 1), spectrum, ".-", color="0.4", markersize=4)
    gap.axvline(k + 0.5, color=COLOURS[1], linewidth=1, label=f"{k} clusters")
    gap.set_xlabel("singular vector")
    gap.set_ylabel("singular value (1: a part of its own)")
    gap.set_ylim(0, 1.05)
    add_legend(gap)
    size = found["n_units"].sum("population").values
    single, span = found["matched"].values, found["canonical_mean"].values
    parts.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    turned = found["matched_rotated"].values
    parts.hlines(span, single, turned, color=COLOURS[1], linewidth=0.8, label="to rotated axes")
    parts.scatter(single, span, s=6 * size, color=COLOURS[0], alpha=0.6, edgecolor="white")
    parts.set_xlabel("r of units paired one-to-one")
    parts.set_ylabel("mean canonical correlation of the parts")
    parts.set_xlim(right=1)
    parts.set_ylim(top=1)
    add_legend(parts)
    for panel in (gap, parts):
        new_figure(panel)
    stable = float(found["stability"].mean())
    add_headline(
        figure, found, f"clusters of halves of the stimuli agree by {stable:.2f} (adjusted Rand)"
    )
    return figure
