"""Contents of stimuli: hashes that tell apart different images of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, examples
from .stimuli import Stimuli

__all__ = ["COORDINATE", "check_contents", "contents_of", "with_contents"]

COORDINATE = "stimulus_sha256"
_SAMPLE = 64  # most images that are opened for responses alone: another session differs in all


def contents_of(stimuli: Stimuli, names: Sequence[str], *, opened: bool = False) -> list[str]:
    """Hashes of some stimuli.

    Parameters
    ----------
    stimuli : Stimuli
        The images.
    names : sequence of str
        Names of stimuli.
    opened : bool
        Whether all images have been opened, so that the hashes of their pixels cost nothing.
        Otherwise files are hashed, and few of them are decoded.

    Returns
    -------
    list of str
        One for each name; '' if there is no such stimulus.
    """
    known = set(stimuli.names)
    sample = set(stimuli.names[:: -(-len(known) // _SAMPLE)])
    return [
        stimuli.content(name, opened=opened or name in sample) if name in known else ""
        for name in names
    ]


def with_contents(data: xr.DataArray, stimuli: Stimuli, *, opened: bool = False) -> xr.DataArray:
    """Label responses with the hashes of the stimuli.

    Parameters
    ----------
    data : xarray.DataArray
        With names along ``stimulus``.
    stimuli : Stimuli
        The images.
    opened : bool
        As for `contents_of`.

    Returns
    -------
    xarray.DataArray
        The same with the coordinate ``stimulus_sha256``, '' where the image is not known.
    """
    images = data.coords.get("image")  # where stimuli are positions
    positions = images is not None and images.dims == ("stimulus",) and images.dtype.kind == "U"
    names = data["image" if positions else "stimulus"].values.tolist()
    found = contents_of(stimuli, names, opened=opened)
    return data.assign_coords({COORDINATE: ("stimulus", np.array(found, dtype=str))})


def check_contents(names: Sequence[str], arrays: Sequence[xr.DataArray]) -> None:
    """Refuse populations that have other images under the same names.

    Hashes are compared where both populations have one of the same kind: of the file, or of its
    pixels. An image is the same if one of them is. Files differ where an image was saved again
    without loss, so a difference between files alone is no reason to refuse.

    Parameters
    ----------
    names : sequence of str
        Names of the populations in messages.
    arrays : sequence of xarray.DataArray
        Their responses to the same stimuli, in the same order.

    Raises
    ------
    InputError
        If an image differs.
    """
    distinct: list[tuple[str, NDArray[Any]]] = []
    for name, data in zip(names, arrays, strict=True):
        label = data.coords.get(COORDINATE)
        if label is None or label.dims != ("stimulus",) or label.dtype.kind != "U":
            continue
        hashes = label.values
        if any(np.array_equal(hashes, other) for _, other in distinct):
            continue
        for owner, other in distinct:
            differ = _different(hashes, other)
            if len(differ):
                stimuli = data["stimulus"].values[differ].tolist()
                raise _other_images(owner, name, stimuli, len(hashes))
        distinct.append((name, hashes))


def _different(one: NDArray[Any], other: NDArray[Any]) -> list[int]:
    """Positions of the stimuli that are other images."""
    found: dict[str, list[int]] = {"pixels": [], "file": []}  # by what shows the difference
    saved_anew = False
    for i, pair in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        if pair[0] == pair[1]:
            continue
        mine, theirs = (dict(part.split(":", 1) for part in each.split()) for each in pair)
        same = {kind: mine[kind] == theirs[kind] for kind in mine.keys() & theirs.keys()}
        saved_anew |= same == {"file": False, "pixels": True}
        if same and not any(same.values()):
            found["pixels" if "pixels" in same else "file"].append(i)
    return sorted(found["pixels"] + ([] if saved_anew else found["file"]))


def _other_images(one: str, other: str, differ: Sequence[str], n: int) -> InputError:
    return InputError(
        f"{one} and {other} were shown different images under the same names: {len(differ)} of {n} "
        f"stimuli differ in content ({examples(differ)}). Sessions often use the same names for "
        "different images: give the images that belong to the responses. If they do show the same "
        "(images that were saved in another format, for example), leave out the hashes of one "
        f"side: Assembly(a.data.drop_vars({COORDINATE!r}))."
    )
