"""Files of volumes, read one volume after the other, and to the checksum at their end."""

from __future__ import annotations

import bz2
import gzip
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from ...base.errors import InputError
from ...base.files import as_path
from ...base.reading import check_readable

__all__ = ["called", "load_image", "read_volumes"]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".mgz": gzip.open, ".bz2": bz2.open}
_BLOCK = 2**20
_USUAL, _MOST = 16, 1032  # times that a file grows: usually at most; in gzip at most
_SMALL = 2**24
_TRAILER = 2**12  # bytes that some program may have added at the end


def load_image(source: str | os.PathLike[str] | SpatialImage) -> SpatialImage:
    """Open an image, and check what its header claims; its values are read by `read_volumes`.

    Parameters
    ----------
    source : path or nibabel image
        Given by the user.

    Returns
    -------
    nibabel image
        Of voxels.

    Raises
    ------
    InputError
        If the file cannot be read, is no image of voxels, or is smaller than its header claims, or
        the position of the voxels is not a finite number.
    """
    image = (
        source
        if isinstance(source, SpatialImage)
        else _loaded(check_readable(as_path(source, "image")))
    )
    affine = image.affine
    if affine is None or not np.isfinite(affine).all() or min(image.shape, default=0) < 1:
        raise InputError(
            f"the header of {called(image)} gives the shape {image.shape} and the affine "
            f"{None if affine is None else affine.tolist()}, which place no voxels: it is damaged, "
            "or not complete."
        )
    file = _file_of(image)
    if file is not None:
        _check_claim(check_readable(file), image)
    return image


def read_volumes(
    image: SpatialImage, places: Iterable[Any], shape: tuple[int, ...]
) -> Iterator[NDArray[Any]]:
    """Read volumes of an image; the image itself does not keep them in memory.

    A compressed file is read to its end, where its checksum is: an error may come after the last
    volume.

    Parameters
    ----------
    image : nibabel image
        From `load_image`.
    places : iterable
        Index of each volume, in the order of the file.
    shape : tuple of int
        Of the volumes.

    Yields
    ------
    array
        A volume.

    Raises
    ------
    InputError
        If the file is damaged or cut short, or its values are no real numbers.
    """
    file = _file_of(image)
    data, compressed = image.dataobj, file is not None and file.suffix.lower() in _OPENERS
    try:
        with ExitStack() as stack:
            if file is not None and compressed:
                stream = stack.enter_context(_OPENERS[file.suffix.lower()](file))
                if type(data) is ArrayProxy:  # others are read by themselves, and then checked
                    claim = (data.shape, data.dtype, data.offset, data.slope, data.inter)
                    data = ArrayProxy(stream, claim, order=data.order)  # type: ignore[no-untyped-call]
            for place in places:
                values = np.asarray(data[place])
                _check_real(image, values)
                yield values.reshape(shape)
            if compressed:
                _length(stream)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"a volume of {called(image)} needs more memory than there is ({error}): use a machine "
            "with more, or cut the image."
        ) from error
    except Exception as error:  # each kind of damage raises another error
        raise _damaged(image, error) from error


def called(image: SpatialImage) -> str:
    """What an image is called in messages."""
    return image.get_filename() or "the image in memory"


def _loaded(path: Path) -> SpatialImage:
    try:
        image = nib.load(path)
    except Exception as error:  # each kind of damage raises another error
        raise InputError(
            f"{path} is not a readable NIfTI image ({error}): it is damaged or cut short, or "
            "something else; copy it again."
        ) from error
    if not isinstance(image, SpatialImage):
        raise InputError(f"{path} is a {type(image).__name__}: give an image of voxels.")
    header = {Path(each.filename) for each in image.file_map.values() if each.filename}
    for file in header - {_file_of(image)}:  # of an image in two files
        if file.suffix.lower() in _OPENERS and file.is_file():
            _whole_length(file, image)
    return image


def _file_of(image: SpatialImage) -> Path | None:
    """File of the values; None if they are in memory or in a stream that the user opened."""
    if not nib.is_proxy(image.dataobj):  # type: ignore[no-untyped-call]
        return None
    name = getattr(image.dataobj, "file_like", image.get_filename())
    return Path(name) if isinstance(name, str | os.PathLike) else None


def _check_claim(file: Path, image: SpatialImage) -> None:
    """Refuse a header that claims more values than the file can hold, before memory is taken."""
    data = image.dataobj
    if not isinstance(data, ArrayProxy):
        return
    claimed = int(data.offset) + math.prod(map(int, data.shape)) * data.dtype.itemsize
    size = file.stat().st_size
    compressed = file.suffix.lower() in _OPENERS
    if compressed and _USUAL * size + _SMALL < claimed <= _MOST * size:
        size = _whole_length(file, image)
    elif compressed:
        size *= _MOST
    if claimed > size:
        raise InputError(
            f"{file} is damaged or cut short: its header claims {claimed} bytes (values of shape "
            f"{image.shape}), and it holds at most {size}. Copy it again."
        )
    if not compressed and isinstance(image, nib.Nifti1Image) and size - claimed > _TRAILER:
        raise InputError(
            f"{file} is damaged: its header claims {claimed} bytes (values of shape "
            f"{image.shape}), and it holds {size}. Copy it again, or correct the shape."
        )


def _whole_length(file: Path, image: SpatialImage) -> int:
    try:
        with _OPENERS[file.suffix.lower()](file) as stream:
            return _length(stream)
    except Exception as error:  # each kind of damage raises another error
        raise _damaged(image, error) from error


def _length(stream: Any) -> int:
    """Bytes up to the end of a stream, where its checksum is compared."""
    return sum(len(block) for block in iter(lambda: stream.read(_BLOCK), b""))


def _damaged(image: SpatialImage, error: Exception) -> InputError:
    return InputError(
        f"{called(image)} cannot be read to its end ({error}): it is damaged or cut short; copy "
        "it again."
    )


def _check_real(image: SpatialImage, values: NDArray[Any]) -> None:
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"{called(image)} holds {values.dtype}: an assembly holds real numbers. Save the "
            "magnitude (numpy.abs) or the phase (numpy.angle) of complex values, or one channel of "
            "colours, as an image of its own."
        )
