"""The images that were shown, by name, opened only when they are needed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .errors import InputError, examples, unknown

__all__ = ["Stimuli"]

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
    def from_folder(cls, path: str | os.PathLike[str], table: pd.DataFrame | None = None) -> Stimuli:
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
        files = {
            file.relative_to(root).as_posix(): file for file in root.rglob("*") if _is_image(file.name)
        }
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
        except zipfile.BadZipFile as error:
            raise InputError(f"{path} is not a zip archive, or is cut short ({error}).") from None
        entries = [entry for entry in archive.namelist() if not entry.endswith("/")]
        for entry in entries:
            parts = PurePosixPath(entry.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
                archive.close()
                raise InputError(
                    f"the zip {path} holds {entry!r}, a path that leads outside the archive: it was "
                    "not made by an ordinary zip program. Make it anew from the images."
                )
        images = [e for e in entries if _is_image(PurePosixPath(e).name) and "__MACOSX" not in e]
        top = _common_folder(images)
        files = {entry[len(top) :]: entry for entry in images}

        def read(name: str) -> Image.Image:
            try:
                return _open(name, io.BytesIO(archive.read(files[name])))
            except (zipfile.BadZipFile, OSError, EOFError) as error:
                raise InputError(f"stimulus {name!r} of {path} cannot be read ({error}).") from error

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
            raise InputError(f"{len(images)} images and {len(names)} names: give one name an image.")
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InputError(f"{len(twice)} names come more than once: {examples(twice)}.")
        store = dict(zip(names, images, strict=True))
        return _build(store, lambda name: _picture(name, store[name]), table, "the list of images")

    def map(self, function: Callable[[Image.Image], Any]) -> Stimuli:
        """Stimuli with a function applied to each image when it is opened.

        Parameters
        ----------
        function : function
            From a PIL image (RGB) to a PIL image or an array as for `from_arrays`.
        """
        read = self.read
        return replace(self, read=lambda name: _picture(name, function(read(name))))

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
        columns = f"; table: {', '.join(map(str, self.table.columns))}" if len(self.table.columns) else ""
        return f"Stimuli: {len(self)} images, {examples(self.names)}{columns}"


def _build(
    files: dict[str, Any],
    read: Callable[[str], Image.Image],
    table: pd.DataFrame | None,
    where: str,
) -> Stimuli:
    names = sorted(files)
    if not names:
        raise InputError(f"{where} holds no image ({', '.join(sorted(SUFFIXES))}).")
    if table is None:
        table = pd.DataFrame(index=pd.Index(names, name="stimulus"))
    missing = [name for name in names if name not in table.index]
    if missing or not table.index.is_unique:
        raise InputError(
            f"the table must have one row a stimulus, indexed by name; {len(missing)} of "
            f"{len(names)} have none ({examples(missing)})."
        )
    return Stimuli(tuple(names), read, table.loc[names])


def _is_image(filename: str) -> bool:
    return PurePosixPath(filename).suffix.lower() in SUFFIXES and not filename.startswith(".")


def _common_folder(entries: Sequence[str]) -> str:
    """Leading folders that all entries share, with their ``/``; '' where there is none."""
    if not entries:
        return ""
    common = os.path.commonprefix([entry.rpartition("/")[0] + "/" for entry in entries])
    return common[: common.rfind("/") + 1].lstrip("/")


def _open(name: str, file: Any) -> Image.Image:
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"stimulus {name!r} does not open as an image ({error}): replace the file, or leave it "
            "out with Stimuli.select."
        ) from error


def _picture(name: str, image: Any) -> Image.Image:
    """RGB image from a PIL image or an array."""
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = np.asarray(image)
    if array.dtype.kind == "f" and array.size and 0 <= array.min() and array.max() <= 1:
        array = np.round(array * 255).astype(np.uint8)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise InputError(
            f"stimulus {name!r} is a {array.dtype} array of shape {array.shape}: an image is (height, "
            "width) or (height, width, 3), uint8 or floats from 0 to 1."
        )
    return Image.fromarray(array).convert("RGB")
