"""What units like, side by side with what their partners like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, unknown
from ..data.assembly import Assembly, align
from ..data.stimuli import Stimuli
from ..features._best_stimuli import best_stimuli as find_best
from ..features._match_tables import unit_table
from ._figure import Picture

__all__ = ["SHOWN", "best_stimuli"]

SHOWN = 6  # units, where none are named


def best_stimuli(
    found: xr.Dataset,
    source: Assembly,
    target: Assembly,
    stimuli: Stimuli,
    *,
    units: Sequence[str] | None = None,
    k: int = 5,
    patch: float = 0.4,
) -> Picture:
    """Images that units of the source respond to most, beside those of their best partners.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`, with shuffles and a bootstrap.
    source, target : Assembly
        The populations that were matched; of stimuli that both saw.
    stimuli : Stimuli
        The images that they saw.
    units : sequence of str, optional
        Source units; where left out, six from the best matched to the worst.
    k : int
        Images of each unit.
    patch : float
        Where stimuli are positions, height and width of what is shown around one, as a share of
        the image; such as the layer's receptive field has.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a row a unit, the best image first; left the source's unit,
        right its partner, with their correlation on held-out stimuli.

    Raises
    ------
    InputError
        Where a unit or image is not there, or a number is out of its range.
    """
    if not 0 < patch <= 1:
        raise InputError(f"patch={patch!r}: give a share of the image, above 0 and up to 1.")
    table = unit_table(found)
    table = table[(table["side"] == "source") & (table["class"] != "silent")].set_index("unit")
    if units is None:
        order = table.sort_values("r", ascending=False, kind="stable").index
        places = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)
        units = [str(order[place]) for place in places]
    for unit in units:
        if unit not in table.index:
            raise unknown("responsive source unit", unit, list(table.index))
    partner, r = ({str(u): v for u, v in table[name].items()} for name in ("partner", "r"))
    best = [find_best(side, k) for side in align(source, target)]
    figure = Picture(figsize=(1.15 * 2 * k + 2.2, 1.3 * len(units) + 0.6), layout="constrained")
    halves: Any = figure.subfigures(1, 2)
    for half, name, likes in zip(halves, ("source", "target"), best, strict=True):
        half.suptitle(f"{name}: {found.attrs[name]}", fontsize="medium", parse_math=False)
        panels = half.subplots(len(units), k, squeeze=False)
        for line, unit in zip(panels, units, strict=True):
            own = unit if name == "source" else partner[unit]
            part = likes.sel(unit=own)
            for rank, panel in enumerate(line):
                panel.imshow(_seen(stimuli, part.isel(rank=rank), patch))
                panel.set_xticks([])
                panel.set_yticks([])
                panel.spines[:].set_visible(False)
            told = own if name == "source" else f"{own}\nr = {r[unit]:.2f}"
            line[0].set_ylabel(
                told, rotation=0, ha="right", va="center", fontsize=7, parse_math=False
            )
    return figure


def _seen(stimuli: Stimuli, best: xr.Dataset, patch: float) -> NDArray[np.uint8]:
    """The image, or what of it lies around the position."""
    name = str(best["stimulus"].values)
    if not name:
        return np.full((2, 2, 3), 255, np.uint8)  # it has been recorded for fewer
    image = np.asarray(stimuli[name])
    if "row" not in best:
        return image
    sides = []
    for axis, size in zip(("row", "column"), image.shape[:2], strict=True):
        width = max(2, round(patch * size))
        start = int(np.clip(float(best[axis]) * size - width / 2, 0, size - width))
        sides.append(slice(start, start + width))
    return np.asarray(image[sides[0], sides[1]])
