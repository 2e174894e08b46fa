"""Figures of single units: how the scores of a population are distributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..base.arrays import Floats
from ..base.errors import InputError
from ..scoring.results import included_units
from ._figure import Labels, add_band, legend_label
from ._score_parts import (
    VALUES,
    Value,
    ceiling_words,
    chosen,
    colours_of,
    draw_ceilings,
    label_sources,
    name_panel,
    one_panel_each,
    score_table,
    stimuli_of,
    unit_count,
)

__all__ = ["units"]

_MOST_BOXES = 20  # of a panel: beyond, bands
_MOST_DOTS = 60  # units that are drawn as dots
_ENDS = (0.05, 0.25, 0.5, 0.75, 0.95)


def units(
    scores: xr.Dataset,
    *,
    value: Value = "r",
    metric: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw how scores are distributed over units, for each source and metric, one panel per target.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`, with the scores of units.
    value : {"r", "normalized"}
        Whether to draw r of each unit, or its r divided by its own ceiling. Of units with a low
        ceiling the latter is far above or below 1 by chance.
    metric, target : str, or list of them, optional
        What is drawn; by default, all.
    labels : dict of str, optional
        Texts that are shown for names of sources, metrics and targets.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if there is one target.

    Returns
    -------
    Picture, or the figure or axes that were given
        Few sources have boxes: the middle half of the units and their median, with whiskers from
        the 5th to the 95th percentile, and a dot for each unit if they are at most 60. Many sources
        have a line (median) and two bands (middle half, and 5th to 95th percentile). The titles
        say how many units are left out, and why.

    Raises
    ------
    InputError
        If the result is of another kind or has no scores of units, or a name is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> layer, _ = cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), private=0)
    >>> recording = cv.simulate.recording(layer, 8, repeats=4, name="V4")
    >>> figure = cv.plot.units(cv.score({"conv1": layer}, recording, "linear"))
    >>> [panel.get_title() for panel in figure.axes]
    ['V4: 8 units']
    """
    table = chosen(score_table(scores, value, "plot.units"), metric=metric, target=target)
    if "unit" not in scores.dims:
        raise InputError(
            "the result has no scores of single units: score again with units=True, the default."
        )
    texts, found = Labels.of(labels), _values(scores, value)
    targets, sources, metrics = (
        list(dict.fromkeys(table[side])) for side in ("target", "source", "metric")
    )
    boxes = len(sources) * len(metrics)
    panels = one_panel_each(len(targets), min(boxes, _MOST_BOXES), figure, ax)
    for panel, name in zip(panels.flat, targets, strict=True):
        own = included_units(scores)[name]
        for i, (by, colour) in enumerate(colours_of(metrics).items()):
            of_units = found.sel(metric=by).transpose("source", "unit").values[:, own]
            style = {"color": colour, "label": legend_label(texts(by))}
            if boxes <= _MOST_BOXES:
                _draw_boxes(panel, of_units, (i - (len(metrics) - 1) / 2, len(metrics)), style)
            else:
                _draw_bands(panel, of_units, style)
        ceilings = table[table["target"] == name].drop_duplicates("metric")
        ceilings = ceilings.rename(columns={"metric": "of"})
        draw_ceilings(panel, ceilings, colours_of(metrics), ceiling_words(scores)[0])
        panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        name_panel(panels, panel, f"{texts(name, 32)}: {_counted(scores, name)}")
    label_sources(panels, sources, texts)
    panels.label_y(VALUES["r"] if value == "r" else "r of each unit / its ceiling")
    panels.add_legend()
    kind = "boxes" if boxes <= _MOST_BOXES else "bands"
    panels.add_headline(_headline(scores, value, kind, int(table["n_units"].min())))
    return panels.result


def _values(scores: xr.Dataset, value: str) -> xr.DataArray:
    """Values of units (metric, source, unit), mean over folds."""
    r = scores["r"].mean("fold", skipna=True)
    return r if value == "r" else r / scores["ceiling"]


def _counted(scores: xr.Dataset, target: str) -> str:
    """How many units are drawn, and how many are left out for each reason."""
    reasons = scores["excluded"].values[scores["target"].values == target]
    left_out = Counter(reasons[reasons != ""].tolist())
    several = len(left_out) > 1
    why = ", ".join(f"{n} {reason}" if several else reason for reason, n in left_out.items())
    return unit_count(len(reasons) - left_out.total(), left_out.total(), f" ({why})")


def _draw_boxes(
    panel: Axes, values: Floats, place: tuple[float, int], style: dict[str, Any]
) -> None:
    """Draw a box for each source (row of values), and a dot for each unit if these are few.

    `place` says how many boxes right of the middle these are, and how many each source has.
    """
    shift, several = place
    width = 0.8 / several
    x = np.arange(len(values)) + width * shift
    dots = values.shape[1] <= _MOST_DOTS
    for at, row in zip(x, values, strict=True):
        known = row[np.isfinite(row)]
        if not len(known):
            continue
        low, first, middle, third, high = np.quantile(known, _ENDS)
        stats = {"med": middle, "q1": first, "q3": third, "whislo": low, "whishi": high}
        line = {"color": style["color"], "linewidth": 1}
        panel.bxp(
            [stats],
            [at],
            widths=0.75 * width,
            showfliers=False,
            manage_ticks=False,
            patch_artist=True,
            boxprops={"facecolor": "none" if dots else "white"} | {"edgecolor": style["color"]},
            medianprops=line | {"linewidth": 2},
            whiskerprops=line,
            capprops=line,
        )
        if dots:
            beside = 0.5 * width * (_spread_evenly(len(known)) - 0.5)
            panel.plot(at + beside, known, ".", color=style["color"], alpha=0.4, markersize=3)
    panel.plot([], [], "s", **style)


def _spread_evenly(n: int) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that are the same each time: neighbours differ, so that dots do."""
    return np.asarray((np.arange(1, n + 1) * 0.618034) % 1)


def _draw_bands(panel: Axes, values: Floats, style: dict[str, Any]) -> None:
    """Draw the median over units, and bands of its quantiles, from source to source."""
    if not np.isfinite(values).any():
        return
    table = pd.DataFrame(values.T)
    low, first, middle, third, high = table.quantile(list(_ENDS)).to_numpy()
    x = np.arange(len(values))
    add_band(panel, x, low, high, style["color"], alpha=0.1)
    add_band(panel, x, first, third, style["color"], alpha=0.2)
    panel.plot(x, middle, linewidth=1.5, **style)


def _headline(scores: xr.Dataset, value: str, kind: str, fewest: int) -> str:
    """How many stimuli, and what boxes or bands are."""
    what = "Lines: median unit; bands: middle half of the units, and 5th to 95th percentile."
    if kind == "boxes":
        what = "Boxes: middle half of the units, with their median; whiskers: 5th to 95th "
        what += "percentile; dots: single units." if fewest <= _MOST_DOTS else "percentile."
    one = f" {ceiling_words(scores)[1]}" if value == "normalized" else ""
    return f"{stimuli_of(scores)} {what}{one}"
