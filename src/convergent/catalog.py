"""Data sets by name: a card says what a data set is, where it lies and what its files must be."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import platformdirs

from .assembly import Assembly
from .errors import InputError, examples, unknown
from .stimuli import Stimuli

__all__ = [
    "Card",
    "File",
    "Session",
    "card",
    "cards",
    "data_root",
    "fetch",
    "load",
    "present",
    "read_card",
]

ROOT_VARIABLE = "CONVERGENT_DATA"
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


def cards() -> dict[str, Card]:
    """Cards of the data sets that come with convergent, by name."""
    return {name: read_card(folder) for name, folder in _folders().items()}


def card(name: str) -> Card:
    """Card of a data set.

    Parameters
    ----------
    name : str
        Such as ``cowley2023``.

    Raises
    ------
    InputError
        Where there is no such data set; close names are listed.
    """
    folders = _folders()
    if name not in folders:
        raise unknown("data set", name, folders)
    return read_card(folders[name])


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


def data_root() -> Path:
    """Folder that holds the files of all data sets: ``CONVERGENT_DATA``, else the user's cache."""
    chosen = os.environ.get(ROOT_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("convergent")


def present(card: Card, session: str | None = None) -> bool:
    """Whether the files are on this machine, by their sizes; their content is not read.

    Parameters
    ----------
    card : Card
        The data set.
    session : str, optional
        Look for the files of this session only.

    Raises
    ------
    InputError
        Where there is no such session.
    """
    try:
        return all(
            _place(card, path).stat().st_size == card.files[path].size
            for path in _paths(card, session)
        )
    except OSError:
        return False


def fetch(name: str | Card, session: str | None = None) -> list[Path]:
    """Download what is not there yet, and verify every file.

    Parameters
    ----------
    name : str or Card
        The data set, such as ``cowley2023``, or the card of one's own.
    session : str, optional
        Only what this session needs.

    Returns
    -------
    list of Path
        Where the files lie, below `data_root`.

    Raises
    ------
    InputError
        Where the data set or session is not known, a file is damaged, a download fails, or the
        folder cannot be written to. A file that was there is never changed, and nothing partial
        is left behind.
    """
    data_set = name if isinstance(name, Card) else card(name)
    return [_verified(data_set, path) for path in _paths(data_set, session)]


def load(name: str | Card, session: str | None = None) -> tuple[Stimuli, Assembly]:
    """Stimuli and responses of a data set; files that are not there yet are downloaded.

    Parameters
    ----------
    name : str or Card
        The data set, such as ``cowley2023``, or the card of one's own.
    session : str, optional
        The recording session, in data sets that have several.

    Returns
    -------
    stimuli : Stimuli
        The images.
    assembly : Assembly
        The responses; attrs say data set, version, session, licence and citation.

    Raises
    ------
    InputError
        As for `fetch`; and where the data set has several sessions and none is given.
    """
    data_set = name if isinstance(name, Card) else card(name)
    if session is None and len(data_set.sessions) > 1:
        raise InputError(
            f"{data_set.name} has {len(data_set.sessions)} sessions: give one, session="
            f"{examples(data_set.sessions, 12)}."
        )
    if session is None:
        session = next(iter(data_set.sessions), None)
    _paths(data_set, session)  # says so where there is no such session
    stimuli, assembly = _loader(data_set)(data_set, session, partial(_verified, data_set))
    source = {
        "data_set": data_set.name,
        "version": data_set.version,
        "session": session,
        "licence": data_set.licence,
        "citation": data_set.citation,
        "simulated": data_set.simulated,
    }
    return stimuli, Assembly(assembly.data.assign_attrs(source))


def _folders() -> dict[str, Path]:
    """Folders with a card, by name: inside the package in a wheel, beside src in a checkout."""
    package = Path(__file__).resolve().parent
    packed = package / "datasets"
    root = packed if packed.is_dir() else package.parents[1] / "datasets"
    return {path.parent.name: path.parent for path in sorted(root.glob("*/card.toml"))}


def _loader(card: Card) -> Callable[..., tuple[Stimuli, Assembly]]:
    """Import ``load`` of a data set by the place of its file, as ``datasets`` is no package."""
    module_name = card.name.replace("-", "_")
    path = card.folder / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"convergent_datasets_{module_name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(
            f"data set {card.name} has no loader: write load(card, session, file) in {path}."
        )
    module = sys.modules[spec.name] = importlib.util.module_from_spec(
        spec
    )  # dataclasses look there
    spec.loader.exec_module(module)
    if not hasattr(module, "load"):
        raise InputError(f"{path} defines no function load(card, session, file): write it.")
    function: Callable[..., tuple[Stimuli, Assembly]] = module.load
    return function


# Files


def _paths(card: Card, session: str | None) -> tuple[str, ...]:
    """Files of a session, or of all of them."""
    if session is None:
        return tuple(card.files)
    if not card.sessions:
        raise InputError(
            f"{card.name} has no sessions, but session {session!r} was asked for: leave it out."
        )
    if session not in card.sessions:
        raise unknown(f"session of {card.name}", session, card.sessions)
    return card.sessions[session].files


def _place(card: Card, path: str) -> Path:
    return data_root() / card.name / path


def _verified(card: Card, path: str) -> Path:
    """Place of a file whose content is that of the card; downloaded where it is not there."""
    if path not in card.files:
        raise unknown(f"file of {card.name}", path, card.files)
    place, expected = _place(card, path), card.files[path]
    try:
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        found = File(sha256=digest, size=place.stat().st_size)
    except FileNotFoundError:
        return _download(card, path)
    except OSError as error:
        raise InputError(
            f"{place} cannot be read ({error.strerror}): make it a readable file, or set "
            f"{ROOT_VARIABLE} to another folder."
        ) from error
    if found != expected:
        raise InputError(
            f"{place} is damaged, cut short or of another version: expected {expected.size} bytes "
            f"with SHA-256 {expected.sha256}, found {found.size} bytes with SHA-256 "
            f"{found.sha256}. Delete it or move it away, then fetch it again."
        )
    return place


def _download(card: Card, path: str) -> Path:
    """Download to a temporary file beside the place, check the content, then move it there."""
    place, file = _place(card, path), card.files[path]
    if not card.base_url:
        raise InputError(
            f"{card.name} has no address to download {path!r} from: put the file at {place}."
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place.parent).close()
    except OSError as error:
        raise InputError(
            f"cannot write to the data folder {place.parent} ({error.strerror}): make it writable, "
            f"or set {ROOT_VARIABLE} to a folder that is."
        ) from error
    url = f"{card.base_url.rstrip('/')}/{quote(path)}"
    if sys.stderr.isatty():
        print(f"fetching {url} ({file.size / 2**20:.1f} MiB)", file=sys.stderr)
    import pooch  # here, as it brings progress bars along that warn in some notebooks

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)  # or pooch tells of every download
    try:
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=place.name, path=place.parent)
    except (OSError, ValueError) as error:  # of the connection; of the hash
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # pooch leaves it open
        raise InputError(
            f"{url} could not be downloaded: {str(error).rstrip('.')}. Try again later, or get the "
            f"file by hand and put it at {place}."
        ) from error
    finally:
        logger.setLevel(level)
    with suppress(OSError):  # temporary files are private, but a lab may share its data folder
        place.chmod(place.parent.stat().st_mode & 0o666)
    return place


# Cards


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
