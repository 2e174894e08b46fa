"""Figures of units matched one to one."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.ticker import PercentFormatter

from ..features._match_tables import SHARED, unit_table
from ..features._two_populations import SIDES
from ._figure import COLOURS, Picture, add_headline, add_legend, new_figure, short_name
from ._overview import KINDS, UNKNOWN

__all__ = ["activation_spectra", "correlation_matrices", "matches"]


def activation_spectra(correlations: xr.Dataset) -> Picture:
    """Mean activity of each unit of two populations, sorted, and its spread over stimuli.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: lines are means over stimuli, bands a standard deviation to
        either side.
    """
    figure = Picture(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mean = correlations[f"{side}_mean"].values
        order = np.argsort(-mean)
        mean, sd = mean[order], correlations[f"{side}_sd"].values[order]
        place = (np.arange(len(mean)) + 0.5) / len(mean)
        panel.plot(
            place,
            mean,
            color=colour,
            label=f"{side}: {short_name(correlations, side)} ({len(mean)})",
        )
        panel.fill_between(place, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    panel.set_xlabel("units, from most to least active")
    panel.set_ylabel("activity: mean and SD over stimuli")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlim(0, 1)
    new_figure(panel)
    add_legend(panel)
    return figure


def correlation_matrices(correlations: xr.Dataset) -> Picture:
    """Correlations of units within and between two populations, before and after matching.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: within the source, between, within the target; above in the
        order of the units, below in that of their bipartite matching, the most alike pair first, so
        that partners stand on the diagonal.
    """
    figure = Picture(figsize=(9.6, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    source, target = (short_name(correlations, side) for side in SIDES)
    own, places = {}, {}
    for side in SIDES:
        own[side] = correlations[f"within_{side}"].values
        places[side] = np.argsort(correlations[f"{side}_place"].values)
    between = correlations["between"].values
    image = None
    for row, ordered in zip(panels, (False, True), strict=True):
        orders = {side: places[side] if ordered else np.arange(len(places[side])) for side in SIDES}
        for panel, values, sides, title in zip(
            row,
            (own["source"], between, own["target"]),
            (("source", "source"), ("source", "target"), ("target", "target")),
            (f"within source: {source}", "source (down) and target", f"within target: {target}"),
            strict=True,
        ):
            shown = values[np.ix_(*(orders[side] for side in sides))]
            image = panel.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            panel.set_xticks([])
            panel.set_yticks([])
            if not ordered:
                panel.set_title(title, fontsize="medium", parse_math=False)
        row[0].set_ylabel("matched, best pair first" if ordered else "in their own order")
    assert image is not None
    figure.colorbar(image, ax=panels, label="correlation over stimuli", shrink=0.6)
    add_headline(figure, correlations, "correlations of units")
    return figure


def matches(found: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED) -> Picture:
    """How well each unit's partner does on held-out stimuli, one-to-one and at best.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`, with shuffles and a bootstrap.
    alpha, shared : float
        As for `convergent.features.unit_table`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a column a population. Above, units sorted by the correlation
        with their best partner, with its interval, and their one-to-one partner's; the gap
        between is what competition for partners costs. Dashed, what makes a unit shared; dotted,
        the mean by chance. Below, shares of units.
    """
    table, level = unit_table(found, alpha=alpha, shared=shared), found.attrs["level"]
    figure = Picture(figsize=(9.6, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharey="row", height_ratios=(5, 1))
    for (panel, below), side in zip(panels.T, SIDES, strict=True):
        part = table[table["side"] == side].sort_values("r", ascending=False, kind="stable")
        place = np.arange(len(part))
        panel.fill_between(
            place, part["r_low"], part["r_high"], color=COLOURS[0], alpha=0.2, linewidth=0
        )
        panel.plot(
            place, part["r_one_to_one"], ".", color=COLOURS[1], markersize=4, label="one-to-one"
        )
        panel.plot(place, part["r"], color=COLOURS[0], label=f"best partner, {level:.0%} interval")
        panel.axhline(shared, linestyle="--", color="0.6", linewidth=0.8, label="shared above")
        chance = float(found["r_shuffled"].isel(unit=found["side"].values == side).mean())
        panel.axhline(chance, linestyle=":", color="0.4", linewidth=1, label="chance")
        panel.set_title(
            f"{side}: {short_name(found, side)} ({len(part)} units)",
            fontsize="medium",
            parse_math=False,
        )
        panel.set_xlabel("units, best first")
        new_figure(panel)
        left = 0.0
        for kind, colour in (KINDS | UNKNOWN).items():
            share = float((part["class"] == kind).mean())
            if share:
                below.barh(0, share, left=left, color=colour)
                if share > 0.08:
                    dark = "white" if kind == "shared" else "black"
                    text = f"{kind}\n{share:.0%}"
                    below.text(
                        left + share / 2, 0, text, ha="center", va="center", fontsize=7, color=dark
                    )
                left += share
        below.axis("off")
    panels[0, 0].set_ylabel("r with the partner,\nheld-out stimuli")
    add_legend(panels[0, 0])
    add_headline(figure, found, "matched on training stimuli, scored on those held out")
    return figure
