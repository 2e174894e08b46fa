"""A sheet of all distortions."""

from __future__ import annotations

from ..base.errors import InputError
from ..data.stimuli import Stimuli
from ..images.distortions import DISTORTIONS, distort
from ._figure import Picture, hide_ticks, new_figure

__all__ = ["distortions"]


def distortions(stimuli: Stimuli, name: str | None = None, *, seed: int = 0) -> Picture:
    """One image at all levels of all distortions.

    Parameters
    ----------
    stimuli : Stimuli
        Where the image is from; equal power spectra are the mean of these.
    name : str, optional
        Which image; the first where left out.
    seed : int
        Draws what is random, as in `convergent.distort`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a row a distortion, its control at the left.
    """
    name = stimuli.names[0] if name is None else name
    columns = max(len(each.levels) for each in DISTORTIONS.values())
    figure = new_figure(1.25 * columns + 1.8, 1.45 * len(DISTORTIONS))
    panels = figure.subplots(len(DISTORTIONS), columns)
    for row, (distortion, about) in zip(panels, DISTORTIONS.items(), strict=True):
        for panel, level in zip(row, about.levels, strict=False):
            try:
                panel.imshow(distort(stimuli, distortion, level, seed=seed)[name])
            except InputError:  # a grey image has no colours to change
                panel.text(0.5, 0.5, "needs\ncolours", ha="center", va="center", fontsize="small")
            panel.set_title(level if isinstance(level, str) else f"{level:g}", fontsize="small")
            hide_ticks(panel)
        for panel in row[len(about.levels) :]:
            panel.remove()
        row[0].set_ylabel(
            "\n".join([distortion, *([about.unit] if about.unit else [])]),
            rotation=0,
            ha="right",
            va="center",
            fontsize="small",
        )
    figure.suptitle(f"{name}: controls at the left", fontsize="medium", parse_math=False)
    return figure
