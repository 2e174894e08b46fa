"""Files that were made to harm: code in pickles, archives that leave their folder, bombs."""

from __future__ import annotations

import io
import pickle
import resource
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import works
from apart import Ended, apart, folder
from outcomes import Outcome, files_of
from PIL import Image

import convergent as cv

_CANARY = "canary"  # the file that code in a pickle would write
_MEMORY = 3 * 2**30
_CARD = """
title = "Bad"
version = "1"
description = "Bad."
licence = "CC0"
citation = "nobody 2026"
regions = ["V1"]
subjects = ["a"]
stimuli = 1
[files."{file}"]
sha256 = "{hash}"
size = 3
"""


class _Code:
    """Writes a file where its pickle is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def _code(place: Path) -> _Code:
    return _Code(place / _CANARY)


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def _array(name: str) -> Callable[[Path], object]:
    def read(place: Path) -> object:
        return cv.formats.from_npy(place / name, stimuli=["a"], dims=("stimulus", "unit"))

    return read


def _checkpoint(place: Path) -> object:
    return cv.network("small-plain", checkpoint=place / "x.pt")


def _zip(place: Path) -> object:
    return [np.asarray(image) for image in cv.Stimuli.from_zip(place / "x.zip")]


def _folder(place: Path) -> object:
    return [np.asarray(image) for image in cv.Stimuli.from_folder(place / "images")]


def _write_zip(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        with zipfile.ZipFile(place / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(name, content)

    return write


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def _huge_png(width: int) -> bytes:
    """A picture of a few bytes that claims a width and height."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")

    size = width.to_bytes(4, "big") * 2
    head = chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def _npy_claims(shape: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
        head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
        (place / "x.npy").write_bytes(head + text + bytes(64))

    return write


def _write_card(file: str) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        (place / "bad").mkdir()
        (place / "bad" / "card.toml").write_text(_CARD.format(file=file, hash="0" * 64))

    return write


def _write(name: str, content: Callable[[Path], bytes]) -> Callable[[Path], None]:
    return lambda place: (place / name).write_bytes(content(place)) and None


def _object_array(place: Path) -> None:
    values = np.empty((1, 1), object)
    values[0, 0] = _code(place)
    np.save(place / "x.npy", values, allow_pickle=True)
    np.savez(place / "x.npz", values=values)


def _damaged_picture(place: Path) -> None:
    (place / "images").mkdir()
    (place / "images" / "a.png").write_bytes(_huge_png(60_000))


def _study_piece(place: Path) -> None:
    """A pickle in the place of a piece of a study, under its name."""
    works.score(place)
    values = np.empty(1, object)
    values[0] = _code(place)
    for piece in (place / "study" / "pieces").glob("*.npz"):
        np.savez(piece, recipe=values, r=values)


Attack = tuple[Callable[[Path], object], Callable[[Path], object], bool]  # write, read, may succeed
ATTACKS: dict[str, Attack] = {
    "code in .npy": (_object_array, _array("x.npy"), False),
    "code in .npz": (_object_array, _array("x.npz"), False),
    "code in .pt": (lambda p: torch.save({"a": _code(p)}, p / "x.pt"), _checkpoint, False),
    "bare pickle as .pt": (_write("x.pt", lambda p: pickle.dumps(_code(p))), _checkpoint, False),
    "pickle as .npy": (_write("x.npy", lambda p: pickle.dumps(_code(p))), _array("x.npy"), False),
    "code in a study": (_study_piece, works.score, True),
    "header claims 40 TB": (_npy_claims("(1000000, 5000000)"), _array("x.npy"), False),
    "header claims 2**70 values": (_npy_claims(f"({2**70}, 1)"), _array("x.npy"), False),
    "header is code": (_npy_claims("__import__('os')"), _array("x.npy"), False),
    "zip: ..": (_write_zip(("../evil.png", _png()), ("a.png", _png())), _zip, True),
    "zip: absolute": (_write_zip(("/tmp/evil.png", _png()), ("a.png", _png())), _zip, True),
    "zip: backslashes": (_write_zip(("..\\evil.png", _png()), ("a.png", _png())), _zip, True),
    "zip: link": (_write_zip((_link(), b"/etc/passwd"), ("a.png", _png())), _zip, False),
    "zip: bomb": (_write_zip(("a.png", _png() + bytes(600 * 2**20))), _zip, False),
    "picture claims 60,000 x 60,000": (_damaged_picture, _folder, False),
    "zip: picture claims too much": (_write_zip(("a.png", _huge_png(60_000))), _zip, False),
    "card: ..": (_write_card("../../outside.npy"), lambda p: cv.read_card(p / "bad"), False),
    "card: absolute": (_write_card("/tmp/outside.npy"), lambda p: cv.read_card(p / "bad"), False),
    "card: backslashes": (
        _write_card("..\\\\outside.npy"),
        lambda p: cv.read_card(p / "bad"),
        False,
    ),
}


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(ATTACKS)) -> Iterator[Outcome]:
    """Hostile files, each read once.

    Parameters
    ----------
    each : int
        At most this many.
    seed : int
        Not used: all files are known.
    only : tuple of str
        Names of files.
    """
    del seed
    for name in only[:each]:
        write, read, may_succeed = ATTACKS[name]
        with folder() as place:
            inside = place / "deep" / "work"
            inside.mkdir(parents=True)
            ended = apart(_written_and_read, write, read, inside)
            found, detail = _judged(ended, may_succeed, inside, files_of(place))
        yield Outcome("hostile file", name, found, detail)


def _written_and_read(
    write: Callable[[Path], object], read: Callable[[Path], object], inside: Path
) -> None:
    """Read in little memory, so that a file cannot take all of the machine's."""
    write(inside)
    (inside / _CANARY).unlink(missing_ok=True)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _MEMORY, resource.RLIM_INFINITY))
    read(inside)


def _judged(ended: Ended, may_succeed: bool, inside: Path, new: set[str]) -> tuple[str, str]:
    if (inside / _CANARY).exists():
        return "silently wrong", "code from a file was run"
    if outside := {path for path in new if not path.startswith("deep/work")} - {"deep"}:
        return "silently wrong", f"wrote {sorted(outside)[:3]}"
    if ended.signal or ended.hung:
        return "crashed or hung", ""
    if ended.told:
        return "noticed", ""
    if not ended.well:
        return "raw traceback", ended.said
    return ("survived", "") if may_succeed else ("silently wrong", "it was read")
