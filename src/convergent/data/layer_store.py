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

from ..base.errors import InputError
from ..base.files import as_path, write_whole
from .assembly import Assembly
from .positions import as_extracted
from .storage import CHECKSUM_BYTES, FORMAT, as_dataset, attributes_of, read_array, write_zarr

__all__ = [
    "StoreRecord",
    "create_layer",
    "finish_layer",
    "intact_rows",
    "layer_path",
    "open_layers",
    "read_record",
    "write_label",
    "write_record",
    "write_rows",
]


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
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    try:
        metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        found = metadata["attributes"]["convergent_layers"]
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        record = StoreRecord(
            dict(found["content"]),
            int(found["height"]),
            tuple(found["inputs"]),
            {layer: int(rows) for layer, rows in found["layers"].items()},
        )
        record.n_rows  # noqa: B018  # raises an error if stimuli are missing
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} is no store of layers, or its zarr.json is damaged ({error!r}): choose "
            "another path, or remove it."
        ) from error
    return record


def write_record(path: Path, record: StoreRecord) -> None:
    """Write what a store holds, in one step, into the attributes of its zarr group."""
    found = {
        "format": FORMAT,
        "content": dict(record.content),
        "height": record.height,
        "inputs": list(record.inputs),
        "layers": dict(record.layers),
    }
    _write_group(path, {"convergent_layers": found})


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    metadata = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    write_whole(
        path / "zarr.json", lambda part: part.write_text(json.dumps(metadata), encoding="utf-8")
    )


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
    write_zarr(as_dataset(data, {"convergent_unfinished": FORMAT}), path, compute=False)


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
    array[start : start + len(values)] = values


def write_label(path: Path, name: str, values: Sequence[str]) -> None:
    """Replace a label of the stimuli of a layer.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    name : str
        Name of the coordinate.
    values : sequence of str
        One for each stimulus.
    """
    with warnings.catch_warnings():  # strings have no Zarr 3 specification yet
        warnings.filterwarnings("ignore", message=".*Zarr V3 specification.*")
        zarr.create_array(
            path / name,
            data=np.array(values, dtype=str),
            dimension_names=("stimulus",),
            overwrite=True,
        )


def finish_layer(path: Path, layer: str, attrs: Mapping[str, Any]) -> None:
    """Mark a layer as an assembly, once all of its rows of chunks are written."""
    _write_group(path, attributes_of(xr.DataArray(0, name=layer, attrs=attrs)))


def _intact_rows_of(path: Path, finished: int) -> int:
    """Number of finished rows of a layer before the first that was lost or cut short."""
    try:
        array = zarr.open_array(path / "values", mode="r")
    except (OSError, ValueError, KeyError):  # the metadata is damaged
        return 0
    size = math.prod(array.chunks) * array.dtype.itemsize + CHECKSUM_BYTES
    across = -(-array.shape[1] // array.chunks[1])
    for row in range(finished):
        files = (path / "values" / "c" / str(row) / str(column) for column in range(across))
        if any(not file.is_file() or file.stat().st_size != size for file in files):
            return row
    return finished


def intact_rows(path: Path, record: StoreRecord) -> dict[str, int]:
    """Count the finished rows of chunks that are still on disk, and none of them cut short.

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
        layer: _intact_rows_of(layer_path(path, record, layer), rows)
        for layer, rows in record.layers.items()
    }


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
