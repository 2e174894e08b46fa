"""A table of scores for notebooks and papers: sources x metrics, shaded."""

from __future__ import annotations

import html
from typing import Any, Literal

import pandas as pd
import xarray as xr
from pandas.io.formats.style import Styler

from ..base.arguments import check_known
from ..base.errors import shown
from .kinds import check_kind
from .tables import summary

__all__ = ["table"]

_SHADE = "49, 134, 197"  # red, green, blue
_MOST = 0.6  # opacity, so that numbers stay readable in light and dark notebooks


def table(scores: xr.Dataset, value: Literal["r", "normalized"] = "r") -> Styler:
    """Make a table of scores for a notebook or a paper: one row per source, shaded.

    A result of `score` is an `xarray.Dataset`, which notebooks show as its variables. This table
    shows the scores; `summary` has all numbers, and `report` writes a page.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.
    value : {"r", "normalized"}
        Score that is shown, as `summary` gives it.

    Returns
    -------
    pandas.io.formats.style.Styler
        Notebooks display it. One column per target and metric; the highest score of each column is
        bold. ``.data`` is the `pandas.DataFrame`; ``.to_latex()`` and ``.to_excel(path)`` write it.

    Raises
    ------
    InputError
        If the result is of another kind, or the value is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> layer, _ = cv.simulate.convergent_pair(100, 20, shares=(1, 0, 0), private=0)
    >>> recording = cv.simulate.recording(layer, 8, repeats=4, name="V4")
    >>> scores = cv.score({"conv1": layer}, recording, ["linear", "procrustes"])
    >>> cv.table(scores).data.round(2)
    target     V4
    metric linear procrustes
    source
    conv1    0.73        0.6
    """
    check_kind(scores, "score", "table")
    check_known("value", value, ("r", "normalized"))
    rows = summary(scores)
    columns = pd.MultiIndex.from_product(
        [rows["target"].unique(), rows["metric"].unique()], names=["target", "metric"]
    )
    wide = rows.pivot_table(value, "source", ["target", "metric"], dropna=False)
    wide = wide.reindex(index=pd.Index(rows["source"].unique(), name="source"), columns=columns)
    highest = float(wide.abs().max().max())

    def shade(score: Any) -> str:
        if not score > 0:  # NaN too
            return ""
        return f"background-color: rgba({_SHADE}, {_MOST * score / highest:.2f}); color: inherit"

    styled = wide.style.format(precision=3, na_rep="–").map(shade)
    styled = styled.highlight_max(axis=0, props="font-weight: bold")
    for axis in ("index", "columns"):
        styled = styled.format_index(_escaped, axis=axis)
    return styled


def _escaped(name: object) -> str:
    return html.escape(shown(name))
