"""Figures of scores: sources side by side, with the noise ceiling of each target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..base.arrays import Floats
from ..base.errors import InputError
from ..scoring.kinds import check_kind
from ..scoring.results import included_units
from ..scoring.tables import best, summary
from ._figure import (
    COLOURS,
    Picture,
    add_headline,
    add_legend_beside,
    hide_spines,
    label_layers,
    legend_label,
    named,
    new_figure,
    room_for,
    tick_labels,
)

__all__ = ["scores"]

_PANELS_IN_A_ROW = 4
_SAME_CEILING = 1e-6


def scores(results: xr.Dataset) -> Picture:
    """Draw the score of each source by each metric, one panel per target, with its noise ceiling.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.score`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`; save it with ``.savefig``. Each dot is the median over units
        of the mean over folds. If the scores were bootstrapped, bars are 95% confidence intervals,
        and open dots are sources that are significantly worse than the best one. If not, and if the
        result holds scores of single units, bars span the middle half of the units. Dashed lines
        are noise ceilings.

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
    check_kind(results, "score", "plot.scores")
    table = summary(results)
    if table.empty:
        raise InputError("there are no scores to draw.")
    if "n_drawn" in results:
        cell = ["metric", "source", "target"]
        table = table.merge(best(results)[[*cell, "among_best"]], on=cell)
    targets, sources = (list(dict.fromkeys(table[side])) for side in ("target", "source"))
    columns = min(len(targets), _PANELS_IN_A_ROW)
    rows = -(-len(targets) // columns)
    width = max(3.0, 0.5 * len(sources) + 1)
    height = 3.4 * rows + 0.6 + 0.7 * room_for(tick_labels(sources))
    figure = new_figure(width * columns + 1.8, height)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    for panel, target in zip(panels.flat, targets, strict=False):
        _draw_target(panel, results, table[table["target"] == target])
    for panel in panels.flat[len(targets) :]:
        panel.remove()
    panels[0, 0].set_ylim(top=1)  # of all, and when all is drawn: the lower end is free until then
    for panel in panels[:, 0]:
        panel.set_ylabel("correlation of prediction and response")
    add_legend_beside(figure, *panels.flat[: len(targets)])  # one panel may lack a ceiling
    add_headline(figure, _headline(results))
    return figure


def _headline(results: xr.Dataset) -> str:
    """Number and kind of the stimuli, and the meaning of dots and bars."""
    kind = "Simulated data: " if results.attrs.get("simulated") else ""
    bars = ""
    if "n_drawn" in results:
        bars = " (dots), 95% confidence interval (bars)\n"
        bars += "open dots: significantly worse than the best source"
    elif "unit" in results.dims:
        bars = " (dots) and middle half of units (bars)"
    n_stimuli = results.attrs["n_stimuli"]
    return f"{kind}{n_stimuli} stimuli, scored on those held out\nmedian unit{bars}"


def _draw_target(panel: Axes, results: xr.Dataset, table: pd.DataFrame) -> None:
    """Draw the scores of one target, given its rows of the summary."""
    target = str(table["target"].iloc[0])
    sources = list(dict.fromkeys(table["source"]))
    metrics = list(dict.fromkeys(table["metric"]))
    colours = {metric: COLOURS[i % len(COLOURS)] for i, metric in enumerate(metrics)}
    for i, (metric, colour) in enumerate(colours.items()):
        x = np.arange(len(sources)) + 0.12 * (i - (len(metrics) - 1) / 2)
        rows = table[table["metric"] == metric]
        _draw_metric(panel, x, rows, _bars(results, rows, metric, target), colour)
    _draw_ceilings(panel, table, colours)
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    units, excluded = (int(table[name].iloc[0]) for name in ("n_units", "n_units_excluded"))
    panel.set_title(
        f"{named(target, 32)}: {units} unit{'s' * (units != 1)}"
        + (f", {excluded} left out" if excluded else ""),
        fontsize="medium",
        parse_math=False,  # a $ in a name is a $
    )
    label_layers(panel, sources, rotation_mode="anchor")
    hide_spines(panel)


def _draw_metric(
    panel: Axes, x: NDArray[Any], rows: pd.DataFrame, bars: Floats | None, colour: str
) -> None:
    """Draw the scores of all sources by one metric; open dots are worse than the best source."""
    r = rows["r"].to_numpy()
    panel.errorbar(
        x,
        r,
        yerr=None if bars is None else np.clip([r - bars[0], bars[1] - r], 0, None),
        color=colour,
        marker="o",
        markersize=4,
        linewidth=1.5,
        elinewidth=0.8,
        label=legend_label(rows["metric"].iloc[0]),
    )
    if "among_best" in rows:
        behind = ~rows["among_best"].to_numpy(dtype=bool)
        (dots,) = panel.plot(x[behind], r[behind], "o", color=colour, markersize=4, zorder=3)
        dots.set_markerfacecolor("white")


def _draw_ceilings(panel: Axes, table: pd.DataFrame, colours: dict[str, str]) -> None:
    """Draw one dashed line if all metrics have the same ceiling, else one in each one's colour."""
    ceilings = table.drop_duplicates("metric").set_index("metric")["ceiling"].dropna()
    if len(ceilings) and np.ptp(ceilings) < _SAME_CEILING:
        lines = [("noise ceiling", float(ceilings.iloc[0]), "black")]
    else:
        lines = [
            (f"ceiling, {named(metric)}", float(ceilings[metric]), colour)
            for metric, colour in colours.items()
            if metric in ceilings
        ]
    for label, height, colour in lines:
        panel.axhline(height, color=colour, linestyle="--", linewidth=1, label=label)


def _bars(results: xr.Dataset, rows: pd.DataFrame, metric: str, target: str) -> Floats | None:
    """Ends of the bars (2, source): confidence interval or quartiles over units; or no bars."""
    if "r_low" in rows:
        return np.asarray(rows[["r_low", "r_high"]].to_numpy().T)
    if "unit" not in results.dims:
        return None
    r = results["r"].sel(metric=metric).isel(unit=included_units(results)[target])
    if not r.sizes["unit"]:
        return None
    quartiles = r.mean("fold", skipna=True).quantile([0.25, 0.75], "unit", skipna=True)
    return np.asarray(quartiles.transpose("quantile", "source").values)
