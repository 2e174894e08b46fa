"""Checksums: damage to a file is noticed before any library reads it.

Two kinds are kept. A file that is written as a whole ends with a *trailer*, the CRC-32C of all
bytes before it. HDF5 and zip readers pass over bytes after the end of their own content, so that
such files can be read by every other program. Metadata in JSON are *sealed*: they hold the SHA-256
of what else they hold.

CRC-32C is computed by the processor: on one core 11 GB/s, where zlib's CRC-32 has 3.0, SHA-256 1.4
and the Fletcher checksum of HDF5 1.2.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google_crc32c import extend

__all__ = ["DamageError", "add_trailer", "check_sealed", "check_trailer", "crc32c_of", "sealed"]

_BLOCK = 2**19  # bytes that are read at a time: they stay in the cache of the processor
_MAGIC = b"\x89cvCRC\r\n"
_TRAILER = struct.Struct("<8sQII")  # magic, bytes before it, their CRC, CRC of these three
_SEAL = "convergent_sha256"


class DamageError(ValueError):
    """What was read is not what was written; the message says what was found."""


def crc32c_of(path: Path, n_bytes: int | None = None) -> int:
    """CRC-32C of a file.

    Parameters
    ----------
    path : Path
        The file.
    n_bytes : int, optional
        How many bytes from its start; by default all.

    Returns
    -------
    int
        32 bits.
    """
    found, left = 0, n_bytes
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK if left is None else min(_BLOCK, left)):
            found = extend(found, block)
            left = None if left is None else left - len(block)
    return int(found)


def add_trailer(path: Path) -> None:
    """Write the checksum of a file at its end.

    Parameters
    ----------
    path : Path
        A complete file.
    """
    start = struct.pack("<8sQI", _MAGIC, path.stat().st_size, crc32c_of(path))
    with path.open("ab") as file:
        file.write(start + struct.pack("<I", extend(0, start)))


def check_trailer(path: Path, *, expected: bool = False) -> int | None:
    """Compare a file with the checksum at its end.

    Parameters
    ----------
    path : Path
        The file.
    expected : bool
        Whether it was certainly written with a checksum.

    Returns
    -------
    int, or None
        Number of bytes before the trailer; None if the file was written without one, by another
        program or an earlier version.

    Raises
    ------
    DamageError
        If the file is not as it was written, or an HDF5 file is shorter than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
        file.seek(max(size - _TRAILER.size, 0))
        tail = file.read()
    if len(tail) == _TRAILER.size:
        magic, length, crc, own = _TRAILER.unpack(tail)
        if magic == _MAGIC and own == extend(0, tail[:-4]):
            if length != size - _TRAILER.size or crc != crc32c_of(path, length):
                raise DamageError("it does not have the checksum with which it was written")
            return int(length)
    end = _end_of_hdf5(start)
    if expected or (end is not None and end < size <= end + _TRAILER.size):
        raise DamageError("the checksum at its end is lost or damaged")
    if end is not None and size < end:
        raise DamageError(f"it has {size} bytes of {end}")
    return None


def _end_of_hdf5(start: bytes) -> int | None:
    """Where an HDF5 file says that it ends; None for other files."""
    if len(start) < 48 or not start.startswith(b"\x89HDF\r\n\x1a\n"):
        return None
    version = start[8]
    place, width = (40, start[13]) if version == 0 else (28, start[9])
    if version not in (0, 2, 3) or width != 8:
        return None
    return int.from_bytes(start[place : place + 8], "little")


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the SHA-256 of plain values to them.

    Parameters
    ----------
    content : mapping
        Plain values, as JSON holds them; an earlier seal is replaced.

    Returns
    -------
    dict
        The same, and the seal.
    """
    rest = {key: value for key, value in content.items() if key != _SEAL}
    return {**rest, _SEAL: _sha256(rest)}


def check_sealed(content: Mapping[str, Any], *, expected: bool = True) -> bool:
    """Compare plain values with their seal.

    Parameters
    ----------
    content : mapping
        From `sealed`, after it was read.
    expected : bool
        Whether a seal must be there.

    Returns
    -------
    bool
        Whether there is a seal.

    Raises
    ------
    DamageError
        If the seal is another one, or is expected and not there.
    """
    if _SEAL not in content and not expected:
        return False
    rest = {key: value for key, value in content.items() if key != _SEAL}
    if content.get(_SEAL) != _sha256(rest):
        raise DamageError("its metadata do not have the checksum with which they were written")
    return True


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
