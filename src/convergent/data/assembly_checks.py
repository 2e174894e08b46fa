"""What an assembly must be: names, coordinates and values, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, examples

__all__ = [
    "BLOCK_BYTES",
    "DIMS",
    "check_array",
    "check_names",
    "labels_along",
    "read_values",
    "row_blocks",
]

DIMS = ("stimulus", "unit", "repeat", "time")
BLOCK_BYTES = 64 * 2**20  # how much of an array is looked at in one go


def check_array(data: xr.DataArray) -> xr.DataArray:
    """Assembly's data with dims in order and labels checked, or an error."""
    if not isinstance(data, xr.DataArray):
        raise InputError(
            f"an Assembly wraps an xarray.DataArray, not {type(data).__name__}: use "
            "Assembly.from_array for bare arrays."
        )
    strange = [str(dim) for dim in data.dims if dim not in DIMS]
    missing = [dim for dim in DIMS[:2] if dim not in data.dims]
    if strange or missing:
        raise InputError(
            f"dims are {tuple(map(str, data.dims))}: an assembly has 'stimulus' and 'unit', then "
            "optionally 'repeat' and 'time'; "
            + (f"rename or average away {examples(strange)}." if strange else "")
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
    for dim in DIMS[:2]:
        check_names(data, dim)
    _check_finite(data)
    return data.transpose(*(dim for dim in DIMS if dim in data.dims))


def _checked_coordinate(key: str, coordinate: xr.DataArray) -> xr.DataArray:
    if coordinate.ndim != 1:
        raise InputError(
            f"coordinate {key!r} has dims {coordinate.dims}: every label lies along one dim. Drop "
            f"it (.drop_vars({key!r})) or keep it in attrs."
        )
    if len(getattr(coordinate.to_index(), "levels", ())):
        raise InputError(
            f"coordinate {key!r} is a MultiIndex, which no file format keeps: make plain "
            f"coordinates of its levels (.reset_index({key!r})) and name each {coordinate.dims[0]}."
        )
    if not isinstance(coordinate.dtype, np.dtype):  # pandas has kinds that no file format keeps
        coordinate = coordinate.copy(data=coordinate.to_numpy())
    if coordinate.dtype.kind not in "biufOUTM":
        raise InputError(
            f"coordinate {key!r} is {coordinate.dtype}: labels are plain strings, numbers or flags."
        )
    if coordinate.dtype.kind not in "OT":
        return coordinate
    values = coordinate.values.tolist()
    strange = next((value for value in values if not isinstance(value, str)), None)
    if strange is not None or None in values:
        raise InputError(
            f"coordinate {key!r} holds {strange!r} ({type(strange).__name__}) among strings: "
            "labels are all strings or all numbers. Write '' where there is none."
        )
    return coordinate.copy(data=np.array(values, dtype=str))


def check_names(data: xr.DataArray, dim: str) -> None:
    """Make sure that a dim has an index of unique strings."""
    if dim not in data.coords:
        raise InputError(
            f"no names along {dim!r}: give one string a {dim}; they are matched by name, never by "
            "position."
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
            f"{len(twice)} names along {dim!r} come more than once: {examples(twice)}. Name each "
            f"{dim} once"
            + ("; presentations of one stimulus go along 'repeat'." if dim == "stimulus" else ".")
        )


def _check_finite(data: xr.DataArray) -> None:
    if data.chunks is not None:
        return
    for rows in row_blocks(data):
        block = data.isel(stimulus=rows)
        infinite = np.isinf(block.values)
        if infinite.any():
            place = dict(zip(block.dims, np.argwhere(infinite)[0].tolist(), strict=True))
            raise InputError(
                f"{int(infinite.sum())} or more values are infinite, the first at stimulus "
                f"{block['stimulus'].values[place['stimulus']]!s}, unit "
                f"{block['unit'].values[place['unit']]!s}: mend them, or set them to NaN if they "
                "were not recorded."
            )


def read_values(data: xr.DataArray) -> NDArray[Any]:
    """Values in memory; an InputError where they cannot be read from disk."""
    try:
        return np.asarray(data.values)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"the responses cannot be read from disk ({error}): the file is damaged or cut short; "
            "make or copy it anew."
        ) from error


def row_blocks(data: xr.DataArray) -> list[slice]:
    """Slices of stimuli that hold about BLOCK_BYTES each, or one row of chunks if that is more."""
    n = data.sizes["stimulus"]
    rows = max(1, int(BLOCK_BYTES // max(1, data.nbytes // n)))
    if data.chunks is None:
        return [slice(start, start + rows) for start in range(0, n, rows)]
    ends = np.cumsum(data.chunksizes["stimulus"])  # a chunk across two blocks is read twice
    blocks, start = [], 0
    for end, following in zip(ends, [*ends[1:], np.inf], strict=True):
        if following - start > rows:
            blocks.append(slice(start, int(end)))
            start = int(end)
    return blocks


def labels_along(key: str, values: Any, dim: str, sizes: Mapping[str, int]) -> tuple[str, Any]:
    """A coordinate along a dim, checked for its length."""
    if dim not in sizes:
        raise InputError(f"{key!r} lies along {dim!r}, but the array's dims are {tuple(sizes)}.")
    if len(values) != sizes[dim]:
        raise InputError(
            f"{len(values)} values of {key!r} for {sizes[dim]} along {dim!r} (the array has "
            f"{dict(sizes)}): give one each, or mend dims."
        )
    return dim, values


def _place(key: str, label: Any, sizes: Mapping[str, int]) -> tuple[str, Any]:
    """Find the dim that a label of `Assembly.from_array` lies along."""
    if isinstance(label, tuple) and len(label) == 2 and label[0] in DIMS:
        return labels_along(key, label[1], label[0], sizes)
    if np.ndim(label) == 0:
        return "unit", [label] * sizes.get("unit", 0)
    fits = [dim for dim in DIMS[:2] if sizes.get(dim) == len(label)]
    if len(fits) != 1:
        raise InputError(
            f"{len(label)} values of {key!r} fit {' and '.join(fits) or 'no dim'} of "
            f"{dict(sizes)}: say which, {key}=('unit', values)."
        )
    return fits[0], label
