"""What becomes of faults, and the tables that count it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

import convergent as cv

GOOD = {
    "survived": "the same result as without the fault",
    "noticed": "an error or warning in plain words; what was asked again came out right",
    "no checksum": "another content, in bytes of a format that has no checksum for them",
}
FAILED = {
    "silently wrong": "another result, and no error",
    "lost": "files of the user, or finished results, are gone",
    "not resumable": "what was interrupted cannot be done again in the same place",
    "litter": "temporary files stay for good",
    "crashed or hung": "the process died of a signal that nobody sent, or did not end in time",
}
RAW = {"raw traceback": "an exception that says nothing about what to do"}
FOUND = tuple(GOOD | FAILED | RAW)


@dataclass(frozen=True)
class Outcome:
    """What became of one fault.

    Attributes
    ----------
    kind : str
        The row of the table in which it counts.
    case : str
        The fault itself, so that it can be made again.
    found : str
        One of `FOUND`.
    detail : str
        What was seen where this is not good.
    """

    kind: str
    case: str
    found: str
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.found in FOUND, self.found


def counts(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """One row for each kind of fault: how many were tried, and what became of them."""
    rows: dict[str, dict[str, int]] = {}
    for outcome in outcomes:
        row = rows.setdefault(outcome.kind, dict.fromkeys(("tried", *FOUND), 0))
        row["tried"] += 1
        row[outcome.found] += 1
    return pd.DataFrame([{"fault": kind} | row for kind, row in rows.items()])


def digest(value: Any) -> str:
    """SHA-256 of all that a result holds: names, types, numbers bit by bit, attributes."""
    sha = hashlib.sha256()
    for part in _parts(value):
        sha.update(part)
        sha.update(b"\0")
    return sha.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    match value:
        case cv.Assembly():
            yield from _parts(value.data)
        case xr.DataArray() | xr.Dataset():
            yield repr((getattr(value, "name", None), sorted(map(str, value.dims)))).encode()
            held = dict(value.variables) if isinstance(value, xr.Dataset) else dict(value.coords)
            held = {str(name): held[name] for name in held}
            if isinstance(value, xr.DataArray):
                yield from _parts(value.values)
            for name in sorted(held):
                yield repr((name, held[name].dims, sorted(held[name].attrs.items()))).encode()
                yield from _parts(held[name].values)
            yield repr(sorted(value.attrs.items())).encode()
        case pd.DataFrame():
            for name in value:
                yield repr(name).encode()
                yield from _parts(value[name].to_numpy())
        case np.ndarray():
            yield repr((value.dtype.kind, value.shape)).encode()
            plain = value.dtype.kind in "OUST"
            yield repr(value.tolist()).encode() if plain else np.ascontiguousarray(value).tobytes()
        case torch.Tensor():
            yield from _parts(value.detach().numpy())
        case cv.Stimuli():
            for name in value.names:
                yield name.encode()
                yield from _parts(np.asarray(value[name]))
        case Mapping():
            for key in value:
                yield repr(key).encode()
                yield from _parts(value[key])
        case list() | tuple():
            for each in value:
                yield from _parts(each)
        case bytes():
            yield value
        case _:
            yield repr(value).encode()


def files_of(folder: Path) -> set[str]:
    """All files and folders below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
