"""Responses in a plain numpy array (``.npy``, ``.npz``), to be labelled with names."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.errors import InputError, check_type, examples, unknown
from ...base.files import as_path
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
        A ``.npy`` file, or an ``.npz`` archive of arrays. If stimuli have different numbers of
        repeats, the array is padded with NaN along ``repeat``.
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
        If the file is no such array or is cut short, holds Python objects or integers, or if names
        and dims do not fit it.

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
    path = as_path(path)
    if key is not None:
        check_type(str, "the name of an array", key=key)
    try:
        array = _read(path, key)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{path} holds Python objects instead of numbers, and opening them could run code: "
                "save a plain array, padded with NaN where repeats are unequal."
            ) from None
        raise InputError(
            f"{path} cannot be read as .npy or .npz: it is damaged or cut short, or something "
            "else; copy it again, or save it again with numpy.save."
        ) from error
    return Assembly.from_array(
        array,
        stimuli=stimuli,
        units=units,
        dims=dims,
        name=path.stem if name is None else name,
        **labels,
    )


def _read(path: Path, key: str | None) -> NDArray[Any]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if key is not None:
                raise InputError(f"{path} holds one array and no {key!r}: omit key.")
            return loaded
        keys = loaded.files
        if key is None and len(keys) != 1:
            raise InputError(
                f"{path} holds {len(keys)} arrays ({examples(keys, 12)}): choose one with key=..."
            )
        if key is not None and key not in keys:
            raise unknown(f"array in {path.name}", key, keys)
        return np.asarray(loaded[key or keys[0]])
