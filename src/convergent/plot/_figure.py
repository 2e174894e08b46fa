"""What figures share: a figure that notebooks display, colours, axes, legends and headlines."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray

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
    "depth_label",
    "draw_by_layer",
    "draw_scale",
    "hide_spines",
    "hide_ticks",
    "label_layers",
    "layer_colours",
    "new_figure",
    "set_training_axis",
    "side_label",
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


def label_layers(panel: Axes, layers: Iterable[Any], **style: Any) -> None:
    """Write names of layers below an axis that counts them; `style` is that of the text."""
    names = list(layers)
    panel.set_xticks(range(len(names)), names, rotation=45, ha="right", parse_math=False, **style)


def depth_label(scores: xr.DataArray | xr.Dataset, layer: object) -> str:
    """Depth and name of a layer; matplotlib hides labels that begin with ``_``, as names may."""
    return f"{float(scores['depth']):.2f} {layer}"


def side_label(found: xr.Dataset, side: str) -> str:
    """The side and the name of its population, as in ``source: V4``."""
    return f"{side}: {found.attrs[side]}"


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
