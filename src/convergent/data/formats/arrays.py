"""Responses kept as a bare numpy array (``.npy``, ``.npz``) and the names that belong to them."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.errors import InputError, examples, unknown
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
    """Responses saved by numpy, labelled with the names of the stimuli.

    Parameters
    ----------
    path : path
        A ``.npy`` file, or an ``.npz`` archive of arrays. Where stimuli were shown unequally
        often, the array is padded with NaN along ``repeat``.
    stimuli : iterable of str, or Stimuli
        One name a stimulus, in the order of the array. Of `Stimuli`, the names in their sorted
        order: image i is index i.
    dims : iterable of str
        What each axis of the array is, in its order: ``("unit", "stimulus", "repeat")``.
    units : iterable of str, optional
        One name a unit; numbered where left out.
    key : str, optional
        Which array of an ``.npz``; needed where it holds several.
    name : str, optional
        What to call the population in tables and figures; the file's name where left out.
    **labels
        Further labels, as `Assembly.from_array` takes them: ``region="V4"``.

    Raises
    ------
    InputError
        Where the file is no such array or is cut short, holds Python objects or integers, or
        where names and dims do not fit it.

    Examples
    --------
    >>> images = Stimuli.from_zip("images.zip")  # doctest: +SKIP
    >>> dims = ("unit", "stimulus", "repeat")
    >>> from_npy("v4.npy", stimuli=images, dims=dims, region="V4")  # doctest: +SKIP
    """
    path = Path(path)
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
            "else; copy it again, or save it anew with numpy.save."
        ) from error
    return Assembly.from_array(
        array.astype(array.dtype.newbyteorder("="), copy=False),
        stimuli=stimuli.names if isinstance(stimuli, Stimuli) else stimuli,
        units=units,
        dims=dims,
        name=name or path.stem,
        **labels,
    )


def _read(path: Path, key: str | None) -> NDArray[Any]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if key is not None:
                raise InputError(f"{path} holds one array and no {key!r}: leave key out.")
            return loaded
        keys = loaded.files
        if key is None and len(keys) != 1:
            raise InputError(
                f"{path} holds {len(keys)} arrays ({examples(keys, 12)}): say which one, key=..."
            )
        if key is not None and key not in keys:
            raise unknown(f"array in {path.name}", key, keys)
        return np.asarray(loaded[key or keys[0]])
