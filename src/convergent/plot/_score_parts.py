"""What figures of scores share: the numbers, panels of targets, points with bars, ceilings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..base.arguments import check_known
from ..base.errors import InputError
from ..scoring.kinds import check_kind
from ..scoring.tables import summary
from ..statistics.ceilings import CEILING_WORDS
from ._figure import (
    COLOURS,
    MOST_TICKS,
    Labels,
    Panels,
    add_band,
    hide_spines,
    label_axis,
    make_rows,
    wrapped,
)
from ._hover import add_hover, texts_of_points

__all__ = [
    "VALUES",
    "Value",
    "ceiling_words",
    "chosen",
    "colours_of",
    "draw_ceilings",
    "draw_points",
    "label_sources",
    "name_panel",
    "one_panel_each",
    "score_table",
    "stimuli_of",
    "unit_count",
]

Value = Literal["r", "normalized"]

# labels of the axes
VALUES: dict[str, str] = {"r": "r on held-out stimuli", "normalized": "normalized score"}
_SAME_CEILING = 1e-6


def score_table(results: xr.Dataset, value: str, function: str) -> pd.DataFrame:
    """Scores with intervals and ceilings, as figures draw them.

    Parameters
    ----------
    results : xarray.Dataset
        From `convergent.score`.
    value : {"r", "normalized"}
        Score that is drawn.
    function : str
        Name of the function that draws, for messages.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, source, target) in the order of the result, with ``value``, ``low``,
        ``high``, ``ceiling``, ``ceiling_low``, ``ceiling_high``, ``n_units`` and
        ``n_units_excluded``. What is not known is NaN. The ceiling of a normalized score is 1.

    Raises
    ------
    InputError
        If the result is of another kind, has no scores, or has no ceiling to normalize by.
    """
    check_kind(results, "score", function)
    check_known("value", value, VALUES)
    table = summary(results)
    if table.empty:
        raise InputError("there are no scores to draw.")
    if value == "normalized" and table["normalized"].isna().all():
        raise InputError(
            "no score is normalized, as there is no ceiling above its error: draw value='r', or "
            "score again with another ceiling."
        )
    unknown = pd.Series(np.nan, table.index)
    ceiling = {name: table.get(name, unknown) for name in ("ceiling_low", "ceiling_high")}
    ceiling["ceiling"] = table["ceiling"]
    if value == "normalized":
        one = table["normalized"].notna().map({True: 1.0, False: np.nan})
        ceiling = {"ceiling": one, "ceiling_low": unknown, "ceiling_high": unknown}
    names = ["metric", "source", "target", "n_units", "n_units_excluded"]
    ends = {end: table.get(f"{value}_{end}", unknown) for end in ("low", "high")}
    return table[names].assign(value=table[value], **ends, **ceiling)


def chosen(table: pd.DataFrame, **names: str | Sequence[str] | None) -> pd.DataFrame:
    """Rows of the names that a user chose, such as ``metric="linear"``; of all where it is None.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    for column, given in names.items():
        if given is not None:
            several = [given] if isinstance(given, str) else list(given)
            for name in several:
                check_known(column, name, list(dict.fromkeys(table[column])))
            table = table[table[column].isin(several)]
    return table


def ceiling_words(results: xr.Dataset) -> tuple[str, str]:
    """Label of the ceiling of scores, and what a normalized score of 1 says."""
    try:
        kind = json.loads(results.attrs["provenance"])["ceiling"]
        words = CEILING_WORDS[kind]
    except (KeyError, TypeError, ValueError):
        return "ceiling", "1 is the ceiling."
    return words.label, words.normalized


def stimuli_of(results: xr.Dataset) -> str:
    """How many stimuli were scored, and whether data are simulated, for a headline."""
    kind = "Simulated data: " if results.attrs.get("simulated") else ""
    return f"{kind}{results.attrs.get('n_stimuli', 'unknown')} stimuli."


def unit_count(units: int, excluded: int, why: str = "") -> str:
    """How many units are drawn, and how many are left out."""
    return f"{units} unit{'s' * (units != 1)}" + (f", {excluded} left out{why}" if excluded else "")


def one_panel_each(
    n: int,
    sources: int,
    figure: Figure | SubFigure | None,
    ax: Axes | None,
    height: float = 2.7,
) -> Panels:
    """Panels that share their axes, wide enough for a number of sources."""
    width = min(max(2.4, 1.2 + 0.3 * sources), 3.4) if n > 1 else 4.2
    return make_rows(n, (width, height), figure=figure, ax=ax, sharex=True, sharey=True, beside=2.2)


def name_panel(panels: Panels, panel: Axes, text: str) -> None:
    """Write a title that fits the panel."""
    lines = wrapped(text, panels.width - 0.3, panels.text_size)
    panel.set_title(lines, fontsize=panels.text_size, parse_math=False)  # a $ in a name is a $


def label_sources(
    panels: Panels, names: Iterable[object], labels: Labels, what: str = "source"
) -> None:
    """Write the names of sources below the panels, and once what all of them share."""
    names, pattern = list(names), ""
    for panel in panels.flat:
        most = max(2, int((panels.width - 0.7) / 0.2))
        short = max(map(len, labels.short(names)[0]), default=0) <= 3
        turned = {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        pattern = label_axis(panel.xaxis, names, labels, most=most, **turned)
        hide_spines(panel)
    panels.label_x(f"{what}: {pattern}" if pattern else what)


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def draw_points(
    panel: Axes,
    x: NDArray[Any],
    rows: pd.DataFrame,
    *,
    hollow: NDArray[np.bool_] | None = None,
    bands: bool = True,
    **style: Any,
) -> None:
    """Draw values with bars (or `bands`, if they are many) from ``low`` to ``high``, where known.

    Some dots are open.
    """
    value, low, high = (rows[name].to_numpy(np.float64) for name in ("value", "low", "high"))
    known, many = np.isfinite([low, high]).any(), len(x) > MOST_TICKS
    if many and known and bands:
        add_band(panel, x, low, high, style["color"], alpha=0.15)
    bars = np.clip([value - low, high - value], 0, None) if known and not (many and bands) else None
    size = {"markersize": 3 if many else 4}
    lines: dict[str, Any] = {"marker": "o", "linewidth": 1.2, "elinewidth": 0.8}
    texts = texts_of_points(rows)
    add_hover(panel.errorbar(x, value, yerr=bars, **(lines | size | style)).lines[0], texts)
    if hollow is not None and hollow.any():
        dots = {"color": style["color"], "marker": lines["marker"], "linestyle": "", "zorder": 3}
        (over,) = panel.plot(x[hollow], value[hollow], markerfacecolor="white", **(dots | size))
        add_hover(over, [text for text, is_hollow in zip(texts, hollow, strict=True) if is_hollow])


def draw_ceilings(panel: Axes, rows: pd.DataFrame, colours: Mapping[str, str], label: str) -> None:
    """Draw a dashed line and the band of its interval: one if all names have the same ceiling.

    `rows` has one ceiling for each name of its column ``of``. Else each is in the colour of its
    name.
    """
    rows = rows.dropna(subset="ceiling")
    if rows.empty:
        return
    style: dict[str, Any] = {"linestyle": "--", "linewidth": 1}
    if np.ptp(rows["ceiling"]) < _SAME_CEILING:
        rows, colours = rows.iloc[:1], dict.fromkeys(rows["of"], "black")
        panel.plot([], [], color="black", label=label, **style)
    else:
        panel.plot([], [], color="0.4", label=f"{label},\nin the colour of each", **style)
    for name, *heights in rows[["of", "ceiling", "ceiling_low", "ceiling_high"]].to_numpy():
        middle, low, high = map(float, heights)
        add_hover(panel.axhline(middle, color=colours[name], **style), f"{label}: {middle:.3f}")
        if np.isfinite([low, high]).all():
            panel.axhspan(low, high, color=colours[name], alpha=0.1, linewidth=0)
