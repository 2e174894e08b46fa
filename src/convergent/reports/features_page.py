"""The page of what the units of two populations share: claims, and tables and figures by layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .. import plot
from ..features._overview_tables import Overview
from .page import write_page

__all__ = ["features_page"]


def features_page(
    found: Overview,
    path: str | os.PathLike[str],
    title: str = "Features",
    figures: Mapping[str, Mapping[str, plot.Picture]] | None = None,
) -> Path:
    """Write a self-contained HTML page of features.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    path : path
        Where to write; an existing file is replaced.
    title : str
        Title of the page.
    figures : dict of dict of Picture, optional
        Figures of `plot.layer_figures` by layer; drawn if omitted.

    Returns
    -------
    Path
        The page.
    """
    matches = found.table("matches").set_index("layer")
    return write_page(
        path,
        "features.html.j2",
        title=title,
        n_stimuli=found.layers.attrs["n_stimuli"],
        claims=found.claims,
        overview=plot.overview(found),
        matches_of_layers={
            layer: matches.loc[[layer]].set_index("side").T for layer in found.steps
        },
        figures=figures or {layer: plot.layer_figures(found, layer) for layer in found.steps},
    )
