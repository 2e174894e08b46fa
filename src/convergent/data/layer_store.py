"""Stores of layers: activations on disk, written in rows of chunks during an extraction.

A store is a zarr group that contains an assembly for each layer. The attributes of the group say
what was extracted, and how many rows of chunks of each layer are finished. They are replaced in one
step after each row, so that unfinished rows are never used as results.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from ..base.checksums import DamageError, check_sealed
from ..base.errors import InputError
from ..base.files import as_path
from ..base.reading import readable
from .assembly import Assembly
from .contents import COORDINATE
from .positions import as_extracted
from .storage import FORMAT, as_dataset, attributes_of, check_format, read_array, write_zarr
from .zarr_files import (
    CHECKSUM_BYTES,
    check_group,
    chunk_files,
    chunk_is_whole,
    chunk_mark,
    has_checksums,
    read_group,
    seal_group,
    stored_marks,
    write_group,
    write_marks,
)

__all__ = [
    "StoreRecord",
    "create_layer",
    "finish_layer",
    "first_values",
    "intact_rows",
    "layer_path",
    "open_layers",
    "read_record",
    "write_record",
    "write_rows",
]

# what reading a damaged store raises
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError)


@dataclass(frozen=True)
class StoreRecord:
    """What a store of layers holds, and how much of it is finished.

    Attributes
    ----------
    content : mapping
        What decides the activations, including the names of the stimuli; plain values.
    height : int
        Number of stimuli in a row of chunks, the same for all layers.
    inputs : tuple of str
        SHA-256 of all preprocessed inputs up to the end of each row of chunks.
    layers : mapping of str to int
        By layer: number of rows of chunks that are finished, counted from the first.
    """

    content: Mapping[str, Any]
    height: int
    inputs: tuple[str, ...]
    layers: Mapping[str, int]

    @property
    def n_rows(self) -> int:
        """Number of rows of chunks in a complete layer."""
        return -(-len(self.content["stimuli"]) // self.height)


def read_record(path: Path) -> StoreRecord | None:
    """Read what a store holds.

    Parameters
    ----------
    path : Path
        The store.

    Returns
    -------
    StoreRecord or None
        None if there is nothing at this path.

    Raises
    ------
    InputError
        If something else is there, or the record is damaged.
    """
    with readable(path):
        if not path.exists() or (path.is_dir() and _is_empty(path)):
            return None
        try:
            attributes = read_group(path)
            found = attributes["convergent_layers"]
            check_format(path, found["format"])
            check_sealed(attributes, expected=found["format"] > 1)
            record = StoreRecord(
                dict(found["content"]),
                int(found["height"]),
                tuple(found["inputs"]),
                {layer: int(rows) for layer, rows in found["layers"].items()},
            )
            record.n_rows  # noqa: B018  # raises an error if stimuli are missing
        except (PermissionError, InputError):
            raise
        except _UNREADABLE as error:
            raise InputError(
                f"{path} is no store of layers, or its zarr.json is damaged ({error!r}): choose "
                "another path, or remove it."
            ) from error
    return record


def _is_empty(path: Path) -> bool:
    """Whether a folder holds nothing but what an interruption left before its first record."""
    return all(entry.name.startswith(".") for entry in path.iterdir())


def write_record(path: Path, record: StoreRecord) -> None:
    """Write what a store holds, in one step, into the attributes of its zarr group."""
    found = {
        "format": FORMAT,
        "content": dict(record.content),
        "height": record.height,
        "inputs": list(record.inputs),
        "layers": dict(record.layers),
    }
    write_group(path, {"convergent_layers": found})


def layer_path(path: Path, record: StoreRecord, layer: str) -> Path:
    """Folder of a layer.

    It lies inside the store, and differs from that of any other layer, whatever characters the
    layer's name contains.

    Parameters
    ----------
    path : Path
        The store.
    record : StoreRecord
        What it holds; the name of the folder begins with the number of the layer in the record.
    layer : str
        Name of the layer.

    Returns
    -------
    Path
        It need not exist.
    """
    number = list(record.layers).index(layer)
    return path / f"{number:03d}-{quote(layer, safe='')[:80]}.zarr"


def create_layer(path: Path, data: xr.DataArray) -> None:
    """Write the labels of a layer, and metadata for its values; an existing folder is replaced.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    data : DataArray (stimulus, unit)
        Its values are dask, and are not written.
    """
    about = {"convergent_unfinished": FORMAT, "name": attributes_of(data)["name"]}
    dataset = as_dataset(data, about)
    write_zarr(dataset, path, lazy=True, without=COORDINATE)


def write_rows(path: Path, start: int, values: NDArray[np.float32]) -> None:
    """Write a row of chunks of a layer.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    start : int
        Position of the first stimulus in the row of chunks.
    values : float32 array (height, unit)
        Activations.
    """
    with zarr.config.set({"array.write_empty_chunks": True}):  # so that a missing chunk is a loss
        array = zarr.open_array(path / "values", mode="r+")
    row = start // array.chunks[0]
    files = chunk_files(array, path, slice(row, row + 1))
    for left in files[0].parent.glob("*.partial"):  # by an interruption while zarr wrote it
        left.unlink()
    array[start : start + len(values)] = values
    write_marks(path, row * len(files), [chunk_mark(file) for file in files])


def finish_layer(path: Path, layer: str, attrs: Mapping[str, Any], contents: Sequence[str]) -> None:
    """Mark a layer as an assembly, once all of its rows of chunks are written.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    layer : str
        Its name.
    attrs : mapping
        Of the assembly.
    contents : sequence of str
        Hash of each stimulus; before all were opened, these were not known.

    Raises
    ------
    InputError
        If a label was damaged since the extraction began.
    """
    try:
        check_group(path)  # else the checksums would now be those of the damage
    except DamageError as error:
        raise InputError(
            f"{path} is damaged ({error}): call extract again with the same arguments and store, "
            "and this layer is extracted anew."
        ) from error
    with warnings.catch_warnings():  # strings have no Zarr 3 specification yet
        warnings.filterwarnings("ignore", message=".*Zarr V3 specification.*")
        zarr.create_array(
            path / COORDINATE,
            data=np.array(contents, dtype=str),
            dimension_names=("stimulus",),
            overwrite=True,
        )
    seal_group(path, attributes_of(xr.DataArray(0, name=layer, attrs=attrs)))


def _intact_rows_of(path: Path, layer: str, finished: int) -> int:
    """Number of finished rows of a layer before the first that is not as it was written."""
    with readable(path):
        try:
            attributes = check_group(path)
            array = zarr.open_array(path / "values", mode="r")
        except PermissionError:
            raise
        except _UNREADABLE:  # the labels or the metadata are damaged
            return 0
        unfinished = "convergent_unfinished" in attributes
        if unfinished and not has_checksums(attributes):
            return 0  # of an earlier version
        if attributes.get("name", json.dumps(layer)) != json.dumps(layer):
            return 0  # it is another layer, under the name of this one
        marks = stored_marks(path) if has_checksums(attributes) else None
        for row in range(finished):
            if not _is_intact(path, array, row, marks, wholly=unfinished):
                return row
    return finished


def _is_intact(
    path: Path, array: zarr.Array[Any], row: int, marks: bytes | None, *, wholly: bool
) -> bool:
    """Whether a row of chunks is there; with ``wholly``, all its values are read."""
    size = math.prod(array.chunks) * array.dtype.itemsize + CHECKSUM_BYTES
    files = chunk_files(array, path, slice(row, row + 1))
    if any(not file.is_file() or file.stat().st_size != size for file in files):
        return False
    if marks is not None:
        here = CHECKSUM_BYTES * len(files) * row
        found = b"".join(chunk_mark(file) for file in files)
        if found != marks[here : here + len(found)]:
            return False
    return not wholly or all(chunk_is_whole(file) for file in files)


def intact_rows(path: Path, record: StoreRecord) -> dict[str, int]:
    """Count the finished rows of chunks that are still on disk as they were written.

    Of a layer that is complete, values are not read, as this would take long: each chunk must have
    its size and the checksum at its end. Of one that was interrupted, they are.

    Parameters
    ----------
    path : Path
        The store.
    record : StoreRecord
        What it holds.

    Returns
    -------
    dict of str to int
        By layer, in the order of the record.
    """
    return {
        layer: _intact_rows_of(layer_path(path, record, layer), layer, rows)
        for layer, rows in record.layers.items()
    }


def first_values(path: Path, record: StoreRecord, layer: str, n: int) -> NDArray[Any] | None:
    """Read what a store holds of a layer for the first stimuli, from the first column of chunks.

    Parameters
    ----------
    path : Path
        The store.
    record : StoreRecord
        What it holds.
    layer : str
        Name of the layer.
    n : int
        Number of stimuli, at most those of a row of chunks.

    Returns
    -------
    float32 array (n, unit), or None
        The first units; None if there are none, or they cannot be read.
    """
    if not record.layers.get(layer):
        return None
    try:
        array = zarr.open_array(layer_path(path, record, layer) / "values", mode="r")
        return np.asarray(array[:n, : array.chunks[1]])
    except (OSError, ValueError, KeyError, RuntimeError):  # damage, which is dealt with elsewhere
        return None


def open_layers(path: str | os.PathLike[str]) -> dict[str, Assembly]:
    """Open the layers that `extract` wrote to a store.

    Parameters
    ----------
    path : path
        The store.

    Returns
    -------
    dict of str to Assembly
        One for each layer, in the order in which they were extracted; values stay on disk until
        they are needed (dask).

    Raises
    ------
    InputError
        If there is no store, or a layer in it is not complete.

    Examples
    --------
    >>> import convergent as cv
    >>> layers = cv.open_layers("layers.zarr")  # doctest: +SKIP
    """
    path = as_path(path)
    record = read_record(path)
    if record is None:
        raise InputError(f"there is no {path}.")
    intact = intact_rows(path, record)
    n, short = len(record.content["stimuli"]), []
    for layer, rows in intact.items():
        if rows < record.n_rows:
            short.append(f"{layer!r} has {min(rows * record.height, n)} of {n} stimuli")
    if short:
        more = f" and {len(short) - 3} more layers" if len(short) > 3 else ""
        raise InputError(
            f"{path} is not complete ({', '.join(short[:3])}{more}): call extract again with the "
            "same arguments and store, and it continues from there."
        )
    return {
        layer: as_extracted(Assembly(read_array(layer_path(path, record, layer))))
        for layer in intact
    }
