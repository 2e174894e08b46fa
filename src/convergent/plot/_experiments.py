"""Figures of networks against networks: across layers, training and distribution shift."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..base.arguments import check_type
from ..base.arrays import Integers
from ..scoring.kinds import check_kind
from ._figure import (
    AGAINST_LABELS,
    COLOURS,
    MAP_LABELS,
    Picture,
    add_band,
    add_diagonal,
    add_headline,
    add_legend_beside,
    depth_labels,
    hide_spines,
    label_layers,
    layer_colours,
    named,
    new_figure,
    room_for,
    set_training_axis,
    tick_labels,
)

__all__ = ["hierarchy", "shift", "trajectory"]


def hierarchy(results: xr.Dataset) -> Picture:
    """Draw the scores of all pairs of layers, and the depth of the best source layers.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.hierarchy`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with one column per metric; save it with ``.savefig``. Above,
        colours are scores, and a dot marks the best source layer of each target layer; with a
        bootstrap, the size of the dot is the share of resamples in which this layer is the best.
        Below, the depth of the best source layer over that of the target layer; if depths
        correspond, points lie on the diagonal.

    Raises
    ------
    InputError
        If the result is of another kind.

    Examples
    --------
    >>> import convergent as cv
    >>> pairs = [cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), seed=i) for i in (0, 1)]
    >>> source, target = ({f"layer{i}": pair[k] for i, pair in enumerate(pairs)} for k in (0, 1))
    >>> figure = cv.plot.hierarchy(cv.hierarchy(source, target, "linear"))
    >>> [panel.get_xlabel() for panel in figure.axes[:2]]
    ['target layer', 'depth of target layer (0 first, 1 last)']
    >>> figure.savefig("hierarchy.png")  # doctest: +SKIP
    """
    check_kind(results, "hierarchy", "plot.hierarchy")
    metrics = results["metric"].values
    across, up = (room_for(tick_labels(results[side].values)) for side in ("source", "target"))
    figure = new_figure((4.2 + across) * len(metrics) + 0.4, 7.6 + 0.7 * up)
    panels = figure.subplots(2, len(metrics), squeeze=False, height_ratios=(1.4, 1))
    sources = list(results["source"].values)
    for (above, below), metric in zip(panels.T, metrics, strict=True):
        part = results.sel(metric=metric)
        partners = part["partner_of_target"].values
        best = np.array([sources.index(name) if name else -1 for name in partners])  # -1: none
        _draw_score_map(figure, above, part, best)
        _draw_depths(below, part, best)
    panels[0, 0].set_ylabel("source layer")
    panels[1, 0].set_ylabel("depth of best source layer")
    add_headline(
        figure,
        f"{results.attrs['n_stimuli']} stimuli, scored on those held out; dots: best source layer "
        "of each target",
    )
    return figure


def _draw_score_map(figure: Picture, panel: Axes, part: xr.Dataset, best: Integers) -> None:
    """Draw scores by one metric as colours, and a dot on the best source layer of each target."""
    image = panel.imshow(part["r"].values, cmap="viridis", origin="lower", aspect="auto")
    target = np.arange(part.sizes["target"])
    share = np.ones(len(target))
    if "sure_of_target" in part:
        share = part["sure_of_target"].values[target, best]
    known = best >= 0
    panel.scatter(
        target[known], best[known], s=8 + 60 * share[known], color="white", edgecolor="black"
    )
    label_layers(panel, part["target"].values)
    sources = tick_labels(part["source"].values)
    panel.set_yticks(range(len(sources)), sources, parse_math=False)
    panel.set_title(named(part["metric"].item(), 32), fontsize="medium", parse_math=False)
    panel.set_xlabel("target layer")
    figure.colorbar(image, ax=panel, label="r, median unit", shrink=0.8)


def _draw_depths(panel: Axes, part: xr.Dataset, best: Integers) -> None:
    """Draw the depth of the best source layer over the depth of the target layer."""
    add_diagonal(panel)
    depths = np.where(best < 0, np.nan, part["source_depth"].values[best])
    panel.plot(part["target_depth"], depths, "o-", color=COLOURS[0], markersize=4)
    found = float(part["depth_correlation"])
    title = f"rank correlation of depths {'not defined' if np.isnan(found) else f'{found:.2f}'}"
    if "depth_correlation_low" in part and not np.isnan(found):
        ends = (float(part[f"depth_correlation_{end}"]) for end in ("low", "high"))
        title += " (95%: {:.2f} to {:.2f})".format(*ends)
    panel.set_title(title, fontsize="small")
    panel.set_xlabel("depth of target layer (0 first, 1 last)")
    hide_spines(panel)


def shift(results: xr.Dataset, unit: str = "level of distortion") -> Picture:
    """Draw how much of each layer's score remains at each level of a distortion.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.shift`.
    unit : str
        Label of the axis of levels: the distortion and its unit.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with one column per metric. Each line is a layer, from the
        first (dark) to the last (light), with 95% intervals if the results have resamples: its
        score as a share of that on the control. Above, maps are fitted on the control stimuli;
        below, they are refitted on the stimuli of each level.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(results, "shift", "plot.shift")
    check_type(str, "a text", unit=unit)
    metrics, maps = results["metric"].values, results["map"].values
    room = room_for(tick_labels(results["layer"].values))
    up = room_for([named(level, 24) for level in results["level"].values])
    figure = new_figure(3.6 * len(metrics) + 1.6 + room, 5.6 + 0.7 * up)
    panels = _panels_by_metric(figure, len(maps), metrics, unit)
    for row, name in zip(panels, maps, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            _draw_drops(panel, results.sel(metric=metric, map=name))
        row[0].set_ylabel(f"r / r of control\n{MAP_LABELS[str(name)]}")
    for panel in panels[-1]:
        panel.tick_params(axis="x", rotation=45)
    add_legend_beside(figure, panels[0, 0], title="depth, layer")
    add_headline(figure, f"{results.attrs['n_stimuli']} stimuli, scored on those held out")
    return figure


def _panels_by_metric(figure: Picture, rows: int, metrics: NDArray[Any], unit: str) -> Any:
    """Make panels (row, metric) with common axes, titles above and the unit of x below."""
    panels = figure.subplots(rows, len(metrics), squeeze=False, sharex=True, sharey=True)
    for panel, metric in zip(panels[0], metrics, strict=True):
        panel.set_title(named(metric, 32), fontsize="medium", parse_math=False)
    for panel in panels[-1]:
        panel.set_xlabel(named(unit, 40), parse_math=False)
    return panels


def _draw_drops(panel: Axes, part: xr.Dataset) -> None:
    """Draw scores by one metric with one map, as a share of the control: one line per layer."""
    levels, layers = [part.attrs["control"], *part["level"].values], part["layer"].values
    x = np.arange(len(levels))
    labels = depth_labels(part)
    for colour, layer in zip(layer_colours(len(layers)), layers, strict=True):
        one = part.sel(layer=layer)
        share = [1, *(1 - one["drop"].values)]
        panel.plot(x, share, color=colour, label=labels[layer])
        if "drop_low" in one:
            low, high = ([1, *(1 - one[f"drop_{end}"].values)] for end in ("high", "low"))
            add_band(panel, x, low, high, colour, alpha=0.15)
    panel.set_xticks(x, [named(level, 24) for level in levels], parse_math=False)
    for height in (1, 0):
        panel.axhline(height, color="0.8", linewidth=0.8, zorder=0)
    hide_spines(panel)


def trajectory(results: xr.Dataset, unit: str = "epochs of training") -> Picture:
    """Draw scores at each step of training, with the other network then and at its last step.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.trajectory`.
    unit : str
        Label of the axis of steps.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with one column per metric: above, scores with the other
        network at the same step; below, with the other network at its last step. Each line is a
        layer, from the first (dark) to the last (light): the mean over pairs of runs. Bands are the
        range of the pairs, or the 95% interval if there is one pair with resamples. Dashed: the
        ceiling, mean over layers; dotted: chance; black: accuracy of the networks. Steps stand at
        their square roots, so that the first epoch is visible.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(results, "trajectory", "plot.trajectory")
    check_type(str, "a text", unit=unit)
    metrics, others = results["metric"].values, results["against"].values
    room = room_for(tick_labels(results["layer"].values))
    figure = new_figure(3.6 * len(metrics) + 2.2 + room, 6.2)
    panels = _panels_by_metric(figure, len(others), metrics, unit)
    for row, other in zip(panels, others, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            _draw_training(panel, results.sel(metric=metric, against=other))
        row[0].set_ylabel(f"r, median unit; other network\n{AGAINST_LABELS[str(other)]}")
    add_legend_beside(figure, panels[0, 0], title="depth, layer")
    pairs = results["pair"].values
    several = named(pairs[0]) if len(pairs) == 1 else f"{len(pairs)} pairs of runs: mean and range"
    n_stimuli = results.attrs["n_stimuli"]
    add_headline(figure, f"{n_stimuli} stimuli, scored on those held out; {several}")
    return figure


def _draw_training(panel: Axes, part: xr.Dataset) -> None:
    """Draw scores by one metric with one state of the other network: one line per layer."""
    steps, layers = part["step"].values, part["layer"].values
    labels = depth_labels(part)
    for colour, layer in zip(layer_colours(len(layers)), layers, strict=True):
        one = part.sel(layer=layer)
        r = one["r"]
        panel.plot(steps, r.mean("pair"), color=colour, label=labels[layer])
        low, high = r.min("pair"), r.max("pair")
        if part.sizes["pair"] == 1 and "r_low" in part:
            low, high = (one[f"r_{end}"][0] for end in ("low", "high"))
        add_band(panel, steps, low, high, colour, alpha=0.15)
    ceiling = part["ceiling"].mean(["run", "layer"])
    panel.plot(steps, ceiling, "--", color="0.4", linewidth=1, label="ceiling (with itself)")
    for name, style in zip(part.coords.get("chance", ()), cycle((":", "-.")), strict=False):
        chance = part["r_chance"].sel(chance=name).mean(["pair", "layer"])
        panel.plot(
            steps,
            chance,
            style,
            color="0.5",
            linewidth=1,
            label=f"chance: {named(name.item())}",
        )
    if "accuracy" in part:
        correct = part["accuracy"].mean("network")
        panel.plot(steps, correct, ".-", color="black", linewidth=1, label="accuracy")
    set_training_axis(panel, steps, part.attrs["early"])
    hide_spines(panel)
