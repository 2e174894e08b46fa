"""What figures share: a figure that notebooks display, colours, axes, legends and headlines."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from numpy.typing import NDArray

from ..base.errors import shortened, shown

__all__ = [
    "AGAINST_LABELS",
    "CLASS_COLOURS",
    "COLOURS",
    "MAP_LABELS",
    "MODELS",
    "UNCLASSIFIED_COLOURS",
    "Picture",
    "add_band",
    "add_diagonal",
    "add_headline",
    "add_legend",
    "add_legend_above",
    "add_legend_beside",
    "depth_labels",
    "draw_by_layer",
    "draw_scale",
    "hide_spines",
    "hide_ticks",
    "label_layers",
    "layer_colours",
    "legend_label",
    "named",
    "new_figure",
    "room_for",
    "set_training_axis",
    "side_label",
    "tick_labels",
]

# Okabe and Ito's colours, which differ with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")

# classes of units, and of those that the data do not classify
CLASS_COLOURS = {"shared": COLOURS[0], "partly shared": COLOURS[5], "unique": COLOURS[1]}
UNCLASSIFIED_COLOURS = {"few responses": "0.6", "unreliable": "0.7", "silent": "0.85"}

MODELS = {
    "single": ("one unit", COLOURS[1]),
    "lasso": ("few units (Lasso)", COLOURS[0]),
    "ridge": ("all units (ridge)", COLOURS[2]),
}

# labels of the maps of `shift`, and of the states of the other network in `trajectory`
MAP_LABELS = {"transferred": "map fitted on the control", "refitted": "map refitted on each level"}
AGAINST_LABELS = {"same step": "at the same step", "final": "at its last step"}


class Picture(Figure):
    """A matplotlib figure that notebooks display without a call."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of a width and height in inches, whose parts do not overlap."""
    return Picture(figsize=(width, height), layout="constrained")


def hide_spines(*panels: Axes) -> None:
    """Hide the upper and right border of panels."""
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)


def hide_ticks(panel: Axes) -> None:
    """Hide the ticks of both axes, as of an image."""
    panel.set_xticks([])
    panel.set_yticks([])


def set_training_axis(panel: Axes, steps: NDArray[np.float64], early: float) -> None:
    """Place steps of a training at their square roots, so that the first epoch is visible."""
    panel.axvline(early, color="0.85", linewidth=0.8, zorder=0)
    panel.set_xscale("function", functions=(lambda x: np.sqrt(np.abs(x)), np.square))
    panel.set_xlim(0, steps[-1])
    later = steps[steps >= early]
    panel.set_xticks([0.0, *sorted({float(later[k]) for k in (0, len(later) // 3, -1)})])
    panel.xaxis.set_major_formatter("{x:g}")


_MOST_OF_TICK = 28  # characters


def named(name: object, most: int = 60) -> str:
    """A name as a figure can hold it; texts with names are drawn with ``parse_math=False``.

    What no configured font can draw becomes an escape, as control characters do: else all such
    names would be the same row of boxes. Of a name longer than `most` both ends stay. A name that
    cannot be seen stands in quotation marks.
    """
    text = shown(name)
    if not text.isascii():
        fonts = [
            get_font(findfont(FontProperties(family=[one]))) for one in rcParams["font.family"]
        ]
        text = "".join(
            one
            if one.isascii() or any(font.get_char_index(ord(one)) for font in fonts)
            else one.encode("ascii", "backslashreplace").decode()
            for one in text
        )
    return shortened(text, most) if text.strip() else repr(shortened(text, most))


def legend_label(name: object) -> str:
    """A name for a legend: matplotlib hides labels that begin with ``_``, as names may."""
    text = named(name)
    return f" {text}" if text.startswith("_") else text


def label_layers(panel: Axes, layers: Iterable[Any], **style: Any) -> None:
    """Write names of layers below an axis that counts them; `style` is that of the text."""
    names = tick_labels(layers)
    panel.set_xticks(range(len(names)), names, rotation=45, ha="right", parse_math=False, **style)


def tick_labels(layers: Iterable[object]) -> list[str]:
    """Names of layers for the ticks of an axis; where they are long, without their common parents.

    Longer labels would leave no room for the data.
    """
    names = [str(layer) for layer in layers]
    if max(map(len, names), default=0) > _MOST_OF_TICK:
        common = os.path.commonprefix(names).rpartition(".")[0]  # noqa: RUF071
        names = [f"...{name.removeprefix(common)}" if common else name for name in names]
    return [named(name, _MOST_OF_TICK) for name in names]


def room_for(labels: Iterable[str]) -> float:
    """Inches that long labels need beyond those that a figure has for short ones."""
    return 0.07 * max(0, max(map(len, labels), default=0) - 12)


def depth_labels(scores: xr.DataArray | xr.Dataset) -> dict[Any, str]:
    """Depth and name of each layer."""
    names = tick_labels(scores["layer"].values)
    depths = scores["depth"].values
    return {
        layer: f"{depth:.2f} {name}"
        for layer, depth, name in zip(scores["layer"].values, depths, names, strict=True)
    }


def side_label(found: xr.Dataset, side: str) -> str:
    """The side and the name of its population, as in ``source: V4``."""
    return f"{side}: {named(found.attrs[side], 32)}"


def layer_colours(n: int) -> NDArray[np.float64]:
    """Colours of layers, from the first (dark) to the last (light): (n, 4)."""
    return np.asarray(colormaps["viridis"](np.linspace(0, 0.9, n)))


def add_band(panel: Axes, x: Any, low: Any, high: Any, colour: Any, *, alpha: float = 0.2) -> None:
    """Fill the range between two curves."""
    panel.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)


def add_diagonal(panel: Axes) -> None:
    """Draw the line on which x equals y, from 0 to 1."""
    panel.plot([0, 1], [0, 1], color="0.8", linewidth=1)


def draw_by_layer(panel: Axes, layers: NDArray[Any], curves: Mapping[str, xr.DataArray]) -> None:
    """Draw curves over layers, each under its name, with a legend above."""
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        panel.plot(np.arange(len(layers)), values, "o-", color=colour, label=name, markersize=4)
    label_layers(panel, layers)
    hide_spines(panel)
    add_legend_above(panel)


def draw_scale(panel: Axes, layers: NDArray[Any], curves: Mapping[str, xr.DataArray]) -> None:
    """Draw effective numbers of units over layers, from one unit (0) to all of them (1)."""
    draw_by_layer(panel, layers, curves)
    panel.set_ylabel("0: one unit is enough\n1: all are needed")
    panel.set_ylim(-0.03, 1.03)


def add_legend(panel: Axes, **place: Any) -> None:
    """Add a legend inside a panel, where it covers least."""
    _take_literally(panel.legend(frameon=False, fontsize="small", **place))


def add_legend_above(panel: Axes) -> None:
    """Add a legend of two columns above a panel."""
    add_legend(panel, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def add_legend_beside(figure: Picture, *panels: Axes, title: str | None = None) -> None:
    """Add one legend at the right of the figure, with each label of the panels once."""
    entries: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    legend = figure.legend(
        handles=list(entries.values()),
        labels=list(entries),
        loc="outside right center",
        frameon=False,
        title=title,
    )
    _take_literally(legend)


def _take_literally(legend: Legend) -> None:
    """Take a $ in a name for a $, not for the beginning of a formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def add_headline(figure: Picture, text: str, *, size: str = "medium") -> None:
    """Write a line above the figure, from its left edge: how many stimuli, and what was done."""
    figure.suptitle(text, fontsize=size, x=0.01, ha="left", parse_math=False)
