"""Recipes: all that decides a result, as plain values that make the key of a study."""

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
    """Collect all that decides a result: inputs, settings, and the code that computes it.

    Every key of a study is made here. A change in a package that decides no number, such as
    ``plot``, does not change the key.

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
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()


def code_of(kind: type) -> dict[str, str]:
    """Name and source hash of a class, so that results of other code are not reused."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # the class was typed at a prompt, or is compiled
        source = ""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return {"class": name, "code": hashlib.sha256(source.encode()).hexdigest()}


def parameters(value: object) -> dict[str, Any]:
    """Kind and settings of a metric (or of anything that is fitted), as plain values.

    Parameters
    ----------
    value : object
        A frozen dataclass. Where one of its fields can itself be fitted, the result contains the
        hash of that field's code as well.

    Returns
    -------
    dict
        Plain values.
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
