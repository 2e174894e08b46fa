"""Figures of an image under all distortions."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure, SubFigure

from ..base.arguments import as_seed, check_type
from ..base.errors import InputError
from ..data.stimuli import Stimuli
from ..images.distortions import DISTORTIONS, distort
from ._figure import Labels, hide_ticks, make_panels
from ._panels import headline

__all__ = ["distortions"]


def distortions(
    stimuli: Stimuli,
    name: str | None = None,
    *,
    seed: int = 0,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw one image at all levels of all distortions.

    Parameters
    ----------
    stimuli : Stimuli
        The set of images; the equalised power spectrum is the mean of theirs.
    name : str, optional
        Name of the image; by default the first one.
    seed : int
        Seed of the random draws, as in `convergent.distort`.
    labels : dict of str, optional
        Texts for names of distortions, and of the image.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        One row per distortion, with its level above each image; the control is at the left.

    Raises
    ------
    InputError
        If there is no such image.
    """
    check_type(Stimuli, "Stimuli", stimuli=stimuli)
    seed = as_seed(seed)
    if name is not None:
        check_type(str, "the name of an image", name=name)
    name = stimuli.names[0] if name is None else name
    stimuli[name]  # raises if there is none, before the levels are drawn
    columns = max(len(each.levels) for each in DISTORTIONS.values())
    size = (1.1 * columns + 1.4, 1.3 * len(DISTORTIONS) + 0.4)
    panels = make_panels(len(DISTORTIONS), columns, size, figure=figure)
    text = Labels.of(labels)
    for row, (distortion, about) in zip(panels.grid, DISTORTIONS.items(), strict=True):
        for panel, level in zip(row, about.levels, strict=False):
            try:
                panel.imshow(distort(stimuli, distortion, level, seed=seed)[name])
            except InputError:
                needs = "needs\ncolours" if about.colour else "needs images\nof one size"
                panel.text(0.5, 0.5, needs, ha="center", va="center", fontsize="small")
            panel.set_title(level if isinstance(level, str) else f"{level:g}", fontsize="small")
            hide_ticks(panel)
        for panel in row[len(about.levels) :]:
            panel.remove()
        said = (about.unit or "").startswith(text(distortion))
        label = "\n".join([text(distortion)] * (not said) + [about.unit] * bool(about.unit))
        style = {"rotation": 0, "ha": "right", "va": "center", "fontsize": "small"}
        row[0].set_ylabel(label, parse_math=False, **style)
    headline(panels, f"{text(name)} at all levels of each distortion; controls at the left")
    return panels.figure
