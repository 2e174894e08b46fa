"""Recipes: all that decides a result, as plain values that make the key of a study."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .content import UnknownContentError
from .errors import examples, warn

__all__ = ["keys_if_known", "parameters", "recipe", "source_sha256"]

_ROOT = Path(__file__).parents[1]


def recipe(kind: str, packages: tuple[str, ...], **parts: Any) -> dict[str, Any]:
    """Collect all that decides a result: inputs, settings, and the code that computes it.

    Every key of a study is made here. A change in a package that decides no number, such as
    ``plot``, does not change the key. Whether the code that runs is that of the files, and what
    objects of the user hold, is the matter of `keys_if_known`.

    Parameters
    ----------
    kind : str
        Kind of result.
    packages : tuple of str
        Inner packages whose code decides the result; ``base`` is always among them.
    **parts
        Hashes of the inputs, and settings; plain values.

    Returns
    -------
    dict
        Plain values, as `Study.recall` and `Study.keep` take them.
    """
    code = source_sha256("base", *packages)
    return {"kind": kind, "convergent": version("convergent"), "code": code} | parts


@cache
def source_sha256(*packages: str) -> str:
    """SHA-256 of the source files of inner packages; these can change without a new version.

    Parameters
    ----------
    *packages : str
        Names, such as ``"metrics"``.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        for file in sorted((_ROOT / package).rglob("*.py")):
            digest.update(file.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()


def keys_if_known(
    what: str, packages: tuple[str, ...], make: Callable[[], dict[str, Any]] = dict
) -> dict[str, Any] | None:
    """Make the part of a key that hashes the user's objects, if all that decides can be known.

    Parameters
    ----------
    what : str
        What a study would keep, for a warning: ``"scores"``.
    packages : tuple of str
        Inner packages whose code decides the result, as for `recipe`.
    make : function
        Hashes the objects, and raises `UnknownContentError` where that is not possible; by default,
        there are none.

    Returns
    -------
    dict, or None
        What ``make`` returns. None if nothing must be kept or reused: the content of an object
        cannot be known, or this package's files are not those that were loaded.

    Warns
    -----
    UserWarning
        If the result is None: why, and what to do.
    """
    source_sha256("base", *packages)  # before files are compared, so that it is that of old files
    changed = list(_changed_files(("base", *packages)))
    if changed:
        warn(
            f"{what} are neither kept in the study nor read from it: {examples(changed)} of "
            "convergent changed after Python had loaded it, so the code that runs is not that of "
            "the files. Restart Python."
        )
        return None
    try:
        return make()
    except UnknownContentError as error:
        warn(f"{what} are neither kept in the study nor read from it: {error}")
        return None


def _stamps(packages: tuple[str, ...] = (".",)) -> Iterator[tuple[str, tuple[int, int]]]:
    """Time of change and size of each source file of inner packages; by default of all."""
    for file in (file for package in packages for file in (_ROOT / package).rglob("*.py")):
        found = file.stat()
        yield file.relative_to(_ROOT).as_posix(), (found.st_mtime_ns, found.st_size)


_LOADED = dict(_stamps())  # when this package was first used


def _changed_files(packages: tuple[str, ...]) -> Iterator[str]:
    """Files of inner packages that are not as they were when this package was loaded."""
    roots = tuple(f"{package}/" for package in packages)
    now = dict(_stamps(packages))
    for file in sorted(_LOADED.keys() | now.keys()):
        if file.startswith(roots) and _LOADED.get(file) != now.get(file):
            yield file


def parameters(value: object) -> dict[str, Any]:
    """Kind and settings of a metric (or of anything that is fitted), as a result states them.

    Parameters
    ----------
    value : object
        A frozen dataclass, or any other object, which is described by its printed form.

    Returns
    -------
    dict
        Plain values, unless a setting is none.
    """
    kind = type(value).__name__
    if is_dataclass(value) and not isinstance(value, type):
        return {"metric": kind} | _settings(value)
    return {"metric": kind, "value": re.sub(r" at 0x[0-9a-f]+", "", repr(value))}


def _settings(value: Any) -> dict[str, Any]:
    """Fields of a dataclass and of those within; nothing is copied, as some cannot be."""
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    for name, inner in found.items():
        if hasattr(inner, "fit"):
            found[name] = parameters(inner)
        elif is_dataclass(inner) and not isinstance(inner, type):
            found[name] = _settings(inner)
    return found
