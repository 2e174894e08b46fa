"""A store of layers: activations on disk, row by row of stimuli as a network makes them.

The store is a zarr group, with an assembly for each layer in it. What was extracted, and how many
rows of chunks of each layer are finished, stands in the attributes of the group, which are replaced
in one step after each row: what an interruption leaves is never taken for a result.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from ..base.errors import InputError
from ..base.files import write_whole
from .assembly import Assembly
from .positions import as_extracted
from .storage import CHECKSUM_BYTES, FORMAT, as_dataset, described, read_array, write_zarr

__all__ = [
    "StoreRecord",
    "create_layer",
    "finish_layer",
    "layer_path",
    "open_layers",
    "read_record",
    "whole_layers",
    "write_record",
    "write_rows",
]


@dataclass(frozen=True)
class StoreRecord:
    """What a store of layers holds, and how far it got.

    Attributes
    ----------
    content : mapping
        What the activations follow from, names of the stimuli included; plain values.
    height : int
        Stimuli in a row of chunks, of all layers.
    inputs : tuple of str
        SHA-256 of all preprocessed inputs up to the end of each row of chunks.
    layers : mapping of str to int
        How many rows of chunks are finished, the first ones of each layer.
    """

    content: Mapping[str, Any]
    height: int
    inputs: tuple[str, ...]
    layers: Mapping[str, int]

    @property
    def n_rows(self) -> int:
        """Rows of chunks of a layer that is complete."""
        return -(-len(self.content["stimuli"]) // self.height)


def read_record(path: Path) -> StoreRecord | None:
    """What a store holds; None where there is nothing.

    Raises
    ------
    InputError
        Where something else is there, or the record is damaged.
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
        record.n_rows  # noqa: B018  # raises where the stimuli are not there
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} is no store of layers, or its zarr.json is damaged ({error!r}): choose "
            "another path, or remove it."
        ) from error
    return record


def write_record(path: Path, record: StoreRecord) -> None:
    """Write what a store holds, in one step, as attributes of its zarr group."""
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
    """Folder of a layer; whatever its name holds, it lies in the store and no other layer's is it.

    Parameters
    ----------
    path : Path
        The store.
    record : StoreRecord
        What it holds; the layer's place in it goes into the name of the folder.
    layer : str
        Name of the layer.
    """
    place = list(record.layers).index(layer)
    return path / f"{place:03d}-{quote(layer, safe='')[:80]}.zarr"


def create_layer(path: Path, data: xr.DataArray) -> None:
    """Write the labels of a layer, and room for values; what was there is replaced.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    data : DataArray (stimulus, unit)
        Values are dask, and not looked at.
    """
    write_zarr(as_dataset(data, {"convergent_unfinished": FORMAT}), path, compute=False)


def write_rows(path: Path, start: int, values: NDArray[np.float32]) -> None:
    """Write a row of chunks of a layer.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    start : int
        The first stimulus of the row of chunks.
    values : float32 array (height, unit)
        Responses.
    """
    with zarr.config.set({"array.write_empty_chunks": True}):  # lost chunks are told by their lack
        array = zarr.open_array(path / "values", mode="r+")
    array[start : start + len(values)] = values


def finish_layer(path: Path, layer: str, attrs: Mapping[str, Any]) -> None:
    """Make an assembly of a layer of which all rows of chunks are there."""
    _write_group(path, described(xr.DataArray(0, name=layer, attrs=attrs)))


def _whole_rows(path: Path, recorded: int) -> int:
    """How many of the finished rows of chunks of a layer are still there, and none cut short.

    Parameters
    ----------
    path : Path
        From `layer_path`.
    recorded : int
        How many were finished.
    """
    try:
        array = zarr.open_array(path / "values", mode="r")
    except (OSError, ValueError, KeyError):  # of the metadata
        return 0
    size = math.prod(array.chunks) * array.dtype.itemsize + CHECKSUM_BYTES
    across = -(-array.shape[1] // array.chunks[1])
    for row in range(recorded):
        files = (path / "values" / "c" / str(row) / str(column) for column in range(across))
        if any(not file.is_file() or file.stat().st_size != size for file in files):
            return row
    return recorded


def whole_layers(path: Path, record: StoreRecord) -> dict[str, int]:
    """How many rows of chunks of each layer are finished, still there, and none cut short."""
    return {
        layer: _whole_rows(layer_path(path, record, layer), rows)
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
        One a layer, in the order in which they were extracted; values stay on disk until they are
        needed (dask).

    Raises
    ------
    InputError
        Where there is no store, or a layer in it is not complete.
    """
    path = Path(path)
    record = read_record(path)
    if record is None:
        raise InputError(f"there is no {path}.")
    whole = whole_layers(path, record)
    n, short = len(record.content["stimuli"]), []
    for layer, rows in whole.items():
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
        for layer in whole
    }
