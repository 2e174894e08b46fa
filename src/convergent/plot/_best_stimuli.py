"""Figures of the images that units and their partners respond to most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..base.arguments import as_names, as_number, as_whole, check_known, check_type
from ..base.errors import InputError
from ..data.assembly import Assembly, align
from ..data.contents import check_contents, with_contents
from ..data.stimuli import Stimuli
from ..features._best_stimuli import best_stimuli as find_best
from ..features._match_tables import unit_table
from ..features._two_populations import SIDES
from ..scoring.kinds import check_kind
from ._figure import WIDEST, Labels, hide_ticks, new_figure, side_label

__all__ = ["best_stimuli"]

_N_UNITS = 6  # that are drawn by default
_BESIDE = 2.0  # inches, of names beside images


def best_stimuli(
    found: xr.Dataset,
    source: Assembly,
    target: Assembly,
    stimuli: Stimuli,
    *,
    units: Sequence[str] | None = None,
    k: int = 5,
    patch: float = 0.4,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the images that source units and their best partners respond to most.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`, with shuffles and a bootstrap.
    source, target : Assembly
        The populations that were matched; the stimuli that both have are compared.
    stimuli : Stimuli
        Their images.
    units : sequence of str, optional
        Names of source units; by default six units, from the best matched to the worst.
    k : int
        Number of images for each unit.
    patch : float
        If stimuli are positions in images: height and width of the part around a position that is
        drawn, as a share of the image. A good choice is the receptive field of the layer.
    labels : dict of str, optional
        Texts for names of units and of the two populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        One row per unit, the image with the greatest response first: left the source unit, right
        its best partner, with their correlation on held-out stimuli.

    Raises
    ------
    InputError
        If a unit is silent or does not exist, an image is missing or is not the one that the
        populations responded to, `k` exceeds the number of images, or `patch` is out of its range.
    """
    check_kind(found, "match_units", "plot.best_stimuli")
    check_type(Assembly, "an Assembly", source=source, target=target)
    check_type(Stimuli, "Stimuli", stimuli=stimuli)
    if not as_number("patch", patch, 0, 1) > 0:
        raise InputError(f"patch={patch!r}: give a share of the image, above 0 and up to 1.")
    table = unit_table(found)
    table = table[(table["side"] == "source") & (table["class"] != "silent")].set_index("unit")
    units = _best_to_worst(table["r"]) if units is None else as_names("units", units)
    for unit in units:
        check_known("responsive source unit", unit, list(table.index))
    chosen = table.loc[list(units)]
    shared = align(source, target)
    k = as_whole("k", k, 1, len(shared[0].stimuli))
    shown = with_contents(shared[0].data, stimuli)
    check_contents(["the images", *SIDES], [shown, *(assembly.data for assembly in shared)])
    names = {"source": list(chosen.index), "target": list(chosen["partner"])}
    text = Labels.of(labels)
    written = {side: [text(name, 16) for name in names[side]] for side in SIDES}
    pairs = zip(written["target"], chosen["r"], strict=True)
    written["target"] = [f"{name}\nr = {r:.2f}" for name, r in pairs]
    if figure is None:
        size = min(1.0, (WIDEST - _BESIDE) / (2 * k))  # of an image, inches
        figure = new_figure(2 * k * size + _BESIDE, (size + 0.06) * len(units) + 0.6)
    check_type((Figure, SubFigure), "a matplotlib figure or subfigure", figure=figure)
    halves: Any = figure.subfigures(1, 2)
    for half, side, assembly in zip(halves, SIDES, shared, strict=True):
        whose = "" if side == "source" else ", best partners"
        half.suptitle(f"{side_label(found, side, text)}{whose}", fontsize="small", parse_math=False)
        panels = half.subplots(len(units), k, squeeze=False)
        best = find_best(assembly, k).sel(unit=names[side])
        for number, (row, label) in enumerate(zip(panels, written[side], strict=True)):
            for rank, panel in enumerate(row):
                panel.imshow(_image_part(stimuli, best.isel(unit=number, rank=rank), patch))
                hide_ticks(panel)
                panel.spines[:].set_visible(False)
            style = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 7}
            row[0].set_ylabel(label, parse_math=False, **style)
        half.supxlabel("images, greatest response first", fontsize="small")
    return figure


def _best_to_worst(r: pd.Series[float]) -> list[str]:
    """Units from the best matched to the worst, evenly spaced in rank."""
    order = r.sort_values(ascending=False, kind="stable").index
    ranks = np.linspace(0, len(order) - 1, min(_N_UNITS, len(order))).round().astype(int)
    return [str(order[rank]) for rank in ranks]


def _image_part(stimuli: Stimuli, best: xr.Dataset, patch: float) -> NDArray[np.uint8]:
    """The image, or the part of it around the position that the unit responds to."""
    name = str(best["stimulus"].values)
    if not name:
        return np.full((2, 2, 3), 255, np.uint8)  # the unit was recorded for fewer images
    image = np.asarray(stimuli[name])
    if "row" not in best:
        return image
    sides = []
    for axis, size in zip(("row", "column"), image.shape[:2], strict=True):
        width = max(2, round(patch * size))
        start = int(np.clip(float(best[axis]) * size - width / 2, 0, size - width))
        sides.append(slice(start, start + width))
    return np.asarray(image[sides[0], sides[1]])
