"""Positions of a convolutional layer as stimuli: an image is as many of them as its maps have."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, examples
from .assembly import Assembly

__all__ = ["AXES", "POSITIONS", "as_extracted", "by_position", "grid_side", "keeps_positions"]

AXES = ("channel", "row", "column")
POSITIONS = re.compile(r"positions(?:-([1-9][0-9]*))?")


def keeps_positions(spatial: object) -> bool:
    """Whether each position becomes a stimulus: ``"positions"``, ``"positions-4"``."""
    return isinstance(spatial, str) and POSITIONS.fullmatch(spatial) is not None


def grid_side(spatial: str) -> int | None:
    """The N of ``"positions-N"``; None where there is none, and a layer keeps its own grid."""
    found = POSITIONS.fullmatch(spatial)
    return int(found[1]) if found and found[1] else None


def as_extracted(flat: Assembly) -> Assembly:
    """What `extract` was asked for, from the layout in which it is gathered and stored."""
    return by_position(flat) if keeps_positions(flat.data.attrs.get("spatial")) else flat


def by_position(flat: Assembly) -> Assembly:
    """Make a stimulus of each position of each image, and a unit of each channel.

    Parameters
    ----------
    flat : Assembly
        (stimulus, unit), all positions of all channels, as ``extract(..., spatial="flatten")``
        gives them of a convolutional layer; in memory or on disk.

    Returns
    -------
    Assembly
        (stimulus x position, channel). Stimuli are named ``NAME@ROW.COLUMN/ROWSxCOLUMNS``: sorted
        by name, the positions of an image stay together, row by row, and no position of one grid
        is taken for one of another. Along ``stimulus`` stand ``image`` (the stimulus that it is a
        position of), ``row`` and ``column``. What is on disk stays there.

    Raises
    ------
    InputError
        Where units are not all positions of all channels, in this order; where the name of a
        stimulus is that of another and more behind an ``@``.
    """
    data = flat.data
    channels, rows, columns = _grid(data)
    _check_apart(flat.stimuli.tolist())
    places = rows * columns
    image, place = (part.ravel() for part in np.indices((len(flat.stimuli), places)))
    width = len(str(channels - 1))
    coords: dict[str, Any] = {
        "stimulus": np.char.add(flat.stimuli[image], _behind_names(rows, columns)[place]),
        "unit": [f"{flat.name or 'unit'}/{channel:0{width}d}" for channel in range(channels)],
    }
    for key, label in data.coords.items():
        if key not in (*data.dims, "row", "column"):
            (dim,) = label.dims
            values = label.values[image] if dim == "stimulus" else label.values[::places]
            coords[str(key)] = (dim, values)
    for key, of_place in zip(("row", "column"), np.divmod(place, columns), strict=True):
        coords[key] = ("stimulus", of_place.astype(np.int32))
    coords["image"] = ("stimulus", flat.stimuli[image])
    values = _places_first(data.data, places)
    return Assembly(xr.DataArray(values, coords, ("stimulus", "unit"), data.name, data.attrs))


def _grid(data: xr.DataArray) -> tuple[int, ...]:
    """Channels, rows and columns of a flattened layer."""
    along = {key for key, label in data.coords.items() if label.dims == ("unit",)}
    if data.dims == ("stimulus", "unit") and along.issuperset(AXES):
        labels = [data[axis].values for axis in AXES]
        shape = tuple(int(label.max()) + 1 for label in labels)
        if np.array_equal(labels, np.indices(shape).reshape(len(AXES), -1)):
            return shape
    raise InputError(
        f"{data.name or 'the assembly'} has {dict(data.sizes)}, and its units are not labelled as "
        "all positions of all channels ('channel', 'row', 'column', in this order): extract a "
        "convolutional layer with spatial='flatten', and take all of its units."
    )


def _check_apart(names: Collection[str]) -> None:
    """Make sure that, sorted by name, positions of no image come between those of another."""
    known = set(names)
    nested = [
        name
        for name in names
        if any(name[:end] in known for end, letter in enumerate(name) if letter == "@")
    ]
    if nested:
        raise InputError(
            f"stimuli {examples(nested)} are named as others with more behind an '@', which is how "
            "positions are named: rename them."
        )


def _behind_names(rows: int, columns: int) -> NDArray[np.str_]:
    """What is put behind the name of an image, for each position of a grid, row by row."""
    tall, wide = len(str(rows - 1)), len(str(columns - 1))
    return np.array(
        [
            f"@{row:0{tall}d}.{column:0{wide}d}/{rows}x{columns}"
            for row in range(rows)
            for column in range(columns)
        ]
    )


def _places_first(values: Any, places: int) -> Any:
    """From (image, channel x place), numpy or dask, to (image x place, channel)."""
    if isinstance(values, np.ndarray):
        return _turned(values, places)
    # whole channels in each chunk, so that some can be read without the others
    values = values.rechunk({1: max(1, round(values.chunksize[1] / places)) * places})
    images, units = values.chunks
    return values.map_blocks(
        _turned,
        places,
        chunks=(tuple(n * places for n in images), tuple(n // places for n in units)),
        meta=np.empty((0, 0), dtype=values.dtype),
    )


def _turned(block: NDArray[Any], places: int) -> NDArray[Any]:
    apart = block.reshape(len(block), -1, places).swapaxes(1, 2)
    return apart.reshape(len(block) * places, -1)
