"""Positions of a convolutional layer as stimuli of their own."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import check_type
from ..base.errors import InputError, examples
from .assembly import Assembly

__all__ = ["as_extracted", "by_position", "grid_side", "keeps_positions"]

_AXES = ("channel", "row", "column")
_POSITIONS = re.compile(r"positions(?:-([1-9][0-9]*))?")


def keeps_positions(spatial: object) -> bool:
    """Whether each position becomes a stimulus: ``"positions"``, ``"positions-4"``."""
    return isinstance(spatial, str) and _POSITIONS.fullmatch(spatial) is not None


def grid_side(spatial: str) -> int | None:
    """The N of ``"positions-N"``; None for other treatments, with which a layer keeps its grid."""
    found = _POSITIONS.fullmatch(spatial)
    return int(found[1]) if found and found[1] else None


def as_extracted(flat: Assembly) -> Assembly:
    """Convert activations from the layout in which they are stored to the one that was requested.

    Parameters
    ----------
    flat : Assembly
        With ``spatial`` in its attributes; all positions of all channels are units.

    Returns
    -------
    Assembly
        With positions as stimuli if ``spatial`` says so; otherwise the same.
    """
    return by_position(flat) if keeps_positions(flat.data.attrs.get("spatial")) else flat


def by_position(flat: Assembly) -> Assembly:
    """Make each position of each image a stimulus, and each channel a unit.

    Parameters
    ----------
    flat : Assembly
        (stimulus, unit), with all positions of all channels, as ``extract(...,
        spatial="flatten")`` returns them for a convolutional layer; in memory or on disk.

    Returns
    -------
    Assembly
        (stimulus x position, channel). Stimuli are named ``NAME@ROW.COLUMN/ROWSxCOLUMNS``: sorted
        by name, the positions of an image stay together, row by row, and positions of different
        grids have different names. The coordinates ``image`` (the stimulus to which the position
        belongs), ``row`` and ``column`` lie along ``stimulus``. Values on disk stay there.

    Raises
    ------
    InputError
        If units are not all positions of all channels, in this order; if the name of a stimulus
        begins with that of another one and an ``@``.

    Examples
    --------
    >>> import convergent as cv
    >>> network = cv.network("small-plain", pretrained=False)
    >>> maps = cv.extract(network, cv.drawings(2), ["stem"], spatial="flatten")["stem"]
    >>> cv.by_position(maps).data.shape  # 2 images x 32 rows x 32 columns, 16 channels
    (2048, 16)
    """
    check_type(Assembly, "an Assembly", flat=flat)
    data = flat.data
    channels, rows, columns = _grid(data)
    _check_apart(flat.stimuli.tolist())
    n = rows * columns  # positions of an image
    image, position = (part.ravel() for part in np.indices((len(flat.stimuli), n)))
    width = len(str(channels - 1))
    coords: dict[str, Any] = {
        "stimulus": np.char.add(flat.stimuli[image], _suffixes(rows, columns)[position]),
        "unit": [f"{flat.name or 'unit'}/{channel:0{width}d}" for channel in range(channels)],
    }
    for key, label in data.coords.items():
        if key not in (*data.dims, "row", "column"):
            (dim,) = label.dims
            values = label.values[image] if dim == "stimulus" else label.values[::n]
            coords[str(key)] = (dim, values)
    for key, index in zip(("row", "column"), np.divmod(position, columns), strict=True):
        coords[key] = ("stimulus", index.astype(np.int32))
    coords["image"] = ("stimulus", flat.stimuli[image])
    values = _positions_first(data.data, n)
    return Assembly(xr.DataArray(values, coords, ("stimulus", "unit"), data.name, data.attrs))


def _grid(data: xr.DataArray) -> tuple[int, ...]:
    """Channels, rows and columns of a flattened layer."""
    along = {key for key, label in data.coords.items() if label.dims == ("unit",)}
    if data.dims == ("stimulus", "unit") and along.issuperset(_AXES):
        labels = [data[axis].values for axis in _AXES]
        shape = tuple(int(label.max()) + 1 for label in labels)
        if np.array_equal(labels, np.indices(shape).reshape(len(_AXES), -1)):
            return shape
    raise InputError(
        f"{data.name or 'the assembly'} has {dict(data.sizes)}, and its units are not labelled as "
        "all positions of all channels ('channel', 'row', 'column', in this order): extract a "
        "convolutional layer with spatial='flatten', and take all of its units."
    )


def _check_apart(names: Collection[str]) -> None:
    """Check that, sorted by name, no position of an image comes between those of another."""
    known = set(names)
    nested = [
        name
        for name in names
        if any(name[:end] in known for end, letter in enumerate(name) if letter == "@")
    ]
    if nested:
        raise InputError(
            f"stimuli {examples(nested)} have the name of another stimulus and more after an '@', "
            "as positions have: rename them."
        )


def _suffixes(rows: int, columns: int) -> NDArray[np.str_]:
    """Suffix of an image's name for each position of a grid, row by row."""
    tall, wide = len(str(rows - 1)), len(str(columns - 1))
    return np.array(
        [
            f"@{row:0{tall}d}.{column:0{wide}d}/{rows}x{columns}"
            for row in range(rows)
            for column in range(columns)
        ]
    )


def _positions_first(values: Any, n: int) -> Any:
    """From (image, channel x position), numpy or dask, to (image x position, channel)."""
    if isinstance(values, np.ndarray):
        return _transposed(values, n)
    # complete channels in each chunk, so that some can be read without the others
    values = values.rechunk({1: max(1, round(values.chunksize[1] / n)) * n})
    images, units = values.chunks
    return values.map_blocks(
        _transposed,
        n,
        chunks=(tuple(size * n for size in images), tuple(size // n for size in units)),
        meta=np.empty((0, 0), dtype=values.dtype),
    )


def _transposed(block: NDArray[Any], n: int) -> NDArray[Any]:
    positions = block.reshape(len(block), -1, n).swapaxes(1, 2)
    return positions.reshape(len(block) * n, -1)
