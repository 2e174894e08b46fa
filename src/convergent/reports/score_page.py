"""The page of a score: its table, its figure and its provenance."""

from __future__ import annotations

import json
import os
from pathlib import Path

import xarray as xr

from .. import plot
from ..scoring.kinds import check_kind
from ..scoring.tables import summary
from .page import write_page

__all__ = ["score_page"]


def score_page(scores: xr.Dataset, path: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write a self-contained HTML page of scores.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`.
    path : path
        File to write; an existing one is replaced.
    title : str, optional
        Title of the page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the result is of another kind, or there are no scores to draw.
    """
    check_kind(scores, "score", "report")
    usual = "Scores on simulated data" if scores.attrs.get("simulated") else "Scores"
    return write_page(
        path,
        "scores.html.j2",
        title=title or usual,
        n_stimuli=scores.attrs["n_stimuli"],
        figure=plot.scores(scores),
        summary=summary(scores),
        provenance=json.dumps(json.loads(scores.attrs["provenance"]), indent=1),
    )
