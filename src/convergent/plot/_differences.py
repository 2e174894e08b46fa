"""Figures of paired differences: how far sources are from one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..base.arguments import as_share, check_known
from ..scoring.tables import best
from ..scoring.tables import differences as paired
from ._figure import Labels, legend_label
from ._score_parts import (
    Value,
    chosen,
    colours_of,
    draw_points,
    label_sources,
    name_panel,
    one_panel_each,
    score_table,
    stimuli_of,
)

__all__ = ["differences"]

_CELL = ["metric", "target", "source"]


def differences(
    scores: xr.Dataset,
    *,
    value: Value = "r",
    reference: str | None = None,
    metric: str | Sequence[str] | None = None,
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw how far each source is from the best one (or from another), with intervals.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`, with a bootstrap.
    value : {"r", "normalized"}
        Score that is compared.
    reference : str, optional
        Source with which all others are compared; by default the best one, by each metric and for
        each target.
    metric : str, or list of them, optional
        What is drawn; by default, all.
    level : float
        Confidence level of the intervals, between 0 and 1.
    labels : dict of str, optional
        Texts that are shown for names of sources, metrics and targets.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if there is one target.

    Returns
    -------
    Picture, or the figure or axes that were given
        One panel per target. Dots are paired differences from `convergent.differences`, bars their
        confidence intervals. Full dots are significant after correction for the number of sources:
        by Holm's method for a given reference; by `convergent.best`, which takes into account that
        the best source was chosen by its score, where it is the best one. A line at 0 is the
        reference, which has a star.

    Raises
    ------
    InputError
        If the result is of another kind or was not bootstrapped, or a name is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> one, other = cv.simulate.convergent_pair(60, 20, shares=(1, 0, 0), private=0)
    >>> recording = cv.simulate.recording(one, 8, repeats=4, name="V4")
    >>> layers = {"conv1": other, "conv2": one}
    >>> scores = cv.score(layers, recording, "linear", bootstrap=cv.Bootstrap(50, refits=5))
    >>> figure = cv.plot.differences(scores)
    >>> figure.axes[0].get_ylabel()
    'r minus that of the best source'
    """
    table = chosen(score_table(scores, value, "plot.differences"), metric=metric)
    texts, level = Labels.of(labels), as_share("level", level)
    targets, sources = (list(dict.fromkeys(table[side])) for side in ("target", "source"))
    if reference is not None:
        check_known("source", reference, sources)
    if metric is not None:
        scores = scores.sel(metric=list(dict.fromkeys(table["metric"])))
    found = _from(scores, value, reference, level)
    panels = one_panel_each(len(targets), len(sources), figure, ax)
    for panel, target in zip(panels.flat, targets, strict=True):
        _draw_target(panel, found[found["target"] == target], sources, texts)
        name_panel(panels, panel, texts(target, 32))
    label_sources(panels, sources, texts)
    name = "r" if value == "r" else "normalized"
    whose = "the best source" if reference is None else texts(reference, 24)
    panels.label_y(f"{name} minus that of {whose}")
    panels.add_legend()
    panels.add_headline(_headline(scores, reference, level))
    return panels.result


def _from(scores: xr.Dataset, value: Value, reference: str | None, level: float) -> pd.DataFrame:
    """Differences from the reference, by metric and target; ``sure`` where they are significant."""

    def pairs(name: str) -> pd.DataFrame:
        rows = paired(scores, value=value, reference=name, level=level)
        rows = rows.rename(columns={"first": "source", "difference": "value"})
        return rows.assign(sure=rows["p_corrected"] < 1 - level)

    if reference is not None:
        return pairs(reference)
    table = best(scores, value=value, level=level)
    table = table.assign(sure=~table["among_best"].astype(bool))[[*_CELL, value, "sure"]]
    highest = table.loc[table.groupby(_CELL[:2])[value].idxmax().dropna()]
    parts = []
    for name, cells in highest.groupby("source", sort=False):
        rows = pairs(str(name)).drop(columns="sure").merge(cells[_CELL[:2]], on=_CELL[:2])
        parts.append(rows.merge(table[[*_CELL, "sure"]], on=_CELL))
    return pd.concat(parts, ignore_index=True)


def _draw_target(panel: Axes, table: pd.DataFrame, sources: list[str], texts: Labels) -> None:
    """Draw the differences of one target, by each metric in its colour."""
    colours = colours_of(dict.fromkeys(table["metric"]))
    for i, (metric, colour) in enumerate(colours.items()):
        rows = table[table["metric"] == metric]
        shift = min(0.2, 0.6 / len(colours)) * (i - (len(colours) - 1) / 2)
        x = np.array([sources.index(name) for name in rows["source"]]) + shift
        style: dict[str, Any] = {
            "color": colour,
            "label": legend_label(texts(metric)),
            "linestyle": "",
            "bands": False,
        }
        draw_points(panel, x, rows, hollow=~rows["sure"].to_numpy(dtype=bool), **style)
        at = sources.index(rows["second"].iloc[0]) + shift
        panel.plot(at, 0, "*", color=colour, markersize=8, clip_on=False)
    panel.axhline(0, color="0.7", linewidth=0.8, zorder=0)


def _headline(scores: xr.Dataset, reference: str | None, level: float) -> str:
    """How many stimuli, and what dots, bars and stars are."""
    whose = "best source" if reference is None else "reference"
    return (
        f"{stimuli_of(scores)} Dots: paired differences; bars: {level:.0%} confidence intervals. "
        f"Full dots: significant, corrected for the number of sources; open: not. Star: {whose}."
    )
