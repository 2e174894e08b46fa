"""Damage to files: exactly the same content, or it is noticed, and nothing else."""

import os
import random
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
from cases import to_tensor
from torch import nn

import convergent as cv
from convergent import Assembly, InputError
from convergent.base.files import write_whole
from convergent.base.netcdf import write_netcdf
from convergent.data import storage

TRIES = 20  # for each kind of file, spread over all files and all places in them


class Recomputed(Exception):
    """A piece of a study was not used."""


def recorded():
    rng = np.random.default_rng(0)
    return Assembly.from_array(
        rng.normal(size=(12, 6)).astype("f4"),
        stimuli=[f"{i}.png" for i in range(12)],
        name="V4",
        region=("unit", ["V1", "V2", "V4", "IT", "IT", "V1"]),
        depth=("unit", np.arange(6.0)),
        attrs={"lab": "x", "n": [1, 2.5]},
    )


def assembly(folder, suffix):
    saved = recorded()
    path = saved.save(folder / f"a{suffix}")
    return path, lambda: cv.open(path).data.load().identical(saved.data)


def result(folder):
    scores = xr.Dataset({"r": ("layer", [0.1, np.nan])}, {"layer": ["a", "b"]})
    scores.attrs = {"n": 3, "provenance": '{"kind": "score"}'}
    path = folder / "scores.nc"
    write_whole(path, lambda part: write_netcdf(scores, part))
    return path, lambda: cv.open(path).identical(scores)


def arrays_of_study(folder):
    study, arrays = cv.Study(folder), {"r": np.random.default_rng(0).normal(size=(3, 4))}
    study.keep({"step": 1}, arrays)
    (path,) = study.path.glob("pieces/*.npz")

    def same():
        found = study.recall({"step": 1})
        if found is None:
            raise Recomputed
        return list(found) == ["r"] and np.array_equal(found["r"], arrays["r"])

    return path, same


def dataset_of_study(folder):
    study = cv.Study(folder)
    scores = xr.Dataset({"r": ("layer", [0.1, np.nan])}, {"layer": ["a", "b"]}, {"n": 3})
    study.dataset({"step": 1}, lambda: scores)
    (path,) = study.path.glob("pieces/*.nc")

    def fail():
        raise Recomputed

    return path, lambda: study.dataset({"step": 1}, fail).identical(scores)


def layers(folder):
    images = np.random.default_rng(0).integers(0, 256, (8, 5, 5, 3), dtype=np.uint8)
    stimuli = cv.Stimuli.from_arrays(list(images), [f"{i}.png" for i in range(8)])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = cv.Network("toy", nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), to_tensor)
    path = folder / "layers.zarr"
    stored = cv.extract(network, stimuli, ["0"], store=path)["0"].data.load()
    return path, lambda: cv.open_layers(path)["0"].data.load().identical(stored)


KINDS = {
    "assembly.nc": lambda folder: assembly(folder, ".nc"),
    "assembly.zarr": lambda folder: assembly(folder, ".zarr"),
    "result.nc": result,
    "piece.npz": arrays_of_study,
    "piece.nc": dataset_of_study,
    "layers.zarr": layers,
}


def damages(content, rng):
    """The content with a bit turned, cut, zeroed in part, or nothing of it."""
    place = rng.randrange(len(content))
    turned = bytearray(content)
    turned[place] ^= 1 << rng.randrange(8)
    zeroed = content[:place] + bytes(len(content[place : place + 64])) + content[place + 64 :]
    return rng.choices([bytes(turned), content[:place], zeroed, None], [6, 2, 1, 1])[0]


@pytest.mark.filterwarnings("ignore:.*is damaged or cut short")
@pytest.mark.parametrize("kind", list(KINDS))
def test_damage_is_harmless_or_noticed(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(storage, "CHUNK_STIMULI", (2, 4))
    path, same = KINDS[kind](tmp_path)
    assert same()
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    rng, noticed = random.Random(kind), 0
    for number in range(TRIES):
        file = files[number % len(files)]
        content = file.read_bytes()
        changed = damages(content, rng)
        if changed is None:
            file.unlink()
        else:
            file.write_bytes(changed)
        try:
            assert same(), (file, changed)
        except (InputError, Recomputed):
            noticed += 1
        file.write_bytes(content)
    assert same()
    assert noticed > 0.8 * TRIES


def test_chunks_of_two_stores_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "CHUNK_STIMULI", (2, 4))
    one = recorded()
    path = one.save(tmp_path / "a.zarr")
    other = Assembly(one.data * 2).save(tmp_path / "b.zarr")
    shutil.copy(other / "values" / "c" / "1" / "0", path / "values" / "c" / "1" / "0")
    with pytest.raises(InputError, match="other values are there"):
        cv.open(path).data.load()


@pytest.mark.parametrize("file", ["zarr.json", "values/zarr.json"])
def test_what_is_no_file_in_a_folder_of_zarr_is_not_read(tmp_path, file):
    path = cv.Assembly.from_array(np.eye(3), stimuli=["a", "b", "c"]).save(tmp_path / "a.zarr")
    (inside,) = path.glob(file)
    inside.unlink()
    inside.symlink_to(os.devnull)
    with pytest.raises(cv.InputError, match=r"is no file|is lost"):
        cv.open(path)


def test_a_store_whose_replacement_was_killed_opens(tmp_path):
    path = recorded().save(tmp_path / "a.zarr")
    left = tmp_path / ".a.zarr-12345678.convergent-part"
    (left / "new").mkdir(parents=True)
    (left / "old").mkdir()
    path.rename(left / "old" / path.name)  # where a kill after the first of two moves leaves it
    assert cv.open(path).data.load().identical(recorded().data)
    assert [each.name for each in tmp_path.iterdir()] == ["a.zarr"]
