"""Damage: flipped bits, zeros, cuts, lost, exchanged and longer files, of every kind of file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import torch
import works
from apart import Ended, apart, folder
from kills import killed_at_change
from outcomes import Outcome, digest
from PIL import Image

import convergent as cv

_BLOCK = 64  # bytes that are zeroed or exchanged
_CARD = """
title = "A data set"
version = "1"
description = "Made for a test."
licence = "CC0"
citation = "nobody 2026"
regions = ["V1"]
subjects = ["a"]
stimuli = 24
[files."responses.npy"]
sha256 = "{hash}"
size = 12
"""


def _never(_content: bytes, _position: int) -> bool:
    return False


def _always(_content: bytes, _position: int) -> bool:
    return True


def _npy_but_shape(content: bytes, position: int) -> bool:
    """All but the shape, which the size of the file tells."""
    start = content.index(b"'shape'")
    return not start <= position < content.index(b")", start)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    make : function
        Writes such a file, or a folder of them, into a folder.
    read : function
        Reads it back from that folder, or does again the work that it belongs to.
    files : str
        Pattern of the files that are damaged.
    unprotected : function
        Of a file's content and a position: whether the format has no checksum for this byte.
    listed : bool
        Whether something says which files there are, and which content belongs to which name.
    """

    make: Callable[[Path], Any]
    read: Callable[[Path], str]
    files: str = "*"
    unprotected: Callable[[bytes, int], bool] = _never
    listed: bool = True


# One file each


def _save(name: str, place: Path) -> None:
    works.recording(40).save(place / name)


def _open(name: str, place: Path) -> str:
    return digest(cv.open(place / name))


def _make_dataset(place: Path) -> str:
    """A labelled piece of a study: made, or read where it is there."""
    scores = works.recording(60).average().data.to_dataset(name="r")
    return digest(cv.Study(place / "study").dataset({"kind": "of a test"}, lambda: scores))


def _make_checkpoint(place: Path) -> None:
    module = cv.network("small-plain", pretrained=False).module
    torch.save(module.state_dict(), place / "weights.pt")


def _read_checkpoint(place: Path) -> str:
    net = cv.network("small-plain", checkpoint=place / "weights.pt")
    return digest(dict(net.module.state_dict()))


def _interrupted_training(place: Path) -> None:
    apart(killed_at_change, works.train, place, 45, False, seconds=60)
    assert (place / "trained" / "state.pt").exists()


def _make_volumes(name: str, place: Path) -> None:
    values = np.random.default_rng(0).standard_normal((4, 4, 3, 8)).astype(np.float32)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(place / name)


def _read_volumes(name: str, place: Path) -> str:
    table = pd.DataFrame({"stimulus": [f"image{i}" for i in range(8)]})
    return digest(cv.formats.from_nifti(place / name, table))


def _make_array(name: str, place: Path) -> None:
    values = np.random.default_rng(0).standard_normal((24, 9)).astype(np.float32)
    if name.endswith(".npz"):
        np.savez_compressed(place / name, values=values)
    else:
        np.save(place / name, values)


def _read_array(name: str, place: Path) -> str:
    found = cv.formats.from_npy(place / name, stimuli=works.NAMES, dims=("stimulus", "unit"))
    return digest(found)


def _make_images(suffix: str, place: Path) -> None:
    (place / "images").mkdir()
    for name in works.NAMES[:4]:
        values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save((place / "images" / name).with_suffix(suffix))


def _read_images(place: Path) -> str:
    return digest(cv.Stimuli.from_folder(place / "images"))


def _make_zip(place: Path) -> None:
    _make_images(".png", place)
    shutil.make_archive(str(place / "stimuli"), "zip", place / "images")
    shutil.rmtree(place / "images")


def _make_card(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "card.toml").write_text(_CARD.format(hash="0" * 64))


KINDS: dict[str, Kind] = {
    "assembly .nc": Kind(partial(_save, "a.nc"), partial(_open, "a.nc")),
    "assembly .zarr": Kind(partial(_save, "a.zarr"), partial(_open, "a.zarr"), "a.zarr/**/*"),
    "scores.nc": Kind(
        works.command, lambda place: digest(cv.open(place / "out" / "scores.nc")), "out/scores.nc"
    ),
    "study, .npz": Kind(works.score, works.score, "study/pieces/*.npz"),
    "study, .nc": Kind(_make_dataset, _make_dataset, "study/pieces/*.nc"),
    "store of layers": Kind(works.extract_to_store, works.extract_to_store, "store/**/*"),
    "checkpoint .pt": Kind(_make_checkpoint, _read_checkpoint),
    "state of a training": Kind(_interrupted_training, works.train, "trained/*"),
    "finished training": Kind(works.train, works.train, "trained/*"),
    ".nii.gz": Kind(partial(_make_volumes, "v.nii.gz"), partial(_read_volumes, "v.nii.gz")),
    ".nii": Kind(partial(_make_volumes, "v.nii"), partial(_read_volumes, "v.nii"), "*", _always),
    ".npy": Kind(partial(_make_array, "r.npy"), partial(_read_array, "r.npy"), "*", _npy_but_shape),
    ".npz": Kind(partial(_make_array, "r.npz"), partial(_read_array, "r.npz")),
    "images .png": Kind(partial(_make_images, ".png"), _read_images, "images/*", listed=False),
    "images .jpg": Kind(
        partial(_make_images, ".jpg"), _read_images, "images/*", _always, listed=False
    ),
    "zip of images": Kind(_make_zip, lambda p: digest(cv.Stimuli.from_zip(p / "stimuli.zip"))),
    "card.toml": Kind(
        _make_card, lambda place: repr(cv.read_card(place / "mine")), "mine/*", _always
    ),
}


# Faults


@dataclass(frozen=True)
class Damage:
    """A fault in one file.

    Attributes
    ----------
    case : str
        Which one.
    do : function
        Does it to a folder.
    unprotected : bool
        Whether the format has no checksum for these bytes.
    """

    case: str
    do: Callable[[Path], object]
    unprotected: bool = False


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(KINDS)) -> Iterator[Outcome]:
    """Faults in each kind of file.

    Parameters
    ----------
    each : int
        Number of flipped bits, for each kind of file; of other faults there are about as many.
    seed : int
        Of what is drawn.
    only : tuple of str
        Kinds of files.
    """
    for name in only:
        kind, rng = KINDS[name], random.Random(f"{seed} {name}")
        with folder() as place:
            made = place / "made"
            made.mkdir()
            apart(kind.make, made, seconds=60)
            expected = _read_copy(kind, made, None)
            if not expected.well:
                raise RuntimeError(f"{name} cannot be read undamaged: {expected.said}")
            for damage in _damages(made, kind, each, rng):
                ended = _read_copy(kind, made, damage)
                found, detail = _judged(ended, expected, damage)
                yield Outcome(f"damaged: {name}", damage.case, found, detail)


def _read_copy(kind: Kind, made: Path, damage: Damage | None) -> Ended:
    """Read a damaged copy, in the place of the original: stores may know their path."""
    kept = made.with_name("kept")
    shutil.copytree(made, kept)
    try:
        if damage is not None:
            damage.do(made)
        return apart(kind.read, made, seconds=60)
    finally:
        shutil.rmtree(made)
        kept.rename(made)


def _judged(ended: Ended, expected: Ended, damage: Damage) -> tuple[str, str]:
    if ended.signal or ended.hung:
        return "crashed or hung", f"signal {ended.signal}"
    if ended.told or "checksum" in ended.said:  # as zarr says where values are read late
        return "noticed", ""
    if not ended.well:
        return "raw traceback", ended.said
    if ended.value == expected.value:
        return "noticed" if len(ended.warned) > len(expected.warned) else "survived", ""
    return ("no checksum" if damage.unprotected else "silently wrong"), "; ".join(ended.warned)


def _damages(made: Path, kind: Kind, each: int, rng: random.Random) -> Iterator[Damage]:
    files = sorted(path for path in made.glob(kind.files) if path.is_file())
    names = [path.relative_to(made) for path in files]
    # each file in turn, so that small ones (metadata) get as many faults as large ones (values)
    for number in range(each):
        name, content = _pick(made, names, number)
        position, bit = _position(len(content), number // len(names), rng), rng.randrange(8)
        case = f"bit {bit} of byte {position} of {len(content)} of {name}"
        yield Damage(case, partial(_flip, name, position, bit), kind.unprotected(content, position))
    for number in range(max(1, each // 4)):
        name, content = _pick(made, names, number)
        start = rng.randrange(max(1, len(content) - _BLOCK))
        free = kind.unprotected(content, start)
        yield Damage(f"zeros from byte {start} of {name}", partial(_zero, name, start), free)
        length = rng.choice([0, len(content) // 2, len(content) - 1, rng.randrange(len(content))])
        free = kind.unprotected is _always and length > 0
        yield Damage(f"{name} cut after {length} bytes", partial(_cut, name, length), free)
        text = name.suffix == ".toml"
        more = b"\nsimulated = true\n" if text else bytes(rng.randrange(256) for _ in range(10))
        yield Damage(f"10 bytes after {name}", partial(_append, name, more), text)
        if len(names) > 1:
            yield Damage(f"{name} is lost", partial(_lose, name), not kind.listed)
            if other := _other(made, name, names):
                free = not kind.listed or name.suffix == ".pt"  # weights do not know their name
                yield Damage(f"{name} and {other} exchanged", partial(_swap, name, other), free)


def _pick(made: Path, names: list[Path], number: int) -> tuple[Path, bytes]:
    name = names[number % len(names)]
    return name, (made / name).read_bytes()


def _position(length: int, number: int, rng: random.Random) -> int:
    """A byte of the head, the tail, or in between."""
    ends = min(_BLOCK, length)
    if number % 3 == 0:
        return rng.randrange(length)
    return rng.randrange(ends) if number % 3 == 1 else length - 1 - rng.randrange(ends)


def _other(made: Path, name: Path, names: list[Path]) -> Path | None:
    """Another file of the same kind and another content."""
    content = (made / name).read_bytes()
    for other in names:
        same_kind = other.suffix == name.suffix and (name.suffix != "" or other.name == name.name)
        if same_kind and (made / other).read_bytes() != content:
            return other
    return None


def _flip(name: Path, position: int, bit: int, place: Path) -> None:
    content = bytearray((place / name).read_bytes())
    content[position] ^= 1 << bit
    (place / name).write_bytes(content)


def _zero(name: Path, start: int, place: Path) -> None:
    content = bytearray((place / name).read_bytes())
    end = min(start + _BLOCK, len(content))
    content[start:end] = bytes(end - start)
    (place / name).write_bytes(content)


def _cut(name: Path, length: int, place: Path) -> None:
    (place / name).write_bytes((place / name).read_bytes()[:length])


def _append(name: Path, more: bytes, place: Path) -> None:
    with (place / name).open("ab") as file:
        file.write(more)


def _lose(name: Path, place: Path) -> None:
    (place / name).unlink()


def _swap(name: Path, other: Path, place: Path) -> None:
    aside = place / "aside"
    (place / name).rename(aside)
    (place / other).rename(place / name)
    aside.rename(place / other)
