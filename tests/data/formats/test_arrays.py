"""Responses kept as bare numpy arrays."""

import io
import itertools
import os
import pickle
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cases import outcomes
from PIL import Image

from convergent import Assembly, InputError, Stimuli, score
from convergent.data.formats.arrays import from_npy

STIMULI = ["d.png", "a.png", "c.png", "b.png"]
DIMS = ("stimulus", "unit", "repeat")


@pytest.fixture
def trials(rng):
    """(4 stimuli, 3 units, 2 repeats); the last stimulus was shown once, so NaN pads it."""
    values = rng.normal(size=(4, 3, 2)).astype("float32")
    values[3, :, 1] = np.nan
    return values


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_dims(tmp_path, trials, order):
    np.save(tmp_path / "v4.npy", trials.transpose(order))
    dims = [DIMS[axis] for axis in order]
    assembly = from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=dims, region="V4")
    assert assembly.data.dims == DIMS
    assert assembly.stimuli.tolist() == STIMULI
    assert assembly.name == "v4"
    assert assembly.data["region"].values.tolist() == ["V4"] * 3
    np.testing.assert_array_equal(assembly.data.values, trials)


def test_array_and_images_meet_in_the_order_of_the_images(tmp_path, trials):
    np.save(tmp_path / "v4.npy", trials)
    images = Stimuli.from_arrays([np.full((2, 2), i, np.uint8) for i in range(4)], STIMULI)
    assembly = from_npy(tmp_path / "v4.npy", stimuli=images, dims=DIMS, name="area V4")
    assert assembly.stimuli.tolist() == STIMULI
    assert assembly.name == "area V4"
    np.testing.assert_array_equal(assembly.data.values, trials)
    hashes = assembly.data["stimulus_sha256"].values.tolist()
    assert hashes == [images.content(name) for name in STIMULI]
    assert len(set(hashes)) == 4


@pytest.fixture
def counted(tmp_path):
    """A folder with img1 ... img120.png, what a layer gives, and responses in counting order."""
    rng = np.random.default_rng(0)
    names = [f"img{i}.png" for i in range(1, 121)]
    (tmp_path / "images").mkdir()
    for i, name in enumerate(names):
        Image.new("L", (2, 2), i).save(tmp_path / "images" / name)
    signal = rng.standard_normal((120, 5))
    np.save(tmp_path / "it.npy", signal + 0.05 * rng.standard_normal(signal.shape))
    return tmp_path, names, Assembly.from_array(signal, stimuli=names)


def r_of(layer, recording):
    return float(score(layer, recording, "linear", ceiling=None)["r"].mean())


def test_rows_in_counting_order(counted):
    folder, names, layer = counted
    images = Stimuli.from_folder(folder / "images")
    read = partial(from_npy, folder / "it.npy", dims=("stimulus", "unit"))
    with pytest.warns(UserWarning, match=r"'img1\.png', 'img2\.png', and not .* 'img10\.png'"):
        recording = read(stimuli=images)
    assert recording.stimuli.tolist() == names
    assert r_of(layer, recording) > 0.99
    # who says which order it is gets no warning
    assert r_of(layer, read(stimuli=images.in_order(images.names))) > 0.99
    assert r_of(layer, read(stimuli=names)) > 0.99
    assert r_of(layer, read(stimuli=images.in_order(sorted(images.names)))) < 0.2
    given = Stimuli.from_arrays([images[name] for name in names], names)
    assert r_of(layer, read(stimuli=given)) > 0.99


def test_sets_and_missing_names_are_no_order(counted):
    folder, names, _ = counted
    read = partial(from_npy, folder / "it.npy", dims=("stimulus", "unit"))
    with pytest.raises(InputError, match="given as a set, which has no order"):
        read(stimuli=set(names))
    with pytest.raises(InputError, match="nan is among the names along 'stimulus'"):
        read(stimuli=[*names[:-1], float("nan")])


def test_padding_is_not_a_response(tmp_path, trials):
    np.save(tmp_path / "v4.npy", trials)
    mean = from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=DIMS).average()
    np.testing.assert_allclose(mean.data.values[3], trials[3, :, 0])
    assert mean.data["n_repeats"].values.tolist() == [2, 2, 2, 1]


def test_float64_and_foreign_byte_order(tmp_path, trials):
    np.save(tmp_path / "v4.npy", trials.astype(">f8"))
    data = from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=DIMS).data
    assert data.dtype == np.float64
    assert data.dtype.isnative
    np.testing.assert_array_equal(data.values, trials)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archive(tmp_path, trials, save):
    save(tmp_path / "both.npz", v4=trials, it=trials + 1)
    assembly = from_npy(tmp_path / "both.npz", key="it", stimuli=STIMULI, dims=DIMS)
    np.testing.assert_array_equal(assembly.data.values, trials + 1)


def test_archive_of_one_array_needs_no_key(tmp_path, trials):
    np.savez(tmp_path / "one.npz", v4=trials)
    assembly = from_npy(tmp_path / "one.npz", stimuli=STIMULI, dims=DIMS)
    np.testing.assert_array_equal(assembly.data.values, trials)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "holds 2 arrays .'v4', 'it'.: choose one with key="),
        ("v5", "no array in both.npz 'v5': did you mean 'v4'"),
    ],
)
def test_archive_with_a_choice_to_make(tmp_path, trials, key, message):
    np.savez(tmp_path / "both.npz", v4=trials, it=trials)
    with pytest.raises(InputError, match=message):
        from_npy(tmp_path / "both.npz", key=key, stimuli=STIMULI, dims=DIMS)


def test_key_of_a_single_array(tmp_path, trials):
    np.save(tmp_path / "v4.npy", trials)
    with pytest.raises(InputError, match="holds one array and no 'v4': omit key"):
        from_npy(tmp_path / "v4.npy", key="v4", stimuli=STIMULI, dims=DIMS)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.95])
def test_file_cut_short(tmp_path, trials, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    (np.savez_compressed if suffix == ".npz" else np.save)(path, trials)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=f"cut{suffix} .*cut short"):
        from_npy(path, stimuli=STIMULI, dims=DIMS)


def test_archive_with_damaged_values(tmp_path, trials):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, v4=trials)
    content = bytearray(path.read_bytes())
    content[60:120] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.npz cannot be read"):
        from_npy(path, stimuli=STIMULI, dims=DIMS)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_of_an_archive_is_harmless_or_noticed(tmp_path, save):
    values = np.random.default_rng(0).normal(size=(4, 30)).astype("float32")
    path = tmp_path / "both.npz"
    save(path, v4=values, it=values + 1)
    read = partial(from_npy, key="it", stimuli=STIMULI, dims=DIMS[:2])
    found, wrong = outcomes(
        path, path.read_bytes(), read, lambda a: np.array_equal(a.data, values + 1), flips=60,
        cuts=8,
    )  # fmt: skip
    assert not wrong
    assert found["noticed"] > 20


def test_array_that_is_no_longer_listed(tmp_path):
    path = tmp_path / "both.npz"
    np.savez(path, v4=np.ones((4, 3)), it=np.ones((4, 3)))
    content = bytearray(path.read_bytes())
    at, next_one = content.index(b"PK\1\2"), content.rindex(b"PK\1\2")
    content[at + 32] = len(content) - 22 - next_one  # a comment, as long as the next entry
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"both\.npz is damaged: it counts 2 members and lists 1"):
        from_npy(path, stimuli=STIMULI, dims=DIMS[:2])


def test_cuts_of_a_single_array_are_noticed(tmp_path, trials):
    path = tmp_path / "v4.npy"
    np.save(path, trials)
    read = partial(from_npy, stimuli=STIMULI, dims=DIMS)
    assert not outcomes(path, path.read_bytes(), read, lambda _: False, flips=0, cuts=20)[1]


def written(header, size=0, version=(1, 0)):
    """A ``.npy`` with a header of one's own."""
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + header.encode("latin1") + bytes(size)


CLAIM = "{'descr': '%s', 'fortran_order': False, 'shape': %s}\n"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("header", "told"),
    [
        (CLAIM % ("<f8", (10**13,)), "claims 80000000000000 bytes .*and 64 follow"),
        (CLAIM % ("<f8", (10**400, 10)), "damaged or cut short"),
        (CLAIM % ("|V2147483647", (10,)), "claims 21474836470 bytes"),
        (CLAIM % ("<f8", (7,)), "claims 56 bytes .*and 64 follow"),
        (CLAIM % ("<f8", (-8, -1)), "damaged or cut short"),
        (CLAIM % ("<f8", "(" * 3000), "cannot be read as"),
        (CLAIM % ("<f8", "-" * 9000 + "8"), "cannot be read as"),
        (CLAIM % ("<f8", " " * 20_000), "cannot be read as"),
        (CLAIM % ("<f8", "__import__('os').abort()"), "cannot be read as"),
        (CLAIM % ("nonsense", (8,)), "cannot be read as"),
        (CLAIM % ("<f8", (True, 8)), "cannot be read as|damaged|along|dims"),
    ],
)
def test_hostile_headers(tmp_path, header, told, version, packed):
    path, content = tmp_path / ("x.npz" if packed else "x.npy"), written(header, 64, version)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        from_npy(path, stimuli=list("abcdefgh"), dims=("stimulus", "unit"))


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(4, [("a", "f4"), ("b", "f4")]),
        np.zeros((0, 3)),
        np.float32(1),
        np.zeros((4, 3), "datetime64[s]"),
        np.full((4, 3), "word"),
    ],
)
def test_arrays_that_are_no_responses(tmp_path, values):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InputError):
        from_npy(tmp_path / "x.npy", stimuli=STIMULI[: len(np.atleast_1d(values))], dims=DIMS[:2])


def test_fortran_order(tmp_path, trials):
    np.save(tmp_path / "x.npy", np.asfortranarray(trials))
    found = from_npy(tmp_path / "x.npy", stimuli=STIMULI, dims=DIMS)
    np.testing.assert_array_equal(found.data, trials)


def test_members_that_would_fill_the_memory(tmp_path):
    file = io.BytesIO()
    np.savez_compressed(file, x=np.zeros(10_000))
    for claim, told in ((2**32 - 2, "claims to hold 4294967294 bytes"), (3 * 2**30, "would grow")):
        content = bytearray(file.getvalue())
        at = content.rindex(b"PK\1\2")
        content[at + 24 : at + 28] = claim.to_bytes(4, "little")
        if told == "would grow":  # 4 MiB of zeros would give that
            content[at + 20 : at + 24] = (2**22).to_bytes(4, "little")
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(InputError, match=rf"x\.npz .*{told}"):
            from_npy(tmp_path / "x.npz", stimuli=STIMULI, dims=DIMS)


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (Path(self.file),)


@pytest.mark.parametrize("place", ["file", "array", "member", "named as an array"])
def test_no_pickle_is_run(tmp_path, place):
    trace, path = tmp_path / "trace", tmp_path / "x.npz"
    code = np.array([Code(trace)], dtype=object)
    if place == "file":
        path.write_bytes(pickle.dumps(Code(trace)))
    elif place == "array":
        with path.open("wb") as file:
            np.save(file, code)
    elif place == "member":
        np.savez(path, x=code)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", pickle.dumps(Code(trace)))
    with pytest.raises(InputError, match=r"x\.npz (holds Python objects|cannot be read as)"):
        from_npy(path, stimuli=["a"], dims=["stimulus"])
    assert not trace.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "v4.npy")
    with pytest.raises(InputError, match=r"v4\.npy is a pipe"):
        from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=DIMS)
    with pytest.raises(InputError, match="is a folder"):
        from_npy(tmp_path, stimuli=STIMULI, dims=DIMS)


def test_text_named_npy(tmp_path):
    (tmp_path / "v4.npy").write_text("0.1, 0.2")
    with pytest.raises(InputError, match=r"v4.npy cannot be read .* save it again with numpy.save"):
        from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=DIMS)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*v4\.npy"):
        from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=DIMS)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_objects_are_not_unpickled(tmp_path, suffix):
    path = tmp_path / f"ragged{suffix}"
    ragged = np.array([np.zeros(2), np.zeros(3)], dtype=object)
    (np.savez if suffix == ".npz" else np.save)(path, ragged)
    with pytest.raises(InputError, match=f"ragged{suffix} holds Python objects .* padded with NaN"):
        from_npy(path, stimuli=STIMULI, dims=DIMS)


def test_integers(tmp_path):
    np.save(tmp_path / "waves.npy", np.ones((4, 3), complex))
    with pytest.raises(InputError, match="values are complex128: an assembly holds real numbers"):
        from_npy(tmp_path / "waves.npy", stimuli=list("abcd"), dims=("stimulus", "unit"))
    np.save(tmp_path / "counts.npy", np.ones((4, 3), int))
    with pytest.raises(InputError, match=r"values are int64: .*astype\('float32'\)"):
        from_npy(tmp_path / "counts.npy", stimuli=STIMULI, dims=DIMS[:2])


def test_dims_in_the_wrong_order(tmp_path, trials):
    np.save(tmp_path / "v4.npy", trials)
    with pytest.raises(
        InputError, match=r"4 values of 'stimulus' for 3 along 'stimulus' .* dims\."
    ):
        from_npy(tmp_path / "v4.npy", stimuli=STIMULI, dims=("unit", "stimulus", "repeat"))
