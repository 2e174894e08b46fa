"""What all figures share: a figure that shows itself, and colours."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["COLOURS", "Picture", "set_training_axis"]

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
