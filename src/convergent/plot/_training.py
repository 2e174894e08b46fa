"""Figures of training: when the alignment of two networks emerges, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..base.arguments import as_list, check_type
from ..base.errors import InputError
from ..scoring.kinds import check_kind
from ._depth import (
    ACCURACY,
    CONTROL_STYLES,
    Grid,
    add_key,
    add_layer_bar,
    banded,
    ceiling_name,
    draw_layers,
    keep_parts_apart,
    level_of,
    make_grid,
    name_x,
    not_noticed,
    set_training_axis,
    width_of_panel,
    wrapped,
    write_headline,
)
from ._figure import (
    AGAINST_LABELS,
    COLOURS,
    Labels,
    add_band,
    hide_spines,
    legend_label,
    make_panels,
    named,
    room_for,
)

__all__ = ["depth_profiles", "emergence", "trajectory"]


def trajectory(
    results: xr.Dataset,
    unit: str = "epochs of training",
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw scores of each layer at each step of training.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.trajectory`. For fewer panels or lines, choose with lists, as in
        ``results.sel(against=["final"])``.
    unit : str
        Label of the axis of steps.
    labels : dict of str, optional
        Texts that are shown for names of metrics, layers and controls.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if the result has one metric and one state of the other network.

    Returns
    -------
    Figure, SubFigure or Axes
        The figure, or `ax` if it was given. One column per metric: above, scores with the other
        network at the same step; below, with the other network at its last step. Each line is a
        layer, whose colour the bar names: the mean over pairs of runs. Bands are the range of the
        pairs, or the confidence interval if there is one pair with resamples; of more than eight
        layers, those of the first, middle and last. Dashed: the ceiling; grey, dotted: controls, of
        those that the metric notices; both are means over layers. Black: accuracy of the networks.
        Where the first epoch is a small part of the training, the axis is linear up to its end and
        logarithmic from there.

    Raises
    ------
    InputError
        If the result is of another kind, or `ax` is given and several panels are needed.
    """
    check_kind(results, "trajectory", "plot.trajectory")
    check_type(str, "a text", unit=unit)
    texts = Labels.of(labels)
    y = "r, median unit" + ("; accuracy" if "accuracy" in results else "")
    grid = _grid(results, {"x": unit, "y": y}, {"figure": figure, "ax": ax}, texts)
    left_out: dict[str, list[str]] = {}
    for row, other in zip(grid.by, results["against"].values, strict=True):
        for panel, metric in zip(row, results["metric"].values, strict=True):
            part = results.sel(metric=metric, against=other)
            for control in _draw_training(panel, part, texts):
                left_out.setdefault(control, []).append(texts(metric, 32))
    steps = set_training_axis(grid.panels, results["step"].values, results.attrs["early"], unit)
    names = add_layer_bar(grid.panels, results["layer"].values, texts)
    add_key(grid.panels)
    write_headline(grid.panels, _headline(results), steps, names, *_notes(left_out))
    return grid.panels.flat[0] if ax is not None else grid.panels.figure


def _grid(
    results: xr.Dataset, text: Mapping[str, str], place: Mapping[str, Any], labels: Labels
) -> Grid:
    """Panels for each state of the other network and each metric."""
    rows = {
        str(name): f"other network {AGAINST_LABELS[str(name)]}"
        for name in results["against"].values
    }
    room = room_for(labels.short(results["layer"].values)[0])
    return make_grid(rows, results["metric"].values, (3.1, 2.8), place, text, labels, room)


def _headline(results: xr.Dataset) -> str:
    """Number of stimuli, and what lines and bands are."""
    pairs = results["pair"].values
    text = f"{results.attrs['n_stimuli']} stimuli, scored on those held out"
    if "simulated" in results.attrs:
        text = f"Simulated data: {text}"
    lines, of = "each line a layer", _bands_of(results)
    if len(pairs) > 1:
        lines += f", mean of {len(pairs)} pairs of runs"
    else:
        text = f"{named(pairs[0])}: {text}"
    if of and len(banded(results.sizes["layer"])) < results.sizes["layer"]:
        of += " (first, middle and last layer)"
    return "; ".join(filter(None, [text, lines, of and f"bands: {of}"]))


def _bands_of(results: xr.Dataset) -> str:
    """What bands are; '' if there are none."""
    if results.sizes["pair"] > 1:
        return "range of the pairs"
    return f"{level_of(results)} interval over stimuli" if "r_low" in results else ""


def _notes(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    """Which controls are not drawn, since a metric does not notice them."""
    return [
        f"Control {name} is not drawn for {' and '.join(dict.fromkeys(metrics))}: it leaves these "
        "scores as they are."
        for name, metrics in left_out.items()
    ]


def _ends(part: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Ends of the bands around r: the range of pairs, or the interval of one."""
    if part.sizes["pair"] > 1:
        return part["r"].min("pair"), part["r"].max("pair")
    if "r_low" in part:
        return part["r_low"].isel(pair=0), part["r_high"].isel(pair=0)
    return None


def _draw_training(panel: Axes, part: xr.Dataset, labels: Labels) -> list[str]:
    """Draw scores by one metric with one state of the other network; return unnoticed controls."""
    steps = part["step"].values
    draw_layers(panel, steps, part["r"].mean("pair"), _ends(part))
    if "ceiling" in part:
        ceiling = part["ceiling"].mean(["run", "layer"])
        label = f"{ceiling_name(part)}, mean over layers"
        panel.plot(steps, ceiling, "--", color="0.4", linewidth=1, label=label)
    left_out = []
    for name, style in zip(part.coords.get("chance", ()), cycle(CONTROL_STYLES), strict=False):
        chance, text = part["r_chance"].sel(chance=name), labels(name.item())
        if not_noticed(part["r"], chance):
            left_out.append(text)
            continue
        label = f"control: {text}, mean over layers"
        values = chance.mean(["pair", "layer"])
        panel.plot(steps, values, linestyle=style, color="0.4", linewidth=1.2, label=label)
    if "accuracy" in part:
        correct = part["accuracy"].mean("network")
        panel.plot(steps, correct, ".-", color="black", linewidth=1.2, label=ACCURACY)
    panel.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    hide_spines(panel)
    return left_out


def emergence(
    results: xr.Dataset,
    unit: str = "epochs of training",
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw which share of the final alignment is reached at each step of training.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.trajectory`.
    unit : str
        Label of the axis of steps.
    labels : dict of str, optional
        Texts that are shown for names of metrics.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if the result has one state of the other network.

    Returns
    -------
    Figure, SubFigure or Axes
        The figure, or `ax` if it was given. One panel per state of the other network, one line per
        metric: the share of the growth of r (mean over layers) from the first to the last step that
        is reached at each step, mean over pairs of runs. Bars at the early step are the confidence
        interval of one pair with resamples, or the range of several pairs. Black: the same share of
        the accuracy. A metric by which r did not grow has no line (see `convergent.trajectory`).

    Raises
    ------
    InputError
        If the result is of another kind, or `ax` is given and two panels are needed.
    """
    check_kind(results, "trajectory", "plot.emergence")
    check_type(str, "a text", unit=unit)
    texts, others = Labels.of(labels), results["against"].values
    size = 3.4 * len(others) + 0.6, 3.9
    keep_parts_apart(figure)
    panels = make_panels(1, len(others), size, figure=figure, ax=ax, sharex=True, sharey=True)
    width, missing = width_of_panel(panels), []
    for panel, other in zip(panels.flat, others, strict=True):
        part = results.sel(against=other)
        missing += _draw_shares(panel, part, texts)
        title = wrapped(f"other network {AGAINST_LABELS[str(other)]}", width)
        panel.set_title(title, fontsize="medium")
    steps = set_training_axis(panels, results["step"].values, results.attrs["early"], unit)
    panels.flat[0].set_ylabel("share of the growth of r\n(0: first step, 1: last step)")
    add_key(panels)
    bars = f"; bars: {_bands_of(results)}" if _bands_of(results) else ""
    text = (
        f"{results.attrs['n_stimuli']} stimuli; r is the mean over {results.sizes['layer']} layers"
    )
    note = f"No line where r did not surely grow: {'; '.join(missing)}." if missing else ""
    write_headline(panels, text + bars, steps, note)
    return panels.flat[0] if ax is not None else panels.figure


def _draw_shares(panel: Axes, part: xr.Dataset, labels: Labels) -> list[str]:
    """Draw shares with one state of the other network; return metrics that have none."""
    steps, early, missing = part["step"].values, part.attrs["early"], []
    for height in (0, 1):
        panel.axhline(height, color="0.8", linewidth=0.8, zorder=0)
    for k, metric in enumerate(part["metric"].values):
        colour = COLOURS[k % len(COLOURS)]
        one = part.sel(metric=metric)
        share = _share(one["r"].mean("layer")).where(one["share_overall"].notnull())
        if share.isnull().all():
            missing.append(f"{labels(metric, 32)}, {AGAINST_LABELS[str(one['against'].item())]}")
            continue
        panel.plot(
            steps, share.mean("pair"), ".-", color=colour, label=legend_label(labels(metric, 32))
        )
        ends = _ends_of_share(one, share.sel(step=early))
        if ends is not None and np.isfinite(ends).all():
            panel.vlines(
                early * (1 + 0.04 * k), *ends, color=colour, linewidth=1.2
            )  # beside each other
    if "accuracy" in part:
        correct = _share(part["accuracy"]).mean("network")
        panel.plot(steps, correct, ".-", color="black", linewidth=1.2, label="accuracy")
    hide_spines(panel)
    return missing


def _share(values: xr.DataArray) -> xr.DataArray:
    """Growth until each step, as a share of that until the last."""
    first, last = (values.isel(step=k, drop=True) for k in (0, -1))
    growth = last - first
    return (values - first) / growth.where(growth > 0)


def _ends_of_share(one: xr.Dataset, at_early: xr.DataArray) -> tuple[float, float] | None:
    """Ends of the share at the early step: the range of pairs, or the interval of one."""
    if one.sizes["pair"] > 1:
        return float(at_early.min()), float(at_early.max())
    if "share_overall_low" not in one:
        return None
    low, high = (float(one[f"share_overall_{end}"][0]) for end in ("low", "high"))
    return low, high


def depth_profiles(
    results: xr.Dataset,
    steps: Sequence[float] | None = None,
    unit: str = "epoch",
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw scores of layers over their depth, at some steps of training.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.trajectory`.
    steps : sequence of float, optional
        Steps to draw; by default the first, the early and the last one.
    unit : str
        What steps are, for the legend.
    labels : dict of str, optional
        Texts that are shown for names of metrics.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if the result has one metric and one state of the other network.

    Returns
    -------
    Figure, SubFigure or Axes
        The figure, or `ax` if it was given. One column per metric, one row per state of the other
        network, one line per step: the mean over pairs of runs. Bands are the range of the pairs,
        or the confidence interval of one pair with resamples. Dashed: the ceiling at the last of
        the steps.

    Raises
    ------
    InputError
        If the result is of another kind, it lacks one of the steps, or `ax` is given and several
        panels are needed.
    """
    check_kind(results, "trajectory", "plot.depth_profiles")
    check_type(str, "a text", unit=unit)
    texts, known = Labels.of(labels), results["step"].values.tolist()
    if steps is None:
        steps = sorted({known[0], results.attrs["early"], known[-1]})
    steps = [float(step) for step in as_list("steps", steps, "a list of steps")]
    if not steps or not set(steps) <= set(known):
        raise InputError(f"steps are {steps}, and the result has {known}: choose of these.")
    axes = {"x": "", "y": "r, median unit"}
    grid = _grid(results, axes, {"figure": figure, "ax": ax}, texts)
    for row, other in zip(grid.by, results["against"].values, strict=True):
        for panel, metric in zip(row, results["metric"].values, strict=True):
            _draw_profiles(panel, results.sel(metric=metric, against=other), steps, unit)
    depth = name_x(grid.panels, "depth of layer", "0 first, 1 last")
    add_key(grid.panels)
    text, of = _headline(results).split(";")[0], _bands_of(results)
    write_headline(grid.panels, text + (f"; bands: {of}" if of else ""), depth)
    return grid.panels.flat[0] if ax is not None else grid.panels.figure


def _draw_profiles(panel: Axes, part: xr.Dataset, steps: Sequence[float], unit: str) -> None:
    """Draw scores over depth by one metric, one line per step."""
    depth, ends = part["depth"], _ends(part)
    for k, step in enumerate(steps):
        colour = COLOURS[k % len(COLOURS)]
        r = part["r"].mean("pair").sel(step=step)
        panel.plot(depth, r, ".-", color=colour, label=f"{named(unit, 24)} {step:g}")
        if ends is not None:
            low, high = (end.sel(step=step) for end in ends)
            add_band(panel, depth, low, high, colour)
    if "ceiling" in part:
        ceiling = part["ceiling"].sel(step=steps[-1]).mean("run")
        label = f"{ceiling_name(part)}, {named(unit, 24)} {steps[-1]:g}"
        panel.plot(depth, ceiling, "--", color="0.4", linewidth=1, label=label)
    panel.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    hide_spines(panel)
