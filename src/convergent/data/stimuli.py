"""Stimuli: images with names, opened only when they are needed."""

from __future__ import annotations

import io
import os
import posixpath
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ..base.errors import InputError, examples, unknown

__all__ = ["Stimuli"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False, repr=False)
class Stimuli:
    """Images with names, sorted by name, and a table of what is known about each.

    They are created by `from_folder`, `from_zip` or `from_arrays`. Indexing with a name or a
    position opens that image (RGB); iterating opens one after the other.

    Parameters
    ----------
    names : tuple of str
        File names, sorted and unique.
    read : function
        From a name to its image.
    table : pandas.DataFrame
        One row per stimulus, indexed by name.

    Examples
    --------
    >>> import convergent as cv
    >>> stimuli = cv.drawings(32)
    >>> stimuli[0].size, stimuli.table["category"].iloc[0]
    ((64, 64), 'arrow')
    """

    names: tuple[str, ...]
    read: Callable[[str], Image.Image]
    table: pd.DataFrame

    @classmethod
    def from_folder(
        cls, path: str | os.PathLike[str], table: pd.DataFrame | None = None
    ) -> Stimuli:
        """Images in a folder and its subfolders.

        Parameters
        ----------
        path : path
            The folder. The name of an image is its path from there, with ``/`` between parts.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.

        Returns
        -------
        Stimuli
            Images are read from the folder when they are opened.

        Raises
        ------
        InputError
            If there is no such folder, or no image in it.

        Examples
        --------
        >>> import convergent as cv
        >>> stimuli = cv.Stimuli.from_folder("images")  # doctest: +SKIP
        """
        root = Path(path)
        if not root.is_dir():
            raise InputError(f"there is no folder {root}.")
        paths = {file.relative_to(root).as_posix(): file for file in root.rglob("*")}
        files = {name: file for name, file in paths.items() if _is_image(name)}
        return _build(files, lambda name: _open(name, files[name]), table, f"the folder {root}")

    @classmethod
    def from_zip(cls, path: str | os.PathLike[str], table: pd.DataFrame | None = None) -> Stimuli:
        """Images in a zip archive, read from it without unpacking.

        Parameters
        ----------
        path : path
            The archive. If one folder contains all images, it is not part of their names.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.

        Returns
        -------
        Stimuli
            Images are read from the archive when they are opened.

        Raises
        ------
        InputError
            If it is not a zip archive, holds no image, or a path in it leads outside (``../``).

        Examples
        --------
        >>> import convergent as cv
        >>> stimuli = cv.Stimuli.from_zip("images.zip")  # doctest: +SKIP
        """
        archive = _open_zip(path)
        images = [entry for entry in _files_in(archive) if _is_image(entry)]
        top = posixpath.commonpath([posixpath.dirname(entry) for entry in images] or [""])
        names = [PurePosixPath(entry).relative_to(top).as_posix() for entry in images]
        _check_once(names, f"the zip {path}")
        files = dict(zip(names, images, strict=True))

        def read(name: str) -> Image.Image:
            try:
                content = archive.read(files[name])
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
                raise InputError(
                    f"stimulus {name!r} of {path} cannot be read ({error}): the archive is "
                    "damaged or locked; copy or make it again."
                ) from error
            return _open(name, io.BytesIO(content))

        return _build(files, read, table, f"the zip {path}")

    @classmethod
    def from_arrays(
        cls,
        images: Sequence[Any],
        names: Iterable[str],
        table: pd.DataFrame | None = None,
    ) -> Stimuli:
        """Images in memory.

        Parameters
        ----------
        images : sequence
            PIL images, or arrays (height, width) or (height, width, 3): uint8, or floats from 0
            to 1.
        names : iterable of str
            One name for each image, by which the stimuli are sorted.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.

        Returns
        -------
        Stimuli
            The images stay in memory.

        Raises
        ------
        InputError
            If the numbers of names and images differ, a name occurs twice, or, when it is opened,
            an array is not an image.

        Examples
        --------
        >>> import convergent as cv
        >>> import numpy as np
        >>> grey = np.linspace(0, 1, 64).reshape(8, 8)
        >>> stimuli = cv.Stimuli.from_arrays([grey, 1 - grey], ["ramp.png", "inverse.png"])
        >>> stimuli.names
        ('inverse.png', 'ramp.png')
        """
        names = list(names)
        if len(names) != len(images):
            raise InputError(
                f"{len(images)} images and {len(names)} names: give one name for each image."
            )
        _check_once(names, "the list of images")
        store = dict(zip(names, images, strict=True))
        return _build(store, lambda name: _picture(name, store[name]), table, "the list of images")

    def map(self, function: Callable[..., Any], *, named: bool = False) -> Stimuli:
        """Apply a function to each image when it is opened.

        Parameters
        ----------
        function : function
            From a PIL image (RGB) to a PIL image or an array as for `from_arrays`.
        named : bool
            Whether the function takes the name of the stimulus as its second argument.

        Returns
        -------
        Stimuli
            With the same names and table.

        Examples
        --------
        >>> import convergent as cv
        >>> small = cv.drawings(4).map(lambda image: image.resize((32, 32)))
        >>> small[0].size
        (32, 32)
        """
        read = self.read

        def changed(name: str) -> Image.Image:
            image = read(name)
            return _picture(name, function(image, name) if named else function(image))

        return replace(self, read=changed)

    def select(self, names: Iterable[str]) -> Stimuli:
        """Select stimuli by name.

        Parameters
        ----------
        names : iterable of str
            In any order; the result is sorted.

        Returns
        -------
        Stimuli
            With these stimuli alone.

        Raises
        ------
        InputError
            If a name does not exist, or none is given.
        """
        wanted = sorted(set(names))
        known = set(self.names)
        for name in wanted:
            if name not in known:
                raise unknown("stimulus", name, self.names)
        if not wanted:
            raise InputError("no stimulus is selected: name at least one.")
        return replace(self, names=tuple(wanted), table=self.table.loc[wanted])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Image.Image]:
        return (self[name] for name in self.names)

    def __getitem__(self, key: str | int) -> Image.Image:
        if isinstance(key, str) and key not in self.table.index:
            raise unknown("stimulus", key, self.names)
        return self.read(key if isinstance(key, str) else self.names[key])

    def __repr__(self) -> str:
        columns = ", ".join(map(str, self.table.columns))
        table = f"; table: {columns}" if columns else ""
        return f"Stimuli: {len(self)} images, {examples(self.names)}{table}"


def _build(
    files: dict[str, Any],
    read: Callable[[str], Image.Image],
    table: pd.DataFrame | None,
    where: str,
) -> Stimuli:
    if not files:
        raise InputError(f"{where} holds no image ({', '.join(sorted(_SUFFIXES))}).")
    other = [name for name in files if not isinstance(name, str)]
    if other:
        raise InputError(f"names are strings, and {other[0]!r} is not: use file names.")
    names = sorted(files)
    if table is None:
        table = pd.DataFrame(index=pd.Index(names, name="stimulus"))
    missing = [name for name in names if name not in table.index]
    if missing:
        raise InputError(
            f"the table has no row for {len(missing)} of {len(names)} stimuli "
            f"({examples(missing)}): give it one row for each, indexed by stimulus name."
        )
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique().tolist()
        raise InputError(
            f"the table has several rows for {len(twice)} stimuli ({examples(twice)}): keep one."
        )
    return Stimuli(tuple(names), read, table.loc[names])


def _open_zip(path: str | os.PathLike[str]) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is not a zip archive, or is cut short ({error}).") from None
    for entry in _files_in(archive):
        parts = PureWindowsPath(entry)  # knows the separators of all systems
        if parts.anchor or ".." in parts.parts:
            archive.close()
            raise InputError(
                f"the zip {path} holds {entry!r}, a path that leads outside the archive: it was "
                "not made by an ordinary zip program. Make it again from the images."
            )
    return archive


def _files_in(archive: zipfile.ZipFile) -> list[str]:
    return [entry for entry in archive.namelist() if not entry.endswith("/")]


def _check_once(names: Sequence[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} names occur more than once in {where}: {examples(twice)}. Name each "
            "image once."
        )


def _is_image(name: str) -> bool:
    """Whether a path is an image, and not a hidden file of the operating system."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in _SUFFIXES and not hidden


def _open(name: str, file: Any) -> Image.Image:
    try:
        with Image.open(file) as image:
            return _rgb(name, image)
    except InputError:
        raise
    except Exception as error:  # each of Pillow's readers raises another error
        raise InputError(
            f"stimulus {name!r} does not open as an image ({error}): replace the file, or leave it "
            "out."
        ) from error


def _rgb(name: str, image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB; Pillow's own conversion clips 16 bits at 255 instead of scaling."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise InputError(
            f"stimulus {name!r} has pixels of 32 bits (mode {image.mode!r}), and which value is "
            "white is not known: save it with 8 or 16 bits."
        )
    return image.convert("RGB")


def _picture(name: str, image: Any) -> Image.Image:
    """Convert a PIL image or an array to an RGB image."""
    if isinstance(image, Image.Image):
        return _rgb(name, image)
    array = np.asarray(image)
    within = array.size > 0 and array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1
    if within:
        array = np.round(array * 255).astype(np.uint8)
    if array.dtype != np.uint8 or array.shape[2:] not in {(), (3,)} or array.ndim < 2:
        extent = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iuf" else ""
        raise InputError(
            f"stimulus {name!r} is a {array.dtype} array of shape {array.shape}{extent}: an image "
            "is (height, width) or (height, width, 3), uint8 or floats from 0 to 1."
        )
    return Image.fromarray(array).convert("RGB")
