"""Locks of folders: one process at a time writes to a folder, and others are told which one.

The operating system holds a lock, so that it ends with its process, however that ends. Where it has
no such locks (on Windows, and on some file systems of clusters), folders are not held.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from .errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["held", "if_free", "remove_stale"]

_LOCK = ".convergent-lock"  # holds what its owner wrote of itself; it is removed in the end
_TRIES, _WAIT = 10, 0.05  # seconds


@contextmanager
def if_free(folder: Path) -> Iterator[bool | None]:
    """Hold a folder for the length of a with, unless another process holds it.

    Parameters
    ----------
    folder : Path
        It exists.

    Yields
    ------
    bool or None
        Whether it is held; None if there are no locks here.

    Raises
    ------
    OSError
        If the lock can be neither opened nor removed.
    """
    path = folder / _LOCK
    while True:
        file = _open(path)
        taken = _lock(file)
        if taken is not True or _is_at(path, file):
            break
        os.close(file)  # its former owner has removed it meanwhile
    try:
        yield taken
    finally:
        if taken is not False:
            path.unlink(missing_ok=True)
        os.close(file)


def _open(path: Path) -> int:
    """Open a lock, which need not exist; what another user left there by a kill is removed."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            left = os.open(path, os.O_RDONLY)
        if _lock(left) is False:
            return left
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(left)


def _lock(file: int) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


@contextmanager
def held(folder: Path, by: str) -> Iterator[None]:
    """Hold a folder for the length of a with, so that no other process writes to it.

    Parameters
    ----------
    folder : Path
        It exists, and can be written to.
    by : str
        What holds it, for the message that others get: ``"convergent score"``.

    Raises
    ------
    InputError
        If another process holds it, or its lock is that of another user, and cannot be removed.
    """
    with ExitStack() as stack:
        try:
            free = stack.enter_context(if_free(folder))
        except OSError as error:
            raise InputError(
                f"{folder / _LOCK}, which says who uses the folder, can be neither opened nor "
                f"removed ({error.strerror}): ask its owner to remove it, or choose another folder."
            ) from error
        if free is False:
            raise InputError(
                f"{folder} is in use by {_owner(folder)}: wait until that has ended, or choose "
                "another folder."
            )
        owner = {
            "by": by,
            "process": os.getpid(),
            "machine": platform.node(),
            "since": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
        }
        with suppress(OSError):  # on a full disk, others are told less
            (folder / _LOCK).write_text(json.dumps(owner), encoding="utf-8")
        yield


def remove_stale(folder: Path) -> None:
    """Remove the lock of a killed process; that of a living one stays.

    Parameters
    ----------
    folder : Path
        It need not exist, and need not have a lock.
    """
    with suppress(OSError):  # it may only be read
        if (folder / _LOCK).exists():
            with if_free(folder):
                pass


def _owner(folder: Path) -> str:
    """Who holds a folder, as they wrote it there: a moment after they got the lock."""
    for _ in range(_TRIES):
        try:
            found = json.loads((folder / _LOCK).read_text(encoding="utf-8"))
            who = f"process {int(found['process'])} on {found['machine']}"
            return f"{found['by']} ({who}), since {found['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(_WAIT)
    return "another process"
