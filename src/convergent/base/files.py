"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import InputError, shown

__all__ = ["as_path", "write_whole"]

_LONGEST_NAME = 255  # bytes of a file name


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file or folder under a temporary name beside ``path``, then move it there.

    Parameters
    ----------
    path : Path
        Final path of the file or folder, which is replaced if it exists.
    write : function
        Writes a file or folder to the path that is its argument.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        temporary, old = Path(folder) / path.name, Path(folder) / f"old-{path.name}"
        write(temporary)
        if temporary.is_dir() and path.exists():  # only a file can be replaced in one step
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise


def as_path(path: object, name: str = "path") -> Path:
    """Check a path that a user gave.

    Parameters
    ----------
    path : str or pathlib.Path
        What the user gave; ``~`` is the home folder, as in a shell.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If it is no path, or empty, or no file can have this name.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text.strip() or not _can_be_written(text):
        raise InputError(
            f"{name}={shown(path)} cannot be the name of a file: give a path, such as 'results' or "
            "pathlib.Path('results')."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~NAME, and there is no such user
        raise InputError(f"{name}={shown(path)}: {error}. Write the path in full.") from None


def _can_be_written(text: str) -> bool:
    """Whether systems take each part of a path as a name."""
    try:
        names = [os.fsencode(part) for part in Path(text).parts]
    except UnicodeEncodeError:
        return False
    return "\0" not in text and all(len(name) <= _LONGEST_NAME for name in names)
