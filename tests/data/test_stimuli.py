"""Stimuli from folders, zips and arrays."""

import io
import os
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import nobody, outcomes
from PIL import Image

from convergent import Assembly, InputError, Stimuli
from convergent.data import image_files


def colour(level):
    return np.full((4, 5, 3), level, np.uint8)


def png(level=0):
    file = io.BytesIO()
    Image.fromarray(colour(level)).save(file, "png")
    return file.getvalue()


def level(name):
    """A grey level that tells images apart by the letter before their suffix."""
    return ord(name.removesuffix(".png")[-1])


def make_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def three():
    return Stimuli.from_arrays([colour(1), colour(2), colour(3)], ["a.png", "b.png", "c.png"])


def levels(stimuli):
    return [int(np.asarray(image)[0, 0, 0]) for image in stimuli]


def test_arrays_keep_the_order_that_was_given(three):
    assert levels(three) == [1, 2, 3]
    assert levels([three["c.png"], three[0], three[-1]]) == [3, 1, 3]
    assert len(three) == 3
    given = Stimuli.from_arrays([colour(3), colour(1), colour(2)], ["c.png", "a.png", "b.png"])
    assert given.names == ("c.png", "a.png", "b.png")
    assert given.table.index.tolist() == ["c.png", "a.png", "b.png"]
    assert levels(given) == [3, 1, 2]
    assert given.select(["b.png", "c.png"]).names == ("c.png", "b.png")


def test_in_order_and_renamed(three):
    turned = three.in_order(["b.png", "c.png"])
    assert turned.names == ("b.png", "c.png")
    assert levels(turned) == [2, 3]
    with pytest.raises(InputError, match=r"1 names occur more than once in the order: 'b\.png'"):
        three.in_order(["b.png", "b.png"])
    named = three.renamed(lambda name: f"s1/{name}")
    assert named.names == ("s1/a.png", "s1/b.png", "s1/c.png")
    assert named.table.index.tolist() == list(named.names)
    assert levels([named["s1/b.png"]]) == [2]
    assert [named.content(name) for name in named.names] == [
        three.content(name) for name in three.names
    ]
    with pytest.raises(InputError, match="1 names occur more than once in the new names: 'x'"):
        three.renamed(lambda name: name and "x")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (colour(7), colour(7)),
        (colour(7)[..., 0], colour(7)),
        (colour(0) + 0.5, colour(128)),
        (Image.fromarray(colour(7)), colour(7)),
        (Image.fromarray(colour(7)).convert("L"), colour(7)),
        (Image.fromarray(np.full((4, 5), 200 * 257, "uint16")), colour(200)),
    ],
)
def test_every_image_is_8_bit_rgb(image, expected):
    (opened,) = Stimuli.from_arrays([image], ["a"])
    assert opened.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened), expected)


def test_16_bit_files_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.full((4, 5), 1000, "uint16")).save(tmp_path / "deep.png")
    assert levels(Stimuli.from_folder(tmp_path)) == [round(1000 / 257)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (colour(0) + 2.0, r"'a' is a float64 array of shape \(4, 5, 3\) from 2.0 to 2.0"),
        (colour(0).astype(int), "'a' is a int64 array"),
        (np.zeros((4, 5, 2), np.uint8), r"shape \(4, 5, 2\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (Image.fromarray(np.zeros((4, 5), np.float32)), "'a' has pixels of 32 bits .mode 'F'."),
    ],
)
def test_arrays_that_are_no_images(image, message):
    stimuli = Stimuli.from_arrays([image], ["a"])
    with pytest.raises(InputError, match=message):
        stimuli["a"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "2 images and 1 names"),
        (["a", "a"], "1 names occur more than once in the list of images: 'a'"),
        ([1, 2], "names are strings, and 1 is not"),
    ],
)
def test_names_that_do_not_fit(names, message):
    with pytest.raises(InputError, match=message):
        Stimuli.from_arrays([colour(0), colour(1)], names)


def test_folder(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / ".thumbnails").mkdir()
    for level, name in enumerate(
        ("b.PNG", "a.png", "cats/c.png", ".hidden.png", ".thumbnails/a.png")
    ):
        (tmp_path / name).write_bytes(png(level))
    (tmp_path / "notes.txt").write_text("not an image")
    stimuli = Stimuli.from_folder(tmp_path)
    assert stimuli.names == ("a.png", "b.PNG", "cats/c.png")
    assert levels(stimuli) == [1, 0, 2]


def test_images_are_opened_when_asked_for(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png())
    (tmp_path / "b.png").write_bytes(b"no image")
    stimuli = Stimuli.from_folder(tmp_path)
    stimuli["a.png"], stimuli["c.png"]
    with pytest.raises(InputError, match=r"stimulus 'b.png' does not open as an image"):
        list(stimuli)


@pytest.mark.parametrize("kept", [0, 4, 20, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpeg", "gif", "tiff", "webp"])
@pytest.mark.parametrize("place", ["folder", "zip"])
def test_image_that_does_not_open_is_named(tmp_path, kept, suffix, place):
    file, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    Image.fromarray(noise).save(file, suffix)
    content = file.getvalue()
    content = content[: kept if isinstance(kept, int) else int(kept * len(content))]
    if place == "zip":
        stimuli = Stimuli.from_zip(make_zip(tmp_path / "x.zip", {f"bad.{suffix}": content}))
    else:
        (tmp_path / f"bad.{suffix}").write_bytes(content)
        stimuli = Stimuli.from_folder(tmp_path)
    with pytest.raises(InputError, match=f"stimulus 'bad.{suffix}' does not open as an image"):
        stimuli[0]


def test_no_folder_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        Stimuli.from_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no image .*.png"):
        Stimuli.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        (["set/b.png", "set/a.png", "set/", "__MACOSX/set/a.png"], ["a.png", "b.png"]),
        (["set/x/b.png", "set/y/a.png"], ["x/b.png", "y/a.png"]),
        (["b.png", "set/a.png"], ["b.png", "set/a.png"]),
        (["set1/b.png", "set2/a.png"], ["set1/b.png", "set2/a.png"]),
        (["b.png", ".DS_Store", ".b.png", "Thumbs.db"], ["b.png"]),
        (["one/deep/b.png"], ["b.png"]),
    ],
)
def test_zip(tmp_path, entries, names):
    path = make_zip(tmp_path / "x.zip", {entry: png(level(entry)) for entry in entries})
    stimuli = Stimuli.from_zip(path)
    assert list(stimuli.names) == names
    assert levels(stimuli) == [level(name) for name in names]


@pytest.mark.parametrize(
    "entry", ["../a.png", "set/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "C:a.png"]
)
def test_zip_that_leads_outside(tmp_path, entry):
    path = make_zip(tmp_path / "x.zip", {"b.png": png(), entry: png()})
    with pytest.raises(InputError, match=r"x.zip holds '.*a.png', a path that leads outside"):
        Stimuli.from_zip(path)


@pytest.mark.parametrize("kept", [0, 0.5, 0.95])
def test_zip_cut_short(tmp_path, kept):
    path = make_zip(tmp_path / "x.zip", {"a.png": png(), "b.png": png()})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"x.zip is not a zip archive, or is cut short"):
        Stimuli.from_zip(path)


def test_zip_that_is_none(tmp_path):
    (tmp_path / "x.zip").write_text("not a zip")
    with pytest.raises(InputError, match=r"x.zip is not a zip archive"):
        Stimuli.from_zip(tmp_path / "x.zip")
    with pytest.raises(InputError, match=r"there is no file .*y.zip"):
        Stimuli.from_zip(tmp_path / "y.zip")
    with pytest.raises(InputError, match="is a folder"):
        Stimuli.from_zip(tmp_path)


def test_zip_with_a_damaged_entry(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a.png": png(1), "b.png": png(2)})
    content = path.read_bytes()
    path.write_bytes(content.replace(png(2), bytes(len(png(2)))))
    stimuli = Stimuli.from_zip(path)
    assert levels([stimuli["a.png"]]) == [1]
    with pytest.raises(InputError, match=r"stimulus 'b.png' of .*x.zip cannot be read .*damaged"):
        stimuli["b.png"]


def test_zip_with_a_name_twice(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a.png": png(1), "./a.png": png(2), "b.png": png(3)})
    with pytest.raises(InputError, match=r"1 names occur more than once in the zip .*'a\.png'"):
        Stimuli.from_zip(path)


def test_names_are_sorted_as_people_count(tmp_path):
    names = ["img10.png", "img2.png", "img1.png", "a/img3.png", "img02.png"]
    expected = ("a/img3.png", "img1.png", "img02.png", "img2.png", "img10.png")
    (tmp_path / "folder" / "a").mkdir(parents=True)
    for name in names:
        (tmp_path / "folder" / name).write_bytes(png())
    assert Stimuli.from_folder(tmp_path / "folder").names == expected
    path = make_zip(tmp_path / "x.zip", {name: png() for name in names})
    assert Stimuli.from_zip(path).names == expected


def raw_zip(path, entries):
    """A zip with names as they are given; Python's own would write ``/`` on Windows."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(entries):
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, png(i))
    return path


def test_zip_made_on_windows(tmp_path):
    entries = ["stim\\a.png", "stim\\b.png", "__MACOSX\\stim\\._a.png", "stim\\"]
    stimuli = Stimuli.from_zip(raw_zip(tmp_path / "x.zip", entries))
    assert stimuli.names == ("a.png", "b.png")
    assert levels(stimuli) == [0, 1]
    deeper = raw_zip(tmp_path / "y.zip", ["stim\\cats\\a.png", "stim\\dogs\\a.png"])
    assert Stimuli.from_zip(deeper).names == ("cats/a.png", "dogs/a.png")


COMPOSED, APART = "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", "cafe\N{COMBINING ACUTE ACCENT}.png"


def test_accents_are_written_in_one_way(tmp_path):
    (tmp_path / APART).write_bytes(png(3))
    table = pd.DataFrame({"category": ["x"]}, index=[APART])
    archive = make_zip(tmp_path / "x.zip", {APART: png(3)})
    for stimuli in (
        Stimuli.from_folder(tmp_path, table),
        Stimuli.from_zip(archive, table),
        Stimuli.from_arrays([colour(3)], [APART], table),
    ):
        assert stimuli.names == (COMPOSED,)
        assert stimuli.table.index.tolist() == [COMPOSED]
        assert levels([stimuli[APART], stimuli[COMPOSED]]) == [3, 3]
        assert stimuli.select([APART]).names == (COMPOSED,)


def test_utf_8_without_the_flag_that_says_so(tmp_path):
    path = make_zip(tmp_path / "x.zip", {APART: png(3)})
    content = bytearray(path.read_bytes())
    for header, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(header) + flag
        content[at : at + 2] = (int.from_bytes(content[at : at + 2], "little") & ~0x800).to_bytes(
            2, "little"
        )
    path.write_bytes(content)
    assert zipfile.ZipFile(path).namelist() != [APART]
    stimuli = Stimuli.from_zip(path)
    assert stimuli.names == (COMPOSED,)
    assert levels(stimuli) == [3]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_that_no_file_of_results_can_hold(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(png())
    with pytest.raises(InputError, match=r"stimulus 'caf\\udce9\.png' has a name that is not Unic"):
        Stimuli.from_folder(tmp_path)
    with pytest.raises(InputError, match=r"stimulus 'a\\0b' has .*or holds NUL"):
        Stimuli.from_arrays([colour(1)], ["a\0b"])
    with pytest.raises(InputError, match="holds NUL"):
        Stimuli.from_arrays([colour(1)], ["a"]).renamed(lambda _: "\0")
    with pytest.raises(InputError, match=r"1 of 2 strings of 'unit' are no Unicode"):
        Assembly.from_array(np.ones((1, 2)), stimuli=["a"], units=["a", "b\udce9"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_special_files_are_named_and_never_waited_for(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    os.mkfifo(folder / "a.png")
    (folder / "b.png").symlink_to("/dev/zero")
    (folder / "c.png").symlink_to("c.png")
    stimuli = Stimuli.from_folder(folder)
    for name, told in (("a.png", "is a pipe"), ("b.png", "is a device"), ("c.png", "in a circle")):
        with pytest.raises(InputError, match=f"stimulus '{name}' does not open .*{told}"):
            stimuli[name]
        assert stimuli.content(name) == ""
    os.mkfifo(tmp_path / "x.zip")
    with pytest.raises(InputError, match=r"x\.zip is a pipe"):
        Stimuli.from_zip(tmp_path / "x.zip")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no user ids")
@pytest.mark.parametrize(("mode", "told"), [(0o000, "permission denied"), (0o444, "permission")])
def test_folder_without_permission(mode, told):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        folder = Path(place, "images")
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "a.png").write_bytes(png())
        Path(place).chmod(0o755)
        folder.chmod(mode)
        with nobody(), pytest.raises(InputError, match=f"images.* cannot be read .*{told}"):
            Stimuli.from_folder(folder)
        folder.chmod(0o755)


def test_folders_that_link_to_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "_MOST_LINKS", 50)
    folders = [tmp_path / f"{i}" for i in range(9)]
    for folder in folders:
        folder.mkdir()
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    with pytest.raises(InputError, match=r"more than 50 links to folders .* lead in circles"):
        Stimuli.from_folder(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_of_absurd_size(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name, size in (("fits", (10, 10)), ("over", (12, 10)), ("far", (30, 10))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    stimuli = Stimuli.from_folder(tmp_path)
    assert stimuli["fits.png"].size == (10, 10)
    with pytest.raises(InputError, match=r"stimulus 'over\.png' has 12 x 10 pixels.*at most 100"):
        stimuli["over.png"]
    with pytest.raises(InputError, match=r"stimulus 'far\.png' does not open .*300 pixels"):
        stimuli["far.png"]


def test_files_that_start_programs_or_are_something_else(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "script.png", "eps")  # Ghostscript would run it
    (tmp_path / "pickle.png").write_bytes(pickle.dumps([1]))
    Image.fromarray(colour(9)).save(tmp_path / "bitmap.png", "bmp")
    stimuli = Stimuli.from_folder(tmp_path)
    for name in ("script.png", "pickle.png"):
        with pytest.raises(InputError, match=f"stimulus '{name}' .* holds none of a kind that is"):
            stimuli[name]
    assert levels([stimuli["bitmap.png"]]) == [9]


def test_zip_bombs(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(100_000))
    sound = path.read_bytes()
    for sizes, told in (((117, 2**31), "claims to hold"), ((2**22, 3 * 2**30), "would grow from")):
        content = bytearray(sound)
        at = content.rindex(b"PK\1\2") + 20
        content[at : at + 8] = b"".join(size.to_bytes(4, "little") for size in sizes)
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"x\.zip .*'a\.png' .*{told}"):
            Stimuli.from_zip(path)


def test_members_that_are_links_or_locked(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("locked.png", png())
    content = bytearray(path.read_bytes())
    for header, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.rindex(header) + flag] |= 1
    path.write_bytes(content)
    stimuli = Stimuli.from_zip(path)
    with pytest.raises(InputError, match=r"stimulus 'link\.png' does not open as an image"):
        stimuli["link.png"]
    with pytest.raises(InputError, match=r"'locked\.png' of .*x\.zip .*encrypted.*locked"):
        stimuli["locked.png"]


def test_damage_of_a_zip_is_harmless_or_noticed(tmp_path):
    path = make_zip(tmp_path / "x.zip", {f"{i}.png": png(i) for i in range(3)})
    expected = [f"{i}.png" for i in range(3)], [0, 1, 2]

    def read(file):
        stimuli = Stimuli.from_zip(file)
        try:
            return list(stimuli.names), levels(stimuli)
        except InputError as error:  # names the stimulus; from the archive, or by its name
            raise InputError(f"{file}: {error}") from error

    found, wrong = outcomes(path, path.read_bytes(), read, lambda a: a == expected, flips=90)
    assert not wrong
    assert found["noticed"] > 45


def test_two_spellings_of_one_name(tmp_path):
    for name in (COMPOSED, APART):
        (tmp_path / name).write_bytes(png())
    with pytest.raises(InputError, match="1 names occur more than once in the folder"):
        Stimuli.from_folder(tmp_path)


def test_links_to_folders_are_followed(tmp_path):
    (tmp_path / "set" / "cats").mkdir(parents=True)
    (tmp_path / "dogs").mkdir()
    (tmp_path / "set" / "cats" / "a.png").write_bytes(png(1))
    (tmp_path / "dogs" / "a.png").write_bytes(png(2))
    (tmp_path / "set" / "dogs").symlink_to(tmp_path / "dogs")
    (tmp_path / "dogs" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    stimuli = Stimuli.from_folder(tmp_path / "set")
    assert stimuli.names == ("cats/a.png", "dogs/a.png")
    assert levels(stimuli) == [1, 2]


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "jp2", "tga", "jfif"])
def test_other_kinds_of_images(tmp_path, suffix):
    image = Image.fromarray(colour(7))
    image = image.convert("L") if suffix == "pgm" else image
    image.save(tmp_path / f"a.{suffix}", "jpeg" if suffix == "jfif" else None)
    assert Stimuli.from_folder(tmp_path).names == (f"a.{suffix}",)
    assert abs(levels(Stimuli.from_folder(tmp_path))[0] - 7) <= 1


def test_a_file_that_is_gone_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
    stimuli = Stimuli.from_folder(tmp_path)
    (tmp_path / "a.png").unlink()
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError, match=f"stimulus '{name}' does not open as an image"):
            stimuli[name]
        assert stimuli.content(name) == ""


def test_kinds_that_are_not_read_are_counted(tmp_path):
    for name in ("a.png", "b.svg", "c.HEIC", "d.heic", "notes.txt", ".e.heic"):
        (tmp_path / name).write_bytes(png())
    with pytest.warns(UserWarning, match=r"left out \(2 \.heic, 1 \.svg\): save them as PNG"):
        assert Stimuli.from_folder(tmp_path).names == ("a.png",)


def test_zip_without_images(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"notes.txt": b""})
    with pytest.raises(InputError, match=r"the zip .*x.zip holds no image"):
        Stimuli.from_zip(path)


def test_map_applies_to_each_image_when_it_is_opened(three):
    seen = []

    def brighter(image):
        seen.append(image.mode)
        return np.asarray(image) + 10

    brightened = three.map(brighter)
    assert seen == []
    assert levels(brightened) == [11, 12, 13]
    assert seen == ["RGB"] * 3
    assert levels(three) == [1, 2, 3]
    turned = brightened.map(lambda image: image.transpose(Image.Transpose.ROTATE_90))
    assert levels(turned) == [11, 12, 13]
    assert turned[0].size == (4, 5)


def test_map_that_makes_no_image_names_the_stimulus(three):
    with pytest.raises(InputError, match=r"stimulus 'a.png' is a float64 array .* to 100.0"):
        three.map(lambda image: np.asarray(image) * 100.0)["a.png"]


def test_select_keeps_order_and_table():
    table = pd.DataFrame({"category": ["x", "y", "z"]}, index=["c", "b", "a"])
    stimuli = Stimuli.from_arrays([colour(1), colour(2), colour(3)], ["a", "b", "c"], table)
    assert stimuli.table["category"].tolist() == ["z", "y", "x"]
    chosen = stimuli.select(["c", "a"])
    assert chosen.names == ("a", "c")
    assert chosen.table["category"].tolist() == ["z", "x"]
    assert levels(chosen) == [1, 3]
    with pytest.raises(InputError, match="no stimulus 'b'"):
        chosen["b"]


def test_select_what_is_not_there(three):
    with pytest.raises(InputError, match=r"no stimulus 'd.png': did you mean"):
        three.select(["a.png", "d.png"])
    with pytest.raises(InputError, match="no stimulus is selected"):
        three.select([])
    with pytest.raises(IndexError):
        three[3]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (["a", "c"], r"no row for 1 of 2 stimuli \('b'\)"),
        (["a", "b", "b"], r"several rows for 1 stimuli \('b'\)"),
    ],
)
def test_table_that_does_not_fit(index, message):
    table = pd.DataFrame({"category": index}, index=index)
    with pytest.raises(InputError, match=message):
        Stimuli.from_arrays([colour(0), colour(0)], ["a", "b"], table)


def test_summary(three):
    assert repr(three) == "Stimuli: 3 images, 'a.png', 'b.png', 'c.png'"
    table = pd.DataFrame({"category": ["x"]}, index=["a"])
    assert repr(Stimuli.from_arrays([colour(0)], ["a"], table)).endswith("; table: category")
