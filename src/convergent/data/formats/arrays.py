"""Responses in a plain numpy array (``.npy``, ``.npz``), to be labelled with names."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from ...base.arguments import check_type
from ...base.errors import InputError, examples, unknown
from ...base.files import as_path
from ...base.reading import check_readable
from ...base.zip_archives import check_claims, check_listing
from ..assembly import Assembly
from ..stimuli import Stimuli

__all__ = ["from_npy"]


def from_npy(
    path: str | os.PathLike[str],
    *,
    stimuli: Iterable[str] | Stimuli,
    dims: Iterable[str],
    units: Iterable[str] | None = None,
    key: str | None = None,
    name: str | None = None,
    **labels: Any,
) -> Assembly:
    """Read responses that numpy saved, and label them with the names of the stimuli.

    Parameters
    ----------
    path : path
        A ``.npy`` file, or an ``.npz`` archive of arrays, which carries checksums. A ``.npy`` has
        none: where it is cut short it is refused, and a changed value is not noticed. If stimuli
        have different numbers of repeats, the array is padded with NaN along ``repeat``.
    stimuli : iterable of str, or Stimuli
        One name for each stimulus, in the order of the array. `Stimuli` give their names in their
        order, and the hashes of their images: image i belongs to index i.
    dims : iterable of str
        What each axis of the array is, in its order: ``("unit", "stimulus", "repeat")``.
    units : iterable of str, optional
        One name for each unit; by default, units are numbered.
    key : str, optional
        Name of the array in an ``.npz``; needed if it holds several.
    name : str, optional
        Name of the population in tables and figures; by default, that of the file.
    **labels
        Further labels, as `Assembly.from_array` takes them: ``region="V4"``.

    Returns
    -------
    Assembly
        In memory, with the dtype of the file, in the byte order of this machine; extended
        precision becomes float64.

    Raises
    ------
    InputError
        If the file is no such array, is damaged or cut short, or claims a size that it does not
        have; if it holds Python objects or integers, or if names and dims do not fit it.

    Warns
    -----
    UserWarning
        If the names of `Stimuli` decided their order, and it is not that of the alphabet, which may
        be the order of the array.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import convergent as cv
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "v4.npy"
    >>> np.save(path, np.zeros((2, 3, 4)))
    >>> names = ["a.png", "b.png", "c.png"]
    >>> dims = ("unit", "stimulus", "repeat")
    >>> recording = cv.formats.from_npy(path, stimuli=names, dims=dims, region="V4")
    >>> recording.name, recording.data.shape
    ('v4', (3, 2, 4))
    """
    path = check_readable(as_path(path))
    if key is not None:
        check_type(str, "the name of an array", key=key)
    try:
        with path.open("rb") as file:
            array = _of_file(path, file, key)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{path} needs more memory than there is ({error}): use a machine with more, or cut "
            "the array."
        ) from error
    except Exception as error:  # each kind of damage raises another error
        raise InputError(
            f"{path} cannot be read as .npy or .npz ({error}): it is damaged or cut short, or "
            "something else; copy it again, or save it again with numpy.save."
        ) from error
    return Assembly.from_array(
        array,
        stimuli=stimuli,
        units=units,
        dims=dims,
        name=path.stem if name is None else name,
        **labels,
    )


def _of_file(path: Path, file: IO[bytes], key: str | None) -> NDArray[Any]:
    """Array of a ``.npy``, or one of a ``.npz``."""
    start = file.read(2)
    file.seek(0)
    if start == b"PK":
        with zipfile.ZipFile(file) as archive:
            return _of_archive(path, archive, key)
    if key is not None:
        raise InputError(f"{path} holds one array and no {key!r}: omit key.")
    _check_header(path, file, path.stat().st_size)
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _of_archive(path: Path, archive: zipfile.ZipFile, key: str | None) -> NDArray[Any]:
    """One array of a ``.npz``; as all of its bytes are read, its checksum is compared."""
    check_listing(path, archive)
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key is None and len(members) != 1:
        raise InputError(
            f"{path} holds {len(members)} arrays ({examples(members, 12)}): choose one with key=..."
        )
    if key is not None and key not in members:
        raise unknown(f"array in {path.name}", key, members)
    member = members[key] if key is not None else next(iter(members.values()))
    check_claims(path, [member])
    with archive.open(member) as content:
        _check_header(path, content, member.file_size)
    with archive.open(member) as content:
        return npy.read_array(content, allow_pickle=False)


def _check_header(path: Path, content: IO[bytes], size: int) -> None:
    """Refuse an array of Python objects, or of another size than its file."""
    first = npy.read_magic(content) == (1, 0)  # later versions have longer headers
    read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
    try:
        shape, _, dtype = read(content)
    except (RecursionError, MemoryError, SystemError) as error:
        raise ValueError("the header is nested too deeply") from error
    if dtype.hasobject:
        raise InputError(
            f"{path} holds Python objects instead of numbers, and opening them could run code: "
            "save a plain array, padded with NaN where repeats are unequal."
        )
    claimed, held = math.prod(map(int, shape)) * dtype.itemsize, size - content.tell()
    if min(shape, default=0) < 0 or claimed != held:
        raise InputError(
            f"{path} is damaged or cut short, or holds several arrays: its header claims {claimed} "
            f"bytes (shape {shape}, {dtype}), and {held} follow. Copy it again, or save the array "
            "again with numpy.save."
        )
