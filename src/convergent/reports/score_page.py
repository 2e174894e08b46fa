"""The page of a score: its table, its figure and its provenance."""

from __future__ import annotations

import json
import os
from pathlib import Path

import xarray as xr

from .. import plot
from ..scoring.tables import summary
from .page import write_page

__all__ = ["report"]


def report(scores: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a self-contained HTML page of scores.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`.
    path : path
        Where to write; an existing file is replaced.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If there are no scores to draw.
    """
    return write_page(
        path,
        "scores.html.j2",
        title="Scores on simulated data" if scores.attrs.get("simulated") else "Scores",
        n_stimuli=scores.attrs["n_stimuli"],
        figure=plot.scores(scores),
        summary=summary(scores),
        provenance=json.dumps(json.loads(scores.attrs["provenance"]), indent=1),
    )
