"""Panels of the figures of units: their arrangement, titles, and axes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..base.arguments import check_type
from ..features._two_populations import SIDES
from ._figure import (
    COLOURS,
    MOST_TICKS,
    Labels,
    Panels,
    add_headline,
    add_legend,
    hide_spines,
    label_axis,
    make_panels,
    named,
    side_label,
)
from ._hover import add_hover

__all__ = [
    "LEAST_WIDTH",
    "arranged",
    "both_sides",
    "draw_numbers_needed",
    "draw_over_layers",
    "entitle",
    "headline",
    "inches_of",
    "set_r_axis",
    "width_of",
    "write_layer_axis",
    "write_small",
]

LEAST_WIDTH = 2.2  # inches of a panel with its labels
_LETTER = 0.06  # inches, of small ones
_BOLD_LETTER = 0.075
_LINE = 0.17  # inches of an oblique line of text
_HANDLE = 0.3  # inches of a legend beside a text
_TICKS_TO_COUNT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def inches_of(figure: Figure | SubFigure) -> float:
    """Width of a figure, or of a part of one."""
    check_type((Figure, SubFigure), "a matplotlib figure or subfigure", figure=figure)
    return float(figure.bbox.width) / figure.dpi


def arranged(
    n: int,
    columns: int,
    size: tuple[float, float],
    figure: Figure | SubFigure | None,
    **options: Any,
) -> Panels:
    """So many panels in so many columns, or in one where the figure is too narrow for these."""
    if figure is not None and inches_of(figure) < columns * LEAST_WIDTH:
        columns = 1
    return make_panels(n // columns, columns, size, figure=figure, **options)


def width_of(panel: Axes) -> float:
    """About how many inches a panel has between its labels, before anything is drawn."""
    place = panel.get_subplotspec()
    if place is None:
        return float(panel.get_position().width) * inches_of(panel.figure)
    columns = place.get_gridspec().ncols / len(place.colspan)
    return max(1.0, inches_of(panel.figure) / columns - 0.8)


def entitle(panel: Axes, title: str, columns: int = 0) -> None:
    """Write a title above a panel, and below it a legend of at most so many columns."""
    room = width_of(panel)
    title = textwrap.fill(title, max(12, int(room / _BOLD_LETTER)))
    if not columns:
        style: dict[str, Any] = {"fontsize": "small", "fontweight": "bold", "parse_math": False}
        panel.set_title(title, loc="left", **style)
        return
    lengths = [_LETTER * len(text) + _HANDLE for text in panel.get_legend_handles_labels()[1]]
    while columns > 1 and sum(max(part, default=0) for part in _split(lengths, columns)) > room:
        columns -= 1
    add_legend(
        panel,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        title=title,
        title_fontproperties={"size": "small", "weight": "bold"},
        alignment="left",
        handlelength=1.2,
        columnspacing=1,
        borderpad=0.2,
        borderaxespad=0.2,
    )


def _split(lengths: list[float], columns: int) -> list[list[float]]:
    """Entries of a legend, column by column, as matplotlib fills them."""
    return [part.tolist() for part in np.array_split(np.array(lengths), columns)]


def headline(panels: Panels, text: str) -> None:
    """Write a line above the panels, or several where they are narrow."""
    if not panels.given:
        most = int(inches_of(panels.figure) / _LETTER)
        add_headline(panels.figure, textwrap.fill(text, max(most, 20)), size="small")


def both_sides(found: xr.Dataset, labels: Labels) -> str:
    """Names of source and target, as in ``source: A; target: B``."""
    return "; ".join(side_label(found, side, labels) for side in SIDES)


def write_small(*panels: Axes) -> None:
    """Write ticks and labels of axes in small letters, and hide upper and right borders."""
    hide_spines(*panels)
    for panel in panels:
        panel.tick_params(labelsize="small")
        panel.xaxis.label.set_fontsize("small")
        panel.yaxis.label.set_fontsize("small")


def set_r_axis(panel: Axes, *values: Any) -> None:
    """Let an axis of correlations go from 0, or from below the least value, to 1."""
    known = np.concatenate([np.ravel(one) for one in values])
    least = float(np.nanmin(known)) if np.isfinite(known).any() else 0.0
    panel.set_ylim(min(0.0, least - 0.05), 1.02)
    if least < 0:
        panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)


def write_layer_axis(panels: Panels, layers: Iterable[Any], labels: Labels) -> None:
    """Write names of layers below the panels of the last row, and what all have in common."""
    layers = [str(layer) for layer in layers]
    texts, _ = labels.short(layers)
    longest, room = max(map(len, texts), default=0), width_of(panels.flat[-1])
    fit = int(room / (_LETTER * (longest + 1)))  # side by side
    style: dict[str, Any] = {}
    if fit < min(len(texts), MOST_TICKS) and longest > 3:
        style, fit = {"rotation": 45, "ha": "right"}, int(room / _LINE)
    pattern = ""
    for panel in panels.grid[-1]:
        pattern = label_axis(panel.xaxis, layers, labels, max(1, min(fit, MOST_TICKS)), **style)
        panel.set_xlim(-0.6, len(layers) - 0.4)
    most = max(20, int(inches_of(panels.figure) / _LETTER))
    text = f"layer: {named(pattern, most)}" if pattern else "layer"
    panels.figure.supxlabel(text, fontsize="small", parse_math=False)


def draw_over_layers(panel: Axes, curves: dict[str, Any], colours: Iterable[str]) -> None:
    """Draw curves over layers, each under its name."""
    for (name, values), colour in zip(curves.items(), colours, strict=False):
        n = len(values)
        size = 4 if n <= MOST_TICKS else 2.5
        (line,) = panel.plot(np.arange(n), values, "o-", color=colour, label=name, markersize=size)
        add_hover(line, [f"{name}, layer {k + 1}: {value:.3g}" for k, value in enumerate(values)])


def draw_numbers_needed(panel: Axes, numbers: xr.Dataset) -> None:
    """Draw the effective numbers of source units that stand for a target unit, over layers."""
    curves = {
        "sparse prediction": numbers["effective_sparse"],
        "soft matching": numbers["effective_soft"],
    }
    known = {name: values.where(values > 0).values for name, values in curves.items()}
    draw_over_layers(panel, known, (COLOURS[0], COLOURS[1]))
    every: NDArray[Any] = numbers["n_source"].values
    x = np.arange(len(every))
    panel.plot(x, every, "_--", color="0.5", linewidth=1, label="all source units")
    panel.set_yscale("log")
    most = float(np.nanmax(every, initial=1))
    panel.set_ylim(0.85, 1.3 * most)
    panel.set_yticks([tick for tick in _TICKS_TO_COUNT if tick <= 1.2 * most])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.set_ylabel("effective number\nper target unit")
