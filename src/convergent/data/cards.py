"""Cards of data sets: what there is of each, where it lies, and its hashes."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from ..base.errors import InputError, examples, unknown

__all__ = ["WORDS", "Card", "File", "Session", "read_card"]

WORDS = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list of texts",
    dict: "a table",
}


@dataclass(frozen=True)
class File:
    """One file of a data set, known by its content.

    Parameters
    ----------
    sha256 : str
        Digest of the content, 64 lower-case hexadecimal digits (``sha256sum FILE`` prints it).
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
        Who was recorded.
    files : tuple of str
        The files of the card that this session needs.
    stimuli, units, repeats : int, optional
        How many there are, where it is known; ``repeats`` is the largest number of single trials
        of a stimulus, and 1 where only means over trials are published.
    """

    subject: str
    files: tuple[str, ...] = ()
    stimuli: int | None = None
    units: int | None = None
    repeats: int | None = None


@dataclass(frozen=True)
class Card:
    """A data set: what was recorded, who may use it how, and the files that it consists of.

    Each has a folder of its name that holds ``card.toml`` (the fields below, but for ``name`` and
    ``folder``) and a loader. `read_card` says how to write one for data of one's own.

    Parameters
    ----------
    name : str
        The name of its folder.
    title, description : str
        For readers: in a line, and in a few.
    version : str
        Version of the data, apart from that of the code.
    licence, citation, doi : str
        Terms of use, and what to cite.
    simulated : bool
        Whether no brain was recorded.
    subjects, regions : tuple of str
        Who was recorded, and where.
    sessions : dict of str to Session
        Recording sessions; empty where the data set is one whole.
    stimuli, units, repeats : int, optional
        How many there are in a data set without sessions.
    base_url : str
        Address of the folder that the files lie in; empty where they cannot be downloaded.
    files : dict of str to File
        Path below that address, and below the data set's folder on this machine.
    folder : Path
        Where the card was read from.
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


def read_card(folder: str | os.PathLike[str]) -> Card:
    """Card of a data set of one's own.

    The folder, say ``my-data``, holds ``card.toml`` and the loader ``my_data.py``, which defines
    ``load(card, session, file)`` and returns `Stimuli` and `Assembly`; ``file(path)`` gives the
    verified place of a file that the card lists. A card::

        title = "Macaque V4, natural images"
        version = "1"
        description = "Spike counts from 70 to 170 ms, two arrays."
        licence = "CC-BY-4.0"
        citation = "Nobody and Somebody 2025"
        regions = ["V4"]
        base_url = "https://example.org/v4"  # leave out where the files cannot be downloaded

        [sessions.monday]  # without sessions: subjects = ["M"] above, and no such table
        subject = "M"
        files = ["monday.npz"]

        [files]
        "monday.npz" = { sha256 = "0f3b...", size = 2560128 }

    Parameters
    ----------
    folder : path
        Its name is the name of the data set.

    Raises
    ------
    InputError
        Where there is no card, a key is missing or not known, or a path leads outside the folder.
    """
    folder = Path(folder).resolve()
    path = folder / "card.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"there is no card {path} ({error.strerror}): read_card says what goes in."
        ) from None
    except ValueError as error:
        raise InputError(f"the card {path} is not valid TOML ({error}).") from None
    return _parse(table, path)


def _parse(table: dict[str, Any], path: Path) -> Card:
    """Card from what stands in its file."""
    texts = dict.fromkeys(("title", "version", "description", "licence", "citation"), str)
    counts = dict.fromkeys(("stimuli", "units", "repeats"), int)
    optional = {"doi": str, "simulated": bool, "base_url": str, "files": dict}
    where = f"the card {path}"
    if "sessions" in table:
        _check(where, table, {**texts, "regions": list, "sessions": dict}, optional)
    else:
        _check(where, table, {**texts, "regions": list, "subjects": list}, {**optional, **counts})

    files = {}
    for name, entry in table.get("files", {}).items():
        where = f"file {name!r} of the card {path}"
        _check(where, entry, {"sha256": str, "size": int})
        _check_file(where, name, entry["sha256"])
        files[name] = File(**entry)

    sessions = {}
    for name, entry in table.get("sessions", {}).items():
        where = f"session {name!r} of the card {path}"
        _check(where, entry, {"subject": str, "files": list}, counts)
        absent = [file for file in entry["files"] if file not in files]
        if absent:
            raise InputError(f"{where} needs {examples(absent)}: list them under [files].")
        sessions[name] = Session(**(entry | {"files": tuple(entry["files"])}))

    subjects = dict.fromkeys(session.subject for session in sessions.values())
    made = {
        "regions": tuple(table["regions"]),
        "subjects": tuple(table.get("subjects", subjects)),
        "files": files,
        "sessions": sessions,
    }
    return Card(name=path.parent.name, folder=path.parent, **(table | made))


def _check(
    where: str,
    table: object,
    required: Mapping[str, type],
    optional: Mapping[str, type] = MappingProxyType({}),
) -> None:
    """Refuse a table with keys that are missing, not known, or of another type."""
    if not isinstance(table, dict):
        raise InputError(
            f"{where} is {table!r}: write a table, {{ {' = ..., '.join(required)} = ... }}."
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
            raise InputError(f"{where}: {key} is {value!r}, and should be {WORDS[kind]}.")


def _check_file(where: str, path: str, sha256: str) -> None:
    """Refuse paths that lead outside the data set's folder, and what is no SHA-256."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or str(parts) != path or set(path) & set("\\:"):
        raise InputError(
            f"{where}: the path leads outside the data set's folder or is not in plain form. Write "
            "it from there, with '/' between its parts, as in 'images/monday.zip'."
        )
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(
            f"{where}: sha256 is {sha256!r}, and should be 64 lower-case hexadecimal digits, as "
            "sha256sum prints them."
        )
