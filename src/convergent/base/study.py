"""Studies: folders that store finished pieces of long work, each found by its recipe."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .checksums import add_trailer, check_trailer
from .errors import InputError, warn
from .files import as_path, check_writable, remove_leftovers, write_whole
from .netcdf import open_netcdf, write_netcdf
from .reading import readable

__all__ = ["Study", "as_study"]

_FORMAT = 2  # version of the files; files of other versions are not read
# what reading a damaged file raises; a checksum shows nearly all damage before
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Study:
    """A folder that stores each finished piece of work, so that none is computed twice.

    A piece is found by the SHA-256 of all that decides it (`hashing.recipe`). For scores these are
    the responses and stimuli, the metric and its parameters, folds, resamples, device, this
    package's version and the source of the packages that compute; for activations they are the
    weights, attributes, hooks and code of the network, the preprocessed stimuli and the treatment
    of positions. Results with any other recipe are never reused; where what decides a result
    cannot be known, nothing is kept and a warning says why. Pieces are written completely or not
    at all, and a damaged piece is computed again. Several programs may score in one study
    at the same time, but only one may extract the same network.

    Parameters
    ----------
    path : path
        The folder, which is created if it does not exist; ``~`` is the home folder. To discard all
        results, remove it.

    Raises
    ------
    InputError
        If it is no path, or the folder cannot be created or written to.
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", as_path(path, "study"))
        check_writable(self._pieces)
        remove_leftovers(self._pieces)

    def recall(self, recipe: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
        """Read the arrays of a piece of work; None if it has not been done.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.

        Returns
        -------
        dict of arrays, or None
            As they were given to `keep`.

        Raises
        ------
        InputError
            If there is no permission to read the file.

        Warns
        -----
        UserWarning
            If the file is damaged: it does not have the checksum with which it was written.
        """
        text, path = self._find(recipe)
        try:
            with readable(path):
                length = check_trailer(path, expected=True)
                content = path.read_bytes()[:length]
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop("recipe")) != text:
                raise ValueError("it belongs to another recipe")
        except FileNotFoundError:
            return None
        except InputError:  # no permission
            raise
        except _DAMAGE as error:
            _warn_of_damage(path, error)
            return None
        return arrays

    def keep(self, recipe: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the arrays of a finished piece of work, completely or not at all.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.
        arrays : mapping of str to array
            The result, by name.
        """
        text, path = self._find(recipe)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, recipe=np.array(text), **arrays)
            add_trailer(temporary)

        write_whole(path, write)

    def dataset(self, recipe: Mapping[str, Any], make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Read a labelled result, or compute and store it if it is not there yet.

        Parameters
        ----------
        recipe : mapping
            All that decides the result, from `hashing.recipe`.
        make : function
            Computes it.

        Returns
        -------
        xarray.Dataset
            In memory.

        Raises
        ------
        InputError
            If there is no permission to read the file.

        Warns
        -----
        UserWarning
            If the file is damaged; the result is then computed again.
        """
        text, path = self._find(recipe)
        path = path.with_suffix(".nc")
        try:
            with open_netcdf(path, ours=True) as file:
                kept = file.load().drop_encoding()  # the encoding is that of this file
            if kept.attrs.pop("recipe") != text:
                raise ValueError("it belongs to another recipe")
            return kept
        except FileNotFoundError:
            pass
        except InputError:  # no permission
            raise
        except _DAMAGE as error:
            _warn_of_damage(path, error)
        result = make()
        described = result.assign_attrs(recipe=text)
        write_whole(path, lambda file: write_netcdf(described, file))
        return result

    def layers(self, recipe: Mapping[str, Any]) -> Path:
        """Path of the store that holds the activations of this recipe.

        Parameters
        ----------
        recipe : mapping
            All that decides the activations, from `hashing.recipe`.

        Returns
        -------
        Path
            A folder; it exists once activations were extracted.
        """
        return self.path / "layers" / f"{_digest(_as_text(recipe))}.zarr"

    @property
    def _pieces(self) -> Path:
        return self.path / "pieces"

    def _find(self, recipe: Mapping[str, Any]) -> tuple[str, Path]:
        text = _as_text(recipe)
        return text, self._pieces / f"{_digest(text)}.npz"


def _warn_of_damage(path: Path, error: Exception) -> None:
    warn(f"{path} is damaged or cut short ({error}): its result is computed again.")


@overload
def as_study(given: Study | str | os.PathLike[str]) -> Study: ...


@overload
def as_study(given: None) -> None: ...


@overload
def as_study(given: Study | str | os.PathLike[str] | None) -> Study | None: ...


def as_study(given: Study | str | os.PathLike[str] | None) -> Study | None:
    """Study in a folder; a study or None is returned as it is."""
    return given if given is None or isinstance(given, Study) else Study(given)


def _as_text(recipe: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"format": _FORMAT} | dict(recipe), sort_keys=True)
    except TypeError as error:
        raise InputError(
            f"a study cannot store what decides a result ({error}): use metrics whose parameters "
            "are plain values (numbers, strings, tuples)."
        ) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
