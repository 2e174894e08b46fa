"""Figures of hierarchies: which layer of one network corresponds to which of another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ..base.arrays import Integers
from ..scoring.kinds import check_kind
from ._depth import (
    CONTROL_STYLES,
    axis_text,
    ceiling_name,
    is_narrow,
    keep_parts_apart,
    level_of,
    name_layers,
    not_noticed,
    width_of_panel,
    wrapped,
    write_headline,
)
from ._figure import (
    COLOURS,
    WIDEST,
    Labels,
    Panels,
    add_diagonal,
    add_legend,
    hide_spines,
    legend_label,
    make_panels,
    room_for,
)

__all__ = ["hierarchy", "matched_layers"]


def hierarchy(
    results: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw the scores of all pairs of layers, and the depth of the best source layers.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.hierarchy`.
    labels : dict of str, optional
        Texts that are shown for names of metrics and layers.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw the scores alone, if the result has one metric.

    Returns
    -------
    Figure, SubFigure or Axes
        The figure, or `ax` if it was given. One column per metric. Above, colours are scores, with
        one scale for all metrics, and a dot marks the best source layer of each target layer; with
        a bootstrap, the size of the dot is the share of resamples in which this layer is the best.
        Below, the depth of the best source layer over that of the target layer; if depths
        correspond, points lie on the diagonal.

    Raises
    ------
    InputError
        If the result is of another kind, or `ax` is given and there are several metrics.

    Examples
    --------
    >>> import convergent as cv
    >>> pairs = [cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), seed=i) for i in (0, 1)]
    >>> source, target = ({f"layer{i}": pair[k] for i, pair in enumerate(pairs)} for k in (0, 1))
    >>> figure = cv.plot.hierarchy(cv.hierarchy(source, target, "linear"))
    >>> [panel.get_xlabel() for panel in figure.axes[:2]]
    ['target layer', 'depth of target layer']
    >>> figure.savefig("hierarchy.png")  # doctest: +SKIP
    """
    check_kind(results, "hierarchy", "plot.hierarchy")
    texts, metrics = Labels.of(labels), results["metric"].values
    stacked = is_narrow(figure, len(metrics))
    panels, maps, depths = _panels(results, texts, figure, ax)
    scale = Normalize(float(results["r"].min()), float(results["r"].max()))
    for panel, metric in zip(maps, metrics, strict=True):
        image = _draw_scores(panel, results.sel(metric=metric), scale)
        panel.set_title(texts(metric, 32), fontsize="medium", parse_math=False)
    names = _name_layers(panels, maps, results, texts)
    for panel, metric in zip(depths, metrics, strict=False):
        title = _draw_depths(panel, results.sel(metric=metric))
        panel.set_title(wrapped(title, width_of_panel(panels), "small"), fontsize="small")
        panel.set_xlabel(wrapped("depth of target layer", width_of_panel(panels)))
        if stacked or panel is depths[0]:
            panel.set_ylabel(wrapped("depth of best source layer", 1.6))
    if stacked:  # below, where no panel is
        bar = panels.figure.colorbar(image, ax=panels.flat, location="bottom", aspect=30)
    else:
        bar = panels.figure.colorbar(image, ax=list(maps), pad=0.02, aspect=25)
    bar.set_label("r, median unit")
    write_headline(panels, _headline(results), names)
    return ax if ax is not None else panels.figure


def _panels(
    results: xr.Dataset, labels: Labels, figure: Figure | SubFigure | None, ax: Axes | None
) -> tuple[Panels, NDArray[Any], NDArray[Any]]:
    """Panels of scores and of depths by metric: below each other, or beside in a narrow figure."""
    n = results.sizes["metric"]
    across, up = (room_for(labels.short(results[side].values)[0]) for side in ("source", "target"))
    size = min(WIDEST, 3.3 * n + 1.6 + across), 6.4 + 0.7 * up
    if ax is not None:
        panels = make_panels(1, n, size, figure=figure, ax=ax)
        return panels, panels.grid[0], panels.grid[0][:0]
    keep_parts_apart(figure)
    if is_narrow(figure, n):
        panels = make_panels(n, 2, size, figure=figure, width_ratios=(1.5, 1))
        return panels, panels.grid[:, 0], panels.grid[:, 1]
    panels = make_panels(2, n, size, figure=figure, height_ratios=(1.6, 1))
    return panels, panels.grid[0], panels.grid[1]


def _headline(results: xr.Dataset) -> str:
    """Number of stimuli, and what dots are."""
    text = f"{results.attrs['n_stimuli']} stimuli, scored on those held out"
    if "simulated" in results.attrs:
        text = f"Simulated data: {text}"
    dots = "dots: best source layer of each target layer"
    if "sure_of_target" in results:
        dots += " (size: share of resamples in which it is the best)"
    return f"{text}; {dots}"


def _name_layers(panels: Panels, maps: NDArray[Any], results: xr.Dataset, labels: Labels) -> str:
    """Write names of target layers below the maps, and of source layers at the left.

    Return what was left out of them, for the headline, if there is no room for it.
    """
    first, stacked = maps[0], list(panels.grid[:, 0]) == list(maps)
    width = width_of_panel(panels)
    missing: dict[str, None] = {}
    for panel in maps:
        for axis, side in ((panel.xaxis, "target"), (panel.yaxis, "source")):
            pattern = name_layers(axis, results[side].values, labels, width)
            text = axis_text(f"{side} layer", pattern, width)
            missing |= {} if pattern in text else {f"layers: {pattern}": None}
            if side == "target" or panel is first or stacked:
                axis.set_label_text(text, parse_math=False)
        panel.tick_params(axis="y", labelleft=panel is first or stacked)
    return "; ".join(missing)


def _draw_scores(panel: Axes, part: xr.Dataset, scale: Normalize) -> Any:
    """Draw scores by one metric as colours, and a dot on the best source layer of each target."""
    colours = colormaps["viridis"].with_extremes(bad="0.85")
    values = part["r"].transpose("source", "target").values
    image = panel.imshow(values, cmap=colours, norm=scale, origin="lower", aspect="auto")
    best, target = _best(part), np.arange(part.sizes["target"])
    share = np.ones(len(target))
    if "sure_of_target" in part:
        share = part["sure_of_target"].transpose("target", "source").values[target, best]
    known = best >= 0
    size = (8 + 50 * share[known]) * min(1.0, 8 / max(values.shape))
    panel.scatter(target[known], best[known], s=size, color="white", edgecolor="black", lw=0.8)
    return image


def _best(part: xr.Dataset) -> Integers:
    """Position of the best source layer of each target layer; -1 if there is none."""
    sources = list(part["source"].values)
    partners = part["partner_of_target"].values
    return np.array([sources.index(name) if name else -1 for name in partners])


def _draw_depths(panel: Axes, part: xr.Dataset) -> str:
    """Draw the depth of the best source layer over that of the target layer; return a title."""
    best = _best(part)
    add_diagonal(panel)
    depths = np.where(best < 0, np.nan, part["source_depth"].values[best])
    panel.plot(part["target_depth"], depths, "o-", color=COLOURS[0], markersize=4)
    found = float(part["depth_correlation"])
    title = f"rank correlation of depths {'not defined' if np.isnan(found) else f'{found:.2f}'}"
    if "depth_correlation_low" in part and not np.isnan(found):
        ends = (float(part[f"depth_correlation_{end}"]) for end in ("low", "high"))
        title += "\n({}: {:.2f} to {:.2f})".format(level_of(part), *ends)
    panel.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    hide_spines(panel)
    return title


def matched_layers(
    results: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of layers at the same depth of both networks, with controls and ceiling.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.hierarchy`.
    labels : dict of str, optional
        Texts that are shown for names of metrics and controls.
    ax : Axes, optional
        Where to draw; by default, in a new figure.

    Returns
    -------
    Axes
        One line per metric: the score of each target layer with the source layer of the nearest
        depth. In the same colour: dashed, the ceiling; dotted and thin, controls in place of the
        source, of those that the metric notices (`rotated` axes change nothing where a metric
        ignores rotations).

    Raises
    ------
    InputError
        If the result is of another kind.

    Examples
    --------
    >>> import convergent as cv
    >>> pairs = [cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), seed=i) for i in (0, 1)]
    >>> source, target = ({f"layer{i}": pair[k] for i, pair in enumerate(pairs)} for k in (0, 1))
    >>> panel = cv.plot.matched_layers(cv.hierarchy(source, target, "linear"))
    >>> panel.get_ylabel()
    'r of layers at the same depth, median unit'
    """
    check_kind(results, "hierarchy", "plot.matched_layers")
    texts = Labels.of(labels)
    panels = make_panels(1, 1, (6.4, 4.0), ax=ax)
    (panel,) = panels.flat
    place = _nearest(results)
    notes, names = [], list(results.coords["chance"].values) if "chance" in results.coords else []
    for metric, colour in zip(results["metric"].values, cycle(COLOURS), strict=False):
        part = results.sel(metric=metric)
        label = legend_label(texts(metric, 32))
        r = part["r"].isel(source=place)
        panel.plot(r["target_depth"], r, "o-", color=colour, markersize=4, label=label)
        if part["ceiling"].notnull().any():
            panel.plot(r["target_depth"], part["ceiling"], "--", color=colour, linewidth=1)
        for name, style in zip(names, cycle(CONTROL_STYLES), strict=False):
            chance = part["r_chance"].sel(chance=name)
            if not_noticed(part["r"], chance):
                notes.append(f"{texts(name)}, {texts(metric, 32)}")
                continue
            chance = chance.isel(source=place)
            panel.plot(r["target_depth"], chance, linestyle=style, color=colour, linewidth=1)
    _add_key(panels, results, texts)
    panel.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    panel.set_xlabel("depth of layer (0 first, 1 last)")
    panel.set_ylabel("r of layers at the same depth, median unit")
    hide_spines(panel)
    text = f"{results.attrs['n_stimuli']} stimuli, scored on those held out"
    left_out = f"Not drawn, as the control leaves the scores as they are: {'; '.join(notes)}."
    write_headline(panels, text, left_out if notes else "")
    return panel


def _nearest(results: xr.Dataset) -> xr.DataArray:
    """Position of the source layer whose depth is nearest to that of each target layer."""
    apart = np.abs(results["source_depth"].values[:, None] - results["target_depth"].values)
    return xr.DataArray(apart.argmin(axis=0), dims="target")


def _add_key(panels: Panels, results: xr.Dataset, labels: Labels) -> None:
    """Name metrics by colour, and ceiling and controls by the style of their lines."""
    (panel,) = panels.flat
    handles = list(panel.get_legend_handles_labels()[0])
    if results["ceiling"].notnull().any():
        handles.append(_line("--", ceiling_name(results)))
    names = results.coords["chance"].values if "chance" in results.coords else ()
    for name, style in zip(names, cycle(CONTROL_STYLES), strict=False):
        handles.append(_line(style, f"control: {labels(name)}"))
    place = {} if panels.given else {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    add_legend(panel, handles=handles, **place)


def _line(style: Any, label: str) -> Line2D:
    return Line2D([], [], color="0.4", linewidth=1, linestyle=style, label=label)
