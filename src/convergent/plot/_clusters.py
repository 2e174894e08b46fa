"""Figures of clusters of units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import COLOURS, Labels
from ._panels import LEAST_WIDTH, arranged, both_sides, entitle, headline, inches_of, write_small

__all__ = ["PARTS", "clusters"]

_MOST_ROWS = 10  # clusters one by one; the others share a row

# what of the two parts of a cluster is correlated
PARTS = {
    "canonical": ("subspaces (canonical r)", COLOURS[0]),
    "matched": ("units, one-to-one", COLOURS[1]),
    "matched_rotated": ("units, axes rotated", "0.4"),
}


def clusters(
    found: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw clusters of units of two populations: what their parts share, and correlations.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.clusters`.
    labels : dict of str, optional
        Texts for the names of the two populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        Two panels. First, a row for each of the largest clusters with units of both sides, and
        one for the mean of the others: the mean canonical correlation of its two parts (its source
        units and its target units), the r of its units paired one-to-one, and that r when the axes
        of one part are rotated at random. Where the first is far above the second, the parts share
        a subspace, but not its axes. Second, absolute correlations between the populations, with
        units sorted by cluster, and a frame around each of the largest clusters.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "clusters", "plot.clusters")
    panels = arranged(2, 2, (7.5, 3.6), figure)
    parts, matrix = panels.flat
    write_small(*panels.flat)
    _draw_sorted_correlations(matrix, found)
    _draw_parts(parts, found)
    stable = float(found["stability"].mean()) if found.sizes.get("half") else np.nan
    agree = f"; those of halves of the stimuli agree by {stable:.2f} (adjusted Rand index)"
    sides = both_sides(found, Labels.of(labels))
    what = f"{sides}; {found.attrs['n_stimuli']} stimuli; {found.attrs['k']} clusters"
    headline(panels, what + ("" if np.isnan(stable) else agree))
    return panels.figure


def _draw_sorted_correlations(panel: Axes, found: xr.Dataset) -> None:
    """Draw absolute correlations between the populations, with units sorted by cluster."""
    label, leaf = found["label"].values, found["place"].values
    key = np.where(label < 0, label.max() + 1, label)  # units in no cluster come last
    orders, ends = [], []
    for side in SIDES:
        here = np.flatnonzero(found["side"].values == side)
        orders.append(np.lexsort((leaf[here], key[here])))
        ends.append(np.searchsorted(np.sort(key[here]), np.arange(key.max() + 1), side="right"))
    between = np.abs(found["between"].values)[np.ix_(*orders)]
    image = panel.imshow(between, cmap="magma", vmin=0, vmax=1, aspect="auto")
    for cluster in range(min(_MOST_ROWS, label.max() + 1)):
        (top, bottom), (left, right) = (
            (end[cluster - 1] if cluster else 0, end[cluster]) for end in ends
        )
        corner, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
        panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=0.6))
    panel.set_ylabel("source units, by cluster")
    panel.set_xlabel("target units, by cluster")
    narrow = inches_of(panel.figure) < 2 * LEAST_WIDTH
    bar = panel.figure.colorbar(image, ax=panel, location="bottom" if narrow else "right")
    bar.set_label("absolute correlation |r|", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    entitle(panel, "Correlations of units")


def _draw_parts(panel: Axes, found: xr.Dataset) -> None:
    """Draw r of the parts of each cluster, of its paired units, and of these with rotated axes."""
    title = "What parts of clusters share"
    both = found.isel(cluster=(found["n_units"] > 0).all("population").values)
    n = both.sizes["cluster"]
    if not n:
        panel.text(0.5, 0.5, "no cluster has\nunits of both", ha="center", va="center")
        panel.set_axis_off()
        entitle(panel, title)
        return
    first = min(n, _MOST_ROWS)
    names = [" + ".join(map(str, row)) for row in both["n_units"].values[:first]]
    rows = {name: both["canonical_mean" if name == "canonical" else name].values for name in PARTS}
    if n > first:
        names.append(f"mean of\n{n - first} others")
        rows = {name: np.append(r[:first], np.nanmean(r[first:])) for name, r in rows.items()}
    y = np.arange(len(names))
    panel.hlines(y, rows["matched"], rows["canonical"], color="0.8", linewidth=2, zorder=0)
    markers = (("canonical", "o", 7), ("matched", "o", 5), ("matched_rotated", "|", 8))
    for name, marker, size in markers:
        label, colour = PARTS[name]
        panel.plot(rows[name], y, marker, color=colour, label=label, markersize=size)
    panel.set_yticks(y, names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    least = min(float(np.nanmin(r, initial=0)) for r in rows.values())
    panel.set_xlim(min(0.0, least - 0.05), 1.02)
    panel.set_xlabel("r, held-out stimuli")
    panel.set_ylabel("cluster: source + target units")
    entitle(panel, title, 2)
