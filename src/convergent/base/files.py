"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import InputError, quoted
from .lock import if_free, remove_stale

__all__ = [
    "as_path",
    "check_space",
    "check_writable",
    "recover",
    "remove_leftovers",
    "reported",
    "write_whole",
]

_PART = ".convergent-part"  # no folder of a user ends so
_TEMPORARY = f".{{}}-????????{_PART}"  # names of temporary folders
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_LONGEST = 40  # letters of a name that its temporary folder repeats: names have at most 255
_LONGEST_NAME = 255  # bytes of a file name
_TRIES = 5
_RESERVE = 2**20  # bytes that must be free to write anything


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file or folder under a temporary name beside ``path``, then move it there.

    Parameters
    ----------
    path : Path
        Final path of the file or folder, which is replaced if it exists. Of a link, what it leads
        to is replaced.
    write : function
        Writes a file or folder to the path that is its argument.

    Raises
    ------
    InputError
        If there is no space for it, or no permission to write it.
    """
    path = _place(path)
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_folder(path) as folder:
            new, old = (folder / part / path.name for part in ("new", "old"))
            write(new)
            if not (new.is_dir() and path.exists()):
                new.replace(path)
                return
            old.parent.mkdir()
            try:  # only a file can be replaced in one step
                path.replace(old)
                new.replace(path)
            finally:
                if old.exists() and not path.exists():  # an error, or an interruption between
                    old.replace(path)


def _place(path: Path) -> Path:
    """Where a path leads, which also holds when the working folder changes."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path.absolute()


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside a path, with a folder ``new`` in it; it is held until it is removed."""
    prefix, suffix = _TEMPORARY.format(path.name[:_LONGEST]).rsplit("????????", 1)
    with ExitStack() as stack:
        for _ in range(_TRIES):
            made = tempfile.TemporaryDirectory(suffix, prefix, path.parent, True)
            folder = Path(stack.enter_context(made))
            # before it is held, another process may take it for what a killed one left
            with suppress(FileNotFoundError):
                if stack.enter_context(if_free(folder)) is not False:
                    (folder / "new").mkdir()
                    break
        yield folder


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder, and finish the moves that they had begun.

    Parameters
    ----------
    folder : Path
        Where `write_whole` wrote; folders within it are not searched. It need not exist.
    """
    remove_stale(folder)
    _settle(folder, "*")


def recover(path: Path) -> None:
    """Finish moving a folder that a killed process was about to replace.

    Parameters
    ----------
    path : Path
        The folder; nothing happens if it exists.
    """
    path = _place(path)
    if not path.exists():
        _settle(path.parent, _escaped(path.name[:_LONGEST]), path.name)


def _settle(folder: Path, names: str, only: str | None = None) -> None:
    for left in folder.glob(_TEMPORARY.format(names)):
        try:
            if left.is_symlink() or not left.is_dir():
                continue
            with if_free(left) as unused:
                if unused:
                    _finish_move(left, folder, only)
                    shutil.rmtree(left)
        except OSError:  # another process removes it, or it may only be read
            continue


def _finish_move(left: Path, folder: Path, only: str | None) -> None:
    for old in left.glob("old/*"):  # the new one was complete before the old one was moved
        path = folder / old.name
        if only in {None, old.name} and not path.exists():
            new = left / "new" / old.name
            (new if new.exists() else old).replace(path)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def check_writable(folder: Path) -> None:
    """Create a folder, and check that files can be written to it, before work begins.

    Parameters
    ----------
    folder : Path
        It is created if it does not exist.

    Raises
    ------
    InputError
        If it cannot be created, or files in it cannot be written.
    """
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")


def check_space(folder: Path, needed: int, what: str) -> None:
    """Check that a disk has space, before something large is written.

    Parameters
    ----------
    folder : Path
        Where it will be written; it exists.
    needed : int
        Bytes.
    what : str
        What will be written, for the message.

    Raises
    ------
    InputError
        If it has not.
    """
    left = _free(folder)
    if left is not None and left < needed:
        raise InputError(
            f"{what} need {_size(needed)}, and the disk of {folder} has {_size(left)} left: free "
            "some space, or write to another disk."
        )


def _free(folder: Path) -> int | None:
    """Bytes that are left; None where a file system does not know, as some of networks."""
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else None


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Say what is to be done where a path cannot be written; other errors pass.

    Parameters
    ----------
    path : Path
        What is written inside.

    Raises
    ------
    InputError
        If there is no space for it, or no permission to write it.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = _reason(path, error)
        if reason is None:
            raise
        raise InputError(f"{path} could not be written: {reason}") from error


def _reason(path: Path, error: Exception) -> str | None:
    """Why a path cannot be written; None if the error is about something else."""
    found: BaseException | None = error
    while found is not None:
        code = found.errno if isinstance(found, OSError) else None
        if code in _FULL or any(os.strerror(full) in str(found) for full in _FULL):
            left = _free(_existing(path))
            limit = " (a file may not be so large here)" if code == errno.EFBIG else ""
            disk = "" if left is None else f"; the disk has {_size(left)} left"
            return (
                f"there is no space for it{limit}{disk}. Free some space, or write to another "
                "disk, and do it again: what was finished is kept."
            )
        if code in (errno.ENOTDIR, errno.EEXIST) and (file := _in_the_way(path)):
            return f"{file} is a file and no folder. Remove it, or choose another folder."
        if isinstance(found, OSError) and (code in _FORBIDDEN or _below(path, found)):
            return (
                f"{found.strerror or found}. Make {_existing(path)} a folder that you may write "
                "to, or choose another folder."
            )
        found = found.__cause__ or found.__context__
    left = _free(_existing(path))
    if left is not None and left < _RESERVE:  # libraries in C do not say why
        return "the disk is full. Free some space, or write to another disk, and do it again."
    return None


def _below(path: Path, error: OSError) -> bool:
    """Whether an error is about the path that is written, or a folder that it needs."""
    if not isinstance(error.filename, str | os.PathLike):
        return False
    about = Path(error.filename)
    return about in {path, *path.parents} or any(part.endswith(_PART) for part in about.parts)


def _in_the_way(path: Path) -> Path | None:
    """A file where a path needs a folder."""
    return next((each for each in (path, *path.parents) if each.is_file()), None)


def _existing(path: Path) -> Path:
    """The innermost folder of a path that exists."""
    return next((each for each in path.absolute().parents if each.is_dir()), Path.cwd())


def _size(n_bytes: int) -> str:
    power = min(max(len(str(n_bytes)) - 1, 0) // 3, 4)
    return f"{n_bytes / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def as_path(path: object, name: str = "path") -> Path:
    """Check a path that a user gave.

    Parameters
    ----------
    path : str or pathlib.Path
        What the user gave; ``~`` is the home folder, as in a shell.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If it is no path, or empty, or no file can have this name.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text.strip() or not _can_be_written(text):
        raise InputError(
            f"{name}={quoted(path)} cannot be the name of a file: give a path, such as 'results' "
            "or pathlib.Path('results')."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~NAME, and there is no such user
        raise InputError(f"{name}={quoted(path)}: {error}. Write the path in full.") from None


def _can_be_written(text: str) -> bool:
    """Whether systems take each part of a path as a name."""
    try:
        names = [os.fsencode(part) for part in Path(text).parts]
    except UnicodeEncodeError:
        return False
    return "\0" not in text and all(len(name) <= _LONGEST_NAME for name in names)
