"""The stimuli, and positions in them, that each unit responds to most."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..base.arguments import as_whole, check_type
from ..data.assembly import Assembly, images_of
from ..data.assembly_checks import read_values
from ..scoring.inputs import as_populations

__all__ = ["best_stimuli"]


def best_stimuli(assembly: Assembly, k: int = 9) -> xr.Dataset:
    """Find the stimuli that each unit responds to most.

    Parameters
    ----------
    assembly : Assembly
        (stimulus, unit); repeats are averaged. Where stimuli are positions of images, only the best
        position of each image counts. Of equal responses that to the first name counts.
    k : int
        Number of stimuli for each unit.

    Returns
    -------
    xarray.Dataset
        ``stimulus`` and ``response`` (unit, rank), from the highest response down: name of the
        image, and the response to it; '' and NaN at the last ranks of units that were recorded for
        fewer than k images. Where stimuli are positions, ``row`` and ``column`` (unit, rank):
        centre of the position, as a share of the image's height and width (0 to 1).

    Raises
    ------
    InputError
        If there are fewer than k images, or k is below 1.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.

    Examples
    --------
    >>> import convergent as cv
    >>> a, _ = cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)
    >>> cv.features.best_stimuli(a, k=3)["stimulus"].shape
    (12, 3)
    """
    check_type(Assembly, "an Assembly", assembly=assembly)
    as_populations("assembly", assembly)
    data = assembly.average().data
    image = images_of(assembly)
    names, member = np.unique(
        assembly.stimuli if image is None else np.asarray(image), return_inverse=True
    )
    k = as_whole("k", k, 1, len(names))  # there are no more images
    values = read_values(data.transpose("stimulus", "unit")).astype(np.float64)
    by_name = np.argsort(np.argsort(assembly.stimuli))
    best = np.empty((values.shape[1], k), dtype=np.intp)
    for unit, column in enumerate(values.T):
        order = np.lexsort((by_name, -column))  # puts NaN last
        first = np.unique(member[order], return_index=True)[1]  # the best position of each image
        best[unit] = order[np.sort(first)[:k]]
    response = np.take_along_axis(values.T, best, axis=1)
    found = xr.Dataset(
        {
            "stimulus": (
                ("unit", "rank"),
                np.where(np.isnan(response), "", names[member[best]].astype(str)),
            ),
            "response": (("unit", "rank"), response),
        },
        {"unit": assembly.units, "rank": np.arange(1, k + 1)},
    )
    if image is not None:
        for axis in ("row", "column"):
            position = data[axis].values
            found[axis] = ("unit", "rank"), (position[best] + 0.5) / (position.max() + 1)
    return found
