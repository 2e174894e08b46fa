"""Zip archives: their checksums, and what they claim to hold, before anything is read."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from typing import IO

from .errors import InputError

__all__ = ["check_claims", "check_listing", "check_zip"]

_BLOCK = 2**20
_FOLDER = 0x10  # attribute of a member: torch gives the bytes of a folder that it did not read
_END, _END_AT_MOST = b"PK\5\6", 2**16 + 22  # the record at the end of a zip, and its size
_UNKNOWN = 2**16 - 1  # members, if there are more than the record can count
_DEFLATE = 1032  # no byte of deflate stands for more bytes than that
_LARGE, _RATIO = 2**28, 100  # a member both larger and more often compressed than that is refused


def check_claims(path: str | os.PathLike[str], members: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse members of a zip archive that claim sizes which they cannot or should not have.

    Parameters
    ----------
    path : path
        The archive, in messages.
    members : iterable of zipfile.ZipInfo
        Those that are to be read.

    Raises
    ------
    InputError
        If a member claims to be larger than its compressed bytes allow, or is larger than 256 MiB
        and compressed more than 100 times.
    """
    for member in members:
        size, stored = member.file_size, member.compress_size
        plain = member.compress_type == zipfile.ZIP_STORED
        deflated = member.compress_type == zipfile.ZIP_DEFLATED
        if (plain and size != stored) or (deflated and size > _DEFLATE * stored):
            raise InputError(
                f"{path} is damaged: its member {member.filename!r} of {stored} bytes claims to "
                f"hold {size} bytes. Copy or make it again."
            )
        if size > max(_LARGE, _RATIO * stored):
            raise InputError(
                f"{path} is not read: its member {member.filename!r} would grow from "
                f"{stored / 2**20:.1f} MiB to {size / 2**30:.1f} GiB. If that is right, store it "
                "without compression."
            )


def check_listing(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> None:
    """Refuse a zip archive that lists fewer members than it counts, as some would not be seen.

    Parameters
    ----------
    path : path
        The archive, in messages.
    archive : zipfile.ZipFile
        Open for reading.

    Raises
    ------
    InputError
        If the numbers differ.
    """
    file, listed = archive.fp, len(archive.infolist())
    if file is None:
        raise ValueError("the archive is closed")
    file.seek(max(0, file.seek(0, os.SEEK_END) - _END_AT_MOST))
    tail = file.read()
    at = tail.rindex(_END) + 10
    counted = int.from_bytes(tail[at : at + 2], "little")
    if counted not in {listed, _UNKNOWN}:
        raise InputError(
            f"{path} is damaged: it counts {counted} members and lists {listed}. Copy or make it "
            "again."
        )


def check_zip(path: str | os.PathLike[str], file: IO[bytes]) -> None:
    """Read all members of a zip archive to their ends, where their checksums are compared.

    An archive whose checksums are all 0 was written without them (torch can do that), and only
    its structure is checked.

    Parameters
    ----------
    path : path
        The archive, in messages.
    file : binary file
        The archive, open for reading.

    Raises
    ------
    InputError
        If a checksum, a name or a size differs, or the archive is cut short.
    """
    member = None
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            check_claims(path, members)
            check_listing(path, archive)
            for member in members:
                if member.external_attr & _FOLDER and member.file_size:
                    raise zipfile.BadZipFile("it is marked as a folder, and holds bytes")
            member = None
            if not any(each.CRC for each in members):
                return
            for member in members:
                with archive.open(member) as content:
                    while content.read(_BLOCK):
                        pass
    except InputError:
        raise
    except Exception as error:  # each kind of damage raises another error
        where = "" if member is None else f" in its member {member.filename!r}"
        raise InputError(
            f"{path} is damaged or cut short{where} ({error}): copy or make it again."
        ) from error
