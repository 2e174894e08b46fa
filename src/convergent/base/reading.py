"""Files before they are read: those that are none, and those that may not be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

__all__ = ["check_readable", "not_readable", "readable"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_readable(path: str | os.PathLike[str], what: str = "file") -> Path:
    """Check that a path is a file that may be read.

    A pipe is not opened, as that would wait for whoever writes to it.

    Parameters
    ----------
    path : path
        Given by the user.
    what : str
        What is expected there, in messages.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    InputError
        If there is nothing, or a folder, a pipe, a socket or a device, or reading is not permitted.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb"):
                return path
    except (OSError, ValueError) as error:  # a ValueError if the path holds NUL
        raise not_readable(path, error, what) from error
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    raise InputError(f"{path} is {kind}, and no {what} that can be read: give the path of a file.")


def not_readable(path: str | os.PathLike[str], error: Exception, what: str = "file") -> InputError:
    """Error for a file that the system does not give: it is absent, or reading is not permitted.

    Parameters
    ----------
    path : path
        Given by the user.
    error : Exception
        From the system.
    what : str
        What is expected there, in messages.

    Returns
    -------
    InputError
        With the cause and the remedy.
    """
    if isinstance(error, FileNotFoundError):
        return InputError(f"there is no {what} {path}.")
    if isinstance(error, PermissionError):
        return InputError(
            f"the {what} {path} cannot be read (permission denied): give yourself the right to "
            "read it and the folders above it, or ask its owner."
        )
    code = error.errno if isinstance(error, OSError) else None
    remedy = {
        errno.ELOOP: "its links lead in a circle: give the file itself",
        errno.ENAMETOOLONG: "shorten the name",
        errno.ENOTDIR: "a part of the path is a file and no folder: correct the path",
        errno.EIO: "the disk or its connection fails: copy the file from elsewhere",
        errno.EISDIR: "it is a folder: give the path of a file",
    }
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(
        f"the {what} {str(path)!r} cannot be read ({reason}): "
        f"{remedy.get(code or 0, 'correct the path, or copy the file elsewhere')}."
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Report lack of permission to read a file as such; other errors pass.

    Parameters
    ----------
    path : Path
        What is read inside; named in the message if the error names no file.

    Raises
    ------
    InputError
        If permission is denied.
    """
    try:
        yield
    except PermissionError as error:
        found = error.filename or path
        raise InputError(
            f"you have no permission to read {found} ({error.strerror or error}): it need not be "
            "damaged. Ask its owner for permission (chmod u+r), or copy it."
        ) from error
