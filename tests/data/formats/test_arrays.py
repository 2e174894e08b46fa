"""Responses kept as bare numpy arrays."""

import itertools
from functools import partial

import numpy as np
import pytest
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
    with pytest.raises(InputError, match="given as a set, which does not say which row"):
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
    with pytest.raises(InputError, match=f"cut{suffix} cannot be read .* cut short"):
        from_npy(path, stimuli=STIMULI, dims=DIMS)


def test_archive_with_damaged_values(tmp_path, trials):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, v4=trials)
    content = bytearray(path.read_bytes())
    content[60:120] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.npz cannot be read"):
        from_npy(path, stimuli=STIMULI, dims=DIMS)


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
