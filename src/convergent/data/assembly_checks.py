"""Checks of an assembly's array: dims, names, coordinates and values."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import as_list
from ..base.arrays import check_scale
from ..base.errors import InputError, examples, quoted
from .names import check_writable, one_spelling
from .number_types import usual

__all__ = [
    "BLOCK_BYTES",
    "check_array",
    "check_finite",
    "labels_along",
    "labels_of",
    "names_along",
    "read_values",
    "row_blocks",
]

_DIMS = ("stimulus", "unit", "repeat", "time")
_FIRST_COMBINING = 0x300  # code point of the first accent that is written after its letter
_SURROGATES = (0xD800, 0xDFFF)  # code points of half characters: bytes that are no UTF-8
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
    data = _with_usual_values(data)
    for key, label in data.coords.items():
        # as a variable, since a coordinate carries the others along, as they were
        data = data.assign_coords({key: _checked_coordinate(key, label).variable})
    for dim in _DIMS[:2]:
        _check_names(data, dim)
    data = _with_one_spelling(data)
    if data.chunks is None:
        largest = max(check_finite(data.isel(stimulus=rows)) for rows in row_blocks(data))
        check_scale(largest, _of(data))
    return data.transpose(*(dim for dim in _DIMS if dim in data.dims))


def _with_usual_values(data: xr.DataArray) -> xr.DataArray:
    """The array with floats as files and solvers take them; numpy's scalars are plain in attrs."""
    values = usual(data.data)
    if values.dtype.kind == "c":
        raise InputError(
            f"values are {values.dtype}: an assembly holds real numbers. Take their size "
            "(abs(values)) or their phase, or make real and imaginary part units of their own."
        )
    if values.dtype.kind != "f":
        raise InputError(
            f"values are {values.dtype}: an assembly holds floats, with NaN for what was not "
            "recorded. Convert them (values.astype('float32')) once you know that they are numbers."
        )
    if values is not data.data:
        data = data.copy(data=values)
    if isinstance(data.name, np.generic):
        data = data.rename(data.name.item())
    of_numpy = {key: v.item() for key, v in data.attrs.items() if isinstance(v, np.generic)}
    return data.assign_attrs(of_numpy) if of_numpy else data


def _checked_coordinate(key: object, coordinate: xr.DataArray) -> xr.DataArray:
    if not isinstance(key, str):
        raise InputError(
            f"the name {key!r} of a coordinate is a {type(key).__name__}: names are strings; "
            f"rename it (.rename({{{key!r}: {str(key)!r}}}))."
        )
    if coordinate.ndim != 1:
        raise InputError(
            f"coordinate {key!r} has dims {coordinate.dims}: every label lies along one dim. Drop "
            f"it (.drop_vars({key!r})) or keep it in attrs."
        )
    index = coordinate.variable
    if isinstance(index, xr.IndexVariable) and isinstance(index.to_index(), pd.MultiIndex):
        raise InputError(
            f"coordinate {key!r} is a MultiIndex, which no file format stores: make plain "
            f"coordinates of its levels (.reset_index({key!r})) and name each {coordinate.dims[0]}."
        )
    if not isinstance(coordinate.dtype, np.dtype):  # pandas has types that no file format stores
        coordinate = coordinate.copy(data=coordinate.to_numpy())
    dtype, attrs = coordinate.dtype, coordinate.attrs
    of_numpy = {k: v.tolist() for k, v in attrs.items() if isinstance(v, np.generic | np.ndarray)}
    if of_numpy:  # as netCDF files of other programs have them
        coordinate = coordinate.assign_attrs(of_numpy)
    if dtype.kind not in "biufOUTM":
        raise InputError(
            f"coordinate {key!r} is {dtype}: labels are plain strings, numbers or flags."
        )
    if dtype.kind not in "OT":
        given = coordinate.values
        _check_characters(key, given)
        plain = _in_nanoseconds(given) if dtype.kind == "M" else usual(given)
        return coordinate if plain is given else coordinate.copy(data=plain)
    values = coordinate.values.tolist()
    other = next((value for value in values if not isinstance(value, str)), None)
    if other is not None or None in values:
        raise InputError(
            f"coordinate {key!r} holds {other!r} ({type(other).__name__}) among strings: "
            "labels are all strings or all numbers. Write '' where there is none."
        )
    _check_no_null(key, values)
    texts = np.array(values, dtype=str)
    _check_characters(key, texts)
    return coordinate.copy(data=texts)


def _in_nanoseconds(times: NDArray[Any]) -> NDArray[Any]:
    """Dates in the unit in which files are read; those that do not fit it stay as they are."""
    if times.dtype == "datetime64[ns]":
        return times
    found = times.astype("datetime64[ns]")
    return found if np.array_equal(found.astype(times.dtype), times, equal_nan=True) else times


def _check_no_null(key: str, values: Sequence[Any]) -> None:
    """Refuse the character that ends a string in numpy, which would cut a name short."""
    cut = [value for value in values if isinstance(value, str) and "\0" in value]
    if cut:
        raise InputError(
            f"{len(cut)} of {len(values)} strings of {key!r} hold the null character "
            f"({', '.join(map(repr, cut[:3]))}), which numpy and files take for their end: "
            "leave it out."
        )


def _check_characters(key: str, texts: NDArray[Any]) -> None:
    """Refuse names from bytes that are no UTF-8, which have no hash and fit no file."""
    if texts.dtype.kind != "U" or not texts.dtype.itemsize:
        return
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), -1)
    if codes.size and codes.max() >= _SURROGATES[0]:  # at once for very many names
        refused = texts[((codes >= _SURROGATES[0]) & (codes <= _SURROGATES[1])).any(1)]
        if len(refused):
            raise InputError(
                f"{len(refused)} of {len(texts)} strings of {key!r} are no Unicode, the first is "
                f"{str(refused[0])!a}: the files have names in an older encoding, such as latin-1. "
                "Rename the files in UTF-8 (convmv -f latin1 -t utf8), or convert the names, "
                "name.encode('utf-8', 'surrogateescape').decode('latin-1')."
            )


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
    check_writable(index, dim)
    if not index.is_unique:
        twice = index[index.duplicated()].unique().tolist()
        raise InputError(
            f"{len(twice)} names along {dim!r} occur more than once: {examples(twice)}. Name each "
            f"{dim} once"
            + ("; presentations of one stimulus go along 'repeat'." if dim == "stimulus" else ".")
        )


def check_finite(block: xr.DataArray) -> float:
    """Check that no value is infinite.

    Parameters
    ----------
    block : xarray.DataArray
        In memory: an assembly's array, or some stimuli of it.

    Returns
    -------
    float
        The greatest absolute value; 0 if there is none but NaN.

    Raises
    ------
    InputError
        If a value is infinite; the message names its stimulus and unit.
    """
    values = block.values
    ends = [float(of.reduce(values, axis=None)) for of in (np.fmin, np.fmax)]  # not NaN
    largest = max(map(abs, ends))
    if np.isinf(largest):
        infinite = np.isinf(values)
        first = dict(zip(block.dims, np.argwhere(infinite)[0].tolist(), strict=True))
        raise InputError(
            f"{int(infinite.sum())} or more values{_of(block)} are infinite, the first at stimulus "
            f"{block['stimulus'].values[first['stimulus']]!s}, unit "
            f"{block['unit'].values[first['unit']]!s}: correct them, or set them to NaN if "
            "they were not recorded."
        )
    return 0.0 if np.isnan(largest) else largest


def _of(data: xr.DataArray) -> str:
    return f" of {data.name}" if data.name else ""


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
        If they cannot be read from disk, or some are infinite, or so large or small that their
        squares cannot be represented.
    """
    try:
        values = np.asarray(data.values)
    except InputError:  # of a store, which says more
        raise
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"the responses cannot be read from disk ({error}): the file is damaged or cut short; "
            "make or copy it again."
        ) from error
    if data.chunks is not None:  # in memory, they were checked at construction
        check_scale(check_finite(data.copy(data=values)), _of(data))
    return values


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


def names_along(dim: str, names: Iterable[str]) -> list[str]:
    """Check names that a user gives for the rows or the columns of an array.

    Parameters
    ----------
    dim : str
        What is named: "stimulus" or "unit".
    names : iterable of str
        One for each.

    Returns
    -------
    list of str
        The same.

    Raises
    ------
    InputError
        If names have no order, or one is no string.
    """
    several = as_list(f"names along {dim!r}", names, f"a list with the name of each {dim}")
    other = [name for name in several if not isinstance(name, str)]
    mixed = 0 < len(other) < len(several)  # numpy would take 'nan' or '7' for their names
    if mixed or (other and not np.isscalar(other[0])):
        raise InputError(
            f"{quoted(other[0])} is among the names along {dim!r}, which are strings: name each "
            f"{dim}."
        )
    return several


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
        raise InputError(
            f"{key!r} lies along {dim!r}, but the array's dims are {tuple(sizes)}: name its axes "
            "'stimulus', 'unit', 'repeat' and 'time', and give labels along one of them."
        )
    if len(values) != sizes[dim]:
        raise InputError(
            f"{len(values)} values of {key!r} for {sizes[dim]} along {dim!r} (the array has "
            f"{dict(sizes)}): give one for each, or correct dims."
        )
    if isinstance(values, list | tuple):
        _check_no_null(key, values)
    return dim, values


def _has_one_dim(label: Any) -> bool:
    try:
        return np.ndim(label) == 1
    except ValueError:  # nested lists of unequal lengths
        return False


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
    label = list(label) if isinstance(label, (tuple, pd.Series, pd.Index)) else label
    plain = isinstance(label, (str, bytes, int, float, np.generic, datetime.date, type(None)))
    if not plain and not (isinstance(label, (list, np.ndarray)) and _has_one_dim(label)):
        raise InputError(
            f"label {key!r} is {quoted(label)}: give one value for all units, or an array or list "
            "with one for each."
        )
    if plain:
        return labels_along(key, [label] * sizes.get("unit", 0), "unit", sizes)
    fits = [dim for dim in _DIMS[:2] if sizes.get(dim) == len(label)]
    if len(fits) != 1:
        raise InputError(
            f"{len(label)} values of {key!r} fit {' and '.join(fits) or 'no dim'} of "
            f"{dict(sizes)}: name the dim, {key}=('unit', values)."
        )
    return labels_along(key, label, fits[0], sizes)
