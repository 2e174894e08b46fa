"""Figures of scores: each layer beside its noise ceiling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from ..base.errors import InputError
from ..scoring.results import included_units
from ..scoring.tables import best, summary
from ._figure import COLOURS, Picture

__all__ = ["PANELS_IN_A_ROW", "SAME_CEILING", "scores"]

PANELS_IN_A_ROW = 4
SAME_CEILING = 1e-6


def scores(results: xr.Dataset) -> Picture:
    """Score of each source by metric, a panel a target, with the noise ceiling.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.score`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`. Points are medians over units of the mean over folds. Where
        the scores were bootstrapped, bars are 95% confidence intervals, and points are open where
        a source is behind the best one by more than chance; else, where unit scores were kept,
        bars span the middle half of the units. Save with ``.savefig``.

    Raises
    ------
    InputError
        Where there is nothing to draw.
    """
    table = summary(results)
    if table.empty:
        raise InputError("there are no scores to draw.")
    if "n_drawn" in results:
        cell = ["metric", "source", "target"]
        table = table.merge(best(results)[[*cell, "among_best"]], on=cell)
    targets = list(dict.fromkeys(table["target"]))
    columns = min(len(targets), PANELS_IN_A_ROW)
    rows = -(-len(targets) // columns)
    sources = list(dict.fromkeys(table["source"]))
    width = max(3.0, 0.5 * len(sources) + 1)
    figure = Picture(figsize=(width * columns + 1.8, 3.4 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    for panel, target in zip(panels.flat, targets, strict=False):
        _panel(panel, results, table[table["target"] == target])
    for panel in panels.flat[len(targets) :]:
        panel.remove()
    for panel in panels[:, 0]:
        panel.set_ylabel("correlation of prediction and response")
    known: dict[str, Artist] = {}  # a panel may lack the ceiling
    for panel in panels.flat[: len(targets)]:
        handles, labels = panel.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    figure.legend(
        handles=list(known.values()), labels=list(known), loc="outside right center", frameon=False
    )
    n_stimuli = results.attrs["n_stimuli"]
    kind = "Simulated data: " if results.attrs.get("simulated") else ""
    bars = ""
    if "n_drawn" in results:
        bars = " (dots), 95% confidence interval (bars)\nopen dots: behind the best source"
    elif "unit" in results.dims:
        bars = " (dots) and middle half of units (bars)"
    figure.suptitle(
        f"{kind}{n_stimuli} stimuli, scored on those held out\nmedian unit{bars}",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    return figure


def _panel(panel: Axes, results: xr.Dataset, table: pd.DataFrame) -> None:
    """Draw one target, from its rows of the summary."""
    target = str(table["target"].iloc[0])
    sources = list(dict.fromkeys(table["source"]))
    metrics = list(dict.fromkeys(table["metric"]))
    for i, metric in enumerate(metrics):
        x = np.arange(len(sources)) + 0.12 * (i - (len(metrics) - 1) / 2)
        rows = table[table["metric"] == metric]
        r, colour = rows["r"].to_numpy(), COLOURS[i % len(COLOURS)]
        bars = _bars(results, rows, metric, target)
        panel.errorbar(
            x,
            r,
            yerr=None if bars is None else np.clip([r - bars[0], bars[1] - r], 0, None),
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.5,
            elinewidth=0.8,
            label=metric,
        )
        if "among_best" in rows:
            behind = ~rows["among_best"].to_numpy(dtype=bool)
            panel.plot(
                x[behind],
                r[behind],
                "o",
                color=colour,
                markersize=4,
                markerfacecolor="white",
                zorder=3,
            )
    ceilings = table.drop_duplicates("metric").set_index("metric")["ceiling"].dropna()
    if len(ceilings) and np.ptp(ceilings) < SAME_CEILING:
        panel.axhline(
            ceilings.iloc[0], color="black", linestyle="--", linewidth=1, label="noise ceiling"
        )
    else:
        for i, metric in enumerate(metrics):
            if metric in ceilings:
                panel.axhline(
                    ceilings[metric],
                    color=COLOURS[i % len(COLOURS)],
                    linestyle="--",
                    linewidth=1,
                    label=f"ceiling, {metric}",
                )
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    units, left_out = (int(table[name].iloc[0]) for name in ("n_units", "n_units_excluded"))
    panel.set_title(
        f"{target}: {units} units" + (f", {left_out} left out" if left_out else ""),
        fontsize="medium",
        parse_math=False,  # a $ in a name is a $
    )
    panel.set_xticks(
        range(len(sources)),
        sources,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    panel.set_ylim(top=1)
    panel.spines[["top", "right"]].set_visible(False)


def _bars(results: xr.Dataset, rows: pd.DataFrame, metric: str, target: str) -> np.ndarray | None:
    """Lower and upper ends, (2, source): confidence interval, or quartiles over units."""
    if "r_low" in rows:
        return np.asarray(rows[["r_low", "r_high"]].to_numpy().T)
    if "unit" not in results.dims:
        return None
    r = results["r"].sel(metric=metric).isel(unit=included_units(results)[target])
    if not r.sizes["unit"]:
        return None
    quartiles = r.mean("fold", skipna=True).quantile([0.25, 0.75], "unit", skipna=True)
    return np.asarray(quartiles.transpose("quantile", "source").values)
