"""What all figures share: a figure that shows itself, and colours."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["COLOURS", "Picture"]

# Okabe and Ito's colours, told apart with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


class Picture(Figure):
    """A matplotlib figure that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
