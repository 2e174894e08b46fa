"""What a unit likes: the stimuli, and places in them, that it responds to most."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..base.errors import InputError
from ..data.assembly import Assembly, images_of
from ..scoring.inputs import named

__all__ = ["best_stimuli"]


def best_stimuli(assembly: Assembly, k: int = 9) -> xr.Dataset:
    """The stimuli that each unit responds to most, best first.

    Parameters
    ----------
    assembly : Assembly
        (stimulus, unit); repeats are averaged. Of positions of images, the best of each image
        counts.
    k : int
        How many stimuli.

    Returns
    -------
    xarray.Dataset
        ``stimulus`` and ``response`` (unit, rank): name of the image, and the response to it;
        '' and NaN where the unit was recorded for fewer. Where
        stimuli are positions, ``row`` and ``column`` (unit, rank), the middle of the position, from
        0 to 1 of the image's height and width.

    Raises
    ------
    InputError
        Where there are fewer than k images, or none is asked for.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    named("assembly", assembly)
    data = assembly.average().data
    image = images_of(assembly)
    names, member = np.unique(
        assembly.stimuli if image is None else np.asarray(image), return_inverse=True
    )
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= len(names):
        raise InputError(f"k={k!r}: there are {len(names)} images, so give from 1 to {len(names)}.")
    values = np.asarray(data.transpose("stimulus", "unit").values, dtype=np.float64)
    best = np.empty((values.shape[1], k), dtype=np.intp)
    for unit, column in enumerate(values.T):
        order = np.lexsort((np.arange(len(column)), -column))  # NaN come last
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
            place = data[axis].values
            found[axis] = ("unit", "rank"), (place[best] + 0.5) / (place.max() + 1)
    return found
