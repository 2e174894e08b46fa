"""Figures of the activity, the correlations and the matches of single units."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from ..features._match_tables import SHARED, unit_table
from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import (
    CLASS_COLOURS,
    COLOURS,
    UNCLASSIFIED_COLOURS,
    Labels,
    add_band,
    add_legend,
    hide_ticks,
    legend_label,
    make_panels,
    side_label,
)
from ._panels import LEAST_WIDTH, both_sides, entitle, headline, inches_of, width_of, write_small

__all__ = ["activation_spectra", "correlation_matrices", "matches"]


def activation_spectra(
    correlations: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean activity of each unit of two populations, sorted, and its spread over stimuli.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.
    labels : dict of str, optional
        Texts for the names of the two populations.
    ax : Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    Axes
        Lines are means over stimuli; bands are one standard deviation to either side.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(correlations, "correlations", "plot.activation_spectra")
    names = Labels.of(labels)
    panels = make_panels(1, 1, (5, 3.2), ax=ax)
    (panel,) = panels.flat
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mean = correlations[f"{side}_mean"].values
        order = np.argsort(-mean)
        mean, sd = mean[order], correlations[f"{side}_sd"].values[order]
        rank = (np.arange(len(mean)) + 0.5) / len(mean)
        label = f"{side_label(correlations, side, names)} ({len(mean)} units)"
        panel.plot(rank, mean, color=colour, label=legend_label(label))
        add_band(panel, rank, mean - sd, mean + sd, colour)
    panel.set_xlabel("units, from most to least active")
    panel.set_ylabel("response: mean and SD over stimuli")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlim(0, 1)
    entitle(panel, "" if panels.given else "Activity of units", 1)
    write_small(panel)
    return panel


def correlation_matrices(
    correlations: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw correlations of units within and between populations, before and after matching.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.
    labels : dict of str, optional
        Texts for the names of the two populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        Three columns: correlations within the source, between source (down) and target (across),
        and within the target. Above, units are in their original order. Below, they are in the
        order of their bipartite matching, the most correlated pair first, so that partners stand
        on the diagonal.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(correlations, "correlations", "plot.correlation_matrices")
    panels = make_panels(2, 3, (7.5, 5.2), figure=figure)
    titles = ("within source", "source (down), target (across)", "within target")
    narrow = inches_of(panels.figure) < 2 * LEAST_WIDTH
    for panel, title in zip(panels.grid[0], titles, strict=True):
        width = int(width_of(panel) / 0.08) if narrow else 40
        panel.set_title(textwrap.fill(title, max(width, 15)), fontsize="small")
    matched = {side: np.argsort(correlations[f"{side}_place"].values) for side in SIDES}
    own = {side: np.arange(len(order)) for side, order in matched.items()}
    _draw_matrices(panels.grid[0], correlations, own)
    image = _draw_matrices(panels.grid[1], correlations, matched)
    panels.grid[0, 0].set_ylabel("units in\noriginal order", fontsize="small")
    panels.grid[1, 0].set_ylabel("units matched,\nbest pair first", fontsize="small")
    place = "bottom" if narrow else "right"
    bar = panels.figure.colorbar(image, ax=panels.flat, shrink=0.7, location=place)
    bar.set_label("correlation r of two units over stimuli", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    sides = both_sides(correlations, Labels.of(labels))
    headline(panels, f"{sides}; {correlations.attrs['n_stimuli']} stimuli")
    return panels.figure


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


def matches(
    found: xr.Dataset,
    *,
    alpha: float = 0.05,
    shared: float = SHARED,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the correlation of each unit with its best and with its one-to-one partner.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`.
    alpha : float
        A unit is unique if its p-value is above this, as for `convergent.features.unit_table`.
    shared : float
        A unit is shared if the interval of its correlation, divided by its ceiling, lies above
        this.
    labels : dict of str, optional
        Texts for the names of the two populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        One column per population; correlations are those on held-out stimuli. Above, units are
        sorted by the correlation with their best partner (line, with its interval); dots are
        correlations with their one-to-one partner. The gap between the two is the cost of
        competition for partners. Dashed: the correlation above which a unit is shared; dotted: the
        mean by chance. Below, the share of units of each class. Without shuffles and a bootstrap,
        only the correlations.

    Raises
    ------
    InputError
        If the result is of another kind, or a threshold is not between 0 and 1.
    """
    check_kind(found, "match_units", "plot.matches")
    names, classified = Labels.of(labels), {"p", "r_low"} <= set(found.variables)
    table = unit_table(found, alpha=alpha, shared=shared) if classified else _partners(found)
    narrow = figure is not None and inches_of(figure) < 2 * LEAST_WIDTH
    rows, columns = (2, 1) if narrow else (1, 2)
    of_row = (8, 1) if classified else (8,)
    options: dict[str, Any] = {"height_ratios": of_row * rows}
    panels = make_panels(rows * len(of_row), columns, (8, 4.2), figure=figure, **options)
    above = panels.grid[:: len(of_row)].ravel()
    for panel, side in zip(above, SIDES, strict=True):
        here = found["side"].values == side
        _draw_partners(panel, table[here], found.attrs["level"])
        if classified:
            _draw_threshold(panel, table[here], shared)
        if "r_shuffled" in found:
            chance = float(found["r_shuffled"].isel(unit=here).mean())
            panel.axhline(chance, linestyle=":", color="0.4", linewidth=1, label="chance")
        title = f"{side_label(found, side, names)} ({here.sum()} units)"
        entitle(panel, title, 2 if side == SIDES[0] else 0)
        panel.set_xlabel("units, best first")
        if narrow or side == SIDES[0]:
            panel.set_ylabel("r with the partner,\nheld-out stimuli")
    _share_limits(above)
    write_small(*above)
    if classified:
        for panel, side in zip(panels.grid[1::2].ravel(), SIDES, strict=True):
            _draw_class_bar(panel, table[table["side"] == side])
    n_stimuli = found.attrs["n_stimuli"]
    headline(panels, f"Matched on training stimuli, scored on others; {n_stimuli} stimuli")
    return panels.figure


def _partners(found: xr.Dataset) -> pd.DataFrame:
    """Correlation of each unit with its partners, where units are not classified."""
    semi, bipartite = (found.sel(matching=name) for name in ("semi", "bipartite"))
    table = pd.DataFrame({"r": semi["r"].mean("fold").values})
    table["r_one_to_one"] = bipartite["r"].mean("fold").values
    for name in {"r_low", "r_high"} & set(found.variables):
        table[name] = semi[name].values
    return table


def _draw_threshold(panel: Axes, table: pd.DataFrame, shared: float) -> None:
    """Draw the correlation above which units are shared, in the order in which they stand."""
    ceiling = table.sort_values("r", ascending=False, kind="stable")["ceiling"].to_numpy()
    of = "" if np.nanmin(ceiling, initial=1) == 1 else " x ceiling"
    style: dict[str, Any] = {"linestyle": "--", "color": "0.6", "linewidth": 0.8}
    rank = np.arange(1, len(table) + 1)
    panel.plot(rank, shared * ceiling, label=f"shared: above {shared:.2f}{of}", **style)


def _share_limits(panels: Iterable[Axes]) -> None:
    """Let axes of correlations end alike, at 1 above."""
    low = min(panel.get_ylim()[0] for panel in panels)
    for panel in panels:
        panel.set_ylim(min(0.0, low), 1.02)


def _draw_partners(panel: Axes, table: pd.DataFrame, level: float) -> None:
    """Draw the correlation of each unit with its best and with its one-to-one partner, sorted."""
    part = table.sort_values("r", ascending=False, kind="stable")
    rank = np.arange(1, len(part) + 1)
    label = "best"
    if "r_low" in part:
        add_band(panel, rank, part["r_low"], part["r_high"], COLOURS[0])
        label = f"best, {level:.0%} interval"
    single = part["r_one_to_one"]
    panel.plot(rank, single, ".", color=COLOURS[1], markersize=4, label="one-to-one")
    panel.plot(rank, part["r"], color=COLOURS[0], label=label)


def _draw_class_bar(panel: Axes, table: pd.DataFrame) -> None:
    """Draw one bar of the shares of units of each class, side by side, with a legend."""
    left = 0.0
    for name, colour in (CLASS_COLOURS | UNCLASSIFIED_COLOURS).items():
        share = float((table["class"] == name).mean())
        if share:
            panel.barh(0, share, left=left, color=colour, label=f"{name} {share:.0%}")
        left += share
    panel.set_xlim(0, 1)
    panel.axis("off")
    style = {"handlelength": 0.8, "columnspacing": 1, "borderaxespad": 0.2}
    add_legend(panel, loc="upper left", bbox_to_anchor=(0, 0), ncols=2, **style)
