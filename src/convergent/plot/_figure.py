"""What all figures share: a figure that shows itself, and colours."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = [
    "COLOURS",
    "Picture",
    "add_headline",
    "add_legend",
    "add_legend_above",
    "by_layer",
    "label_layers",
    "new_figure",
    "set_training_axis",
    "short_name",
]

# Okabe and Ito's colours, told apart with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


class Picture(Figure):
    """A matplotlib figure that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def set_training_axis(panel: Axes, steps: NDArray[np.float64], early: float) -> None:
    """Steps of a training at their square roots, so that the first epoch can be seen."""
    panel.axvline(early, color="0.85", linewidth=0.8, zorder=0)
    panel.set_xscale("function", functions=(lambda x: np.sqrt(np.abs(x)), np.square))
    panel.set_xlim(0, steps[-1])
    later = steps[steps >= early]
    panel.set_xticks([0.0, *sorted({float(later[k]) for k in (0, len(later) // 3, -1)})])
    panel.xaxis.set_major_formatter("{x:g}")


def by_layer(panel: Axes, layers: NDArray[Any], curves: dict[str, xr.DataArray]) -> None:
    for (told, values), colour in zip(curves.items(), COLOURS, strict=False):
        panel.plot(np.arange(len(layers)), values, "o-", color=colour, label=told, markersize=4)
    label_layers(panel, layers)
    add_legend_above(panel)


def label_layers(panel: Axes, layers: NDArray[Any]) -> None:
    panel.set_xticks(range(len(layers)), layers, rotation=45, ha="right", parse_math=False)
    new_figure(panel)


def short_name(found: xr.Dataset, side: str) -> str:
    return str(found.attrs[side])


def new_figure(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)


def add_legend(panel: Axes) -> None:
    panel.legend(frameon=False, fontsize="small")


def add_legend_above(panel: Axes) -> None:
    panel.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def add_headline(figure: Picture, found: xr.Dataset, text: str) -> None:
    told = f"{found.attrs['n_stimuli']} stimuli; {text}"
    figure.suptitle(told, fontsize="medium", x=0.01, ha="left", parse_math=False)
