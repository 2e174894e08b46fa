"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_whole"]


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
