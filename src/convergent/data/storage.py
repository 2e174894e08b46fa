"""Labelled arrays on disk, as netCDF or zarr, and files that are written whole or not at all."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec

from ..base.errors import InputError, examples
from ..base.files import write_whole

__all__ = [
    "CHECKSUM_BYTES",
    "CHUNK_BYTES",
    "CHUNK_ROW_BYTES",
    "CHUNK_STIMULI",
    "CODECS",
    "COLUMN_BYTES",
    "FORMAT",
    "as_dataset",
    "check_attrs",
    "chunk_sizes",
    "described",
    "read_array",
    "write_array",
    "write_zarr",
]

# Chunks are read by blocks of units over all stimuli, and written by stimuli.
COLUMN_BYTES = 64 * 2**20  # of a column of chunks: some units, all stimuli
CHUNK_BYTES = 4 * 2**20
CHUNK_ROW_BYTES = (2**10, 2**16)  # of one stimulus in a chunk, least and most
CHUNK_STIMULI = (32, 512)  # in a chunk, least and most

# Activations hardly shrink. On one core, of float32 draws from a normal distribution (and of the
# same with negative ones set to zero, as by a ReLU), plain bytes are read at 930 (950) MB/s, with a
# checksum at 830 (840), blosc-lz4 keeps 95 (91) % of the size at 700 (620), and zstd 92 (55) % at
# 440 (370). Plain bytes with a checksum, then: damage is noticed when it is read.
CODECS = (Crc32cCodec(),)
CHECKSUM_BYTES = 4
FORMAT = 1


def write_array(data: xr.DataArray, path: Path) -> Path:
    """Write an assembly's array; `convergent.Assembly.save` says how."""
    check_attrs(data.attrs)
    if path.suffix == ".nc":
        dataset = as_dataset(data, described(data))
        encoding = _encoding(dataset)
        encoding["values"]["fletcher32"] = True  # a checksum: damage is noticed when read
        write_whole(
            path, lambda part: dataset.to_netcdf(part, engine="h5netcdf", encoding=encoding)
        )
    elif path.suffix == ".zarr":
        write_zarr(as_dataset(data, described(data)), path)
    else:
        raise InputError(f"cannot save {path.name!r}: name it .nc (netCDF) or .zarr.")
    return path


def check_attrs(attrs: Mapping[Any, Any]) -> None:
    """Raise an InputError where attributes would not be read back as they are."""
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


def described(data: xr.DataArray) -> dict[str, Any]:
    """Name and attributes of an assembly's array, as attributes of the file."""
    return {
        "convergent_assembly": FORMAT,
        "name": json.dumps(data.name),
        "attrs": json.dumps(data.attrs),
    }


def as_dataset(data: xr.DataArray, attrs: Mapping[str, Any]) -> xr.Dataset:
    """An assembly's array as it is written, with attributes of the file."""
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
    """Write a zarr group; with ``compute=False`` dask values are left out, but not their room."""
    array, encoding = dataset["values"], _encoding(dataset)
    n_stimuli, n_units, *rest = array.shape
    each = array.dtype.itemsize * math.prod(rest)
    chunks = (*chunk_sizes(n_stimuli, n_units, each), *rest)
    encoding["values"] |= {"chunks": chunks, "compressors": CODECS}
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
                write_empty_chunks=True,  # a chunk that is not there is lost, not empty
                **options,
            ),
        )


def chunk_sizes(n_stimuli: int, n_units: int, each: int = 4) -> tuple[int, int]:
    """Stimuli and units of a chunk.

    How many stimuli depends on their number alone: all layers of a store share rows of chunks.

    Parameters
    ----------
    n_stimuli, n_units : int
        Shape of the array.
    each : int
        Bytes of one unit's response to one stimulus.
    """
    row = min(max(COLUMN_BYTES // n_stimuli, CHUNK_ROW_BYTES[0]), CHUNK_ROW_BYTES[1])
    stimuli = min(max(CHUNK_BYTES // row, CHUNK_STIMULI[0]), CHUNK_STIMULI[1])
    return min(stimuli, n_stimuli), min(max(row // each, 1), n_units)


def read_array(path: Path) -> xr.DataArray:
    """Read an assembly's array; `convergent.open` says how."""
    if not path.exists():
        raise InputError(f"there is no {path}.")
    if path.suffix not in {".nc", ".zarr"}:
        raise InputError(f"cannot open {path.name!r}: expected .nc (netCDF) or .zarr.")
    try:
        if path.suffix == ".zarr":
            dataset = xr.open_zarr(path, consolidated=False)
            dataset = dataset.assign_coords({key: dataset[key].load() for key in dataset.coords})
        else:
            with xr.open_dataset(path, engine="h5netcdf") as dataset:
                if "convergent_assembly" in dataset.attrs:
                    dataset.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable {path.suffix} file ({error}): it is damaged or cut short, "
            "or something else; copy or make it anew."
        ) from error
    if "convergent_layers" in dataset.attrs:
        raise InputError(
            f"{path} holds the layers of a network: open them with convergent.open_layers(path)."
        )
    if "convergent_unfinished" in dataset.attrs:
        raise InputError(
            f"{path} is a layer of which the extraction was interrupted: call convergent.extract "
            "again with the same arguments, and it continues."
        )
    if "convergent_assembly" not in dataset.attrs:
        raise InputError(
            f"{path} was not written by Assembly.save: read it with xarray and wrap the array, "
            "convergent.Assembly(xarray.open_dataset(path)['name'])."
        )
    if path.suffix == ".zarr":
        _check_chunks(path)
    data: xr.DataArray = dataset["values"].rename(json.loads(dataset.attrs["name"]))
    data.attrs = json.loads(dataset.attrs["attrs"])
    return data


def _check_chunks(path: Path) -> None:
    """Look for lost chunks, which zarr would read as NaN."""
    array = zarr.open_array(path / "values", mode="r")
    if not any(isinstance(codec, Crc32cCodec) for codec in array.compressors):
        return  # not written as here: what is not there may have been empty
    lost = array.nchunks - array.nchunks_initialized
    if lost:
        raise InputError(
            f"{path} has lost {lost} of its {array.nchunks} chunks: copy or make it anew."
        )
