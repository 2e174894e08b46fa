"""One page of what the units of two populations share: claims, tables and figures of each layer."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .. import plot
from ..base.files import write_whole
from ..features._overview_tables import Overview
from ..plot._figure import Picture

__all__ = ["LAYER", "PAGE", "features_page", "layer_figures"]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; text-align: left; }}
tr:nth-child(even) {{ background: #f4f4f4; }} img {{ max-width: 100%; height: auto; }}
</style></head><body>
<h1>{title}</h1>
<p>Units are matched and predicted on training stimuli, and scored on the others of {n} stimuli, as
are the means of clusters in the first figure; clusters of single layers are found on all of them.
The claims are those of Li et al. 2015, arXiv 1511.07543.</p>
{claims}
{picture}
{layers}
</body></html>
"""

LAYER = """<h2>{layer}</h2>
{matches}
{figures}
"""


def layer_figures(found: Overview, layer: str) -> dict[str, Picture]:
    """The figures of one layer, by name.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    layer : str
        One of its layers.
    """
    of = found.steps[layer]
    return {
        "activation-spectra": plot.activation_spectra(of["correlations"]),
        "correlation-matrices": plot.correlation_matrices(of["correlations"]),
        "matches": plot.matches(of["matches"]),
        "sparse-prediction": plot.sparse_prediction(of["sparse"]),
        "clusters": plot.clusters(of["clusters"]),
        "partial-matching": plot.partial_matching(of["partial"]),
    }


def features_page(
    found: Overview,
    path: str | os.PathLike[str],
    title: str = "Features",
    figures: Mapping[str, Mapping[str, Picture]] | None = None,
) -> Path:
    """Write a self-contained HTML page.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    path : path
        Where to write; replaced where it exists.
    title : str
        Of the page.
    figures : dict of dict of Picture, optional
        `layer_figures` by layer, where they are drawn already.

    Returns
    -------
    Path
        The page.
    """
    drawn = figures or {layer: layer_figures(found, layer) for layer in found.steps}
    summary = found.table("matches").set_index("layer")
    layers = [
        LAYER.format(
            layer=html.escape(layer),
            matches=_table(summary.loc[[layer]].set_index("side").T),
            figures="".join(map(_image, drawn[layer].values())),
        )
        for layer in found.steps
    ]
    page = PAGE.format(
        title=html.escape(title),
        n=found.layers.attrs["n_stimuli"],
        claims=found.claims.to_html(index=False, border=0),
        picture=_image(plot.overview(found)),
        layers="".join(layers),
    )
    path = Path(path)
    write_whole(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return path


def _table(frame: pd.DataFrame) -> str:
    return str(frame.to_html(border=0, float_format="{:.3f}".format))


def _image(figure: Picture) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return (
        f'<p><img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"></p>'
    )
