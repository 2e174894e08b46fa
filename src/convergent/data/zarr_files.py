"""Checksums of zarr groups, and values that are read from them block by block.

The attributes of a group hold the CRC-32C of each file in it, and are sealed; only the chunks of
the values are not among these files. Each chunk ends with its own CRC-32C, which zarr writes and
verifies, and all of these together are a file among the others. So a chunk that was damaged, lost
or replaced is noticed when it is read, and all else when the group is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.checksums import DamageError, check_sealed, crc32c_of, sealed
from ..base.errors import InputError, examples
from ..base.files import write_whole
from ..base.reading import readable

if TYPE_CHECKING:
    import zarr

__all__ = [
    "CHECKSUM_BYTES",
    "StoredValues",
    "check_group",
    "chunk_files",
    "chunk_is_whole",
    "chunk_mark",
    "has_checksums",
    "may_change",
    "open_values",
    "read_group",
    "reads_from",
    "seal_group",
    "stored_marks",
    "write_group",
    "write_marks",
]

CHECKSUM_BYTES = 4  # at the end of a chunk
_VALUES = "values"
_METADATA = "zarr.json"
_MARKS = f"{_VALUES}/checksums"  # what each chunk ends with; zarr does not look at this file
_FILES = "convergent_files"
_LOST = b"\0lost"  # a mark that no chunk has


def read_group(path: Path) -> dict[str, Any]:
    """Read the attributes of a group.

    Parameters
    ----------
    path : Path
        The group.

    Returns
    -------
    dict
        Verified, if they are sealed.

    Raises
    ------
    DamageError
        If they are no JSON, or have another seal.
    """
    file = path / _METADATA
    if file.exists() and not file.is_file():  # reading would wait for a pipe, or a device, to end
        raise DamageError(f"{_METADATA} is no file")
    text = file.read_bytes()
    try:
        metadata = json.loads(text)
        attributes = metadata.get("attributes", {})
        if not isinstance(attributes, dict):
            raise TypeError("its attributes are no mapping")
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DamageError(f"{_METADATA} holds no group of zarr ({error!r})") from error
    if check_sealed(attributes, expected=_FILES in attributes):
        kind = metadata.get("zarr_format"), metadata.get("node_type")
        if kind != (3, "group"):
            raise DamageError(f"{_METADATA} says that it is {kind}, no group of zarr")
    return attributes


def write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the attributes of a group in one step, sealed."""
    content = {"zarr_format": 3, "node_type": "group", "attributes": sealed(attributes)}
    text = json.dumps(content)
    write_whole(path / _METADATA, lambda part: part.write_text(text, encoding="utf-8"))


def seal_group(
    path: Path, attributes: Mapping[str, Any], *, without: str | None = None, lazy: bool = False
) -> None:
    """Write the attributes of a group, with the checksums of its files.

    Parameters
    ----------
    path : Path
        The group; its labels are written.
    attributes : mapping
        Its attributes.
    without : str, optional
        A label that will be written again, and is left out.
    lazy : bool
        Whether values are not written yet.
    """
    if lazy:
        (path / _MARKS).write_bytes(bytes(CHECKSUM_BYTES * _open_array(path).nchunks))
    elif not (path / _MARKS).exists():
        (path / _MARKS).write_bytes(_present_marks(_open_array(path), path))
    files = [path / _VALUES / _METADATA, *([] if lazy else [path / _MARKS])]
    for label in path.iterdir():
        if label.is_dir() and label.name not in {_VALUES, without} and label.name[0] != ".":
            files += [file for file in label.rglob("*") if file.is_file()]
    checksums = {file.relative_to(path).as_posix(): f"{crc32c_of(file):08x}" for file in files}
    write_group(path, {**attributes, _FILES: checksums})


def check_group(path: Path) -> dict[str, Any]:
    """Compare the files of a group with their checksums.

    Parameters
    ----------
    path : Path
        The group.

    Returns
    -------
    dict
        Its attributes; those of earlier versions and other programs have no checksums.

    Raises
    ------
    DamageError
        If a file is lost, or is not as it was written.
    """
    attributes = read_group(path)
    for name, crc in attributes.get(_FILES, {}).items():
        if not (path / name).is_file():  # nothing, or a pipe, or a device without end
            raise DamageError(f"the file {name} is lost")
        found = f"{crc32c_of(path / name):08x}"
        if found != crc:
            raise DamageError(f"the file {name} does not have the checksum that was written")
    return attributes


def has_checksums(attributes: Mapping[str, Any]) -> bool:
    """Whether the files of a group have checksums, by its attributes."""
    return _FILES in attributes


def _open_array(path: Path) -> zarr.Array[Any]:
    import zarr  # here, since the import is slow

    return zarr.open_array(path / _VALUES, mode="r")


def chunk_files(array: zarr.Array[Any], path: Path, rows: slice | None = None) -> list[Path]:
    """Files of the chunks of a group's values, in the order of C.

    Parameters
    ----------
    array : zarr.Array
        The values.
    path : Path
        The group.
    rows : slice, optional
        Rows of chunks; by default all.

    Returns
    -------
    list of Path
        They need not exist.
    """
    grid = [range(-(-size // each)) for size, each in zip(array.shape, array.chunks, strict=True)]
    if rows is not None:
        grid[0] = grid[0][rows]
    return [_chunk_file(array, path, place) for place in product(*grid)]


def _chunk_file(array: zarr.Array[Any], path: Path, place: tuple[int, ...]) -> Path:
    return path / _VALUES / array.metadata.encode_chunk_key(place)


def chunk_mark(file: Path) -> bytes:
    """What a chunk ends with: the CRC-32C of its values; a mark of no chunk if it is lost."""
    try:
        with file.open("rb", buffering=0) as chunk:
            chunk.seek(-CHECKSUM_BYTES, 2)
            return chunk.read(CHECKSUM_BYTES)
    except PermissionError:
        raise
    except OSError:  # it is lost, or shorter than its checksum
        return _LOST


def stored_marks(path: Path) -> bytes:
    """What the chunks of a group should end with; empty if the file is lost."""
    try:
        return (path / _MARKS).read_bytes()
    except FileNotFoundError:
        return b""


def write_marks(path: Path, start: int, marks: Sequence[bytes]) -> None:
    """Write what some chunks of a group end with, in place.

    Parameters
    ----------
    path : Path
        The group.
    start : int
        Number of the first of these chunks, in the order of C.
    marks : sequence of bytes
        From `chunk_mark`.
    """
    with (path / _MARKS).open("r+b") as file:
        file.seek(CHECKSUM_BYTES * start)
        file.write(b"".join(marks))


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Values of a group on disk; dask reads them block by block.

    Values are the ones that were there when the group was opened, or there is an error: each chunk
    must still end with the checksum that it had.

    Attributes
    ----------
    array : zarr.Array
        The values.
    path : Path
        The group.
    marks : uint32 array
        What each chunk ended with, of the shape of the grid of chunks.
    """

    array: zarr.Array[Any]
    path: Path
    marks: NDArray[np.uint32]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """Number of dims."""
        return int(self.array.ndim)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self.array.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read some values, and verify that their chunks are still the same."""
        several = key if isinstance(key, tuple) else (key,)
        places = list(product(*map(self._chunks, range(self.ndim), self._complete(several))))
        with readable(self.path):
            try:
                values = np.asarray(self.array[key])
                self._check_same(places)
            except PermissionError:
                raise
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise self._changed(places, error) from error
        return values

    def _complete(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*key, *[slice(None)] * (self.ndim - len(key)))

    def _chunks(self, axis: int, index: Any) -> range:
        """Which chunks an index along an axis lies in."""
        each, size = self.array.chunks[axis], self.shape[axis]
        if not isinstance(index, slice):
            return range(int(index) // each, int(index) // each + 1)
        start, stop, _ = index.indices(size)
        return range(start // each, -(-stop // each))

    def _check_same(self, places: Iterable[tuple[int, ...]]) -> None:
        if any(chunk_mark(self._file(place)) != self._mark(place) for place in places):
            raise DamageError("other values are there than when it was opened")

    def _file(self, place: tuple[int, ...]) -> Path:
        return _chunk_file(self.array, self.path, place)

    def _mark(self, place: tuple[int, ...]) -> bytes:
        return bytes(self.marks[place].tobytes())

    def _changed(self, places: Sequence[tuple[int, ...]], error: Exception) -> InputError:
        """Say which chunks are damaged, or that the store was replaced."""
        files = {self._file(place): place for place in places}
        damaged = [file for file in files if not chunk_is_whole(file)]
        if damaged:
            names = [file.relative_to(self.path).as_posix() for file in damaged]
            return InputError(
                f"the responses in {self.path} cannot be read from disk ({error}): "
                f"{examples(names)} is damaged or cut short; make or copy it again. If extract "
                "wrote it, delete this file and call extract again: it computes what is missing."
            )
        return InputError(
            f"the responses in {self.path} cannot be read from disk ({error}): {self.path} was "
            "written again after it was opened. Open it again; what was computed lazily from the "
            "old values is lost, so load values into memory (.data.load()) before they are "
            "replaced."
        )


def open_values(path: Path, attributes: Mapping[str, Any]) -> Any:
    """Open the values of a group.

    Parameters
    ----------
    path : Path
        The group.
    attributes : mapping
        From `check_group`.

    Returns
    -------
    dask array, or None
        With the chunks of the group; None if another program wrote it, with no checksums.

    Raises
    ------
    InputError
        If chunks are lost.
    """
    import dask.array
    from zarr.codecs import Crc32cCodec

    path = path.absolute()
    array = _open_array(path)
    if not any(isinstance(codec, Crc32cCodec) for codec in array.compressors):
        return None  # a missing chunk may be an empty one
    lost = array.nchunks - array.nchunks_initialized
    if lost:
        raise InputError(
            f"{path} has lost {lost} of its {array.nchunks} chunks: copy or make it again."
        )
    marks = stored_marks(path) if has_checksums(attributes) else _present_marks(array, path)
    grid = [-(-size // each) for size, each in zip(array.shape, array.chunks, strict=True)]
    if len(marks) != CHECKSUM_BYTES * array.nchunks:
        raise DamageError("the checksums of its chunks are lost or cut short")
    values = StoredValues(array, path, np.frombuffer(marks, "<u4").reshape(grid))
    about = os.fsencode(path) + repr(array.metadata).encode()
    content = hashlib.sha256(about + marks).hexdigest()
    return dask.array.from_array(  # type: ignore[no-untyped-call]
        values,
        array.chunks,
        name=f"stored-{content}",  # not that of other values at this path
        fancy=False,
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
    )


def _present_marks(array: zarr.Array[Any], path: Path) -> bytes:
    """What the chunks end with now, of a group of an earlier version, which does not say."""
    return b"".join(chunk_mark(file) for file in chunk_files(array, path))


def reads_from(values: Any, path: Path) -> bool:
    """Whether a dask array reads values from a group, or from one inside it.

    Parameters
    ----------
    values : dask array
        Any.
    path : Path
        The group.

    Returns
    -------
    bool
        False if this cannot be seen, as in graphs that were rewritten.
    """
    place = path.resolve()
    sources = [_source(name, layer) for name, layer in _layers(values).items()]
    paths = [source.path.resolve() for source in sources if source is not None]
    return any(place in (own, *own.parents) for own in paths)


def may_change(values: Any) -> bool:
    """Whether an array may give other values when it is computed again.

    Parameters
    ----------
    values : array
        Numpy or dask.

    Returns
    -------
    bool
        False for arrays in memory, and for dask arrays of nothing but groups that `open_values`
        opened.
    """
    if not hasattr(values, "__dask_graph__"):
        return False
    layers = _layers(values)
    needs = values.__dask_graph__().dependencies if layers else {}
    return not layers or any(
        _source(name, layer) is None for name, layer in layers.items() if not needs[name]
    )


def _layers(values: Any) -> Mapping[Any, Any]:
    """Layers of the graph of a dask array; none of a graph that was rewritten."""
    found: Mapping[Any, Any] = getattr(values.__dask_graph__(), "layers", {})
    return found


def _source(name: Any, layer: Any) -> StoredValues | None:
    """What a layer of a graph reads from, if this is a group."""
    if not str(name).startswith("original-"):
        return None
    node = layer[name]
    source = getattr(node, "value", node)  # newer versions of dask wrap it
    return source if isinstance(source, StoredValues) else None


def chunk_is_whole(file: Path) -> bool:
    """Whether a chunk has the checksum with which it ends."""
    try:
        n_bytes = file.stat().st_size - CHECKSUM_BYTES
        return chunk_mark(file) == crc32c_of(file, n_bytes).to_bytes(CHECKSUM_BYTES, "little")
    except OSError:
        return False
