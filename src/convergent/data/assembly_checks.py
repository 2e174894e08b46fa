"""Checks of an assembly's array: dims, names, coordinates and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, examples
from .names import one_spelling

__all__ = [
    "BLOCK_BYTES",
    "check_array",
    "labels_along",
    "labels_of",
    "read_values",
    "row_blocks",
]

_DIMS = ("stimulus", "unit", "repeat", "time")
_FIRST_COMBINING = 0x300  # code point of the first accent that is written after its letter
BLOCK_BYTES = 64 * 2**20  # how much of an array is read at a time


def check_array(data: xr.DataArray) -> xr.DataArray:
    """Check an array, and put its dims in order.

    Parameters
    ----------
    data : xarray.DataArray
        As `Assembly` takes it.

    Returns
    -------
    xarray.DataArray
        (stimulus, unit), then ``repeat`` and ``time`` if they exist.

    Raises
    ------
    InputError
        If it is not an array that `Assembly` takes.
    """
    if not isinstance(data, xr.DataArray):
        raise InputError(
            f"an Assembly wraps an xarray.DataArray, not {type(data).__name__}: use "
            "Assembly.from_array for bare arrays."
        )
    other = [str(dim) for dim in data.dims if dim not in _DIMS]
    missing = [dim for dim in _DIMS[:2] if dim not in data.dims]
    if other or missing:
        raise InputError(
            f"dims are {tuple(map(str, data.dims))}: an assembly has 'stimulus' and 'unit', then "
            "optionally 'repeat' and 'time'; "
            + (f"rename {examples(other)}, or average over it." if other else "")
            + (f"there is no {examples(missing)}: rename or add it." if missing else "")
        )
    if 0 in data.shape:
        raise InputError(f"the assembly is empty: its sizes are {dict(data.sizes)}.")
    if data.dtype.kind != "f":
        raise InputError(
            f"values are {data.dtype}: an assembly holds floats, with NaN for what was not "
            "recorded. Convert them (values.astype('float32')) once you know that they are numbers."
        )
    for key, coordinate in data.coords.items():
        data = data.assign_coords({key: _checked_coordinate(str(key), coordinate)})
    for dim in _DIMS[:2]:
        _check_names(data, dim)
    data = _with_one_spelling(data)
    _check_finite(data)
    return data.transpose(*(dim for dim in _DIMS if dim in data.dims))


def _checked_coordinate(key: str, coordinate: xr.DataArray) -> xr.DataArray:
    if coordinate.ndim != 1:
        raise InputError(
            f"coordinate {key!r} has dims {coordinate.dims}: every label lies along one dim. Drop "
            f"it (.drop_vars({key!r})) or keep it in attrs."
        )
    if len(getattr(coordinate.to_index(), "levels", ())):
        raise InputError(
            f"coordinate {key!r} is a MultiIndex, which no file format stores: make plain "
            f"coordinates of its levels (.reset_index({key!r})) and name each {coordinate.dims[0]}."
        )
    if not isinstance(coordinate.dtype, np.dtype):  # pandas has types that no file format stores
        coordinate = coordinate.copy(data=coordinate.to_numpy())
    if coordinate.dtype.kind not in "biufOUTM":
        raise InputError(
            f"coordinate {key!r} is {coordinate.dtype}: labels are plain strings, numbers or flags."
        )
    if coordinate.dtype.kind not in "OT":
        return coordinate
    values = coordinate.values.tolist()
    other = next((value for value in values if not isinstance(value, str)), None)
    if other is not None or None in values:
        raise InputError(
            f"coordinate {key!r} holds {other!r} ({type(other).__name__}) among strings: "
            "labels are all strings or all numbers. Write '' where there is none."
        )
    return coordinate.copy(data=np.array(values, dtype=str))


def _check_names(data: xr.DataArray, dim: str) -> None:
    """Check that the names along a dim are unique strings."""
    if dim not in data.coords:
        raise InputError(
            f"no names along {dim!r}: give one string for each {dim}; they are matched by name, "
            "never by position."
        )
    if data[dim].dtype.kind != "U":
        raise InputError(
            f"names along {dim!r} are {data[dim].dtype} (e.g. {data[dim].values[0]!r}): use "
            f"strings, such as {'image0000.jpg' if dim == 'stimulus' else 'unit0'!r}."
        )
    index = data.indexes[dim]
    if not index.is_unique:
        twice = index[index.duplicated()].unique().tolist()
        raise InputError(
            f"{len(twice)} names along {dim!r} occur more than once: {examples(twice)}. Name each "
            f"{dim} once"
            + ("; presentations of one stimulus go along 'repeat'." if dim == "stimulus" else ".")
        )


def _with_one_spelling(data: xr.DataArray) -> xr.DataArray:
    """Write accents in names of stimuli in one way, so that names match."""
    values = np.ascontiguousarray(data["stimulus"].values)
    if values.dtype.itemsize == 0 or values.view(np.uint32).max() < _FIRST_COMBINING:
        return data  # at once for very many names
    names = values.tolist()
    composed = [one_spelling(name) for name in names]
    if composed == names:
        return data
    data = data.assign_coords(stimulus=data["stimulus"].copy(data=np.array(composed)))
    _check_names(data, "stimulus")  # two names may be one now
    return data


def _check_finite(data: xr.DataArray) -> None:
    if data.chunks is not None:
        return
    for rows in row_blocks(data):
        block = data.isel(stimulus=rows)
        infinite = np.isinf(block.values)
        if infinite.any():
            first = dict(zip(block.dims, np.argwhere(infinite)[0].tolist(), strict=True))
            raise InputError(
                f"{int(infinite.sum())} or more values are infinite, the first at stimulus "
                f"{block['stimulus'].values[first['stimulus']]!s}, unit "
                f"{block['unit'].values[first['unit']]!s}: correct them, or set them to NaN if "
                "they were not recorded."
            )


def read_values(data: xr.DataArray) -> NDArray[Any]:
    """Read values into memory.

    Parameters
    ----------
    data : xarray.DataArray
        Numpy or dask.

    Returns
    -------
    array
        Of the same shape.

    Raises
    ------
    InputError
        If they cannot be read from disk.
    """
    try:
        return np.asarray(data.values)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"the responses cannot be read from disk ({error}): the file is damaged or cut short; "
            "make or copy it again."
        ) from error


def row_blocks(data: xr.DataArray) -> list[slice]:
    """Divide the stimuli into blocks of about BLOCK_BYTES.

    Parameters
    ----------
    data : xarray.DataArray
        Numpy or dask; a block of a dask array holds one row of chunks or more.

    Returns
    -------
    list of slice
        Along ``stimulus``.
    """
    n = data.sizes["stimulus"]
    rows = max(1, int(BLOCK_BYTES // max(1, data.nbytes // n)))
    if data.chunks is None:
        return [slice(start, start + rows) for start in range(0, n, rows)]
    ends = np.cumsum(data.chunksizes["stimulus"])  # a chunk in two blocks would be read twice
    blocks, start = [], 0
    for end, following in zip(ends, [*ends[1:], np.inf], strict=True):
        if following - start > rows:
            blocks.append(slice(start, int(end)))
            start = int(end)
    return blocks


def labels_along(key: str, values: Any, dim: str, sizes: Mapping[str, int]) -> tuple[str, Any]:
    """Check the length of labels along a dim.

    Parameters
    ----------
    key : str
        Name of the coordinate.
    values : sequence
        The labels.
    dim : str
        The dim.
    sizes : mapping of str to int
        Sizes of the array's dims.

    Returns
    -------
    tuple of (str, sequence)
        Dim and labels, as xarray takes them.

    Raises
    ------
    InputError
        If the array has no such dim, or another number of labels along it.
    """
    if dim not in sizes:
        raise InputError(f"{key!r} lies along {dim!r}, but the array's dims are {tuple(sizes)}.")
    if len(values) != sizes[dim]:
        raise InputError(
            f"{len(values)} values of {key!r} for {sizes[dim]} along {dim!r} (the array has "
            f"{dict(sizes)}): give one for each, or correct dims."
        )
    return dim, values


def labels_of(key: str, label: Any, sizes: Mapping[str, int]) -> tuple[str, Any]:
    """Find the dim along which a label of `Assembly.from_array` lies.

    Parameters
    ----------
    key : str
        Name of the coordinate.
    label : object
        A single value for all units, an array, or ``(dim, array)``.
    sizes : mapping of str to int
        Sizes of the array's dims.

    Returns
    -------
    tuple of (str, sequence)
        Dim and labels, as xarray takes them.

    Raises
    ------
    InputError
        If the label fits no dim, or several.
    """
    if isinstance(label, tuple) and len(label) == 2 and label[0] in _DIMS:
        return labels_along(key, label[1], label[0], sizes)
    if np.ndim(label) == 0:
        return "unit", [label] * sizes.get("unit", 0)
    fits = [dim for dim in _DIMS[:2] if sizes.get(dim) == len(label)]
    if len(fits) != 1:
        raise InputError(
            f"{len(label)} values of {key!r} fit {' and '.join(fits) or 'no dim'} of "
            f"{dict(sizes)}: name the dim, {key}=('unit', values)."
        )
    return fits[0], label
