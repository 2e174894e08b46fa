"""Figures of the findings on small networks: one figure per finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..base.arguments import check_known
from ..experiments.kapoor2025.verdicts import Findings, matched, mean_drop_slope
from ..scoring.jackknife import over_networks
from ..scoring.kinds import check_type
from ._depth import (
    CONTROL_STYLES,
    add_key,
    keep_parts_apart,
    make_grid,
    name_x,
    not_noticed,
    set_training_axis,
    width_of,
    width_of_panel,
    wrapped,
    write_headline,
)
from ._figure import (
    AGAINST_LABELS,
    COLOURS,
    MAP_LABELS,
    Labels,
    Panels,
    add_band,
    hide_spines,
    legend_label,
    make_panels,
)

__all__ = ["findings"]

_SCORES = (-0.1, 1.02)  # range of axes of scores
_WIDE = 9  # inches from which all panels of shift stand side by side
_LEAST_SEEDS = 3  # for intervals
_INTERVALS = "95% confidence interval for other seeds of the networks"
_Place = Figure | SubFigure | None


def findings(
    found: Findings,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Mapping[str, Figure | SubFigure] | None = None,
) -> dict[str, Any]:
    """Draw each finding, with its verdict as headline.

    The numbers that a verdict rests on are in ``found.verdicts``.

    Parameters
    ----------
    found : Findings
        From `convergent.findings`.
    labels : dict of str, optional
        Texts that are shown for names of metrics, groups of networks, distortions and controls.
    figure : dict of Figure or SubFigure, optional
        Where to draw, by name of the finding; only these are drawn. By default, all four are, each
        in a new figure.

    Returns
    -------
    dict of Figure or SubFigure
        Figures by name: ``metrics``, ``correspondence``, ``training`` and ``shift``. Bands and bars
        are 95% confidence intervals for other seeds of the networks, if there are three seeds or
        more.

    Raises
    ------
    InputError
        If the result is of another kind, or there is no finding of a name in `figure`.
    """
    check_type(found, Findings, "plot.findings", "convergent.findings")
    texts = Labels.of(labels)
    draw: dict[str, Callable[[Findings, Labels, _Place], tuple[Panels, str]]] = {
        "metrics": _metrics,
        "correspondence": _correspondence,
        "training": _training,
        "shift": _shift,
    }
    for name in figure or ():
        check_known("finding", name, draw)
    figures = {}
    for (name, drawn), row in zip(draw.items(), found.verdicts.itertuples(), strict=True):
        if figure is not None and name not in figure:
            continue
        panels, what = drawn(found, texts, None if figure is None else figure[name])
        finding = str(row.finding)
        write_headline(panels, f"{finding[:1].upper()}{finding[1:]}: {row.verdict}", what)
        figures[name] = panels.figure
    return figures


def _metrics(found: Findings, labels: Labels, figure: _Place) -> tuple[Panels, str]:
    """Scores of layers at the same depth over depth, one panel per group, with controls."""
    result = found.hierarchy
    groups = list(dict.fromkeys(result["group"].values))
    axes = {"x": "depth of layer (0 first, 1 last)", "y": "r of layers at the same depth"}
    place = {"figure": figure, "ax": None}
    grid = make_grid({"": ""}, groups, (3.4, 2.8), place, axes, labels)
    for panel, group in zip(grid.panels.flat, groups, strict=True):
        part = result.isel(pair=(result["group"] == group).values)
        each = over_networks(part, lambda data: matched(data).isel(group=0))
        for colour, metric in _coloured(result):
            _band(panel, each["depth"], each.sel(metric=metric), colour, labels(metric, 32))
        soft = part.sel(metric="soft-matching")
        r, chance = matched(soft), matched(soft, "r_chance")
        _draw_controls(panel, r["depth"], r, chance, labels)
        hide_spines(panel)
    _show_all(grid.panels)
    add_key(grid.panels)
    return grid.panels, _bands(result, "median unit; bands")


def _show_all(panels: Panels) -> None:
    """Give panels an axis of scores in which all lines are seen."""
    lines = [
        line for panel in panels.flat for line in panel.lines if str(line.get_label())[:1] != "_"
    ]
    heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    low, high = np.nanmin(heights, initial=_SCORES[0]), np.nanmax(heights, initial=_SCORES[1])
    for panel in panels.flat:
        panel.set_ylim(low, high)


def _correspondence(found: Findings, labels: Labels, figure: _Place) -> tuple[Panels, str]:
    """Mean scores of all pairs of layers, one row per group, with one scale of colours."""
    result = found.hierarchy
    groups, metrics = list(dict.fromkeys(result["group"].values)), result["metric"].values
    size = 2.9 * len(metrics) + 1.4, 2.6 * len(groups) + 1.4
    keep_parts_apart(figure)
    panels = make_panels(len(groups), len(metrics), size, figure=figure, sharex=True, sharey=True)
    parts = [result.isel(pair=(result["group"] == group).values) for group in groups]
    means = [part["r"].mean("pair") for part in parts]
    scale = Normalize(min(float(r.min()) for r in means), max(float(r.max()) for r in means))
    for row, group, part, mean in zip(panels.grid, groups, parts, means, strict=True):
        ranks = over_networks(part, lambda data: data["depth_correlation"].isel(group=0))
        for panel, metric in zip(row, metrics, strict=True):
            image = _draw_layers(panel, mean.sel(metric=metric).values, scale)
            text = f"{labels(metric, 32)}\nrank correlation {_text(ranks.sel(metric=metric))}"
            panel.set_title(
                wrapped(text, width_of_panel(panels), "small"), fontsize="small", parse_math=False
            )
        row[0].set_ylabel(f"{labels(group, 40)}\nsource layer", parse_math=False)
    name_x(panels, "target layer")
    panels.figure.colorbar(image, ax=panels.flat, label="r, median unit", aspect=30, pad=0.02)
    text = "dots: best source layer of each target layer; rank correlation: of their depths"
    return panels, _bands(result, f"{text}; in brackets")


def _draw_layers(panel: Axes, values: NDArray[Any], scale: Normalize) -> Any:
    """Draw scores of all pairs of layers, and a dot on the best source layer of each target."""
    image = panel.imshow(values, cmap="viridis", norm=scale, origin="lower", aspect="auto")
    best = values.argmax(axis=0)
    size = 6 * min(1.0, (8 / len(values)) ** 0.5)
    panel.plot(range(len(best)), best, "o", color="white", markeredgecolor="black", ms=size)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return image


def _training(found: Findings, labels: Labels, figure: _Place) -> tuple[Panels, str]:
    """Mean scores over layers at each step, with the other network then and at its last step."""
    result = found.trajectory
    ways = [str(way) for way in result["against"].values]
    titles = Labels({way: f"other network {AGAINST_LABELS[way]}" for way in ways})
    axes = {"x": "epochs of training", "y": "r, mean over layers; accuracy"}
    grid = make_grid({"": ""}, ways, (4.4, 3.0), {"figure": figure, "ax": None}, axes, titles)
    steps, early = result["step"].values, result.attrs["early"]
    each = over_networks(result, lambda data: data["r"].mean(["group", "layer"]))
    correct = over_networks(result, lambda data: data["accuracy"].mean(["group", "network"]))
    soft = result.sel(metric="soft-matching")
    for panel, way in zip(grid.panels.flat, ways, strict=True):
        for colour, metric in _coloured(result):
            one = each.sel(metric=metric, against=way)
            _band(panel, steps, one, colour, labels(metric, 32))
        _band(panel, steps, correct, "black", "accuracy")
        part = soft.sel(against=way)
        _draw_controls(panel, steps, part["r"], part["r_chance"], labels)
        hide_spines(panel)
    _show_all(grid.panels)
    scale = set_training_axis(grid.panels, steps, early, axes["x"])
    add_key(grid.panels)
    return grid.panels, _bands(result, f"{scale}; bands")


def _shift(found: Findings, labels: Labels, figure: _Place) -> tuple[Panels, str]:
    """Drops of the last less the first layer, by distortion; drops over depth, mean over all."""
    result = found.shift
    distortions, maps = list(result["distortion"].values), list(result["map"].values)
    height = 0.3 * len(distortions) + 2.2
    keep_parts_apart(figure)
    beside = figure is None or width_of(figure) >= _WIDE
    shape = (1, 2 * len(maps)) if beside else (len(maps), 2)
    panels = make_panels(
        *shape, (12, height), figure=figure, width_ratios=[1.3, 1] * (shape[1] // 2)
    )
    lefts, rights = (panels.grid.ravel()[k::2] for k in (0, 1))
    slopes = over_networks(result, mean_drop_slope)
    drops = over_networks(
        result, lambda data: data["drop"].mean(["group", "level"]).mean("distortion")
    )
    for name, left, right in zip(maps, lefts, rights, strict=True):
        _draw_slopes(left, slopes.sel(map=name))
        title = wrapped(MAP_LABELS[str(name)], width_of_panel(panels))
        left.set_title(title, fontsize="medium", loc="left")
        named = left is lefts[0] or not beside
        texts = [labels(one, 24) if named else "" for one in distortions[::-1]]
        left.set_yticks(range(len(distortions)), texts, parse_math=False)
        for colour, metric in _coloured(result):
            one = drops.sel(metric=metric, map=name)
            _band(right, drops["depth"], one, colour, labels(metric, 32))
        right.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        right.set_xlabel("depth of layer")
        right.set_ylabel("drop, mean over\ndistortions")
    for several in (lefts, rights):  # one scale for both maps
        _share_scales(several)
    hide_spines(*panels.flat)
    add_key(panels)
    return panels, _bands(result, "drop: 1 - r / r at the first level; bars and bands")


def _share_scales(panels: NDArray[Any]) -> None:
    """Give panels the same limits, those in which all is seen."""
    for kind in ("x", "y"):
        ends = np.array([getattr(panel, f"get_{kind}lim")() for panel in panels])
        for panel in panels:
            getattr(panel, f"set_{kind}lim")(ends[:, 0].min(), ends[:, 1].max())


def _draw_slopes(panel: Axes, slopes: xr.Dataset) -> None:
    """Draw how much more the last layer drops than the first; the first distortion is on top."""
    rows = np.arange(slopes.sizes["distortion"])[::-1]
    for i, (colour, metric) in enumerate(_coloured(slopes)):
        one = slopes.sel(metric=metric)
        x, y = one["estimate"], rows + 0.2 * (1 - i)
        bars = np.abs([x - one["low"], one["high"] - x])
        panel.errorbar(x, y, xerr=bars, fmt="o", color=colour, markersize=4, linewidth=1)
    panel.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    panel.set_xlabel("drop of last layer\nminus drop of first")


def _draw_controls(
    panel: Axes, x: Any, r: xr.DataArray, chance: xr.DataArray, labels: Labels
) -> None:
    """Draw scores of soft matching with each control that it notices, in broken lines."""
    for name, style in zip(chance["chance"].values, CONTROL_STYLES, strict=False):
        one = chance.sel(chance=name)
        if not_noticed(r, one):
            continue
        curve = one.mean([dim for dim in one.dims if dim in ("pair", "layer") and dim != _dim(x)])
        label = f"control: {labels(name)}, soft-matching"
        panel.plot(x, curve, linestyle=style, color="0.4", linewidth=1, label=label)


def _dim(x: Any) -> str:
    """Dim along which a curve goes."""
    return str(x.dims[0]) if isinstance(x, xr.DataArray) else "step"


def _coloured(result: xr.Dataset) -> Iterator[tuple[str, Any]]:
    """Pair each metric with its colour."""
    return zip(COLOURS, result["metric"].values, strict=False)


def _band(panel: Axes, x: Any, estimate: xr.Dataset, colour: str, label: str) -> None:
    """Draw a curve with its interval."""
    panel.plot(x, estimate["estimate"], ".-", color=colour, label=legend_label(label))
    low, high = estimate["low"].values, estimate["high"].values
    add_band(panel, x, low, high, colour)


def _text(estimate: xr.Dataset) -> str:
    """An estimate with its interval, if there is one."""
    text = f"{float(estimate['estimate']):.2f}"
    if np.isfinite(estimate["low"]):
        text += f" [{float(estimate['low']):.2f}, {float(estimate['high']):.2f}]"
    return text


def _bands(result: xr.Dataset, what: str) -> str:
    """Number of networks, and what bands or bars are, if there are any."""
    seeds = np.union1d(result["source_seed"], result["target_seed"])
    text = f"{result.sizes['pair']} pairs of networks, {len(seeds)} seeds"
    before, _, bands = what.rpartition("; ")
    if len(seeds) < _LEAST_SEEDS:
        return "; ".join(filter(None, [text, before, "too few for intervals"]))
    return "; ".join(filter(None, [text, before, f"{bands}: {_INTERVALS}"]))
