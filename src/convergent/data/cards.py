"""Cards of data sets: what was recorded, where the files lie, and their hashes.

Beside each card lies a loader, a Python file that defines ``load(card, session, file)``. A loader
imports from ``convergent`` itself, and from no module inside it: these may move, and the public
names do not.
"""

from __future__ import annotations

import os
import re
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from ..base.arguments import check_type
from ..base.errors import InputError, examples, shown, unknown
from ..base.files import as_path
from ..base.notebook import brief, page_of
from ..base.reading import check_readable

__all__ = ["Card", "File", "Session", "read_card"]

_WORDS = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list of texts",
    dict: "a table",
}
_KINDS: dict[str, tuple[Any, str]] = {  # by the type of a field of a card
    "str": (str, "a text"),
    "bool": (bool, "True or False"),
    "int | None": ((int, type(None)), "a whole number"),
    "tuple[str, ...]": (tuple, "a tuple of texts"),
    "Path": (Path, "a pathlib.Path"),
    "Mapping[str, Session]": (Mapping, "a dict of Session"),
    "Mapping[str, File]": (Mapping, "a dict of File"),
}
_SESSIONS = 12  # that a notebook shows
_COUNTS = dict.fromkeys(("stimuli", "units", "repeats"), int)


@dataclass(frozen=True)
class File:
    """One file of a data set, identified by its content.

    Parameters
    ----------
    sha256 : str
        SHA-256 of the content, 64 lower-case hexadecimal digits (``sha256sum FILE`` prints it).
    size : int
        Length in bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Session:
    """One recording session of a data set.

    Parameters
    ----------
    subject : str
        Name of the subject.
    files : tuple of str
        The files on the card that this session needs.
    stimuli, units, repeats : int, optional
        Their numbers, if known; ``repeats`` is the largest number of single trials of a stimulus,
        and 1 if only means over trials are published.
    """

    subject: str
    files: tuple[str, ...] = ()
    stimuli: int | None = None
    units: int | None = None
    repeats: int | None = None


@dataclass(frozen=True)
class Card:
    """Description of a data set: what was recorded, its licence, and its files.

    Each data set has a folder of its name, which holds ``card.toml`` (the fields below, except
    ``name`` and ``folder``) and a loader. `read_card` describes how to write them for your own
    data.

    Parameters
    ----------
    name : str
        Name of the data set and of its folder.
    title, description : str
        What the data are, in one line and in a few lines.
    version : str
        Version of the data, which is independent of that of the code.
    licence, citation, doi : str
        Terms of use, and what to cite.
    simulated : bool
        Whether the responses are simulated: no brain was recorded.
    subjects, regions : tuple of str
        Names of the subjects and of the brain regions.
    sessions : dict of str to Session
        Recording sessions; empty if the data set has none.
    stimuli, units, repeats : int, optional
        Their numbers, in a data set without sessions.
    base_url : str
        Address of the folder that contains the files; empty if they cannot be downloaded.
    files : dict of str to File
        Files by path, relative to that address, and to the data set's folder on this machine.
    folder : Path
        Folder of the card.
    """

    name: str
    title: str
    version: str
    description: str
    licence: str
    citation: str
    regions: tuple[str, ...]
    subjects: tuple[str, ...]
    folder: Path
    doi: str = ""
    simulated: bool = False
    sessions: Mapping[str, Session] = field(default_factory=dict)
    stimuli: int | None = None
    units: int | None = None
    repeats: int | None = None
    base_url: str = ""
    files: Mapping[str, File] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for field_ in fields(self):
            kind, remedy = _KINDS[str(field_.type)]
            check_type(kind, remedy, **{field_.name: getattr(self, field_.name)})

    def _repr_html_(self) -> str:
        numbers = {"stimuli": self.stimuli, "units": self.units, "repeats": self.repeats}
        known = {
            "what": " ".join(self.description.split()),
            "version": self.version,
            "simulated": "yes: no brain was recorded" if self.simulated else "",
            "regions": ", ".join(map(brief, self.regions)),
            "subjects": ", ".join(map(brief, self.subjects)),
            **{key: f"{value:,}" for key, value in numbers.items() if value is not None},
            "sessions": "; ".join(_said(*one) for one in [*self.sessions.items()][:_SESSIONS])
            + ("; ..." if len(self.sessions) > _SESSIONS else ""),
            "files": f"{len(self.files)}, {sum(one.size for one in self.files.values()):,} bytes"
            if self.files
            else "",
            "licence": self.licence,
            "citation": self.citation,
            "doi": self.doi,
        }
        rows = [(key, value) for key, value in known.items() if value]
        return page_of(f"Data set {brief(self.name)}: {shown(self.title)}", rows)


def _said(name: str, session: Session) -> str:
    """A session and its subject."""
    return f"{brief(name)} (subject {brief(session.subject)})"


def read_card(folder: str | os.PathLike[str]) -> Card:
    """Read the card of your own data set.

    The folder, for example ``my-data``, holds ``card.toml`` and the loader ``my_data.py``. The
    loader defines ``load(card, session, file)`` and returns `Stimuli` and `Assembly`;
    ``file(path)`` returns the path on this machine of a file that the card lists, after its content
    was verified. A loader imports nothing of this package except from ``convergent`` itself
    (``from convergent import Assembly, Stimuli``), as the modules inside may move. A card::

        title = "Macaque V4, natural images"
        version = "1"
        description = "Spike counts from 70 to 170 ms, two arrays."
        licence = "CC-BY-4.0"
        citation = "Author and Author 2025"
        regions = ["V4"]
        base_url = "https://example.org/v4"  # leave out if the files cannot be downloaded

        [sessions.monday]  # without sessions: subjects = ["M"] above, and no such table
        subject = "M"
        files = ["monday.npz"]

        [files]
        "monday.npz" = { sha256 = "0f3b...", size = 2560128 }

    Parameters
    ----------
    folder : path
        Its name is the name of the data set.

    Returns
    -------
    Card
        For `load` and `fetch`.

    Raises
    ------
    InputError
        If there is no card that can be read, a key is missing or not known, a number is negative, a
        path leads outside the folder, or the address is not one of ``https`` or ``http``.

    Examples
    --------
    >>> import convergent as cv
    >>> card = cv.read_card("my-data")  # doctest: +SKIP
    >>> stimuli, assembly = cv.load(card, session="monday")  # doctest: +SKIP
    """
    folder = as_path(folder, "folder").resolve()
    path = folder / "card.toml"
    try:
        check_readable(path, "card")
    except InputError as error:
        raise InputError(f"{error} read_card describes what a card holds.") from None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the card {path} is not valid TOML in UTF-8 ({error}).") from None
    return _parse(table, path)


def _parse(table: dict[str, Any], path: Path) -> Card:
    """Card from the content of its file."""
    texts = dict.fromkeys(("title", "version", "description", "licence", "citation"), str)
    optional = {"doi": str, "simulated": bool, "base_url": str, "files": dict}
    where = f"the card {path}"
    if "sessions" in table:
        _check(where, table, {**texts, "regions": list, "sessions": dict}, optional)
    else:
        _check(where, table, {**texts, "regions": list, "subjects": list}, {**optional, **_COUNTS})

    address = table.get("base_url", "")
    if address and not re.match(r"https?://[^/\s]", address):
        raise InputError(
            f"{where}: base_url is {address!r}: give an address that begins with https:// or "
            "http://, or leave it out and put the files in place yourself."
        )
    files = {name: _file(name, entry, path) for name, entry in table.get("files", {}).items()}
    sessions = {
        name: _session(name, entry, files, path)
        for name, entry in table.get("sessions", {}).items()
    }
    subjects = dict.fromkeys(session.subject for session in sessions.values())
    made = {
        "regions": tuple(table["regions"]),
        "subjects": tuple(table.get("subjects", subjects)),
        "files": files,
        "sessions": sessions,
    }
    return Card(name=path.parent.name, folder=path.parent, **(table | made))


def _file(name: str, entry: Any, path: Path) -> File:
    where = f"file {name!r} of the card {path}"
    _check(where, entry, {"sha256": str, "size": int})
    _check_file(where, name, entry["sha256"])
    return File(**entry)


def _session(name: str, entry: Any, files: Mapping[str, File], path: Path) -> Session:
    where = f"session {name!r} of the card {path}"
    _check(where, entry, {"subject": str, "files": list}, _COUNTS)
    absent = [file for file in entry["files"] if file not in files]
    if absent:
        raise InputError(f"{where} needs {examples(absent)}: list them under [files].")
    return Session(**(entry | {"files": tuple(entry["files"])}))


def _check(
    where: str,
    table: object,
    required: Mapping[str, type],
    optional: Mapping[str, type] = MappingProxyType({}),
) -> None:
    """Refuse a table with keys that are missing, not known, or of another type."""
    if not isinstance(table, dict):
        raise InputError(
            f"{where} is {reprlib.repr(table)}: write a table, "
            f"{{ {' = ..., '.join(required)} = ... }}."
        )
    missing = [key for key in required if key not in table]
    if missing:
        raise InputError(f"{where} lacks {examples(missing, 12)}: add what is missing.")
    for key, value in table.items():
        kind = {**required, **optional}.get(key)
        if kind is None:
            raise InputError(f"{where}: {unknown('key', key, [*required, *optional])}")
        items = value if isinstance(value, list) else []
        if type(value) is not kind or not all(isinstance(item, str) for item in items):
            raise InputError(
                f"{where}: {key} is {reprlib.repr(value)}, and should be {_WORDS[kind]}."
            )
        if type(value) is int and value < 0:
            raise InputError(f"{where}: {key} is {value}, and should be a number from 0 up.")


def _check_file(where: str, path: str, sha256: str) -> None:
    """Refuse paths that lead outside the data set's folder, and malformed SHA-256 digests."""
    parts = PurePosixPath(path)
    plain = str(parts) == path and not re.search(r"[\x00-\x1f\x7f\\:]", path)
    if parts.is_absolute() or ".." in parts.parts or not plain:
        raise InputError(
            f"{where}: the path leads outside the data set's folder or is not in plain form. Write "
            "it from there, with '/' between its parts, as in 'images/monday.zip'."
        )
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(
            f"{where}: sha256 is {sha256!r}, and should be 64 lower-case hexadecimal digits, as "
            "sha256sum prints them."
        )
