"""Long work that can be interrupted: finished pieces lie on disk, named by what decides them."""

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

    A piece is found by the SHA-256 of all that decides it (`hashing.recipe`): for scores the
    responses and stimuli, the metric and its parameters, folds, resamples, device, this package's
    version and the source of the packages that compute; for activations the weights, structure
    and code of the network, the preprocessed stimuli and the treatment of positions. Results from
    anything else are never reused. Pieces are written whole or not at all, and a damaged one is
    computed again. Several programs may score in one study at once, but only one may extract the
    same network.

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
            self._pieces.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"a study cannot be kept in {self.path} ({error}): give a folder to write to."
            ) from error

    def recall(self, recipe: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
        """Arrays that were kept of a piece of work; None where there are none.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.

        Warns
        -----
        UserWarning
            Where the file is damaged.
        """
        text, path = self._find(recipe)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop("recipe")) != text:
                raise ValueError("its recipe is another")
        except DAMAGE as error:
            _warn_of_damage(path, error)
            return None
        return arrays

    def keep(self, recipe: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the arrays of a finished piece of work, whole or not at all.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.
        arrays : mapping
            What is to be kept.
        """
        text, path = self._find(recipe)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, recipe=np.array(text), **arrays)

        write_whole(path, write)

    def dataset(self, recipe: Mapping[str, Any], make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return a labelled result, made only where it is not kept yet.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.
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
        text, path = self._find(recipe)
        path = path.with_suffix(".nc")
        if path.exists():
            try:
                with xr.open_dataset(path, engine="h5netcdf") as file:
                    kept = file.load().drop_encoding()  # it holds for this file alone
                if kept.attrs.pop("recipe") != text:
                    raise ValueError("its recipe is another")
                return kept
            except DAMAGE as error:
                _warn_of_damage(path, error)
        result = make()
        described = result.assign_attrs(recipe=text)
        write_whole(path, lambda file: described.to_netcdf(file, engine="h5netcdf"))
        return result

    def layers(self, recipe: Mapping[str, Any]) -> Path:
        """Path of the store that keeps activations of this recipe.

        Parameters
        ----------
        recipe : mapping
            All that decides the activations, from `hashing.recipe`.
        """
        return self.path / "layers" / f"{_digest(_as_text(recipe))}.zarr"

    @property
    def _pieces(self) -> Path:
        return self.path / "pieces"

    def _find(self, recipe: Mapping[str, Any]) -> tuple[str, Path]:
        text = _as_text(recipe)
        return text, self._pieces / f"{_digest(text)}.npz"


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


def _as_text(recipe: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"format": FORMAT} | dict(recipe), sort_keys=True)
    except TypeError as error:
        raise InputError(
            f"a study cannot say what decides a result ({error}): give metrics parameters that "
            "are plain values (numbers, strings, tuples)."
        ) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
