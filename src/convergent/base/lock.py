"""Locks of folders: one process at a time writes to a folder, and others are told which one.

The operating system holds a lock, so that it ends with its process, however that ends.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from .errors import InputError

__all__ = ["held", "if_free"]

_LOCK, _OWNER = ".lock", ".lock.json"


@contextmanager
def if_free(folder: Path) -> Iterator[bool]:
    """Hold a folder for the length of a with, unless another process holds it.

    Parameters
    ----------
    folder : Path
        It exists.

    Yields
    ------
    bool
        Whether it is held.
    """
    from filelock import FileLock, Timeout  # here, as help texts do not need it

    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


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
        If another process holds it.
    """
    with if_free(folder) as free:
        if not free:
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
        note = folder / _OWNER
        note.write_text(json.dumps(owner), encoding="utf-8")
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def _owner(folder: Path) -> str:
    """Who holds a folder, as they wrote it there."""
    try:
        found = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        who = f"process {int(found['process'])} on {found['machine']}"
        return f"{found['by']} ({who}), since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
