"""Figures of a comparison: both directions, and the measures of the literature, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from ..base.arguments import as_list, check_known
from ..base.errors import InputError
from ..scoring.kinds import check_kind
from ._figure import COLOURS, Labels, Panels, hide_spines, inches, label_axis, make_rows, wrapped

__all__ = ["compare"]

_MOST_NUMBERS = 12  # rows of a matrix whose numbers are written
_CELL = 0.32  # inches that a number needs
_OF_OTHER_SIZE = "procrustes-distance"  # in the units of the responses
_WORDS = {
    "linear-forward": "linear: {first} predicts {second}",
    "linear-backward": "linear: {second} predicts {first}",
    "linear": "linear: mean of both",
    "procrustes-angle": "Procrustes angle (rad)",
    "procrustes-angle-cv": "Procrustes angle (rad), held out",
    "procrustes-distance": "Procrustes distance",
    "soft-matching-distance": "soft-matching distance",
    "soft-matching-distance-cv": "soft-matching distance, held out",
    "cka": "CKA",
    "cka-debiased": "CKA, debiased",
    "rsa-pearson": "RSA, Pearson",
    "rsa-spearman": "RSA, Spearman",
    "rsa-cosine": "RSA, cosine",
    "mutual-knn": "mutual nearest neighbours",
}


def compare(
    result: xr.Dataset,
    *,
    kind: str = "similarity",
    measures: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw the measures of a comparison side by side, the linear one in both directions.

    Parameters
    ----------
    result : xarray.Dataset
        From `convergent.compare`.
    kind : {"similarity", "distance"}
        Which measures are drawn. Similarities are 1 for equal populations, distances 0.
    measures : list of str, optional
        Measures of this kind that are drawn; by default, all but the Procrustes distance, which is
        in the units of the responses.
    labels : dict of str, optional
        Texts that are shown for names of measures and populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default, in a new figure.
    ax : Axes, optional
        Where to draw, if one side has one population, or one measure is drawn.

    Returns
    -------
    Picture, or the figure or axes that were given
        For two populations, a dot for each measure; if one side has several, a matrix of measures
        and populations; if both have, a matrix of populations for each measure.

    Raises
    ------
    InputError
        If the result is of another kind, or a name is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> one, other = cv.simulate.convergent_pair(60, 20, shares=(1, 0, 0), private=0)
    >>> figure = cv.plot.compare(cv.compare(one, other, folds=cv.Folds(3), references="cka"))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()][::3]
    ['linear: A predicts B', 'CKA']
    """
    check_kind(result, "compare", "plot.compare")
    check_known("kind", kind, ("similarity", "distance"))
    known = [str(name) for name in result["measure"].values[result["kind"].values == kind]]
    drawn = [name for name in known if name != _OF_OTHER_SIZE]
    if measures is not None:
        drawn = as_list("measures", measures, "a list of names")
        for name in drawn:
            check_known(f"measure of {kind}", name, known)
    values = result["value"].sel(measure=drawn)
    if not values.size or values.isnull().all():
        raise InputError(f"the result has no {kind} to draw.")
    texts = Labels.of(labels)
    sides = [side for side in ("first", "second") if values.sizes[side] > 1]
    draw = (_draw_pair, _draw_measures, _draw_matrices)[len(sides)]
    panels = draw(values, texts, figure, ax)
    panels.add_headline(_headline(result, values, kind, texts))
    return panels.result


def _called(values: xr.DataArray, texts: Labels, many: bool = False) -> list[str]:
    """Words for measures, with the names of the two populations, or of the two sides."""
    names = {
        side: side if many and values.sizes[side] > 1 else texts(values[side].values[0], 16)
        for side in ("first", "second")
    }
    found = []
    for measure in map(str, values["measure"].values):
        words = _WORDS.get(measure, measure).format(**names)
        found.append(texts(measure) if measure in texts.given else words)
    return found


def _draw_pair(
    values: xr.DataArray, texts: Labels, figure: Figure | SubFigure | None, ax: Axes | None
) -> Panels:
    """Draw one dot for each measure of two populations."""
    numbers = values.values[:, 0, 0]
    size = (5.2, 0.8 + 0.28 * len(numbers))
    panels = make_rows(1, size, figure=figure, ax=ax, beside=1.6)
    (panel,) = panels.flat
    y = np.arange(len(numbers))
    whole = values["cross_validated"].values.astype(bool)
    panel.hlines(y, 0, numbers, color="0.85", linewidth=1)
    for held_out, fill, label in ((True, COLOURS[0], "held-out"), (False, "white", "all")):
        own = whole == held_out
        panel.plot(
            numbers[own],
            y[own],
            "o",
            color=COLOURS[0],
            markerfacecolor=fill,
            label=f"{label} stimuli",
        )
    for at, number in zip(y, numbers, strict=True):
        if np.isfinite(number):
            panel.annotate(
                f"{number:.2f}",
                (max(number, 0), at),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
            )
    panel.set_yticks(y, _called(values, texts), parse_math=False)
    panel.invert_yaxis()
    panel.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    similar = values["kind"].values[0] == "similarity"
    panels.label_x("similarity (1: the same)" if similar else "distance (0: the same)")
    panel.margins(x=0.12)
    hide_spines(panel)
    panels.add_legend()
    return panels


def _draw_measures(
    values: xr.DataArray, texts: Labels, figure: Figure | SubFigure | None, ax: Axes | None
) -> Panels:
    """Draw a matrix of measures (rows) and the populations of the side that has several."""
    side = "first" if values.sizes["first"] > 1 else "second"
    matrix = values.transpose("measure", side, ...).values[:, :, 0]
    size = (min(9.0, 2.8 + 0.45 * matrix.shape[1]), 1.4 + 0.3 * len(matrix))
    panels = make_rows(1, size, figure=figure, ax=ax, beside=1.2)
    _draw_matrix(panels, panels.flat[0], matrix, _scale(values))
    panels.flat[0].set_yticks(
        np.arange(len(matrix)), _called(values, texts, True), parse_math=False
    )
    _finish(panels, values, {"x": side}, texts)
    return panels


def _draw_matrices(
    values: xr.DataArray, texts: Labels, figure: Figure | SubFigure | None, ax: Axes | None
) -> Panels:
    """Draw a matrix of populations for each measure."""
    n = values.sizes["measure"]
    options: dict[str, Any] = {"sharex": True, "sharey": True}
    panels = make_rows(n, (2.6, 2.6), figure=figure, ax=ax, beside=1.2, **options)
    for panel, name, one in zip(panels.flat, _called(values, texts, True), values, strict=True):
        _draw_matrix(panels, panel, one.transpose("second", "first").values, _scale(values))
        lines = wrapped(name, panels.width - 0.8, panels.text_size)
        panel.set_title(lines, fontsize=panels.text_size, parse_math=False)
    _finish(panels, values, {"x": "first", "y": "second"}, texts)
    return panels


def _scale(values: xr.DataArray) -> Normalize:
    """One scale of colours for all measures of a figure."""
    return Normalize(min(0.0, float(values.min())), max(1e-6, float(values.max())))


def _draw_matrix(panels: Panels, panel: Axes, matrix: Any, scale: Normalize) -> None:
    """Draw numbers as colours, and as text where it has room."""
    panel.imshow(matrix, norm=scale, cmap="viridis", aspect="auto")
    labels = 2.4 if panels.columns == 1 else 0.6  # inches
    if (panels.width - labels) / matrix.shape[1] < _CELL or matrix.shape[0] > _MOST_NUMBERS:
        return
    for (row, column), number in np.ndenumerate(matrix):
        if np.isfinite(number):
            ink = "black" if scale(number) > 0.6 else "white"
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": "x-small",
                "color": ink,
            }
            panel.text(column, row, f"{number:.2f}", **style)


def _finish(panels: Panels, values: xr.DataArray, axes: Mapping[str, str], texts: Labels) -> None:
    """Label the axes with names of populations, and add the bar of colours."""
    for axis, side in axes.items():
        names, pattern = values[side].values, ""
        short = max(map(len, texts.short(names)[0])) <= 3
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        for panel in panels.flat:
            if axis == "x":
                most, style = int((panels.width - 0.7) / 0.2), {} if short else turned
                pattern = label_axis(panel.xaxis, names, texts, most=max(2, most), **style)
            else:
                rows = inches(panels.figure)[1] * panels.columns / len(panels.flat)
                most = max(2, int((rows - 0.7) / 0.2))
                pattern = label_axis(panel.yaxis, names, texts, most=most)
        write = panels.label_x if axis == "x" else panels.label_y
        write(f"{side}: {pattern}" if pattern else f"{side} population")
    panels.add_bar(panels.flat[0].images[0], str(values["kind"].values[0]))


def _headline(result: xr.Dataset, values: xr.DataArray, kind: str, texts: Labels) -> str:
    """What was compared, with how many stimuli."""
    simulated = "Simulated data: " if result.attrs.get("simulated") else ""
    names = [
        f"{side}: {texts(values[side].values[0], 24)}"
        if values.sizes[side] == 1
        else f"{side}: {values.sizes[side]} populations"
        for side in ("first", "second")
    ]
    same = "1: the same, up to what the measure ignores" if kind == "similarity" else "0: the same"
    stimuli = result.attrs.get("n_stimuli", "unknown")
    return f"{simulated}{'; '.join(names)}; {stimuli} stimuli. {same}."
