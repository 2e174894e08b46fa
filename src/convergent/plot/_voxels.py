"""Figures of voxels: scores on slices of the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage

from ..base.arguments import as_whole
from ..base.arrays import Floats, Integers
from ..base.errors import InputError, examples
from ..scoring.targets import VOXEL_AXES
from ._figure import Labels, hide_ticks, make_rows
from ._score_parts import VALUES, Value, ceiling_words, chosen, score_table, stimuli_of

__all__ = ["voxels"]

_LEFT_OUT = "0.8"


def voxels(
    scores: xr.Dataset,
    *,
    source: str | None = None,
    metric: str | None = None,
    target: str | Sequence[str] | None = None,
    value: Value = "r",
    slices: int = 12,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Any:
    """Draw the scores of voxels on slices along the third axis of the volume.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`, of recordings that `convergent.formats.from_nifti` read, or that
        have the coordinates ``voxel_i``, ``voxel_j`` and ``voxel_k`` along ``unit``.
    source : str, optional
        Source that predicts; by default, the one with the highest median over the voxels.
    metric : str, optional
        By default, the first one.
    target : str, or list of them, optional
        Targets whose voxels are drawn; by default, all that have voxels.
    value : {"r", "normalized"}
        Whether to draw r of each voxel, or its r divided by its own ceiling.
    slices : int
        Greatest number of slices, evenly spaced among those that have voxels.
    labels : dict of str, optional
        Texts that are shown for names of the source, metric and targets.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.

    Returns
    -------
    Picture, or the figure that was given
        One panel per slice, all cut to the box around the voxels. Voxels that are left out of the
        aggregate are grey; the rest is empty. To see scores on an anatomical image, write them as
        NIfTI (`convergent.formats.to_nifti`).

    Raises
    ------
    InputError
        If the result is of another kind, its units are no voxels, two targets have the same voxel,
        or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> layer, _ = cv.simulate.convergent_pair(60, 20, shares=(1, 0, 0), private=0)
    >>> at = np.argwhere(np.ones((4, 3, 2)))  # 24 voxels
    >>> places = {f"voxel_{axis}": ("unit", at[:, k]) for k, axis in enumerate("ijk")}
    >>> area = cv.simulate.recording(layer, 24, repeats=4, name="V1", labels=places)
    >>> figure = cv.plot.voxels(cv.score({"conv1": layer}, area, "linear"))
    >>> [panel.get_title() for panel in figure.axes[:2]]
    ['k = 0', 'k = 1']
    """
    table, texts = score_table(scores, value, "plot.voxels"), Labels.of(labels)
    metric = str(scores["metric"].values[0]) if metric is None else metric
    names = {"metric": metric, "source": source, "target": target}
    targets = list(dict.fromkeys(chosen(table, **names)["target"]))
    part, at = _located(scores.sel(metric=metric), targets)
    values = part["r"].mean("fold", skipna=True)
    values = values if value == "r" else values / part["ceiling"]
    values = values.where(part["excluded"] == "")
    if values.isnull().all():
        raise InputError("all voxels are left out of the aggregate: there are no scores to draw.")
    if source is None:
        source = str(values["source"].values[np.nanargmax(values.median("unit"))])
    of_voxels = values.sel(source=source).values
    shown = _slices(at[:, 2], as_whole("slices", slices))
    panels = make_rows(len(shown), _size(at), figure=figure, beside=1.0, least=0.8)
    for panel, k in zip(panels.flat, shown, strict=True):
        image = _draw_slice(panel, at, of_voxels, k)
    first, last = at.min(axis=0), at.max(axis=0)
    panels.label_x(f"voxel_i, {first[0]} to {last[0]}")
    panels.label_y(f"voxel_j, {first[1]} to {last[1]}")
    bar = VALUES["r"] if value == "r" else "r of each voxel / its ceiling"
    panels.add_bar(image, bar, extend=_scale(of_voxels)[2])
    by = {"source": texts(source, 32), "metric": texts(metric, 24)}
    by["target"] = ", ".join(texts(name, 20) for name in targets[:4]) + ", ..." * (len(targets) > 4)
    panels.add_headline(_headline(scores, by, part, shown, value))
    return panels.result


def _located(scores: xr.Dataset, targets: Sequence[str]) -> tuple[xr.Dataset, Integers]:
    """Scores of the units of targets that are voxels, and their indices (unit, 3)."""
    if "unit" not in scores.dims or any(axis not in scores.coords for axis in VOXEL_AXES):
        what = f"the scores have no {examples(VOXEL_AXES, 3)} along 'unit'"
        raise InputError(
            f"{what}: score, with units=True, a recording from formats.from_nifti, or one that has "
            "these coordinates (whole numbers)."
        )
    at = np.stack([scores[axis].values for axis in VOXEL_AXES], axis=1)
    chosen_units = np.flatnonzero(np.isin(scores["target"].values, targets) & (at >= 0).all(axis=1))
    at = at[chosen_units]
    if not len(at):
        raise InputError(f"no unit of {examples(list(targets), 3)} has the indices of a voxel.")
    if len(np.unique(at, axis=0)) < len(at):
        raise InputError(
            f"targets {examples(list(targets), 3)} have some of the same voxels: choose one with "
            "target='NAME'."
        )
    return scores.isel(unit=chosen_units), at


def _slices(k: Integers, most: int) -> list[int]:
    """At most so many of the slices that have voxels, evenly spaced."""
    known = np.unique(k)
    if len(known) > most:
        known = known[np.linspace(0, len(known) - 1, 2 * most + 1).round().astype(int)[1::2]]
    return [int(one) for one in np.unique(known)]


def _size(at: Integers) -> tuple[float, float]:
    """Width and height of a panel, in inches, so that voxels are squares."""
    wide, high, _ = np.ptp(at, axis=0) + 1
    width = min(2.4, 2.4 * wide / high)
    return max(1.2, float(width)), max(0.9, float(min(2.4, 2.4 * high / wide))) + 0.25


def _draw_slice(panel: Axes, at: Integers, values: Floats, k: int) -> AxesImage:
    """Draw one slice: voxels without a value are grey."""
    first, last = at.min(axis=0), at.max(axis=0)
    own = at[:, 2] == k
    place = tuple((at[own, :2] - first[:2]).T)
    numbers = np.full(tuple((last - first + 1)[:2]), np.nan)
    grey = numbers.copy()
    numbers[place], grey[place] = values[own], 1.0
    edges = (first[0] - 0.5, last[0] + 0.5, first[1] - 0.5, last[1] + 0.5)
    style: dict[str, Any] = {"origin": "lower", "extent": edges, "interpolation": "nearest"}
    panel.imshow(grey.T, cmap=ListedColormap([_LEFT_OUT]), **style)
    cmap, scale, _ = _scale(values)
    image = panel.imshow(numbers.T, cmap=cmap, norm=scale, **style)
    panel.set_title(f"k = {k}", fontsize="small")
    hide_ticks(panel)
    return image


def _scale(values: Floats) -> tuple[str, Normalize, str]:
    """Colours, their scale, and whether its bar has a pointed end: around 0 if many are below."""
    some, most = float(np.nanquantile(values, 0.05)), max(float(np.nanmax(np.abs(values))), 1e-6)
    if some < 0:
        return "RdBu_r", Normalize(-most, most), "neither"
    below = "min" if np.nanmin(values) < 0 else "neither"
    return "viridis", Normalize(0, max(float(np.nanmax(values)), 1e-6)), below


def _headline(
    scores: xr.Dataset, by: Mapping[str, str], part: xr.Dataset, shown: Sequence[int], value: str
) -> str:
    """What is drawn, of how many voxels, and what grey means."""
    left_out = int((part["excluded"] != "").sum())
    n = part.sizes["unit"]
    grey = f"; {left_out} left out of the aggregate are grey" if left_out else ""
    slices = len(np.unique(part[VOXEL_AXES[2]]))
    some = f" {len(shown)} of {slices} slices." if slices > len(shown) else ""
    one = f" {ceiling_words(scores)[1]}" if value == "normalized" else ""
    what = f"{by['target']} from {by['source']}, {by['metric']}: {n} voxels{grey}."
    return f"{what}{some} {stimuli_of(scores)}{one}"
