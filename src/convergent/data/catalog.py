"""Data sets by name: a card says what a data set is, where it lies and what its files must be."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import platformdirs

from ..base.errors import InputError, examples, unknown
from .assembly import Assembly
from .cards import Card, File, read_card
from .stimuli import Stimuli

__all__ = ["ROOT_VARIABLE", "card", "cards", "data_root", "fetch", "load", "present"]

ROOT_VARIABLE = "CONVERGENT_DATA"


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
    package = Path(__file__).resolve().parents[1]
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
