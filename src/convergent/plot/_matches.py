"""Figures of the activity, the correlations and the matches of single units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..features._match_tables import SHARED, unit_table
from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import (
    CLASS_COLOURS,
    COLOURS,
    UNCLASSIFIED_COLOURS,
    Picture,
    add_band,
    add_headline,
    add_legend,
    hide_spines,
    hide_ticks,
    named,
    new_figure,
    side_label,
)

__all__ = ["activation_spectra", "correlation_matrices", "matches"]

_LEAST_NAMED = 0.08  # share of the units below which the name of a class does not fit into its bar


def activation_spectra(correlations: xr.Dataset) -> Picture:
    """Draw the mean activity of each unit of two populations, sorted, and its spread over stimuli.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: lines are means over stimuli; bands are one standard deviation
        to either side.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(correlations, "correlations", "plot.activation_spectra")
    figure = new_figure(6.4, 3.6)
    panel = figure.subplots()
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mean = correlations[f"{side}_mean"].values
        order = np.argsort(-mean)
        mean, sd = mean[order], correlations[f"{side}_sd"].values[order]
        rank = (np.arange(len(mean)) + 0.5) / len(mean)
        label = f"{side_label(correlations, side)} ({len(mean)})"
        panel.plot(rank, mean, color=colour, label=label)
        add_band(panel, rank, mean - sd, mean + sd, colour)
    panel.set_xlabel("units, from most to least active")
    panel.set_ylabel("activity: mean and SD over stimuli")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlim(0, 1)
    hide_spines(panel)
    add_legend(panel)
    return figure


def correlation_matrices(correlations: xr.Dataset) -> Picture:
    """Draw correlations of units within and between populations, before and after matching.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with three columns: correlations within the source, between
        source and target, and within the target. Above, units are in their original order. Below,
        they are in the order of their bipartite matching, the most correlated pair first, so that
        partners stand on the diagonal.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(correlations, "correlations", "plot.correlation_matrices")
    figure = new_figure(9.6, 6.6)
    panels = figure.subplots(2, 3)
    source, target = (named(correlations.attrs[side], 24) for side in SIDES)
    titles = (f"within source: {source}", "source (down) and target", f"within target: {target}")
    for panel, title in zip(panels[0], titles, strict=True):
        panel.set_title(title, fontsize="medium", parse_math=False)
    matched = {side: np.argsort(correlations[f"{side}_place"].values) for side in SIDES}
    own = {side: np.arange(len(order)) for side, order in matched.items()}
    _draw_matrices(panels[0], correlations, own)
    image = _draw_matrices(panels[1], correlations, matched)
    panels[0, 0].set_ylabel("in the original order")
    panels[1, 0].set_ylabel("matched, best pair first")
    figure.colorbar(image, ax=panels, label="correlation over stimuli", shrink=0.6)
    add_headline(figure, f"{correlations.attrs['n_stimuli']} stimuli; correlations of units")
    return figure


def _draw_matrices(row: Any, correlations: xr.Dataset, orders: dict[str, Any]) -> Any:
    """Draw correlations within the source, between, and within the target; return an image."""
    parts = [
        ("within_source", "source", "source"),
        ("between", "source", "target"),
        ("within_target", "target", "target"),
    ]
    image = None
    for panel, (name, down, across) in zip(row, parts, strict=True):
        values = correlations[name].values[np.ix_(orders[down], orders[across])]
        image = panel.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        hide_ticks(panel)
    return image


def matches(found: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED) -> Picture:
    """Draw the correlation of each unit with its best and with its one-to-one partner.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`, with shuffles and a bootstrap.
    alpha : float
        A unit is unique if its p-value is above this, as for `convergent.features.unit_table`.
    shared : float
        A unit is shared if the interval of its correlation lies above this.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with one column per population; correlations are those on
        held-out stimuli. Above, units are sorted by the correlation with their best partner (line,
        with its interval); dots are correlations with their one-to-one partner. The gap between the
        two is the cost of competition for partners. Dashed: the correlation above which a unit is
        shared; dotted: the mean by chance. Below, the share of units of each class.

    Raises
    ------
    InputError
        If there are no shuffles or no bootstrap, or if a threshold is not between 0 and 1.
    """
    check_kind(found, "match_units", "plot.matches")
    table = unit_table(found, alpha=alpha, shared=shared)
    figure = new_figure(9.6, 5)
    panels = figure.subplots(2, 2, sharey="row", height_ratios=(5, 1))
    for (panel, below), side in zip(panels.T, SIDES, strict=True):
        part = table[table["side"] == side]
        _draw_partners(panel, part, f"best partner, {found.attrs['level']:.0%} interval")
        panel.axhline(
            shared, linestyle="--", color="0.6", linewidth=0.8, label="threshold of shared units"
        )
        chance = float(found["r_shuffled"].isel(unit=found["side"].values == side).mean())
        panel.axhline(chance, linestyle=":", color="0.4", linewidth=1, label="chance")
        title = f"{side_label(found, side)} ({len(part)} units)"
        panel.set_title(title, fontsize="medium", parse_math=False)
        panel.set_xlabel("units, best first")
        hide_spines(panel)
        _draw_class_bar(below, part)
    panels[0, 0].set_ylabel("r with the partner,\nheld-out stimuli")
    add_legend(panels[0, 0])
    n_stimuli = found.attrs["n_stimuli"]
    headline = f"{n_stimuli} stimuli; matched on training stimuli, scored on those held out"
    add_headline(figure, headline)
    return figure


def _draw_partners(panel: Axes, table: pd.DataFrame, label: str) -> None:
    """Draw the correlation of each unit with its best and with its one-to-one partner, sorted."""
    part = table.sort_values("r", ascending=False, kind="stable")
    rank = np.arange(len(part))
    add_band(panel, rank, part["r_low"], part["r_high"], COLOURS[0])
    single = part["r_one_to_one"]
    panel.plot(rank, single, ".", color=COLOURS[1], markersize=4, label="one-to-one")
    panel.plot(rank, part["r"], color=COLOURS[0], label=label)


def _draw_class_bar(panel: Axes, table: pd.DataFrame) -> None:
    """Draw one bar of the shares of units of each class, side by side."""
    left = 0.0
    for name, colour in (CLASS_COLOURS | UNCLASSIFIED_COLOURS).items():
        share = float((table["class"] == name).mean())
        if share:
            panel.barh(0, share, left=left, color=colour)
        if share > _LEAST_NAMED:
            text, ink = f"{name}\n{share:.0%}", "white" if name == "shared" else "black"
            middle = left + share / 2
            panel.text(middle, 0, text, ha="center", va="center", fontsize=7, color=ink)
        left += share
    panel.axis("off")
