"""Long work that can be interrupted: what is finished lies on disk, named by what it is made of."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import InputError
from .files import write_whole

__all__ = ["DAMAGE", "FORMAT", "Study", "as_study"]


FORMAT = 1  # of the files: others are not read


DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Study:
    """A folder that keeps each finished piece of work, so that none is done twice.

    A piece is found by the SHA-256 of all that it is made of: responses and stimuli, metric and
    parameters, folds, what is resampled, device, and this package's version and sources; for
    activations the weights, structure and code of the network, the preprocessed stimuli, layer and
    positions. What was made of anything else is not taken for it. Pieces are written whole or not
    at all, and one that is damaged is made anew. Several programs may score in one study, but one
    at a time may extract the same network.

    Parameters
    ----------
    path : path
        The folder; made where there is none. To forget everything, remove it.

    Raises
    ------
    InputError
        Where the folder cannot be made.
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", Path(path))
        try:
            self._cells.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"a study cannot be kept in {self.path} ({error}): give a folder to write to."
            ) from error

    def recall(self, made_of: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
        """Arrays that were kept of a piece of work; None where there are none.

        Parameters
        ----------
        made_of : mapping
            All that decides on the result; plain values.

        Warns
        -----
        UserWarning
            Where the file is damaged.
        """
        text, path = self._find(made_of)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop("made_of")) != text:
                raise ValueError("it is made of something else")
        except DAMAGE as error:
            _warn_of_damage(path, error)
            return None
        return arrays

    def keep(self, made_of: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the arrays of a finished piece of work, whole or not at all.

        Parameters
        ----------
        made_of : mapping
            All that decides on the result; plain values.
        arrays : mapping
            What is to be kept.
        """
        text, path = self._find(made_of)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, made_of=np.array(text), **arrays)

        write_whole(path, write)

    def dataset(self, made_of: Mapping[str, Any], make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return a labelled result, made only where it is not kept yet.

        Parameters
        ----------
        made_of : mapping
            All that decides on the result; plain values.
        make : function
            Makes it.

        Returns
        -------
        xarray.Dataset
            In memory.

        Warns
        -----
        UserWarning
            Where the file is damaged.
        """
        text, path = self._find(made_of)
        path = path.with_suffix(".nc")
        if path.exists():
            try:
                with xr.open_dataset(path, engine="h5netcdf") as file:
                    kept = file.load().drop_encoding()  # it holds for this file alone
                if kept.attrs.pop("made_of") != text:
                    raise ValueError("it is made of something else")
                return kept
            except DAMAGE as error:
                _warn_of_damage(path, error)
        result = make()
        described = result.assign_attrs(made_of=text)
        write_whole(path, lambda file: described.to_netcdf(file, engine="h5netcdf"))
        return result

    def layers(self, made_of: Mapping[str, Any]) -> Path:
        """Where a store of activations is kept that is made of this.

        Parameters
        ----------
        made_of : mapping
            All that decides on the activations; plain values.
        """
        return self.path / "layers" / f"{_digest(_as_text(made_of))}.zarr"

    @property
    def _cells(self) -> Path:
        return self.path / "cells"

    def _find(self, made_of: Mapping[str, Any]) -> tuple[str, Path]:
        text = _as_text(made_of)
        return text, self._cells / f"{_digest(text)}.npz"


def _warn_of_damage(path: Path, error: Exception) -> None:
    warnings.warn(
        f"{path} is damaged or cut short ({error}): what it held is computed anew.", stacklevel=3
    )


@overload
def as_study(given: Study | str | os.PathLike[str]) -> Study: ...


@overload
def as_study(given: None) -> None: ...


@overload
def as_study(given: Study | str | os.PathLike[str] | None) -> Study | None: ...


def as_study(given: Study | str | os.PathLike[str] | None) -> Study | None:
    """A study, from itself or its folder."""
    return given if given is None or isinstance(given, Study) else Study(given)


def _as_text(made_of: Mapping[str, Any]) -> str:
    about = {"convergent": version("convergent"), "sources": _sources(), "format": FORMAT}
    try:
        return json.dumps(about | dict(made_of), sort_keys=True)
    except TypeError as error:
        raise InputError(
            f"a study cannot tell what a result is made of ({error}): give metrics parameters that "
            "are plain values (numbers, strings, tuples)."
        ) from None


@cache
def _sources() -> str:
    """SHA-256 of this package's own sources, which change before its version does."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
