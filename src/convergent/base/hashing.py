"""What decides a result, as text that can be hashed: the key under which a study keeps it."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["code_of", "parameters", "recipe", "source_sha256"]


def recipe(kind: str, packages: tuple[str, ...], **parts: Any) -> dict[str, Any]:
    """All that decides a result: what went in, the settings, and the code that made it.

    Every key of a study is made here. A change in a package that decides no numbers, such as
    ``plot``, leaves the key as it was.

    Parameters
    ----------
    kind : str
        Kind of result.
    packages : tuple of str
        Inner packages whose code decides the result; ``base`` is always among them.
    **parts
        Hashes of the inputs, and settings: plain values.

    Returns
    -------
    dict
        Plain values, for `Study.recall` and `Study.keep`.
    """
    code = source_sha256("base", *packages)
    return {"kind": kind, "convergent": version("convergent"), "code": code} | parts


@cache
def source_sha256(*packages: str) -> str:
    """SHA-256 of the source files of inner packages, which change before the version does.

    Parameters
    ----------
    *packages : str
        Such as ``"metrics"``.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()


def code_of(kind: type) -> dict[str, str]:
    """Name and source hash of a class, so that cached results of other code are not reused."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # typed at a prompt, or compiled
        source = ""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return {"class": name, "code": hashlib.sha256(source.encode()).hexdigest()}


def parameters(value: object) -> dict[str, Any]:
    """Kind and settings of a metric (or anything that is fitted), as plain values.

    Parameters
    ----------
    value : object
        A frozen dataclass; of what it holds that can itself be fitted, the code is given as well.
    """
    kind = type(value).__name__
    if is_dataclass(value) and not isinstance(value, type):
        within = {
            field.name: code_of(type(inner)) | parameters(inner)
            for field in fields(value)
            if hasattr(inner := getattr(value, field.name), "fit")
        }
        return {"metric": kind} | asdict(value) | within
    return {"metric": kind, "value": repr(value)}
