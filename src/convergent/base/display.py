"""Names in the names of files and in tables for spreadsheets; `errors.shown` is for messages.

A name is shown as it is. What a name may not do is act: a control character can move the cursor
of a terminal, and a cell that begins with ``=`` is a formula in a spreadsheet.
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["file_names", "write_csv"]

_MOST_BYTES = 80  # of a file name: with endings below the 255 that file systems allow
_NOT_IN_FILES = re.compile(r'[/\\:*?"<>|\s]+|\.\.+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def file_names(names: Iterable[str]) -> dict[str, str]:
    """File names, without endings, that are safe on every file system and differ from each other.

    Parameters
    ----------
    names : iterable of str
        Different names.

    Returns
    -------
    dict of str
        A file name for each name: the name itself where that can be. Characters that a file system
        refuses become ``-``, and names that Windows reserves begin with ``_``. A hash of the name
        is added where it is too long, where nothing is left of it, or where two file names would
        differ in capital letters only.

    Examples
    --------
    >>> file_names(["_blocks.5", "a/b", "CON"])
    {'_blocks.5': '_blocks.5', 'a/b': 'a-b', 'CON': '_CON'}
    >>> file_names(["c:d", "C/D"])
    {'c:d': 'c-d-66c7bbe2', 'C/D': 'C-D-b8f69f5b'}
    """
    plain = {name: _file_name(name) for name in names}
    known = Counter(file.casefold() for file in plain.values())
    return {
        name: _with_hash(file, name)
        if not file or len(file.encode()) > _MOST_BYTES or known[file.casefold()] > 1
        else file
        for name, file in plain.items()
    }


def _file_name(name: str) -> str:
    """A name without what file systems refuse, or change, as accents of their own."""
    text = shown(unicodedata.normalize("NFC", name))
    text = _NOT_IN_FILES.sub("-", text).strip(" .-")
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def _with_hash(file: str, name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    start = file.encode()[: _MOST_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{start}-{digest}".lstrip("-")


_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    r"""Write a table as CSV: texts in quotation marks, numbers without.

    A text that a spreadsheet would take for a formula, since it begins with ``=``, ``+``, ``-``,
    ``@``, a tab or a carriage return, gets an apostrophe before it, as a spreadsheet writes it; so
    does one that begins with apostrophes and then such a sign, so that no two texts become the
    same. Every other text, and every number, is written as it is. To read exact names back::

        names = pd.read_csv(path, usecols=["source"], dtype=str, keep_default_na=False)
        names.replace(r"^'(?='*[=+\-@\t\r])", "", regex=True)

    Parameters
    ----------
    table : DataFrame
        Its index is not written.
    path : Path
        File to write.
    """
    texts = table.select_dtypes(exclude=["number", "bool"]).map(_as_text)
    plain = table.assign(**texts).rename(columns=_as_text)
    plain.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC, errors="backslashreplace")


def _as_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
