"""Data sets by name: listing, downloading, verifying and loading them.

Listing needs no arrays, so what loading needs is imported only when a data set is loaded.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import platformdirs

from ..base.arguments import check_known, check_type
from ..base.errors import InputError, examples, quoted, unknown
from ..base.reading import check_readable
from .cards import Card, File, read_card

if TYPE_CHECKING:
    from .assembly import Assembly
    from .stimuli import Stimuli

__all__ = ["card", "cards", "data_root", "fetch", "load", "present"]

_ROOT_VARIABLE = "CONVERGENT_DATA"
_BLOCK = 2**16
_PATIENCE = 30  # seconds without an answer or a byte
_FULL = {errno.ENOSPC, errno.EDQUOT}


def cards() -> dict[str, Card]:
    """Cards of the data sets that come with this package.

    Returns
    -------
    dict of str to Card
        By name.

    Examples
    --------
    >>> import convergent as cv
    >>> list(cv.cards())
    ['cowley2023', 'virtual-cortex']
    """
    return {name: read_card(folder) for name, folder in _folders().items()}


def card(name: str) -> Card:
    """Card of one of the data sets that come with this package.

    Parameters
    ----------
    name : str
        Name of the data set, such as ``cowley2023``.

    Returns
    -------
    Card
        What was recorded, the licence, and the files.

    Raises
    ------
    InputError
        If there is no such data set; similar names are listed.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.card("cowley2023").regions
    ('V4',)
    """
    folders = _folders()
    check_known("data set", name, folders)
    return read_card(folders[name])


def data_root() -> Path:
    """Folder that holds the files of all data sets.

    Returns
    -------
    Path
        ``CONVERGENT_DATA`` if this environment variable is set, else the user's cache folder.
    """
    chosen = os.environ.get(_ROOT_VARIABLE)
    return Path(chosen).expanduser() if chosen else _cache()


def _cache() -> Path:
    """The user's cache folder."""
    return platformdirs.user_cache_path("convergent")


def present(card: Card, session: str | None = None) -> bool:
    """Whether the files of a data set are on this machine.

    Only their sizes are checked; their content is not read.

    Parameters
    ----------
    card : Card
        The data set.
    session : str, optional
        Check only the files of this session.

    Returns
    -------
    bool
        True if all of them are there.

    Raises
    ------
    InputError
        If there is no such session.
    """
    check_type(Card, "a Card, such as convergent.card('cowley2023')", card=card)
    try:
        return all(
            _local_path(card, file).stat().st_size == card.files[file].size
            for file in _files_of(card, session)
        )
    except OSError:
        return False


def fetch(name: str | Card, session: str | None = None) -> list[Path]:
    """Download the files of a data set that are missing, and verify all of them.

    Parameters
    ----------
    name : str or Card
        Name of the data set, such as ``cowley2023``, or the card of your own data set.
    session : str, optional
        Fetch only the files that this session needs.

    Returns
    -------
    list of Path
        The files on this machine, below `data_root`.

    Raises
    ------
    InputError
        If the data set or session is not known, a file is damaged, a download fails, or the folder
        cannot be written to or has no space. A file that existed before is never changed, and an
        interrupted download leaves no file. A download ends at the size that the card gives.

    Examples
    --------
    >>> import convergent as cv
    >>> files = cv.fetch("cowley2023", session="210325")  # doctest: +SKIP
    """
    data_set = name if isinstance(name, Card) else card(name)
    return [_verified(data_set, file) for file in _files_of(data_set, session)]


def load(name: str | Card, session: str | None = None) -> tuple[Stimuli, Assembly]:
    """Load the stimuli and responses of a data set; missing files are downloaded.

    Parameters
    ----------
    name : str or Card
        Name of the data set, such as ``cowley2023``, or the card of your own data set.
    session : str, optional
        The recording session; needed if the data set has several.

    Returns
    -------
    stimuli : Stimuli
        The images.
    assembly : Assembly
        The responses; their attributes name data set, version, session, licence and citation, and
        the coordinate ``stimulus_sha256`` has the hash of each image.

    Raises
    ------
    InputError
        As for `fetch`; and if the data set has several sessions and none is given.

    Notes
    -----
    The virtual cortex is simulated when it is first loaded, and kept in the user's cache folder,
    as ``CONVERGENT_DATA`` may be shared by many. It is simulated again where the code, or a library
    that it uses, is another one, or the copy is damaged.

    Examples
    --------
    >>> import convergent as cv
    >>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
    """
    from .assembly import Assembly
    from .contents import COORDINATE, with_contents

    data_set = name if isinstance(name, Card) else card(name)
    if session is None and len(data_set.sessions) > 1:
        raise InputError(
            f"{data_set.name} has {len(data_set.sessions)} sessions: give one, session="
            f"{examples(data_set.sessions, 12)}."
        )
    if session is None:
        session = next(iter(data_set.sessions), None)
    _files_of(data_set, session)  # an error if there is no such session
    loader = _loader(data_set)
    make = partial(loader.load, data_set, session, partial(_verified, data_set))
    packages = getattr(loader, "KEPT_WITH", None)
    if data_set.simulated and packages is not None:
        from .kept import kept

        stimuli, assembly = kept(data_set, packages, _cache() / data_set.name, make)
    else:
        stimuli, assembly = make()
    source = {
        "data_set": data_set.name,
        "version": data_set.version,
        "session": session,
        "licence": data_set.licence,
        "citation": data_set.citation,
        "simulated": data_set.simulated,
    }
    data = assembly.data.assign_attrs(source)
    return stimuli, Assembly(data if COORDINATE in data.coords else with_contents(data, stimuli))


def _folders() -> dict[str, Path]:
    """Folders with a card, by name: inside the package in a wheel, beside src in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packed = package / "datasets"
    root = packed if packed.is_dir() else package.parents[1] / "datasets"
    return {path.parent.name: path.parent for path in sorted(root.glob("*/card.toml"))}


def _loader(card: Card) -> Any:
    """Import the loader of a data set by the path of its file, as ``datasets`` is no package."""
    module_name = card.name.replace("-", "_")
    path = card.folder / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"convergent_datasets_{module_name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(
            f"data set {card.name} has no loader: write load(card, session, file) in {path}."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses in the loader look for their module
    spec.loader.exec_module(module)
    if not hasattr(module, "load"):
        raise InputError(f"{path} defines no function load(card, session, file): write it.")
    return module


def _files_of(card: Card, session: str | None) -> tuple[str, ...]:
    """Paths on the card of the files of a session, or of all files."""
    if session is None:
        return tuple(card.files)
    if not card.sessions:
        raise InputError(
            f"{card.name} has no sessions, but session {quoted(session)} was asked for: leave it "
            "out."
        )
    check_known(f"session of {card.name}", session, card.sessions)
    return card.sessions[session].files


def _local_path(card: Card, file: str) -> Path:
    return data_root() / card.name / file


def _verified(card: Card, file: str) -> Path:
    """Path of a file whose content is that on the card; it is downloaded if it is missing."""
    if file not in card.files:
        raise unknown(f"file of {card.name}", file, card.files)
    path, expected = _local_path(card, file), card.files[file]
    if path.exists() and not path.is_dir():
        check_readable(path)  # a pipe would wait
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        found = File(sha256=digest, size=path.stat().st_size)
    except FileNotFoundError:
        return _download(card, file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be read ({reason}): make it a readable file, or set "
            f"{_ROOT_VARIABLE} to another folder."
        ) from error
    if found != expected:
        raise InputError(
            f"{path} is damaged, cut short or of another version: expected {expected.size} bytes "
            f"with SHA-256 {expected.sha256}, found {found.size} bytes with SHA-256 "
            f"{found.sha256}. Delete it or move it away, then fetch it again."
        )
    return path


def _download(card: Card, file: str) -> Path:
    """Download a file to a temporary name beside its path, verify it, then move it to its path."""
    path, expected = _local_path(card, file), card.files[file]
    if not card.base_url:
        raise InputError(
            f"{card.name} has no address to download {file!r} from: put the file at {path}."
        )
    _check_writable(path.parent, expected.size)
    url = f"{card.base_url.rstrip('/')}/{quote(file)}"
    if sys.stderr.isatty():
        print(f"fetching {url} ({expected.size / 2**20:.1f} MiB)", file=sys.stderr)
    _retrieve(url, expected, path)
    with suppress(OSError):  # temporary files are private, but a lab may share its data folder
        path.chmod(path.parent.stat().st_mode & 0o666)
    return path


def _check_writable(folder: Path, size: int) -> None:
    """Create a folder, and check that a file of a size can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise InputError(
            f"cannot write to the data folder {folder} ({error.strerror}): make it writable, or "
            f"set {_ROOT_VARIABLE} to a folder that is."
        ) from error
    if size > free:
        raise _no_space(folder, size)


def _no_space(folder: Path, size: int) -> InputError:
    return InputError(
        f"the disk of the data folder {folder} has no space for {size / 2**20:.1f} MiB: free some, "
        f"or set {_ROOT_VARIABLE} to a folder on another disk."
    )


def _retrieve(url: str, expected: File, path: Path) -> None:
    """Download an address to a path, without messages of pooch."""
    import pooch  # slow, and its progress bars cause warnings in some notebooks
    from urllib3.exceptions import HTTPError

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)  # pooch reports every download otherwise
    try:
        pooch.retrieve(
            url,
            f"sha256:{expected.sha256}",
            fname=path.name,
            path=path.parent,
            downloader=_Download(expected.size),
        )
    except (OSError, ValueError, HTTPError) as error:  # no connection; the hash is another one
        if isinstance(error, OSError) and error.errno in _FULL:
            raise _no_space(path.parent, expected.size) from error
        raise InputError(
            f"{url} could not be downloaded: {_reason(error)}. Try again later, or get the file by "
            f"hand and put it at {path}."
        ) from None  # forty frames of other libraries say no more
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """Why a download failed."""
    import requests

    # a connection's own error names pools and retries; what a server says is readable
    if isinstance(error, requests.ConnectionError) and not isinstance(error, requests.HTTPError):
        address = urlsplit(str(error.request.url)) if error.request else None
        return f"no connection to {address.hostname if address else 'the server'}"
    return str(error).rstrip(".")


class _Download:
    """Downloads bytes as they are, and not more of them than are expected.

    Parameters
    ----------
    size : int
        How many bytes the file has.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002
        """Download an address to a file, as pooch asks for it."""
        import requests

        kept = {"Accept-Encoding": "identity"}  # the hash is that of the file as it is there
        with closing(requests.get(url, stream=True, timeout=_PATIENCE, headers=kept)) as response:
            response.raise_for_status()
            self._check(int(response.headers.get("Content-Length", 0)))
            with Path(output_file).open("wb") as file:
                received = 0
                for block in response.raw.stream(_BLOCK, decode_content=False):
                    self._check(received := received + len(block))
                    file.write(block)

    def _check(self, size: int) -> None:
        if size > self._size:
            raise ValueError(
                f"the server sends {size} bytes or more, and the card says {self._size}"
            )
