"""Stimuli: images with names, opened only when they are needed."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from PIL import Image

from ..base.arguments import as_list, check_callable, check_flags, check_type
from ..base.errors import InputError, examples, unknown
from ..base.files import as_path
from ..base.notebook import brief, in_short, page_of
from ..base.reading import check_readable
from .image_files import SUFFIXES, check_once, images_in_folder, images_in_zip, open_zip
from .names import check_writable, naturally_sorted, one_spelling
from .pictures import Ground, Pictures, pixels_sha256

__all__ = ["Stimuli"]

_LIST = "a list of names"
_THUMBNAILS, _THUMBNAIL = 6, 96  # how many, and the length of their longer side
_DIGITS = 16  # of a hash: enough to tell images apart that are not made to have one hash


@dataclass(frozen=True, eq=False, repr=False)
class Stimuli:
    """Images with names, in a fixed order, and a table of what is known about each.

    They are created by `from_folder`, `from_zip` or `from_arrays`. Indexing with a name or a
    position opens that image (RGB); iterating opens one after the other.

    A stimulus is known by its name and its content: what `extract` and readers return has a hash
    of each image as the coordinate ``stimulus_sha256``, and populations that have other images
    under the same names are not compared. Images that are made with `map` or `distort` keep the
    hash of those they are made from.

    Parameters
    ----------
    names : tuple of str
        File names, unique, with accents composed (Unicode NFC). Those of a folder or a zip are
        sorted as people count, ``img2.png`` before ``img10.png``.
    read : function
        From a name to its image.
    table : pandas.DataFrame
        One row per stimulus, indexed by name.
    identify : function, optional
        From a name, and whether a file may be opened, to the hash of the original image (as
        `content` returns it); by default, that of the pixels that `read` gives.
    order_given : bool
        Whether a user chose the order of the names; False if the names decided it.

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
    identify: Callable[[str, bool], str] | None = None
    order_given: bool = True

    def __post_init__(self) -> None:
        check_type(tuple, "a tuple of names, or use Stimuli.from_arrays", names=self.names)
        _check_strings(self.names)
        check_type(pd.DataFrame, "a pandas.DataFrame indexed by stimulus name", table=self.table)
        check_callable(read=self.read)
        if self.identify is not None:
            check_callable(identify=self.identify)
        check_flags(order_given=self.order_given)
        if tuple(self.table.index) != self.names:
            raise InputError(
                f"the table has the rows {examples(self.table.index)}, and the stimuli are "
                f"{examples(self.names)}: give one row for each stimulus, in their order."
            )

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike[str],
        table: pd.DataFrame | None = None,
        *,
        ground: Ground = "white",
    ) -> Stimuli:
        """Images in a folder and its subfolders.

        Parameters
        ----------
        path : path
            The folder. The name of an image is its path from there, with ``/`` between parts.
            Links to folders are followed.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.
        ground : str or tuple of int
            Colour behind transparent pixels: a name, such as ``"grey"``, or (red, green, blue).

        Returns
        -------
        Stimuli
            Images are read from the folder when they are opened, and turned as their EXIF
            orientation says.

        Raises
        ------
        InputError
            If there is no such folder, or no image in it.

        Warns
        -----
        UserWarning
            If there are images or films of kinds that are not read; when an image is opened, if it
            has several frames, or its values are so small that levels are lost.

        Examples
        --------
        >>> import convergent as cv
        >>> stimuli = cv.Stimuli.from_folder("images")  # doctest: +SKIP
        """
        root = as_path(path)
        if not os.path.isdir(root):  # noqa: PTH112, as that of Path fails without permission
            raise InputError(f"there is no folder {root}.")
        files = images_in_folder(root)

        def content(name: str) -> bytes:
            try:
                return check_readable(files[name]).read_bytes()  # a pipe would wait
            except (InputError, OSError) as error:
                raise InputError(
                    f"stimulus {name!r} does not open as an image ({str(error).rstrip('.')}): "
                    "replace the file, or leave it out."
                ) from error

        source = _Originals(content, Pictures(ground))
        return _build(naturally_sorted(files), source, table, f"the folder {root}")

    @classmethod
    def from_zip(
        cls,
        path: str | os.PathLike[str],
        table: pd.DataFrame | None = None,
        *,
        ground: Ground = "white",
    ) -> Stimuli:
        """Images in a zip archive, read from it without unpacking.

        Parameters
        ----------
        path : path
            The archive. If one folder contains all images, it is not part of their names.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.
        ground : str or tuple of int
            Colour behind transparent pixels, as for `from_folder`.

        Returns
        -------
        Stimuli
            Images are read from the archive when they are opened, and turned as their EXIF
            orientation says.

        Raises
        ------
        InputError
            If it is not a zip archive, holds no image or more than it can hold, or a path in it
            leads outside (``../``); when an image is opened, if it is damaged or locked.

        Warns
        -----
        UserWarning
            As for `from_folder`.

        Examples
        --------
        >>> import convergent as cv
        >>> stimuli = cv.Stimuli.from_zip("images.zip")  # doctest: +SKIP
        """
        path = as_path(path)
        archive = open_zip(path)
        files = images_in_zip(archive, f"the zip {path}")

        def content(name: str) -> bytes:
            try:
                return archive.read(files[name])
            except Exception as error:  # each kind of damage raises another error
                raise InputError(
                    f"stimulus {name!r} of {path} cannot be read ({error}): the archive is "
                    "damaged or locked; copy or make it again."
                ) from error

        source = _Originals(content, Pictures(ground))
        return _build(naturally_sorted(files), source, table, f"the zip {path}")

    @classmethod
    def from_arrays(
        cls,
        images: Sequence[Any],
        names: Iterable[str],
        table: pd.DataFrame | None = None,
        *,
        ground: Ground = "white",
    ) -> Stimuli:
        """Images in memory.

        Parameters
        ----------
        images : sequence
            PIL images, or arrays (height, width) or (height, width, 3): uint8, or floats from 0
            to 1.
        names : iterable of str
            One name for each image. Stimuli stay in this order.
        table : pandas.DataFrame, optional
            What is known about each stimulus, indexed by name.
        ground : str or tuple of int
            Colour behind transparent pixels of PIL images, as for `from_folder`.

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
        ('ramp.png', 'inverse.png')
        """
        names, images = (
            as_list("names", names, _LIST),
            as_list("images", images, "a list of images"),
        )
        _check_strings(names)
        names = [one_spelling(name) for name in names]
        if len(names) != len(images):
            raise InputError(
                f"{len(images)} images and {len(names)} names: give one name for each image."
            )
        check_once(names, "the list of images")
        store = dict(zip(names, images, strict=True))
        source = _Originals(store.__getitem__, Pictures(ground))
        return replace(_build(names, source, table, "the list of images"), order_given=True)

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
            With the same names and table, and the hashes of the images as they were before.

        Examples
        --------
        >>> import convergent as cv
        >>> small = cv.drawings(4).map(lambda image: image.resize((32, 32)))
        >>> small[0].size
        (32, 32)
        """
        check_callable(function=function)
        check_flags(named=named)
        if self.identify is None:  # so that the hash stays that of the image before
            source = _Originals(self.read, Pictures())
            return replace(self, read=source.read, identify=source.identify).map(
                function, named=named
            )
        read, pictures = self.read, Pictures()

        def changed(name: str) -> Image.Image:
            image = read(name)
            made = function(image, name) if named else function(image)
            return pictures.from_value(name, made)

        return replace(self, read=changed)

    def select(self, names: Iterable[str]) -> Stimuli:
        """Select stimuli by name.

        Parameters
        ----------
        names : iterable of str
            In any order.

        Returns
        -------
        Stimuli
            With these stimuli alone, in the order that they had.

        Raises
        ------
        InputError
            If a name does not exist, or none is given.
        """
        wanted = set(self._known(names))
        return self._with_names([name for name in self.names if name in wanted])

    def in_order(self, names: Iterable[str]) -> Stimuli:
        """Put the stimuli in the order of the rows of an array.

        Parameters
        ----------
        names : iterable of str
            All or some of the names, each once.

        Returns
        -------
        Stimuli
            With these stimuli, in this order.

        Raises
        ------
        InputError
            If a name does not exist or occurs twice, or none is given.

        Examples
        --------
        >>> import convergent as cv
        >>> stimuli = cv.drawings(12)
        >>> cv.formats.from_npy(
        ...     "v4.npy", stimuli=stimuli.in_order(sorted(stimuli.names)), dims=["stimulus", "unit"]
        ... )  # doctest: +SKIP
        """
        wanted = self._known(names)
        check_once(wanted, "the order")
        return replace(self._with_names(wanted), order_given=True)

    def renamed(self, function: Callable[[str], str]) -> Stimuli:
        """Give the stimuli other names; their order stays.

        Parameters
        ----------
        function : function
            From a name to the new one.

        Returns
        -------
        Stimuli
            The same images.

        Raises
        ------
        InputError
            If two stimuli would have the same name.

        Examples
        --------
        >>> import convergent as cv
        >>> cv.drawings(2).renamed(lambda name: f"drawings/{name}").names[0]
        'drawings/seed0-000000-arrow.png'
        """
        check_callable(function=function)
        _check_strings(made := [function(name) for name in self.names])
        check_once(new := [one_spelling(name) for name in made], "the new names")
        check_writable(new, "stimulus")
        former = dict(zip(new, self.names, strict=True))
        read, identify = self.read, self.identify
        return replace(
            self,
            names=tuple(former),
            read=lambda name: read(former[name]),
            table=self.table.set_axis(pd.Index(list(former), name=self.table.index.name)),
            identify=None if identify is None else lambda name, o: identify(former[name], o),
        )

    def content(self, name: str, *, opened: bool = True) -> str:
        """Hash of the original of an image.

        Parameters
        ----------
        name : str
            Name of a stimulus.
        opened : bool
            Whether a file is opened for the hash of its pixels too, unless it was opened before.

        Returns
        -------
        str
            ``"file:HASH pixels:HASH"`` for a file, or ``"file:HASH"`` if it is not opened;
            ``"pixels:HASH"`` for an image in memory; '' if it is not known.
        """
        if not isinstance(name, str) or name not in self.table.index:
            raise unknown("stimulus", name, self.names)
        check_flags(opened=opened)
        try:
            if self.identify is not None:
                return self.identify(name, opened)
            return _of_pixels(self.read(name)) if opened else ""
        except (InputError, KeyError, OSError):  # reported where the image itself is needed
            return self.content(name, opened=False) if opened else ""

    def _known(self, names: Iterable[str]) -> list[str]:
        """Names of stimuli that exist, in the spelling of these stimuli."""
        _check_strings(names := as_list("names", names, _LIST))
        wanted = [one_spelling(name) for name in names]
        known = set(self.names)
        for name in wanted:
            if name not in known:
                raise unknown("stimulus", name, self.names)
        if not wanted:
            raise InputError("no stimulus is selected: name at least one.")
        return wanted

    def _with_names(self, names: list[str]) -> Stimuli:
        return replace(self, names=tuple(names), table=self.table.loc[names])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Image.Image]:
        return (self[name] for name in self.names)

    def __getitem__(self, key: str | int) -> Image.Image:
        if not isinstance(key, str):
            return self.read(self.names[key])
        if (name := one_spelling(key)) not in self.table.index:
            raise unknown("stimulus", key, self.names)
        return self.read(name)

    def __repr__(self) -> str:
        columns = ", ".join(map(str, self.table.columns))
        table = f"; table: {columns}" if columns else ""
        return f"Stimuli: {len(self)} images, {examples(self.names)}{table}"

    def _repr_html_(self) -> str:
        rows = [(brief(name), in_short(self.table[name].to_numpy())) for name in self.table.columns]
        images = {}
        for name in self.names[:_THUMBNAILS]:
            try:
                images[brief(name)] = _thumbnail(self[name])
            except Exception as error:  # a damaged file, or the user's own function: still shown
                rows.append((brief(name), f"cannot be opened: {brief(error)}"))
        more = len(self) - _THUMBNAILS
        title = f"Stimuli: {len(self):,} image{'s' * (len(self) != 1)}"
        title += f", of which the first {_THUMBNAILS}" if more > 0 else ""
        return page_of(title, rows, images=images)


class _Originals:
    """Images of a folder, a zip or a list, opened when they are needed, and their hashes.

    Parameters
    ----------
    load : function
        From a name to the bytes of a file, or to an image in memory.
    pictures : Pictures
        Converts either to an RGB image.
    """

    def __init__(self, load: Callable[[str], Any], pictures: Pictures) -> None:
        self._load, self._pictures = load, pictures
        self._of_files: dict[str, str] = {}
        self._of_pixels: dict[str, str] = {}

    def read(self, name: str) -> Image.Image:
        """Open an image, and keep its hashes."""
        found = self._load(name)
        if isinstance(found, bytes):
            self._of_files[name] = _of_file(found)
            image = self._pictures.from_file(name, found)
        else:
            image = self._pictures.from_value(name, found)
        self._of_pixels[name] = _of_pixels(image)
        return image

    def identify(self, name: str, opened: bool) -> str:
        """Hash of a file, which is decoded only if it is to be opened, and of the pixels."""
        if name not in self._of_pixels:
            if opened or not isinstance(found := self._load(name), bytes):
                self.read(name)
            else:
                self._of_files[name] = _of_file(found)
        if name not in self._of_files:
            return self._of_pixels[name]
        return f"{self._of_files[name]} {self._of_pixels[name]}" if opened else self._of_files[name]


def _build(
    names: Sequence[str], source: _Originals, table: pd.DataFrame | None, where: str
) -> Stimuli:
    """Stimuli in the order of their names, with the rows of a table."""
    names = list(names)
    if not names:
        raise InputError(f"{where} holds no image ({', '.join(sorted(SUFFIXES))}).")
    check_writable(names, "stimulus")
    if table is not None:
        check_type(pd.DataFrame, "a pandas.DataFrame indexed by stimulus name", table=table)
    if table is None:
        table = pd.DataFrame(index=pd.Index(names, name="stimulus"))
    if not all(name in table.index for name in names):  # accents may be written otherwise there
        table = table.rename(index=lambda name: one_spelling(name) if _is_text(name) else name)
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
    return Stimuli(tuple(names), source.read, table.loc[names], source.identify, order_given=False)


def _thumbnail(image: Image.Image) -> str:
    """A small copy of an image, as the address of an image in a page."""
    small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _of_file(content: bytes) -> str:
    return f"file:{hashlib.sha256(content).hexdigest()[:_DIGITS]}"


def _of_pixels(image: Image.Image) -> str:
    return f"pixels:{pixels_sha256(image)[:_DIGITS]}"


def _check_strings(names: Sequence[Any]) -> None:
    other = [name for name in names if not _is_text(name)]
    if other:
        raise InputError(f"names are strings, and {other[0]!r} is not: use file names.")


def _is_text(name: object) -> bool:
    return isinstance(name, str)
