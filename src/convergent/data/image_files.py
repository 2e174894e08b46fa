"""Image files of folders and zip archives, by name."""

from __future__ import annotations

import os
import posixpath
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from ..base.errors import InputError, examples, warn
from ..base.reading import check_readable, not_readable
from ..base.zip_archives import check_claims, check_listing
from .names import one_spelling

__all__ = ["SUFFIXES", "check_once", "images_in_folder", "images_in_zip", "open_zip"]

_File = TypeVar("_File")

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"}
    | {".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
_NOT_READ = frozenset(  # images and films that Pillow does not read, or not as one picture
    {".ai", ".arw", ".avi", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif"}
    | {".ico", ".jxl", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".nef", ".orf", ".pcx", ".pdf"}
    | {".psd", ".raw", ".rw2", ".svg", ".webm", ".wmv", ".xcf"}
)
_UTF_8 = 0x800  # flag of an entry whose name is UTF-8
_MOST_LINKS = 10_000  # followed in a folder: folders that link to each other have n! paths


def images_in_folder(root: Path) -> dict[str, Path]:
    """Find the image files in a folder and its subfolders, those behind links included.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    dict of str to Path
        By name: the path from the folder, with ``/`` between parts.

    Raises
    ------
    InputError
        If two files have the same name, apart from how accents are written; if a folder cannot be
        read, or links lead in circles.

    Warns
    -----
    UserWarning
        If there are files of images or films that are not read.
    """
    files = list(_walk(root, iter(range(_MOST_LINKS))))
    names = [one_spelling(file.relative_to(root).as_posix()) for file in files]
    return _images(dict(_pairs(names, files, f"the folder {root}")), f"the folder {root}")


def images_in_zip(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """Find the image files in a zip archive.

    Parameters
    ----------
    archive : zipfile.ZipFile
        From `open_zip`.
    where : str
        The archive in messages.

    Returns
    -------
    dict of str to zipfile.ZipInfo
        By name. If one folder contains all images, it is not part of their names.

    Raises
    ------
    InputError
        If two files have the same name, or a name differs between the two places where it stands.

    Warns
    -----
    UserWarning
        If there are files of images or films that are not read.
    """
    entries = [info for info in archive.infolist() if not _is_folder(info)]
    names = [_entry_name(info) for info in entries]
    found = _images(dict(_pairs(names, entries, where)), where)
    images = {info.header_offset for info in found.values()}
    _check_others(archive, where, [each for each in entries if each.header_offset not in images])
    top = posixpath.commonpath([posixpath.dirname(name) for name in found] or [""])
    short = [PurePosixPath(name).relative_to(top).as_posix() for name in found]
    return dict(_pairs(short, list(found.values()), where))


def open_zip(path: str | os.PathLike[str]) -> zipfile.ZipFile:
    """Open a zip archive, and check that no path in it leads outside.

    Parameters
    ----------
    path : path
        The archive.

    Returns
    -------
    zipfile.ZipFile
        Open for reading.

    Raises
    ------
    InputError
        If it cannot be read, is not a zip archive, claims to hold more than it can, or a path in
        it leads outside (``../``).
    """
    check_readable(path)
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # each kind of damage raises another error
        raise InputError(f"{path} is not a zip archive, or is cut short ({error}).") from None
    try:
        check_listing(path, archive)
        check_claims(path, archive.infolist())
    except InputError:
        archive.close()
        raise
    for info in archive.infolist():
        parts = PureWindowsPath(info.filename)  # knows the separators of all systems
        if not _is_folder(info) and (parts.anchor or ".." in parts.parts):
            archive.close()
            raise InputError(
                f"the zip {path} holds {info.filename!r}, a path that leads outside the archive: "
                "it was not made by an ordinary zip program. Make it again from the images."
            )
    return archive


def _check_others(archive: zipfile.ZipFile, where: str, left_out: list[zipfile.ZipInfo]) -> None:
    """Compare the two names of files that are not read: one may be an image whose name is damaged.

    Those of an image are compared when it is opened.
    """
    for info in left_out:
        try:
            with suppress(RuntimeError):  # it is locked, or compressed in an unknown way
                archive.open(info).close()
        except Exception as error:  # each kind of damage raises another error
            raise InputError(
                f"{where} is damaged at {info.filename!r} ({error}): copy or make it again."
            ) from error


def check_once(names: Sequence[str], where: str) -> None:
    """Refuse names that occur more than once.

    Parameters
    ----------
    names : sequence of str
        Names of images.
    where : str
        What holds them, in messages.

    Raises
    ------
    InputError
        If a name occurs twice.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} names occur more than once in {where}: {examples(twice)}. Name each "
            "image once."
        )


def _pairs(names: Sequence[str], files: Sequence[_File], where: str) -> Iterable[tuple[str, _File]]:
    """Names with their files, once it is sure that no image has the name of another."""
    check_once([name for name in names if _is(name, SUFFIXES)], where)
    return zip(names, files, strict=True)


def _walk(
    folder: Path, links: Iterator[int], above: frozenset[str] = frozenset()
) -> Iterator[Path]:
    """Files of a folder; links to a folder above are not followed, as they never end."""
    above |= {os.path.realpath(folder)}
    try:
        entries = [(entry, entry.is_dir(), entry.is_symlink()) for entry in folder.iterdir()]
    except OSError as error:
        raise not_readable(folder, error, "folder") from error
    for entry, is_folder, is_link in sorted(entries):
        if not is_folder:
            yield entry
        elif not entry.name.startswith(".") and os.path.realpath(entry) not in above:
            if is_link and next(links, None) is None:
                raise InputError(
                    f"more than {_MOST_LINKS} links to folders were followed up to {entry}: they "
                    "lead in circles. Replace them with the folders themselves."
                )
            yield from _walk(entry, links, above)


def _images(files: dict[str, _File], where: str) -> dict[str, _File]:
    """Keep the images, and warn of those that are not read."""
    other = Counter(PurePosixPath(name).suffix.lower() for name in files if _is(name, _NOT_READ))
    if other:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(other.items()))
        warn(
            f"{where} holds images or films of kinds that are not read, and they are left out "
            f"({counts}): save them as PNG if they are stimuli."
        )
    return {name: file for name, file in files.items() if _is(name, SUFFIXES)}


def _is(name: str, suffixes: frozenset[str]) -> bool:
    """Whether a path has such a suffix, and is not a hidden file of the operating system."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in suffixes and not hidden


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(("/", "\\"))


def _entry_name(info: zipfile.ZipInfo) -> str:
    """Name of an entry with ``/`` between parts, whatever program wrote it.

    Some programs of Windows write backslashes; zip programs of macOS write UTF-8 without the flag
    that says so.
    """
    name = info.filename
    if not info.flag_bits & _UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return one_spelling(PurePosixPath(name.replace("\\", "/")).as_posix())
