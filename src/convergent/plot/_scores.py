"""Figures of scores: sources side by side, with the noise ceiling of each target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..scoring.results import included_units
from ..scoring.tables import best
from ._figure import MOST_TICKS, Labels, legend_label
from ._score_parts import (
    VALUES,
    Value,
    ceiling_words,
    colours_of,
    draw_ceilings,
    draw_points,
    label_sources,
    name_panel,
    one_panel_each,
    score_table,
    stimuli_of,
    unit_count,
)

__all__ = ["scores"]


def scores(
    results: xr.Dataset,
    *,
    value: Value = "r",
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw the score of each source by each metric, one panel per target, with its ceiling.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.score`.
    value : {"r", "normalized"}
        Whether to draw r, or the normalized score, whose ceiling is 1.
    labels : dict of str, optional
        Texts that are shown for names of sources, metrics and targets.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if there is one target.

    Returns
    -------
    Picture, or the figure or axes that were given
        A `matplotlib.figure.Figure`; save it with ``.savefig``. Each dot is the median over units
        of the mean over folds (or the normalized score, see `convergent.summary`). If the scores
        were bootstrapped, bars are 95% confidence intervals, and open dots are sources that are
        significantly worse than the best one. If not, and if the result holds scores of single
        units, bars of r span the middle half of the units. Dashed lines are ceilings, with the
        bands of their 95% confidence intervals if the scores were bootstrapped.

    Raises
    ------
    InputError
        If the result is of another kind, or there are no scores to draw.

    Examples
    --------
    >>> import convergent as cv
    >>> layer, _ = cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), private=0)
    >>> recording = cv.simulate.recording(layer, 8, repeats=4, name="V4")
    >>> figure = cv.plot.scores(cv.score({"conv1": layer}, recording, "linear"))
    >>> [panel.get_title() for panel in figure.axes]
    ['V4: 8 units']
    >>> figure.savefig("scores.png")  # doctest: +SKIP
    """
    table, texts = score_table(results, value, "plot.scores"), Labels.of(labels)
    table = _with_bars(results, table, value)
    targets, sources = (list(dict.fromkeys(table[side])) for side in ("target", "source"))
    panels = one_panel_each(len(targets), len(sources), figure, ax)
    for panel, (_, rows) in zip(panels.flat, table.groupby("target", sort=False), strict=True):
        _draw_target(panel, rows, texts, ceiling_words(results)[0])
        units, excluded = (int(rows[name].iloc[0]) for name in ("n_units", "n_units_excluded"))
        target = texts(rows["target"].iloc[0], 32)
        name_panel(panels, panel, f"{target}: {unit_count(units, excluded)}")
    label_sources(panels, sources, texts)
    panels.label_y(VALUES[value])
    panels.add_legend()
    panels.add_headline(_headline(results, value))
    return panels.result


def _with_bars(results: xr.Dataset, table: pd.DataFrame, value: Value) -> pd.DataFrame:
    """Add ``behind``: whether a source is worse than the best; and bars, where none are known."""
    if "n_drawn" in results:
        cell = ["metric", "source", "target"]
        table = table.merge(best(results, value=value)[[*cell, "among_best"]], on=cell, how="left")
        return table.assign(behind=~table["among_best"].astype(bool))
    if value == "r" and "unit" in results.dims:
        cells = {
            dim: xr.DataArray(table[dim], dims="row") for dim in ("metric", "source", "target")
        }
        low, high = _quartiles(results).sel(cells).transpose("quantile", "row").values
        table = table.assign(low=low, high=high)
    return table.assign(behind=False)


def _quartiles(results: xr.Dataset) -> xr.DataArray:
    """Quartiles over the included units (target, quantile, metric, source); NaN of no units."""
    dims = ("metric", "source")
    r = results["r"].mean("fold", skipna=True).transpose("unit", *dims)
    shape = r.shape[1:]
    parts = [
        pd.DataFrame(r.values[units].reshape(len(units), shape[0] * shape[1]))
        .quantile([0.25, 0.75])
        .to_numpy()
        for units in included_units(results).values()
    ]
    values = np.stack([part.reshape(2, *shape) for part in parts])
    coords = {dim: results[dim].values for dim in dims} | {"target": list(included_units(results))}
    return xr.DataArray(values, coords, ("target", "quantile", *dims))


def _headline(results: xr.Dataset, value: str) -> str:
    """Number and kind of the stimuli, and the meaning of dots, bars, bands and of 1."""
    dots = "Dots: median over units" if value == "r" else "Dots: normalized score"
    spans = "bands" if results.sizes["source"] > MOST_TICKS else "bars"
    if "n_drawn" in results:
        of_ceiling = " (and the band of the ceiling)" if value == "r" else ""
        bars = f"; {spans}{of_ceiling}: 95% confidence intervals. "
        bars += "Open dots: significantly worse than the best source."
    elif value == "r" and "unit" in results.dims:
        bars = f"; {spans}: middle half of the units."
    else:
        bars = "."
    one = f" {ceiling_words(results)[1]}" if value == "normalized" else ""
    return f"{stimuli_of(results)} {dots}{bars}{one}"


def _draw_target(panel: Axes, table: pd.DataFrame, texts: Labels, ceiling: str) -> None:
    """Draw the scores of one target, given its rows of the table."""
    colours = colours_of(dict.fromkeys(table["metric"]))
    n = table["source"].nunique()
    for i, (metric, colour) in enumerate(colours.items()):
        rows = table[table["metric"] == metric]
        x = np.arange(n) + min(0.12, 0.5 / len(colours)) * (i - (len(colours) - 1) / 2)
        hollow = rows["behind"].to_numpy(dtype=bool)
        draw_points(panel, x, rows, hollow=hollow, color=colour, label=legend_label(texts(metric)))
    ceilings = table.drop_duplicates("metric").rename(columns={"metric": "of"})
    draw_ceilings(panel, ceilings, colours, ceiling)
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
