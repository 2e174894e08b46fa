"""Brain volumes, read from real files; the oracle is numpy indexing of what was written."""

import gzip
import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import outcomes

from convergent import InputError, Stimuli
from convergent.data.assembly import open as open_assembly
from convergent.data.formats.nifti import from_nifti, to_nifti

SHAPE = (4, 5, 3)
SHOWN = ["face", "house", "face", "tree", "house", "face"]  # unequal repeats, not in order
REPEAT = [1, 1, 2, 1, 2, 3]
# 2 mm voxels, turned by 20 degrees about z and sheared a little: no axis is straight
AFFINE = np.array(
    [[1.879, -0.684, 0.1, -31.5], [0.684, 1.879, 0.2, 42.25], [0.05, -0.1, 2.0, -7.0], [0, 0, 0, 1]]
)


def image(values, affine=AFFINE):
    return nib.Nifti1Image(np.asarray(values), affine)


@pytest.fixture
def volumes():
    return np.random.default_rng(0).normal(size=(*SHAPE, len(SHOWN))).astype("float32")


@pytest.fixture
def path(tmp_path, volumes):
    nib.save(image(volumes), tmp_path / "bold.nii.gz")
    return tmp_path / "bold.nii.gz"


@pytest.fixture
def table():
    return pd.DataFrame({"stimulus": SHOWN})


@pytest.fixture
def mask():
    return np.random.default_rng(1).random(SHAPE) > 0.6


@pytest.fixture
def labels():
    return np.random.default_rng(2).choice([0, 1, 4, 7], size=SHAPE).astype("int16")


def expected(volumes, inside):
    """Responses of (face, house, tree) in the voxels inside, by direct indexing."""
    out = np.full((3, inside.sum(), 3), np.nan, "float32")
    for t, (name, repeat) in enumerate(zip(SHOWN, REPEAT, strict=True)):
        out[["face", "house", "tree"].index(name), :, repeat - 1] = volumes[..., t][inside]
    return out


def test_masked_voxels(path, table, volumes, mask):
    assembly = from_nifti(path, table, mask=image(mask.astype("uint8")), name="V1", subject="S1")
    data = assembly.data
    assert data.dims == ("stimulus", "unit", "repeat")
    assert data.dtype == np.float32
    assert assembly.stimuli.tolist() == ["face", "house", "tree"]
    assert data["repeat"].values.tolist() == [1, 2, 3]
    assert assembly.name == "V1"
    assert set(data["subject"].values) == {"S1"}
    np.testing.assert_array_equal(data.values, expected(volumes, mask))


def test_voxels_know_where_they_are(path, table, mask):
    data = from_nifti(path, table, mask=image(mask.astype("uint8"))).data
    indices = np.stack([data[axis].values for axis in ("voxel_i", "voxel_j", "voxel_k")], axis=1)
    np.testing.assert_array_equal(indices, np.argwhere(mask))
    assert data["unit"].values[0] == "voxel-" + "-".join(map(str, np.argwhere(mask)[0]))
    np.testing.assert_allclose(data.attrs["affine"], AFFINE, atol=1e-6)
    assert data.attrs["volume_shape"] == list(SHAPE)


def test_names_sort_as_the_voxels_do():
    units = from_nifti(image(np.ones((11, 1, 101, 1))), pd.DataFrame({"stimulus": ["a"]})).units
    assert units[[0, -1]].tolist() == ["voxel-00-0-000", "voxel-10-0-100"]
    assert sorted(units) == units.tolist()


def test_labels_give_regions(path, table, volumes, labels):
    names = {1: "V1", 4: "V4", 9: "not in this brain"}
    assembly = from_nifti(path, table, labels=image(labels), label_names=names)
    regions = assembly.data["region"].values
    assert set(regions) == {"V1", "V4", "7"}
    for name, number in (("V1", 1), ("V4", 4), ("7", 7)):
        found = assembly.where(region=name).data.values
        np.testing.assert_array_equal(found, expected(volumes, labels == number))


def test_mask_and_labels_both_hold(path, table, volumes, mask, labels):
    assembly = from_nifti(path, table, mask=image(mask * 0.5), labels=image(labels.astype("f4")))
    inside = mask & (labels > 0)
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, inside))
    assert assembly.data["region"].values.tolist() == labels[inside].astype(str).tolist()


def test_without_mask_or_labels_every_voxel_is_kept(path, table, volumes):
    assembly = from_nifti(path, table)
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, np.ones(SHAPE, bool)))


def test_voxels_that_never_vary_stay(table, volumes, mask):
    volumes[0], volumes[1] = 0, np.nan
    assembly = from_nifti(image(volumes), table, mask=image(mask.astype("uint8")))
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, mask))


def test_images_are_known_by_content_and_accents_by_one_spelling(path, volumes):
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    shown = [composed, "house", apart, "tree", "house", composed]
    images = Stimuli.from_arrays([np.full((2, 2), i, np.uint8) for i in (3, 4)], [apart, "tree"])
    recording = from_nifti(path, pd.DataFrame({"stimulus": shown}), stimuli=images)
    assert recording.stimuli.tolist() == [composed, "house", "tree"]
    assert recording.data.sizes["repeat"] == 3
    np.testing.assert_array_equal(
        recording.data.values[0, 7], [volumes.reshape(-1, 6)[7, i] for i in (0, 2, 5)]
    )
    hashes = recording.data["stimulus_sha256"].values.tolist()
    assert hashes == [images.content(composed), "", images.content("tree")]


def test_one_presentation_each_has_no_repeats(path, volumes):
    names = [f"image{i}" for i in range(6)]
    assembly = from_nifti(path, pd.DataFrame({"stimulus": names[::-1]}))
    assert assembly.data.dims == ("stimulus", "unit")
    np.testing.assert_array_equal(assembly.data.values, volumes.reshape(-1, 6).T[::-1])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr"])
@pytest.mark.parametrize("opened", [False, True])
def test_kinds_of_files(tmp_path, table, volumes, suffix, opened):
    path = tmp_path / f"bold{suffix}"
    kind = nib.Nifti1Pair if suffix == ".hdr" else nib.Nifti1Image
    nib.save(kind(volumes, AFFINE), path)
    assembly = from_nifti(nib.load(path) if opened else str(path), table)
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, np.ones(SHAPE, bool)))


def test_list_of_volumes(tmp_path, table, volumes):
    paths = [tmp_path / f"beta{t}.nii.gz" for t in range(6)]
    for t, path in enumerate(paths):
        shape = SHAPE if t else (*SHAPE, 1)  # some programs write a fourth axis of one
        nib.save(image(volumes[..., t].reshape(shape)), path)
    assembly = from_nifti([*paths[:3], *map(nib.load, paths[3:])], table)
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, np.ones(SHAPE, bool)))


def test_scaled_integers(tmp_path, table):
    stored = np.random.default_rng(0).integers(-99, 99, (*SHAPE, 6)).astype("int16")
    scaled = image(stored)
    scaled.header.set_slope_inter(0.5, 3)
    nib.save(scaled, tmp_path / "bold.nii.gz")
    written = nib.load(tmp_path / "bold.nii.gz").get_fdata()
    assembly = from_nifti(tmp_path / "bold.nii.gz", table)
    inside = np.ones(SHAPE, bool)
    np.testing.assert_allclose(assembly.data.values, expected(written, inside), rtol=1e-6)


def test_images_are_not_kept_in_memory(path, table):
    opened = nib.load(path)
    from_nifti(opened, table)
    assert not opened.in_memory


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_table_in_a_file(tmp_path, path, volumes, suffix, separator):
    names = ["007", "012", "007", "100", "012", "007"]  # names, not numbers
    table = pd.DataFrame({"onset": range(6), "stimulus": names, "repeat": REPEAT})
    table.to_csv(tmp_path / f"events{suffix}", sep=separator, index=False)
    assembly = from_nifti(path, tmp_path / f"events{suffix}")
    assert assembly.stimuli.tolist() == ["007", "012", "100"]
    np.testing.assert_array_equal(assembly.data.values, expected(volumes, np.ones(SHAPE, bool)))


def test_repeats_go_where_the_table_says(path, table, volumes):
    table["repeat"] = [30, 10, 10, 10, 20, 20]
    data = from_nifti(path, table).data
    assert data["repeat"].values.tolist() == [10, 20, 30]
    for t, (name, repeat) in enumerate(zip(SHOWN, table["repeat"], strict=True)):
        found = data.sel(stimulus=name, repeat=repeat).values
        np.testing.assert_array_equal(found, volumes[..., t].ravel())
    assert np.isnan(data.sel(stimulus="tree", repeat=[20, 30]).values).all()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_scores_return_to_the_brain(tmp_path, path, table, volumes, mask, suffix):
    whole = from_nifti(path, table, mask=image(mask.astype("uint8")))
    kept = open_assembly(whole.average().save(tmp_path / f"mean{suffix}"))
    back = to_nifti(kept.data.sel(stimulus="tree").drop_vars("stimulus"), kept)
    nib.save(back, tmp_path / "tree.nii.gz")
    read = nib.load(tmp_path / "tree.nii.gz")
    np.testing.assert_allclose(read.affine, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(read.get_fdata(), np.where(mask, volumes[..., 3], np.nan))
    assert read.get_data_dtype() == np.float32


@pytest.mark.parametrize("kind", [pd.Series, dict, lambda scores: xr.DataArray(pd.Series(scores))])
def test_scores_of_some_voxels_in_any_order(path, table, kind):
    assembly = from_nifti(path, table)
    scores = {"voxel-3-4-2": 0.5, "voxel-0-1-2": 0.25}
    values = kind(scores)
    if isinstance(values, xr.DataArray):
        values = values.rename(dim_0="unit")
    volume = to_nifti(values, assembly).get_fdata()
    assert volume[3, 4, 2] == 0.5
    assert volume[0, 1, 2] == 0.25
    assert np.isfinite(volume).sum() == 2


def shifted(values):
    affine = AFFINE.copy()
    affine[0, 3] += 0.5
    return image(values, affine)


FLAT = np.ones(SHAPE, "uint8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": image(FLAT[:3])}, r"the mask has shape \(3, 5, 3\), .* images has \(4, 5, 3\)"),
        ({"labels": image(FLAT[..., :2])}, r"the label image has shape \(4, 5, 2\)"),
        ({"mask": image(np.ones((*SHAPE, 2)))}, r"mask has shape \(4, 5, 3, 2\).*one volume"),
        ({"mask": shifted(FLAT)}, r"the mask lies elsewhere: .*-31\.0\].*images .*-31\.5\]"),
        ({"labels": shifted(FLAT)}, "the label image lies elsewhere"),
        ({"mask": image(0 * FLAT)}, "no voxel of 60 lies inside the mask:"),
        ({"labels": image(0 * FLAT)}, "no voxel of 60 lies inside the label image:"),
        ({"mask": image(FLAT), "labels": image(0 * FLAT)}, "inside the mask and label image"),
        ({"labels": image(FLAT * 0.5)}, "label image holds 0.5: labels are whole numbers"),
        ({"label_names": {1: "V1"}}, "label_names were given without labels"),
        ({"labels": image(FLAT), "label_names": {"1": "V1"}}, "names '1', .* holds '1': map its"),
        ({"mask": "none.nii"}, "there is no file none.nii"),
    ],
)
def test_mask_and_labels_that_do_not_fit(path, table, given, message):
    with pytest.raises(InputError, match=message):
        from_nifti(path, table, **given)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"stimulus": SHOWN[:5]}, "6 volumes and 5 rows of the table"),
        ({"name": SHOWN}, "no column 'stimulus'; its columns are 'name'"),
        ({"stimulus": []}, "the table has no rows"),
        ({"stimulus": [1, 2, 3, 4, 5, 6]}, r"'stimulus' holds 1 \(int\): .* use strings"),
        (
            {"stimulus": [*SHOWN[:4], None, None]},
            "2 rows .* lack .*first is row 4, counted",
        ),
        (
            {"stimulus": SHOWN, "repeat": [1, 1, 2, 1, 1, 3]},
            r"1 rows of the table occur twice \(stimulus 'house', repeat 1\)",
        ),
    ],
)
def test_tables_that_do_not_fit(path, columns, message):
    with pytest.raises(InputError, match=message):
        from_nifti(path, pd.DataFrame(columns))


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\xfe"])
def test_table_that_cannot_be_read(tmp_path, path, content):
    if content is not None:
        (tmp_path / "events.csv").write_bytes(content)
    message = "there is no table .*events.csv" if content is None else "events.csv cannot be read"
    with pytest.raises(InputError, match=message):
        from_nifti(path, tmp_path / "events.csv")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.95])
def test_file_cut_short(tmp_path, table, volumes, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    nib.save(image(volumes), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=f"cut{suffix} .* cut short"):
        from_nifti(path, table)


def test_compressed_file_with_damaged_values(path, table, volumes):
    nib.save(image(np.round(volumes)), path)
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bold\.nii.gz cannot be read to its end"):
        from_nifti(path, table)


@pytest.mark.parametrize(("suffix", "flips"), [(".nii.gz", 60), (".nii.bz2", 12)])
def test_damage_of_compressed_files_is_harmless_or_noticed(
    tmp_path, table, volumes, suffix, flips, caplog
):
    path = tmp_path / f"bold{suffix}"
    nib.save(image(volumes), path)
    sound, content = from_nifti(path, table).data, path.read_bytes()
    found, wrong = outcomes(
        path, content, lambda file: from_nifti(file, table), lambda a: sound.identical(a.data),
        flips=flips, cuts=10,
    )  # fmt: skip
    assert not wrong
    assert found["noticed"] > flips
    caplog.clear()  # nibabel logs odd headers


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("opened", [False, True])
def test_each_compressed_file_is_read_to_its_checksum(tmp_path, path, table, opened):
    given = (lambda file: nib.load(file)) if opened else str
    several = [tmp_path / f"{i}.nii.gz" for i in range(6)]
    whole = np.ones((20, 20, 20), "float32")  # more than nibabel reads to tell the kind of a file
    for file in [*several, tmp_path / "mask.nii.gz", tmp_path / "mgh.mgz"]:
        kind = nib.MGHImage if file.suffix == ".mgz" else nib.Nifti1Image
        nib.save(kind(whole, np.float32(AFFINE)), file)
    for file in (path, several[5], tmp_path / "mask.nii.gz", tmp_path / "mgh.mgz"):
        flip(file, -6)  # of the checksum itself: all values are as they were
    mask = image(whole)
    with pytest.raises(InputError, match=r"bold\.nii\.gz cannot be read to its end \(CRC check"):
        from_nifti(given(path), table)
    with pytest.raises(InputError, match=r"5\.nii\.gz cannot be read to its end"):
        from_nifti(list(map(given, several)), table)
    for kind, file in (("mask", "mask.nii.gz"), ("labels", "mgh.mgz")):
        given_mask = {kind: given(tmp_path / file)}
        with pytest.raises(InputError, match=f"{file} cannot be read to its end"):
            from_nifti(several[:1], pd.DataFrame({"stimulus": ["a"]}), **given_mask)
    from_nifti(several[:1], pd.DataFrame({"stimulus": ["a"]}), mask=mask)


def test_members_padding_and_leftovers_of_gzip(tmp_path, table, volumes):
    whole = nib.Nifti1Image(volumes, AFFINE).to_bytes()
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(gzip.compress(whole[:999]) + gzip.compress(whole[999:]) + bytes(512))
    read = from_nifti(path, table).data.values
    np.testing.assert_array_equal(read, expected(volumes, np.ones(SHAPE, bool)))
    path.write_bytes(gzip.compress(whole) + b"something else")
    with pytest.raises(InputError, match=r"bold\.nii\.gz cannot be read to its end"):
        from_nifti(path, table)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_header_that_claims_too_much(tmp_path, table, suffix):
    path = tmp_path / f"huge{suffix}"
    content = bytearray(image(np.ones((*SHAPE, 6), "float32")).to_bytes())
    content[42:50] = np.array([30_000] * 3 + [6], "<i2").tobytes()  # 648 TB
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(InputError, match=rf"huge{suffix} is damaged .* claims 648000000000352 b"):
        from_nifti(path, table)


def test_header_that_claims_what_gzip_could_hold(tmp_path, table):
    content = bytearray(image(np.ones((*SHAPE, 6), "float32")).to_bytes())
    content[42:50] = np.array([300, 300, 100, 6], "<i2").tobytes()  # 216 MB
    path = tmp_path / "huge.nii.gz"
    path.write_bytes(gzip.compress(content) + gzip.compress(bytes(1)) * 20_000)
    with pytest.raises(InputError, match=r"huge.nii.gz is damaged .* holds at most 21792\b"):
        from_nifti(path, table)


def test_header_that_claims_too_little(tmp_path, table):
    content = bytearray(image(np.ones((20, 20, 20, 6), "float32")).to_bytes())
    content[48] = 2  # of 6 volumes; one flipped bit
    (tmp_path / "bold.nii").write_bytes(content)
    with pytest.raises(InputError, match=r"bold\.nii is damaged: .* claims 64352 .* holds 192352"):
        from_nifti(tmp_path / "bold.nii", table)


def test_voxels_without_a_place(volumes, table, tmp_path):
    affine = AFFINE.copy()
    affine[1, 3] = np.nan
    nib.save(image(volumes, affine), tmp_path / "bold.nii")
    with pytest.raises(InputError, match=r"header of .*bold\.nii gives .*nan.*place no voxels"):
        from_nifti(tmp_path / "bold.nii", table)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_files_that_are_none(tmp_path, path, table):
    os.mkfifo(tmp_path / "pipe.nii.gz")
    for given in ({"images": tmp_path / "pipe.nii.gz"}, {"mask": tmp_path / "pipe.nii.gz"}):
        with pytest.raises(InputError, match=r"pipe\.nii\.gz is a pipe"):
            from_nifti(**({"images": path, "table": table} | given))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv is a pipe, and no table"):
        from_nifti(path, tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="is a folder"):
        from_nifti(tmp_path, table)


def test_file_of_another_kind(tmp_path, table):
    (tmp_path / "notes.nii").write_text("nothing to see " * 100)
    with pytest.raises(InputError, match=r"notes\.nii is not a readable NIfTI image"):
        from_nifti(tmp_path / "notes.nii", table)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (image(FLAT), r"the image in memory has shape \(4, 5, 3\): give a 4-D image"),
        ([], "the list of images is empty"),
        ([image(FLAT), image(FLAT[:2])], r"has shape \(2, 5, 3\), .* images has \(4, 5, 3\)"),
        ([image(FLAT), shifted(FLAT)], "lies elsewhere"),
        ([image(np.ones((*SHAPE, 6)))], r"has shape \(4, 5, 3, 6\), .*give one volume"),
    ],
)
def test_images_that_are_not_volumes(table, images, message):
    with pytest.raises(InputError, match=message):
        from_nifti(images, table)


@pytest.mark.parametrize("axes", [(1, 6), (6, 1), (1, 1, 6), (1, 6, 1)])
def test_axes_of_one_volume_are_left_out(tmp_path, table, volumes, mask, axes):
    nib.save(image(volumes.reshape(*SHAPE, *axes)), tmp_path / "bold.nii")
    found = from_nifti(tmp_path / "bold.nii", table, mask=image(mask.astype("uint8")))
    np.testing.assert_array_equal(found.data.values, expected(volumes, mask))


@pytest.mark.parametrize(
    "dtype", ["complex64", "complex128", [("R", "u1"), ("G", "u1"), ("B", "u1")]]
)
def test_values_that_are_no_real_numbers(tmp_path, table, volumes, dtype):
    values = (
        (volumes + 1j).astype(dtype) if isinstance(dtype, str) else np.zeros(volumes.shape, dtype)
    )
    nib.save(image(values), tmp_path / "bold.nii.gz")
    several = [image(values[..., i]) for i in range(len(SHOWN))]
    for given in (tmp_path / "bold.nii.gz", image(values), several):
        with pytest.raises(
            InputError, match=r"holds (complex|\[).*: an assembly holds real numbers"
        ):
            from_nifti(given, table)
    with pytest.raises(InputError, match="an assembly holds real numbers"):
        from_nifti(image(volumes), table, mask=several[0])


def test_infinite_response(table, volumes):
    volumes[1, 2, 0, 3] = np.inf
    with pytest.raises(InputError, match="infinite, the first at stimulus tree, unit voxel-1-2-0"):
        from_nifti(image(volumes), table)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"unit0": 1.0}, r"1 of 1 units are no voxels .*'unit0' against 'voxel-0-0-0'"),
        (pd.Series([1.0, 2.0], ["voxel-0-0-0"] * 2), "1 units have several numbers"),
        (xr.DataArray(np.ones((2, 2)), dims=("fold", "unit")), r"values have dims \('fold', 'unit"),
    ],
)
def test_values_that_do_not_fit_the_brain(path, table, values, message):
    with pytest.raises(InputError, match=message):
        to_nifti(values, from_nifti(path, table))


def test_assembly_that_lies_nowhere(path, table):
    assembly = from_nifti(path, table)
    nowhere = type(assembly)(assembly.data.drop_vars("voxel_j").drop_attrs())
    with pytest.raises(InputError, match="no 'voxel_j', 'affine', 'volume_shape'"):
        to_nifti({"voxel-0-0-0": 1.0}, nowhere)
