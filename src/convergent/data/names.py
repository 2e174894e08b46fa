"""Names of stimuli: one spelling for each, and their natural order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..base.errors import InputError

__all__ = ["check_writable", "naturally_sorted", "one_spelling"]

_NUMBER = re.compile("([0-9]+)")


def one_spelling(name: str) -> str:
    """Write a name in the composed form of Unicode (NFC), in which names are matched.

    Systems differ in how they write an accent: as part of its letter, or after it.
    """
    return unicodedata.normalize("NFC", name)


def check_writable(names: Iterable[str], what: str) -> None:
    """Refuse names that no file of results can hold.

    Parameters
    ----------
    names : iterable of str
        Of stimuli or units.
    what : str
        What is called so, in messages.

    Raises
    ------
    InputError
        If a name holds NUL, or is not Unicode (a file name in another encoding, such as Latin-1).
    """
    names = list(names)
    together = "\n".join(names)
    if "\0" not in together and _is_unicode(together):
        return
    for name in names:
        if "\0" in name or not _is_unicode(name):
            shown = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
            raise InputError(
                f"the {what} '{shown}' has a name that is not Unicode text, or holds NUL, and "
                "cannot be saved: rename it; the command convmv converts the names of files."
            )


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def naturally_sorted(names: Iterable[str]) -> list[str]:
    """Sort names as people count: ``img2.png`` comes before ``img10.png``."""
    return sorted(names, key=_counting)


def _counting(name: str) -> tuple[list[str | int], str]:
    parts = _NUMBER.split(name)  # text and digits take turns
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name
