"""Labelled arrays on disk, as netCDF or zarr.

Each label of an assembly is a coordinate of the file. Its name, its attributes and its place among
the labels are kept as JSON in one attribute of it, ``label``, since the formats do not allow every
name, and give some attributes a meaning of their own (``units``, ``scale_factor``).

Zarr is imported only when it is needed, as its import is slow.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.checksums import DamageError
from ..base.errors import InputError, examples
from ..base.files import check_space, check_writable, recover, remove_leftovers, write_whole
from ..base.netcdf import open_netcdf, write_netcdf
from ..base.reading import readable
from .assembly_checks import check_finite
from .zarr_files import check_group, has_checksums, open_values, read_group, reads_from, seal_group

__all__ = [
    "CHUNK_ROW_BYTES",
    "CHUNK_STIMULI",
    "FORMAT",
    "as_dataset",
    "attributes_of",
    "check_attrs",
    "check_format",
    "chunk_sizes",
    "read_array",
    "read_file",
    "result_kind",
    "write_array",
    "write_zarr",
]

# Chunks are read by blocks of units over all stimuli, and written by stimuli.
_COLUMN_BYTES = 64 * 2**20  # of a column of chunks: some units, all stimuli
_CHUNK_BYTES = 4 * 2**20
CHUNK_ROW_BYTES = (2**10, 2**16)  # of one stimulus in a chunk, at least and at most
CHUNK_STIMULI = (32, 512)  # in a chunk, at least and at most

FORMAT = 2  # since 2, files have checksums of all that is in them
_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError)
_VALUES = "values"  # the variable of a file that holds the responses
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]\w{,63}", re.ASCII)  # any format and file system takes it


def write_array(data: xr.DataArray, path: Path) -> Path:
    """Write the array of an assembly, as `Assembly.save` describes.

    Parameters
    ----------
    data : xarray.DataArray
        Of an assembly.
    path : Path
        ``.nc`` or ``.zarr``.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If the path has another suffix, or something would not be read back as it is: an attribute
        that is not a plain value, a label that the format does not take, an infinite value.
    """
    if path.suffix not in {".nc", ".zarr"}:
        raise InputError(f"cannot save {path.name!r}: name it .nc (netCDF) or .zarr.")
    check_attrs(data.attrs)
    _check_texts(data, path.suffix)
    check_writable(path.parent)
    check_space(path.parent, data.nbytes, f"the responses for {path.name}")
    remove_leftovers(path.parent)
    dataset = as_dataset(data, attributes_of(data))
    if data.chunks is not None:
        dataset[_VALUES] = dataset[_VALUES].copy(data=_checked_blocks(data))
    if path.suffix == ".zarr":
        if data.chunks is not None and reads_from(data.data, path):
            raise InputError(
                f"the responses are read from {path}, which saving them there would replace: save "
                "them to another path, or load them into memory first "
                "(Assembly(a.data.load()).save(path))."
            )
        write_zarr(dataset, path)
        return path

    def write(part: Path) -> None:
        write_netcdf(dataset, part, _encoding(dataset))
        _check_written(part, dataset)

    write_whole(path, write)
    return path


def check_attrs(attrs: Mapping[Any, Any]) -> None:
    """Check that attributes would be read back as they are.

    Parameters
    ----------
    attrs : mapping
        Of an assembly.

    Raises
    ------
    InputError
        If one of them is not a plain value.
    """
    changed = [
        f"{key}: {type(value).__name__}"
        for key, value in attrs.items()
        if not _survives_json({key: value})
    ]
    if changed:
        raise InputError(
            f"attrs cannot be saved exactly ({examples(changed)}): keep numbers, strings, lists "
            "and dicts with string keys in attrs, and arrays in coordinates."
        )


def _survives_json(value: object) -> bool:
    try:
        return _same(json.loads(json.dumps(value)), value)
    except (TypeError, ValueError, RecursionError):
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether plain values are equal and of the same types throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other or (one != one and other != other))  # NaN is NaN


def _check_texts(data: xr.DataArray, suffix: str) -> None:
    """Refuse names and attributes of labels that are not plain, and text that no file holds."""
    if not _survives_json(data.name):
        raise InputError(
            f"the name {data.name!r} of the assembly is a {type(data.name).__name__}: give a "
            "string, with .data.rename('NAME')."
        )
    for key, label in data.coords.items():
        if not _survives_json(label.attrs):
            raise InputError(
                f"attrs of the coordinate {key!r} cannot be saved exactly "
                f"({examples(label.attrs, 5)}): keep numbers, strings, lists and dicts with string "
                "keys in them."
            )
        if label.dtype.kind == "M" and label.dtype != "datetime64[ns]":
            raise InputError(
                f"coordinate {key!r} holds dates before 1678 or after 2261, which files of "
                "nanoseconds do not hold: make strings of them (.astype(str))."
            )
        if suffix == ".nc" and label.dtype.kind == "U":
            refused = label.values[_with_null(label.values)]
            if len(refused):
                raise InputError(
                    f"{len(refused)} strings of {key!r} hold the null character, which netCDF does "
                    f"not take, the first is {str(refused[0])!a}: leave it out, or save as .zarr."
                )


def _with_null(texts: NDArray[Any]) -> NDArray[np.bool_]:
    """Which strings hold a null character before their end."""
    width = texts.dtype.itemsize // 4
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), width)
    return np.asarray(((codes[:, :-1] == 0) & (codes[:, 1:] != 0)).any(1))


def _checked_blocks(data: xr.DataArray) -> Any:
    """Values on disk, each block of which is searched for infinite values when it is computed."""

    def check(block: NDArray[Any], block_info: Any = None) -> NDArray[Any]:
        if block_info:
            ends = block_info[0]["array-location"]
            places = {dim: slice(*end) for dim, end in zip(data.dims, ends, strict=True)}
            check_finite(labels.isel(places).copy(data=block))
        return block

    stand_in = np.broadcast_to(np.zeros((), data.dtype), data.shape)  # takes no memory
    names = {dim: data[dim] for dim in ("stimulus", "unit")}
    labels = xr.DataArray(stand_in, names, data.dims, data.name)
    return data.data.map_blocks(check, dtype=data.dtype, meta=data.data._meta)


def attributes_of(data: xr.DataArray) -> dict[str, Any]:
    """Name and attributes of an assembly's array, as attributes of the file."""
    return {
        "convergent_assembly": FORMAT,
        "name": json.dumps(data.name),
        "attrs": json.dumps(data.attrs),
    }


def as_dataset(data: xr.DataArray, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Dataset that is written for an assembly's array, with the attributes of the file."""
    labels: dict[Any, xr.Variable] = {}
    for place, (name, label) in enumerate(data.coords.items()):
        plain = name != _VALUES and _PLAIN_NAME.fullmatch(str(name))
        content = json.dumps({"name": name, "place": place, "attrs": label.attrs})
        key = name if plain else f"_label{place}"
        labels[key] = xr.Variable(label.dims, label.values, {"label": content})
    values = xr.Variable(data.dims, data.data)
    return xr.Dataset({_VALUES: values}, coords=labels, attrs=attrs)


def _check_written(part: Path, dataset: xr.Dataset) -> None:
    """Read the labels of a file that was just written, and refuse it if they differ."""
    try:
        written = _read_dataset(part, values=False)
    except _UNREADABLE as error:
        raise InputError(
            f"what was written to {part.name} cannot be read ({error}), and was not "
            "saved: make plain strings or numbers of its labels."
        ) from error
    lost = []
    for key, label in dataset.coords.items():
        found = written.variables.get(key)
        if found is None or not _equal(found, label.variable):
            lost.append(json.loads(label.attrs["label"])["name"])
    if lost or written.attrs != dataset.attrs:
        raise InputError(
            f"{part.name} would not hold {examples(lost or ['name', 'attrs'])} as given, and was "
            "not saved: rename these labels, or make them plain strings or numbers."
        )


def _equal(found: xr.Variable, given: xr.Variable) -> bool:
    """Whether a label that was read is the one that was given; strings may be padded."""
    if found.dims != given.dims or found.attrs != given.attrs:
        return False
    if found.dtype != given.dtype and {found.dtype.kind, given.dtype.kind} != {"U"}:
        return False
    return bool(np.array_equal(found.values, given.values, equal_nan=given.dtype.kind in "fM"))


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    of_kind: dict[str, dict[str, Any]] = {
        "f": {"_FillValue": None},
        "M": {"units": "nanoseconds since 1970-01-01", "dtype": "int64"},  # as numpy counts
    }
    return {
        key: dict(of_kind[variable.dtype.kind])
        for key, variable in dataset.variables.items()
        if variable.dtype.kind in of_kind
    }


def write_zarr(
    dataset: xr.Dataset, path: Path, *, lazy: bool = False, without: str | None = None
) -> None:
    """Write a zarr group.

    Chunks are plain bytes with a checksum, so that damage is noticed when they are read. They are
    not compressed, since activations hardly shrink. On one core, of float32 draws from a normal
    distribution (and of the same with negative ones set to zero, as by a ReLU), plain bytes are
    read at 930 (950) MB/s, and with a checksum at 830 (840); blosc-lz4 has 95 (91) % of the size at
    700 (620), and zstd 92 (55) % at 440 (370).

    Parameters
    ----------
    dataset : xarray.Dataset
        From `as_dataset`.
    path : Path
        Replaced if it exists.
    lazy : bool
        Whether values, which are dask, are not written yet.
    without : str, optional
        A label that will be written again: there is no checksum of it yet.

    Raises
    ------
    InputError
        If labels would not be read back as they are.
    """
    from zarr.codecs import Crc32cCodec

    array, encoding = dataset[_VALUES], _encoding(dataset)
    n_stimuli, n_units, *rest = array.shape
    each = array.dtype.itemsize * math.prod(rest)
    chunks = (*chunk_sizes(n_stimuli, n_units, each), *rest)
    encoding[_VALUES] |= {"chunks": chunks, "compressors": (Crc32cCodec(),)}
    if array.chunks is not None:  # two tasks of dask must not write to one chunk
        dataset[_VALUES] = array.chunk(dict(zip(array.dims, chunks, strict=True)))
    options: dict[str, Any] = {"compute": False} if lazy else {}
    with warnings.catch_warnings():  # strings have no Zarr 3 specification yet
        warnings.filterwarnings("ignore", message=".*Zarr V3 specification.*")

        def write(part: Path) -> None:
            dataset.to_zarr(
                part,
                zarr_format=3,
                consolidated=False,
                encoding=encoding,
                write_empty_chunks=True,  # so that a missing chunk is a loss
                **options,
            )
            _check_written(part, dataset)
            seal_group(part, read_group(part), without=without, lazy=lazy)

        write_whole(path, write)


def chunk_sizes(n_stimuli: int, n_units: int, each: int = 4) -> tuple[int, int]:
    """Choose the numbers of stimuli and units in a chunk.

    The number of stimuli depends only on how many there are in all, so that all layers of a store
    have the same rows of chunks.

    Parameters
    ----------
    n_stimuli, n_units : int
        Shape of the array.
    each : int
        Bytes of one unit's response to one stimulus.

    Returns
    -------
    tuple of int
        Stimuli and units in a chunk.
    """
    row = min(max(_COLUMN_BYTES // n_stimuli, CHUNK_ROW_BYTES[0]), CHUNK_ROW_BYTES[1])
    stimuli = min(max(_CHUNK_BYTES // row, CHUNK_STIMULI[0]), CHUNK_STIMULI[1])
    return min(stimuli, n_stimuli), min(max(row // each, 1), n_units)


def read_file(path: Path) -> xr.DataArray | xr.Dataset:
    """Read an assembly's array or a result, as `convergent.open` describes.

    Parameters
    ----------
    path : Path
        ``.nc`` or ``.zarr``.

    Returns
    -------
    xarray.DataArray
        Of an assembly: in memory, or from ``.zarr`` on disk (dask).
    xarray.Dataset
        A result of a question, in memory.

    Raises
    ------
    InputError
        If there is no such file, or it is neither, or chunks are missing.
    """
    try:
        with readable(path):
            recover(path)
            if not path.exists():
                raise InputError(f"there is no {path}.")
            if path.suffix not in {".nc", ".zarr"}:
                raise InputError(f"cannot open {path.name!r}: expected .nc (netCDF) or .zarr.")
            of_zarr = path.suffix == ".zarr"
            attributes = _check_attributes(path) if of_zarr else {}
            dataset = _read_dataset(path)
            if result_kind(dataset) is not None:
                return _as_result(dataset)
            _check_kind(path, dataset)
            values = open_values(path, attributes) if of_zarr else None
            return _array_of(dataset, values)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"{path} is not a readable {path.suffix} file ({error}): it is damaged or cut short, "
            "or something else; copy or make it again."
        ) from error


def _check_attributes(path: Path) -> dict[str, Any]:
    """Verify a group of zarr before any library reads it; its attributes."""
    if not (path / "zarr.json").exists():
        return {}  # of an earlier version of zarr, or none: zarr says so
    attributes = check_group(path)
    marks = ("convergent_assembly", "convergent_unfinished")
    if any(attributes.get(key, 1) != 1 for key in marks) and not has_checksums(attributes):
        raise DamageError("its checksums are lost")
    return attributes


def _array_of(dataset: xr.Dataset, values: Any) -> xr.DataArray:
    """An assembly's array from its file; with other values, where they are given."""
    attrs = json.loads(dataset.attrs["attrs"])
    name = json.loads(dataset.attrs["name"])
    stored = dataset.variables[_VALUES]
    # without a name, dask's own would be taken, so it is given afterwards
    return xr.DataArray(
        stored.data if values is None else values, _labels_of(dataset), stored.dims, attrs=attrs
    ).rename(name)


def read_array(path: Path) -> xr.DataArray:
    """Read the array of an assembly.

    Parameters
    ----------
    path : Path
        ``.nc`` or ``.zarr``.

    Returns
    -------
    xarray.DataArray
        In memory, or from ``.zarr`` on disk (dask).

    Raises
    ------
    InputError
        If there is no such file, or it is not an assembly, or chunks are missing.
    """
    found = read_file(path)
    if isinstance(found, xr.Dataset):
        raise InputError(f"{path} holds a result of {result_kind(found)}, and no responses.")
    return found


def result_kind(dataset: xr.Dataset) -> str | None:
    """Name of the function that computed a result, by its provenance; None if it is no result."""
    try:
        return str(json.loads(dataset.attrs["provenance"])["kind"])
    except (KeyError, TypeError, ValueError):
        return None


def _as_result(dataset: xr.Dataset) -> xr.Dataset:
    """A result as it was computed: formats change the types of texts and of numbers in attrs."""
    texts = {
        key: variable.copy(data=np.array(variable.values.tolist(), dtype=str))
        for key, variable in dataset.variables.items()
        if variable.dtype.kind in "OT"
    }
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in dataset.attrs.items()}
    found = dataset.assign(texts).drop_encoding()
    found.attrs = plain
    return found


def _labels_of(dataset: xr.Dataset) -> dict[str, xr.Variable]:
    """Labels of an assembly by their own names, in their own order."""
    found: list[tuple[int, str, xr.Variable]] = []
    for key, variable in dataset.coords.variables.items():
        # files of earlier versions have names and attributes as the format has them
        of_file = {"name": str(key), "place": len(found), "attrs": variable.attrs}
        own: Any = json.loads(variable.attrs["label"]) if "label" in variable.attrs else of_file
        label = xr.Variable(variable.dims, variable.values, own["attrs"])
        found.append((own["place"], own["name"], label))
    return {name: label for _, name, label in sorted(found, key=lambda one: one[:2])}


def _read_dataset(path: Path, values: bool = True) -> xr.Dataset:
    """Read a file; with its labels only, where values are not needed."""
    if path.suffix == ".zarr":
        lazy: xr.Dataset = xr.open_zarr(path, consolidated=False)
        if result_kind(lazy) is not None:
            return lazy.load()
        return lazy.assign_coords({key: lazy[key].load() for key in lazy.coords})
    with open_netcdf(path) as dataset:
        if not values:
            return dataset.drop_vars(_VALUES).load()
        ours = "convergent_assembly" in dataset.attrs or result_kind(dataset) is not None
        return dataset.load() if ours else dataset


def _check_kind(path: Path, dataset: xr.Dataset) -> None:
    """Refuse files that are not an assembly."""
    if "convergent_layers" in dataset.attrs:
        raise InputError(
            f"{path} holds the layers of a network: open them with convergent.open_layers(path)."
        )
    if "convergent_unfinished" in dataset.attrs:
        raise InputError(
            f"{path} is a layer whose extraction was interrupted: call convergent.extract again "
            "with the same arguments, and it continues."
        )
    if "convergent_assembly" not in dataset.attrs:
        raise InputError(
            f"{path} was not written by Assembly.save: it is no result of convergent either. Read "
            "it with xarray and wrap the array, "
            "convergent.Assembly(xarray.open_dataset(path)['name'])."
        )
    check_format(path, dataset.attrs["convergent_assembly"])


def check_format(path: Path, found: Any) -> None:
    """Refuse files of formats that did not exist when this version was written."""
    if found not in range(1, FORMAT + 1):
        raise InputError(
            f"{path} has format {found!r}, and this version of convergent reads formats 1 to "
            f"{FORMAT}: update convergent, or save it again with the version that wrote it."
        )
