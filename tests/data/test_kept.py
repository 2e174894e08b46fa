"""Simulated data sets are made once, and made anew where anything about them is not as it was."""

import zipfile

import numpy as np
import pytest

import convergent as cv

CARD = """
title = "Small (simulated)"
version = "1"
description = "Random numbers."
licence = "CC0-1.0"
citation = "none"
simulated = true
subjects = ["s1"]
regions = ["V1"]
"""
LOADER = """
import numpy as np
from pathlib import Path
from convergent import Assembly, Stimuli

KEPT_WITH = ()

def load(card, session, file):
    with (card.folder / "made.txt").open("a") as made:
        made.write("x")
    rng = np.random.default_rng(0)
    names = ["b.png", "a.png", "c.png"]
    images = list(rng.integers(0, 256, (3, 5, 4, 3), dtype=np.uint8))
    data = Assembly.from_array(rng.random((3, 2)), stimuli=names, region=("unit", ["V1", "V1"]))
    return Stimuli.from_arrays(images, names), Assembly(data.data.assign_attrs(answer={"V1": "x"}))
"""


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path / "data"))  # stays as it is
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    yield tmp_path / "cache" / "convergent" / "small" / "simulated"
    assert not (tmp_path / "data").exists()


@pytest.fixture
def small(tmp_path):
    """A simulated data set whose loader counts how often it simulates."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "card.toml").write_text(CARD)
    (folder / "small.py").write_text(LOADER)
    return folder


def load(folder):
    return cv.load(cv.read_card(folder))


def times(folder):
    return len((folder / "made.txt").read_text())


def assert_same(one, other):
    assert one[0].names == other[0].names
    for name in one[0].names:
        np.testing.assert_array_equal(np.asarray(one[0][name]), np.asarray(other[0][name]))
    assert one[1].data.identical(other[1].data)


def test_it_is_simulated_once(small, root):
    first = load(small)
    assert_same(first, load(small))
    assert times(small) == 1
    assert first[0].names == ("b.png", "a.png", "c.png")
    assert first[1].data.attrs["answer"] == {"V1": "x"}
    assert first[1].data.attrs["simulated"] is True
    (copy,) = root.iterdir()
    assert {path.name for path in copy.iterdir()} == {"recording.nc", "images.zip"}


@pytest.mark.parametrize("name", ["recording.nc", "images.zip"])
def test_a_damaged_copy_is_simulated_anew(small, root, name):
    first = load(small)
    (path,) = root.glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_same(first, load(small))
    path.write_bytes(content[:100])
    assert_same(first, load(small))
    path.unlink()
    assert_same(first, load(small))
    assert times(small) == 4
    assert_same(first, load(small))
    assert times(small) == 4


def test_images_of_another_copy_are_noticed(small, root):
    first = load(small)
    (path,) = root.glob("*/images.zip")
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, other in zip(contents, reversed(contents), strict=True):
            archive.writestr(name, contents[other])
    assert_same(first, load(small))
    assert times(small) == 2


@pytest.mark.parametrize("name", ["small.py", "card.toml"])
def test_another_loader_or_card_is_simulated_anew(small, root, name):
    load(small)
    with (small / name).open("a") as file:
        file.write("# changed\n")
    load(small)
    assert times(small) == 2
    assert len(list(root.iterdir())) == 2


def test_other_code_or_libraries_are_simulated_anew(small, monkeypatch):
    load(small)
    with monkeypatch.context() as patch:
        patch.setattr("convergent.data.kept.version", lambda _name: "9")
        load(small)
    with monkeypatch.context() as patch:
        patch.setattr("convergent.base.hashing.source_sha256", lambda *_packages: "other")
        load(small)
    assert times(small) == 3
    load(small)
    assert times(small) == 3


def test_few_copies_stay(small, root):
    for number in range(6):
        (small / "small.py").write_text(f"{LOADER}# {number}\n")
        load(small)
    assert len(list(root.iterdir())) == 4
    load(small)
    assert times(small) == 6


def test_where_nothing_can_be_kept_it_is_simulated(small, root):
    root.parent.parent.mkdir(parents=True)
    root.parent.write_text("a file where the folder should be")
    first = load(small)
    assert times(small) == 1
    load(small)
    assert times(small) == 2
    assert first[0].names == ("b.png", "a.png", "c.png")


def test_loaders_that_do_not_ask_for_it_are_called_each_time(small, root):
    (small / "small.py").write_text(LOADER.replace("KEPT_WITH", "OTHER"))
    load(small)
    load(small)
    assert times(small) == 2
    assert not root.exists()
