"""Files that may not be read: they are not damaged, and another error says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

__all__ = ["readable"]


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
