"""Simulated data sets that are kept after they were made, so that they are made once a machine."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.files import write_whole
from ..base.hashing import keys_if_known, recipe
from .cards import Card

if TYPE_CHECKING:
    from .assembly import Assembly
    from .stimuli import Stimuli

__all__ = ["FOLDER", "kept"]

FOLDER = "simulated"  # below the folder of the data set
_MOST = 4  # copies that stay, such as those of several versions of the code
_CODE = ("data", "images", "networks")  # packages that a simulation may use; and `simulate`
_LIBRARIES = ("numpy", "scipy", "torch", "xarray", "pillow")
_RECORDING, _IMAGES = "recording.nc", "images.zip"
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile)


def kept(
    card: Card, packages: Sequence[str], root: Path, make: Callable[[], tuple[Stimuli, Assembly]]
) -> tuple[Stimuli, Assembly]:
    """Read a simulated data set that was made before, or make it and keep it.

    A copy is found by the SHA-256 of all that decides the data: card, loader, source code of this
    package, versions of libraries, and the kind of machine. A copy that is damaged is made anew.
    Where the folder cannot be written to, nothing is kept.

    Parameters
    ----------
    card : Card
        The data set.
    packages : sequence of str
        Installed distributions that decide the data, such as one that ships weights.
    root : Path
        Folder of the data set on this machine.
    make : function
        Simulates stimuli and responses.

    Returns
    -------
    stimuli : Stimuli
        The images, in memory.
    assembly : Assembly
        The responses, with the hash of each image.
    """
    key = keys_if_known("simulated data", _CODE, lambda: _key(card, packages))
    if key is None:
        return make()
    text = json.dumps(key, sort_keys=True)
    folder = root / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:32]
    with suppress(*_DAMAGE):  # InputError is among them
        return _read(folder)
    if sys.stderr.isatty():
        print(f"simulating {card.name}, once", file=sys.stderr)
    stimuli, assembly = make()
    with suppress(InputError, OSError):  # no permission, or no space: simulated again next time
        write_whole(folder, lambda path: _write(path, stimuli, assembly))
        _remove_old(folder)
        return _read(folder)
    return stimuli, assembly


def _key(card: Card, packages: Sequence[str]) -> dict[str, Any]:
    """All that decides the data."""
    simulate = Path(__file__).parents[1] / "simulate.py"
    files = sorted([*card.folder.glob("*.py"), *card.folder.glob("*.toml"), simulate])
    return recipe(
        "simulated data",
        _CODE,
        files={file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        versions={name: _version(name) for name in (*_LIBRARIES, *packages)},
        machine=platform.machine(),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _write(folder: Path, stimuli: Stimuli, assembly: Assembly) -> None:
    """Write images and responses; the responses have a hash of the pixels of each image."""
    from .assembly import Assembly
    from .contents import with_contents

    folder.mkdir()
    Assembly(with_contents(assembly.data, stimuli, opened=True)).save(folder / _RECORDING)
    with zipfile.ZipFile(folder / _IMAGES, "w") as archive:
        for name in stimuli.names:
            content = io.BytesIO()
            stimuli[name].save(content, "png", compress_level=1)
            archive.writestr(name, content.getvalue())


def _read(folder: Path) -> tuple[Stimuli, Assembly]:
    """Read images and responses; ValueError if the images are not those of the responses."""
    from PIL import Image

    from .assembly import Assembly
    from .assembly import open as open_saved
    from .contents import COORDINATE, contents_of
    from .stimuli import Stimuli

    assembly = Assembly(open_saved(folder / _RECORDING).data.load())
    with zipfile.ZipFile(folder / _IMAGES) as archive:
        names = archive.namelist()
        images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    stimuli = Stimuli.from_arrays(images, names)
    expected = assembly.data[COORDINATE].values.tolist()
    if contents_of(stimuli, assembly.stimuli.tolist(), opened=True) != expected:
        raise ValueError(f"{folder} is damaged")
    return stimuli, assembly


def _remove_old(newest: Path) -> None:
    """Remove the oldest copies, where there are more than a few."""
    copies = [path for path in newest.parent.iterdir() if path.is_dir() and path != newest]
    copies.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for copy in copies[_MOST - 1 :]:
        shutil.rmtree(copy, ignore_errors=True)
