"""Labelled arrays on disk, as netCDF or zarr.

Zarr is imported only when it is needed, as its import is slow.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from ..base.errors import InputError, examples
from ..base.files import write_whole

__all__ = [
    "CHECKSUM_BYTES",
    "CHUNK_ROW_BYTES",
    "CHUNK_STIMULI",
    "FORMAT",
    "as_dataset",
    "attributes_of",
    "check_attrs",
    "chunk_sizes",
    "read_array",
    "write_array",
    "write_zarr",
]

# Chunks are read by blocks of units over all stimuli, and written by stimuli.
_COLUMN_BYTES = 64 * 2**20  # of a column of chunks: some units, all stimuli
_CHUNK_BYTES = 4 * 2**20
CHUNK_ROW_BYTES = (2**10, 2**16)  # of one stimulus in a chunk, at least and at most
CHUNK_STIMULI = (32, 512)  # in a chunk, at least and at most

CHECKSUM_BYTES = 4  # of a chunk
FORMAT = 1


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
        If the path has another suffix, or an attribute is not a plain value.
    """
    check_attrs(data.attrs)
    if path.suffix == ".nc":
        dataset = as_dataset(data, attributes_of(data))
        encoding = _encoding(dataset)
        encoding["values"]["fletcher32"] = True  # a checksum: damage is noticed when read
        write_whole(
            path, lambda part: dataset.to_netcdf(part, engine="h5netcdf", encoding=encoding)
        )
    elif path.suffix == ".zarr":
        write_zarr(as_dataset(data, attributes_of(data)), path)
    else:
        raise InputError(f"cannot save {path.name!r}: name it .nc (netCDF) or .zarr.")
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
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def attributes_of(data: xr.DataArray) -> dict[str, Any]:
    """Name and attributes of an assembly's array, as attributes of the file."""
    return {
        "convergent_assembly": FORMAT,
        "name": json.dumps(data.name),
        "attrs": json.dumps(data.attrs),
    }


def as_dataset(data: xr.DataArray, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Dataset that is written for an assembly's array, with the attributes of the file."""
    dataset = data.drop_attrs(deep=False).to_dataset(name="values")
    dataset.attrs = dict(attrs)
    for variable in dataset.variables.values():
        variable.encoding = {}
    return dataset


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    return {
        key: {"_FillValue": None}
        for key, variable in dataset.variables.items()
        if variable.dtype.kind == "f"
    }


def write_zarr(dataset: xr.Dataset, path: Path, **options: Any) -> None:
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
    **options
        As for `xarray.Dataset.to_zarr`; with ``compute=False`` dask values are not written.
    """
    from zarr.codecs import Crc32cCodec

    array, encoding = dataset["values"], _encoding(dataset)
    n_stimuli, n_units, *rest = array.shape
    each = array.dtype.itemsize * math.prod(rest)
    chunks = (*chunk_sizes(n_stimuli, n_units, each), *rest)
    encoding["values"] |= {"chunks": chunks, "compressors": (Crc32cCodec(),)}
    if array.chunks is not None:  # two tasks of dask must not write to one chunk
        dataset["values"] = array.chunk(dict(zip(array.dims, chunks, strict=True)))
    with warnings.catch_warnings():  # strings have no Zarr 3 specification yet
        warnings.filterwarnings("ignore", message=".*Zarr V3 specification.*")
        write_whole(
            path,
            lambda part: dataset.to_zarr(
                part,
                zarr_format=3,
                consolidated=False,
                encoding=encoding,
                write_empty_chunks=True,  # so that a missing chunk is a loss
                **options,
            ),
        )


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


def read_array(path: Path) -> xr.DataArray:
    """Read the array of an assembly, as `convergent.open` describes.

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
    dataset = _read_dataset(path)
    _check_kind(path, dataset)
    if path.suffix == ".zarr":
        _check_chunks(path)
    data: xr.DataArray = dataset["values"].rename(json.loads(dataset.attrs["name"]))
    data.attrs = json.loads(dataset.attrs["attrs"])
    return data


def _read_dataset(path: Path) -> xr.Dataset:
    if not path.exists():
        raise InputError(f"there is no {path}.")
    if path.suffix not in {".nc", ".zarr"}:
        raise InputError(f"cannot open {path.name!r}: expected .nc (netCDF) or .zarr.")
    try:
        if path.suffix == ".zarr":
            lazy: xr.Dataset = xr.open_zarr(path, consolidated=False)
            return lazy.assign_coords({key: lazy[key].load() for key in lazy.coords})
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load() if "convergent_assembly" in dataset.attrs else dataset
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable {path.suffix} file ({error}): it is damaged or cut short, "
            "or something else; copy or make it again."
        ) from error


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
            f"{path} was not written by Assembly.save: read it with xarray and wrap the array, "
            "convergent.Assembly(xarray.open_dataset(path)['name'])."
        )


def _check_chunks(path: Path) -> None:
    """Look for missing chunks, which zarr would read as NaN."""
    import zarr
    from zarr.codecs import Crc32cCodec

    array = zarr.open_array(path / "values", mode="r")
    if not any(isinstance(codec, Crc32cCodec) for codec in array.compressors):
        return  # written by another program, where a missing chunk may be an empty one
    lost = array.nchunks - array.nchunks_initialized
    if lost:
        raise InputError(
            f"{path} has lost {lost} of its {array.nchunks} chunks: copy or make it again."
        )
