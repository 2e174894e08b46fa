"""The images that were shown, by name, opened only when they are needed."""

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

__all__ = ["SUFFIXES", "Stimuli"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False, repr=False)
class Stimuli:
    """Images with names, sorted by name, and what is known of each in a table.

    Make one with `from_folder`, `from_zip` or `from_arrays`. Indexing with a name or a position
    opens that image (RGB); iterating opens one after the other.

    Parameters
    ----------
    names : tuple of str
        File names, sorted and unique.
    read : function
        Opens the image of a name.
    table : pandas.DataFrame
        One row a stimulus, indexed by name.
    """

    names: tuple[str, ...]
    read: Callable[[str], Image.Image]
    table: pd.DataFrame

    @classmethod
    def from_folder(
        cls, path: str | os.PathLike[str], table: pd.DataFrame | None = None
    ) -> Stimuli:
        """Images below a folder; a name is the path from the folder, with ``/`` between parts.

        Parameters
        ----------
        path : path
            The folder.
        table : pandas.DataFrame, optional
            What is known of each stimulus, indexed by name.

        Raises
        ------
        InputError
            Where there is no such folder, or no image in it.
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
            The archive. A folder that holds everything is left out of the names.
        table : pandas.DataFrame, optional
            What is known of each stimulus, indexed by name.

        Raises
        ------
        InputError
            Where it is no zip archive, holds no image, or a path in it leads outside (``../``).
        """
        try:
            archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise InputError(f"there is no file {path}.") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{path} is not a zip archive, or is cut short ({error}).") from None
        entries = [entry for entry in archive.namelist() if not entry.endswith("/")]
        for entry in entries:
            parts = PureWindowsPath(entry)  # knows the separators of both worlds
            if parts.anchor or ".." in parts.parts:
                archive.close()
                raise InputError(
                    f"the zip {path} holds {entry!r}, a path that leads outside the archive: it "
                    "was not made by an ordinary zip program. Make it anew from the images."
                )
        images = [entry for entry in entries if _is_image(entry)]
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
                    "damaged or locked; copy or make it anew."
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
            One name an image; the stimuli are sorted by them.
        table : pandas.DataFrame, optional
            What is known of each stimulus, indexed by name.

        Raises
        ------
        InputError
            Where names and images do not fit, or an array is not an image.
        """
        names = list(names)
        if len(names) != len(images):
            raise InputError(
                f"{len(images)} images and {len(names)} names: give one name an image."
            )
        _check_once(names, "the list of images")
        store = dict(zip(names, images, strict=True))
        return _build(store, lambda name: _picture(name, store[name]), table, "the list of images")

    def map(self, function: Callable[..., Any], *, named: bool = False) -> Stimuli:
        """Stimuli with a function applied to each image when it is opened.

        Parameters
        ----------
        function : function
            From a PIL image (RGB) to a PIL image or an array as for `from_arrays`.
        named : bool
            Give the function the name of the stimulus as well.
        """
        read = self.read

        def changed(name: str) -> Image.Image:
            image = read(name)
            return _picture(name, function(image, name) if named else function(image))

        return replace(self, read=changed)

    def select(self, names: Iterable[str]) -> Stimuli:
        """Stimuli of these names.

        Parameters
        ----------
        names : iterable of str
            In any order; the result is sorted.

        Raises
        ------
        InputError
            Where a name is not there, or none is given.
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
        raise InputError(f"{where} holds no image ({', '.join(sorted(SUFFIXES))}).")
    strange = [name for name in files if not isinstance(name, str)]
    if strange:
        raise InputError(f"names are strings, and {strange[0]!r} is not: use file names.")
    names = sorted(files)
    if table is None:
        table = pd.DataFrame(index=pd.Index(names, name="stimulus"))
    missing = [name for name in names if name not in table.index]
    if missing:
        raise InputError(
            f"the table has no row for {len(missing)} of {len(names)} stimuli "
            f"({examples(missing)}): it is indexed by stimulus name, one row each."
        )
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique().tolist()
        raise InputError(
            f"the table has several rows for {len(twice)} stimuli ({examples(twice)}): keep one."
        )
    return Stimuli(tuple(names), read, table.loc[names])


def _check_once(names: Sequence[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} names come more than once in {where}: {examples(twice)}. Name each "
            "image once."
        )


def _is_image(name: str) -> bool:
    """Whether a path is an image that someone put there, not what a computer keeps beside it."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _open(name: str, file: Any) -> Image.Image:
    try:
        with Image.open(file) as image:
            return _rgb(name, image)
    except InputError:
        raise
    except Exception as error:  # each of Pillow's readers raises what it likes
        raise InputError(
            f"stimulus {name!r} does not open as an image ({error}): replace the file, or leave it "
            "out."
        ) from error


def _rgb(name: str, image: Image.Image) -> Image.Image:
    """8-bit RGB; Pillow's own conversion would clip 16 bits at 255 instead of scaling them."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise InputError(
            f"stimulus {name!r} has pixels of 32 bits (mode {image.mode!r}), whose white is not "
            "known: save it with 8 or 16 bits."
        )
    return image.convert("RGB")


def _picture(name: str, image: Any) -> Image.Image:
    """RGB image from a PIL image or an array."""
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
