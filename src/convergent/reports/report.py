"""Reports: the page that goes with a result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from .. import plot
from ..base.arguments import as_list, check_type
from ..base.errors import InputError
from ..base.files import as_path
from ..features._overview_tables import Overview
from .features_page import features_page
from .score_page import score_page

__all__ = ["report"]

_CONTROLS = "a list of results of score"


def report(
    result: xr.Dataset | Overview,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    figures: Mapping[str, Mapping[str, plot.Picture]] | None = None,
    controls: Sequence[xr.Dataset] = (),
) -> Path:
    """Write a result as a self-contained HTML page.

    Parameters
    ----------
    result : xarray.Dataset or Overview
        From `score`, or from `features.overview`.
    path : path
        File to write; an existing one is replaced.
    title : str, optional
        Title of the page.
    figures : dict of dict of Picture, optional
        For an overview, its figures by layer and name (`plot.layer_figures`), where they are drawn
        already.
    controls : sequence of xarray.Dataset
        For scores, those of controls such as untrained networks, as `against` takes them.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        Where the result is of another kind, or there are no scores to draw.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.report(scores, "report.html")  # doctest: +SKIP
    """
    path = as_path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file in it, such as report.html.")
    if title is not None:
        check_type(str, "a text", title=title)
    if figures is not None:
        check_type(Mapping, "a dict of figures by layer and name", figures=figures)
    if isinstance(result, Overview):
        return features_page(result, path, title or "Features", figures)
    if not isinstance(result, xr.Dataset):
        raise InputError(
            f"a report is made of scores or of an overview of features, and this is a "
            f"{type(result).__name__}: give what convergent.score or features.overview returned."
        )
    return score_page(result, path, title, as_list("controls", controls, _CONTROLS))
