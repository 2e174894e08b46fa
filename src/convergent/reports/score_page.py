"""One page that holds a score's table, its picture and how it was made."""

from __future__ import annotations

import html
import io
import json
import os
from pathlib import Path

import xarray as xr

from .. import plot
from ..base.files import write_whole
from ..scoring.tables import summary

__all__ = ["PAGE", "report"]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; text-align: right; }}
tr:nth-child(even) {{ background: #f4f4f4; }} svg {{ max-width: 100%; height: auto; }}
</style></head><body>
<h1>{title}</h1>
<p>Each score is cross-validated over {n} stimuli: the mean over folds, then the median over units.
<b>r</b>: correlation of prediction and response. <b>ceiling</b>: the r of a perfect model, given
the noise of the recording. <b>normalized</b>: r over ceiling, unit by unit.
<b>explained_variance</b>: the share of the explainable variance, sign(r) r&sup2; over
reliability.</p>
{picture}
{table}
<h2>To do it again</h2>
<pre>{provenance}</pre>
</body></html>
"""


def report(scores: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a self-contained HTML page of scores.

    Parameters
    ----------
    scores : xarray.Dataset
        From `convergent.score`.
    path : path
        Where to write; replaced where it exists.

    Returns
    -------
    Path
        The page.
    """
    picture = io.StringIO()
    plot.scores(scores).savefig(picture, format="svg")
    page = PAGE.format(
        title="Scores on simulated data" if scores.attrs.get("simulated") else "Scores",
        n=scores.attrs["n_stimuli"],
        picture=picture.getvalue()[picture.getvalue().index("<svg") :],
        table=summary(scores).to_html(index=False, border=0, float_format="{:.3f}".format),
        provenance=html.escape(json.dumps(json.loads(scores.attrs["provenance"]), indent=1)),
    )
    path = Path(path)
    write_whole(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return path
