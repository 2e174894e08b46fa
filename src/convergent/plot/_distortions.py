"""Figures of an image under all distortions."""

from __future__ import annotations

from ..base.arguments import as_seed, check_type
from ..base.errors import InputError
from ..data.stimuli import Stimuli
from ..images.distortions import DISTORTIONS, distort
from ._figure import Picture, hide_ticks, named, new_figure

__all__ = ["distortions"]


def distortions(stimuli: Stimuli, name: str | None = None, *, seed: int = 0) -> Picture:
    """Draw one image at all levels of all distortions.

    Parameters
    ----------
    stimuli : Stimuli
        The set of images; the equalised power spectrum is the mean of theirs.
    name : str, optional
        Name of the image; by default the first one.
    seed : int
        Seed of the random draws, as in `convergent.distort`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` with one row per distortion; its control is at the left.

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
    figure = new_figure(1.25 * columns + 1.8, 1.45 * len(DISTORTIONS))
    panels = figure.subplots(len(DISTORTIONS), columns)
    for row, (distortion, about) in zip(panels, DISTORTIONS.items(), strict=True):
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
        label = f"{distortion}\n{about.unit}" if about.unit else distortion
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
    figure.suptitle(f"{named(name)}: controls at the left", fontsize="medium", parse_math=False)
    return figure
