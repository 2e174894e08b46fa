"""Figures that can be understood without their caption."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .distortions import DISTORTIONS, distort
from .errors import InputError
from .results import kept_units
from .stimuli import Stimuli
from .tables import best, summary

__all__ = ["Picture", "distortions", "hierarchy", "scores", "shift"]

# Okabe and Ito's colours, told apart with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
PANELS_IN_A_ROW = 4
SAME_CEILING = 1e-6


class Picture(Figure):
    """A matplotlib figure that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


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


def hierarchy(results: xr.Dataset) -> Picture:
    """Score of each layer with each, a map a metric, over how far depth goes with depth.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.hierarchy`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`. In a map, dots mark the best source layer of each target
        layer, as large as its share of the resamples where these were drawn. Below, the depth of
        that partner; where depths correspond, it lies on the diagonal. Save with ``.savefig``.
    """
    metrics = results["metric"].values
    figure = Picture(figsize=(4.2 * len(metrics) + 0.4, 7.6), layout="constrained")
    panels = figure.subplots(2, len(metrics), squeeze=False, height_ratios=(1.4, 1))
    sources, targets = (results[side].values for side in ("source", "target"))
    for column, metric in enumerate(metrics):
        part = results.sel(metric=metric)
        panel, below = panels[:, column]
        image = panel.imshow(part["r"].values, cmap="viridis", origin="lower", aspect="auto")
        place = [list(sources).index(name) for name in part["partner_of_target"].values]
        share = np.ones(len(targets))
        if "sure_of_target" in part:
            share = part["sure_of_target"].values[np.arange(len(targets)), place]
        panel.scatter(
            np.arange(len(targets)), place, s=8 + 60 * share, color="white", edgecolor="black"
        )
        panel.set_xticks(range(len(targets)), targets, rotation=45, ha="right", parse_math=False)
        panel.set_yticks(range(len(sources)), sources, parse_math=False)
        panel.set_title(str(metric), fontsize="medium")
        panel.set_xlabel("target layer")
        figure.colorbar(image, ax=panel, label="r, median unit", shrink=0.8)
        below.plot([0, 1], [0, 1], color="0.8", linewidth=1)
        below.plot(
            part["target_depth"],
            part["source_depth"].values[place],
            "o-",
            color=COLOURS[0],
            markersize=4,
        )
        told = f"rank correlation {float(part['depth_correlation']):.2f}"
        if "depth_correlation_low" in part:
            ends = (float(part[f"depth_correlation_{end}"]) for end in ("low", "high"))
            told += " (95%: {:.2f} to {:.2f})".format(*ends)
        below.set_title(told, fontsize="small")
        below.set_xlabel("depth of target layer (0 first, 1 last)")
        below.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("source layer")
    panels[1, 0].set_ylabel("depth of best source layer")
    n_stimuli = results.attrs["n_stimuli"]
    figure.suptitle(
        f"{n_stimuli} stimuli, scored on those held out; dots: best source layer of each target",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    return figure


def shift(results: xr.Dataset, unit: str = "level of distortion") -> Picture:
    """What is left of each layer's score at each level of a distortion.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.shift`.
    unit : str
        What the levels are in.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a column a metric; above with the map of the undistorted
        stimuli, below with a new one; a line a layer, from first (dark) to last (light), with 95%
        intervals where there are resamples.
    """
    metrics, ways, layers = (results[name].values for name in ("metric", "way", "layer"))
    what = {"transferred": "map of the control", "refitted": "map fitted anew"}
    levels = [results.attrs["control"], *results["level"].values]
    figure = Picture(figsize=(3.6 * len(metrics) + 1.6, 5.6), layout="constrained")
    panels = figure.subplots(len(ways), len(metrics), squeeze=False, sharex=True, sharey=True)
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    for row, way in zip(panels, ways, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            for colour, layer in zip(colours, layers, strict=True):
                part = results.sel(metric=metric, way=way, layer=layer)
                label = f"{float(part['depth']):.2f} {layer}"  # hidden if it began with _
                panel.plot(levels, [1, *(1 - part["drop"].values)], color=colour, label=label)
                if "drop_low" in part:
                    ends = ([1, *(1 - part[f"drop_{end}"].values)] for end in ("high", "low"))
                    panel.fill_between(levels, *ends, color=colour, alpha=0.15, linewidth=0)
            panel.axhline(1, color="0.8", linewidth=0.8, zorder=0)
            panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            panel.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(f"r / r of control\n{what[str(way)]}")
    for panel, metric in zip(panels[0], metrics, strict=True):
        panel.set_title(str(metric), fontsize="medium")
    for panel in panels[-1]:
        panel.set_xlabel(unit)
        panel.tick_params(axis="x", rotation=45)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, title="depth, layer")
    figure.suptitle(
        f"{results.attrs['n_stimuli']} stimuli, scored on those held out",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    return figure


def distortions(stimuli: Stimuli, name: str | None = None, *, seed: int = 0) -> Picture:
    """One image at all levels of all distortions.

    Parameters
    ----------
    stimuli : Stimuli
        Where the image is from; equal power spectra are the mean of these.
    name : str, optional
        Which image; the first where left out.
    seed : int
        Draws what is random, as in `convergent.distort`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a row a distortion, its control at the left.
    """
    name = stimuli.names[0] if name is None else name
    columns = max(len(each.levels) for each in DISTORTIONS.values())
    figure = Picture(figsize=(1.25 * columns + 1.8, 1.45 * len(DISTORTIONS)), layout="constrained")
    panels = figure.subplots(len(DISTORTIONS), columns)
    for row, (distortion, about) in zip(panels, DISTORTIONS.items(), strict=True):
        for panel, level in zip(row, about.levels, strict=False):
            try:
                panel.imshow(distort(stimuli, distortion, level, seed=seed)[name])
            except InputError:  # a grey image has no colours to change
                panel.text(0.5, 0.5, "needs\ncolours", ha="center", va="center", fontsize="small")
            panel.set_title(level if isinstance(level, str) else f"{level:g}", fontsize="small")
            panel.set_xticks([])
            panel.set_yticks([])
        for panel in row[len(about.levels) :]:
            panel.remove()
        row[0].set_ylabel(
            "\n".join([distortion, *([about.unit] if about.unit else [])]),
            rotation=0,
            ha="right",
            va="center",
            fontsize="small",
        )
    figure.suptitle(f"{name}: controls at the left", fontsize="medium", parse_math=False)
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
    r = results["r"].sel(metric=metric).isel(unit=kept_units(results)[target])
    if not r.sizes["unit"]:
        return None
    quartiles = r.mean("fold", skipna=True).quantile([0.25, 0.75], "unit", skipna=True)
    return np.asarray(quartiles.transpose("quantile", "source").values)
