"""Figures of distribution shift: how alignment changes when stimuli are distorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Literal

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..base.arguments import check_known, check_type
from ..base.arrays import Floats
from ..scoring.kinds import check_kind
from ._depth import (
    CONTROL_STYLES,
    add_key,
    add_layer_bar,
    banded,
    draw_layers,
    level_of,
    make_grid,
    not_noticed,
    set_level_axis,
    write_headline,
)
from ._figure import MAP_LABELS, Labels, hide_spines, room_for

__all__ = ["shift"]

_VALUES = {
    "share": "r / r at the first level",
    "r": "r, median unit",
}


def shift(
    results: xr.Dataset,
    unit: str = "level of distortion",
    *,
    value: Literal["share", "r"] = "share",
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw the score of each layer at each level of a distortion.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.shift`. For fewer panels or lines, choose with lists, as in
        ``results.sel(map=["refitted"])``.
    unit : str
        Label of the axis of levels: the distortion and its unit.
    value : {"share", "r"}
        Scores as a share of those at the first level (undistorted stimuli), or as they are.
    labels : dict of str, optional
        Texts that are shown for names of metrics, layers, levels and controls.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if the result has one metric and one map.

    Returns
    -------
    Figure, SubFigure or Axes
        The figure, or `ax` if it was given. One column per metric: above, maps are fitted on the
        undistorted stimuli; below, they are refitted on the stimuli of each level. Each line is a
        layer, whose colour the bar names, with confidence intervals if the results have resamples
        (of more than eight layers: the first, middle and last). Grey, dotted: controls in place of
        the source that the metric notices, mean over layers. Black: accuracy. Levels that are
        numbers stand at their places.

    Raises
    ------
    InputError
        If the result is of another kind, `value` is unknown, or `ax` is given and several panels
        are needed.
    """
    check_kind(results, "shift", "plot.shift")
    check_type(str, "a text", unit=unit)
    check_known("value", value, _VALUES)
    texts, metrics = Labels.of(labels), results["metric"].values
    rows = {str(name): MAP_LABELS[str(name)] for name in results["map"].values}
    axes = {"x": unit, "y": _VALUES[value] + ("; accuracy" if "accuracy" in results else "")}
    place, room = {"figure": figure, "ax": ax}, room_for(texts.short(results["layer"].values)[0])
    grid = make_grid(rows, metrics, (3.1, 2.6), place, axes, texts, room)
    levels = [results.attrs["control"], *results["level"].values]
    x, scale = set_level_axis(grid, levels, unit, texts)
    left_out: dict[str, list[str]] = {}
    for row, name in zip(grid.by, results["map"].values, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            part = results.sel(metric=metric, map=name)
            for control in _draw_levels(panel, x, part, value, texts):
                left_out.setdefault(control, []).append(texts(metric, 32))
    names = add_layer_bar(grid.panels, results["layer"].values, texts)
    add_key(grid.panels)
    notes = [
        f"Control {name} is not drawn for {' and '.join(dict.fromkeys(of))}: it leaves these "
        "scores as they are."
        for name, of in left_out.items()
    ]
    write_headline(grid.panels, _headline(results, texts), scale, names, *notes)
    return grid.panels.flat[0] if ax is not None else grid.panels.figure


def _headline(results: xr.Dataset, labels: Labels) -> str:
    """Number of stimuli, the control, and what lines and bands are."""
    n, control = results.attrs["n_stimuli"], labels(results.attrs["control"], 24)
    text = f"{n} stimuli, scored on those held out; first level: {control}; each line a layer"
    if "drop_low" in results:
        text += f"; bands: {level_of(results)} interval over stimuli"
        if len(banded(results.sizes["layer"])) < results.sizes["layer"]:
            text += " (first, middle and last layer)"
    return text


def _joined(control: xr.DataArray, distorted: xr.DataArray) -> xr.DataArray:
    """Values on the control and at all levels, along ``level``."""
    first = control.expand_dims(level=["control"]).drop_vars("level")
    return xr.concat([first, distorted.drop_vars("level")], "level").transpose("level", ...)


def _curves(part: xr.Dataset, value: str) -> list[xr.DataArray]:
    """Curves of layers (level, layer), then the ends of their intervals if there are any."""
    if value == "r":
        ends = [f"_{end}" for end in ("low", "high") if f"r_{end}" in part]
        return [_joined(part[f"r_control{end}"], part[f"r{end}"]) for end in ("", *ends)]
    whole = xr.ones_like(part["r_control"]).where(part["r_control"].notnull())
    ends = ["_high", "_low"] if "drop_low" in part else []
    return [_joined(whole, 1 - part[f"drop{end}"]) for end in ("", *ends)]


def _draw_levels(
    panel: Axes, x: Floats, part: xr.Dataset, value: str, labels: Labels
) -> Sequence[str]:
    """Draw scores by one metric with one map; return the controls that it does not notice."""
    curves, *ends = _curves(part, value)
    draw_layers(panel, x, curves, ends or None)
    whole = part["r_control"].mean() if value == "share" else xr.DataArray(1.0)
    whole = whole.where(whole > 0)
    left_out = []
    for name, style in zip(part.coords.get("chance", ()), cycle(CONTROL_STYLES), strict=False):
        one, text = part.sel(chance=name), labels(name.item())
        chance = _joined(one["r_chance_control"], one["r_chance"])
        if not_noticed(_joined(part["r_control"], part["r"]), chance):
            left_out.append(text)
            continue
        label = f"control: {text}, mean over layers"
        values = chance.mean("layer") / whole
        panel.plot(x, values, linestyle=style, color="0.4", linewidth=1.2, label=label)
    if "accuracy" in part:
        correct = _joined(part["accuracy_control"], part["accuracy"])
        label = "accuracy, mean over networks"
        if value == "share":
            correct = correct / part["accuracy_control"].where(part["accuracy_control"] > 0)
            label = "accuracy / accuracy at the first level"
        panel.plot(x, correct.mean("network"), ".-", color="black", linewidth=1.2, label=label)
    for height in (1, 0) if value == "share" else (0,):
        panel.axhline(height, color="0.85", linewidth=0.8, zorder=0)
    hide_spines(panel)
    return left_out
