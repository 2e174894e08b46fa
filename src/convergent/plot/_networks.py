"""Figures of several networks: the score of each layer, one line for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..base.arguments import check_keys, check_known
from ..experiments.conditions import depths
from ._figure import Labels, Panels, hide_spines, legend_label
from ._score_parts import (
    VALUES,
    Value,
    ceiling_words,
    chosen,
    colours_of,
    draw_ceilings,
    draw_points,
    label_sources,
    name_panel,
    one_panel_each,
    score_table,
    stimuli_of,
)

__all__ = ["networks"]

_MARKERS = "os^Dv"
_DEPTH = "depth (first layer 0, last 1)"


def networks(
    scores_by_network: Mapping[str, xr.Dataset],
    *,
    value: Value = "r",
    x: Literal["depth", "layer"] = "depth",
    metric: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw the score of each layer of several networks, one line for each network.

    Parameters
    ----------
    scores_by_network : dict of xarray.Dataset
        From `convergent.score`, by name of the network; the sources are its layers, from first to
        last.
    value : {"r", "normalized"}
        Whether to draw r, or the normalized score, whose ceiling is 1.
    x : {"depth", "layer"}
        Where layers are drawn: at their relative depth, from 0 (first) to 1 (last), or one after
        the other.
    metric, target : str, or list of them, optional
        What is drawn, one panel for each combination; by default, all.
    labels : dict of str, optional
        Texts that are shown for names of networks, layers, metrics and targets.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if there is one metric and one target.

    Returns
    -------
    Picture, or the figure or axes that were given
        If scores were bootstrapped, bars are 95% confidence intervals. Dashed lines are ceilings.

    Raises
    ------
    InputError
        If a result is of another kind, or a name is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> one, other = cv.simulate.convergent_pair(60, 20, shares=(1, 0, 0), private=0)
    >>> recording = cv.simulate.recording(one, 8, repeats=4, name="V4")
    >>> by_network = {
    ...     "small": cv.score({"conv1": one, "conv2": other}, recording, "linear"),
    ...     "large": cv.score({"a": other, "b": one, "c": other}, recording, "linear"),
    ... }
    >>> figure = cv.plot.networks(by_network)
    >>> [panel.get_title() for panel in figure.axes]
    ['V4, linear']
    """
    remedy = "a dict of scores by network"
    check_keys("scores_by_network", scores_by_network, remedy)
    check_known("x", x, ("depth", "layer"))
    texts = Labels.of(labels)
    table = pd.concat(
        score_table(scores, value, "plot.networks").assign(of=name)
        for name, scores in scores_by_network.items()
    )
    table = chosen(table, metric=metric, target=target)
    cells = list(table.groupby(["metric", "target"], sort=False))
    longest = max(int(rows["of"].value_counts().max()) for _, rows in cells)
    panels = one_panel_each(len(cells), min(longest, 12), figure, ax)
    first = next(iter(scores_by_network.values()))
    for panel, ((by, of), rows) in zip(panels.flat, cells, strict=True):
        _draw_cell(panel, rows, x, texts, ceiling_words(first)[0])
        name_panel(panels, panel, f"{texts(of, 32)}, {texts(by, 24)}")
    _label_layers(panels, table, x, texts)
    panels.label_y(VALUES[value])
    panels.add_legend()
    panels.add_headline(_headline(scores_by_network, table, value))
    return panels.result


def _draw_cell(panel: Axes, table: pd.DataFrame, x: str, texts: Labels, ceiling: str) -> None:
    """Draw all networks by one metric, for one target."""
    names = list(dict.fromkeys(table["of"]))
    colours = colours_of(names)
    for i, name in enumerate(names):
        rows = table[table["of"] == name]
        places: NDArray[Any] = depths(len(rows)) if x == "depth" else np.arange(len(rows))
        look: dict[str, Any] = {"color": colours[name], "marker": _MARKERS[i % len(_MARKERS)]}
        draw_points(panel, places, rows, label=legend_label(texts(name)), **look)
    draw_ceilings(panel, table.drop_duplicates("of"), colours, ceiling)
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    hide_spines(panel)


def _label_layers(panels: Panels, table: pd.DataFrame, x: str, texts: Labels) -> None:
    """Label depths, or layers by name where all networks have the same, else by number."""
    if x == "layer":
        layers = [tuple(dict.fromkeys(rows["source"])) for _, rows in table.groupby("of")]
        longest = max(map(len, layers))
        numbers = [str(k + 1) for k in range(longest)]
        label_sources(panels, layers[0] if len(set(layers)) == 1 else numbers, texts, "layer")
    else:
        panels.label_x(_DEPTH)


def _headline(several: Mapping[str, xr.Dataset], table: pd.DataFrame, value: str) -> str:
    """How many stimuli, what is drawn, and what 1 says."""
    first = next(iter(several.values()))
    said = list(dict.fromkeys(map(stimuli_of, several.values())))
    text = " / ".join(said) + (
        " Dots: median over units" if value == "r" else " Dots: normalized score"
    )
    text += "; bars and bands: 95% confidence intervals." if table["low"].notna().any() else "."
    return f"{text} {ceiling_words(first)[1]}" if value == "normalized" else text
