"""Assembly and align, against direct numpy."""

import itertools
import json
import re
import warnings

import dask.array
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
import xarray as xr
import zarr

from convergent import Assembly, InputError, align
from convergent.base import checksums
from convergent.base.draws import first_half
from convergent.base.files import write_whole
from convergent.data import storage
from convergent.data.assembly import open as open_assembly

STIMULI = ["d", "a", "c", "b"]
UNITS = ["n1", "n2", "n3"]
DIMS = ("stimulus", "unit", "repeat", "time")


def make(values=None, *, stimuli=STIMULI, **more):
    """Assembly of 4 stimuli x 3 units, numbered 0, 1, ..., 11 unless values are given."""
    if values is None:
        values = np.arange(len(stimuli) * 3.0).reshape(-1, 3)
    return Assembly.from_array(values, stimuli=stimuli, units=UNITS, **more)


def bare(values=None, **coords):
    """DataArray as a user would build one."""
    values = np.zeros((4, 3)) if values is None else values
    names = {"stimulus": STIMULI, "unit": UNITS}
    return xr.DataArray(values, dims=DIMS[: np.ndim(values)], coords=names | coords)


@pytest.fixture
def trials():
    """4 stimuli x 3 units x 5 repeats, unequally often: 5, 2, 1 and 0 (n3: one less of each)."""
    values = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    for row, count in enumerate((5, 2, 1, 0)):
        values[row, :, count:] = np.nan
        values[row, 2, max(count - 1, 0)] = np.nan
    return make(values, dims=DIMS[:3], name="V4", attrs={"lab": "x"})


# construction


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_dims_in_any_order(order):
    values = np.random.default_rng(0).normal(size=(4, 3, 2, 5))
    dims = [DIMS[axis] for axis in order]
    assembly = make(values.transpose(order), dims=dims)
    assert assembly.data.dims == DIMS
    np.testing.assert_array_equal(assembly.data.values, values)


def test_labels_find_their_dim():
    data = make(
        category=["x", "y", "x", "y"],
        region="V4",
        depth=[1, 2, 3],
        size=("unit", [0.5, np.nan, 2]),
        layer=pd.Series(["2", "3", "3"], dtype="category"),
    ).data
    dims = {key: data[key].dims for key in ("category", "region", "depth", "size", "layer")}
    assert dims == {"category": ("stimulus",)} | dict.fromkeys(list(dims)[1:], ("unit",))
    assert data["region"].values.tolist() == ["V4"] * 3
    assert data["layer"].values.tolist() == ["2", "3", "3"]


def test_units_are_numbered_so_that_they_sort():
    units = Assembly.from_array(np.zeros((1, 11)), stimuli=["a"]).units
    assert units[[0, 1, 10]].tolist() == ["unit00", "unit01", "unit10"]
    assert sorted(units) == units.tolist()


def test_strings_of_any_kind_become_plain():
    names = pd.Index(["a", "b", "c", "d"], dtype=object)
    data = Assembly(bare(stimulus=names, region=("unit", np.array(["x", "", "z"], object)))).data
    assert data["stimulus"].dtype.kind == data["region"].dtype.kind == "U"


@pytest.mark.parametrize("kind", ["Int64", "Float32", "boolean", "category", "string"])
def test_columns_of_pandas_become_plain(tmp_path, kind):
    column = pd.Series(["x", "y", "x"] if kind in {"category", "string"} else [1, 0, 1], dtype=kind)
    assembly = make(label=column)
    assert isinstance(assembly.data["label"].dtype, np.dtype)
    assert assembly.data["label"].values.tolist() == column.tolist()
    assert assembly.data.identical(open_assembly(assembly.save(tmp_path / "v4.nc")).data)


def test_one_label_for_a_square_array_needs_its_dim():
    with pytest.raises(InputError, match=r"2 values of 'depth' fit stimulus and unit .*name the d"):
        Assembly.from_array(np.zeros((2, 2)), stimuli=["a", "b"], depth=[1, 2])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"stimuli": ["a", "b"]}, "2 values of 'stimulus' for 4 along 'stimulus'"),
        ({"depth": [1, 2]}, "2 values of 'depth' fit no dim"),
        ({"depth": ("unit", [1, 2])}, "2 values of 'depth' for 3 along 'unit'"),
        ({"bin": ("time", [1, 2])}, "'bin' lies along 'time', but the array's dims are"),
        ({"region": None}, r"'region' holds None \(NoneType\)"),
        ({"dims": ("stimulus",)}, r"2 axes of shape \(4, 3\), but dims are \('stimulus',\)"),
        ({"dims": ("unit", "unit")}, r"dims are \('unit', 'unit'\): name each axis once"),
        ({"dims": ("image", "unit")}, "'stimulus' lies along 'stimulus', but .*'image', 'unit'"),
    ],
)
def test_arrays_that_names_do_not_fit(more, message):
    with pytest.raises(InputError, match=message):
        Assembly.from_array(np.zeros((4, 3)), **{"stimuli": STIMULI} | more)


MULTI = pd.MultiIndex.from_tuples([("V1", 1), ("V1", 2), ("V4", 1)], names=["region", "n"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 3)), "not ndarray: use Assembly.from_array"),
        (bare().assign_coords({5: ("unit", [1, 2, 3])}), "the name 5 of a coordinate is a int"),
        (
            bare(region=("unit", ["caf\udce9", "b", "c"])),
            r"1 of 3 strings of 'region' are no Unicode, the first is 'caf\\udce9'.*latin-1",
        ),
        (
            bare(depth=("unit", np.array(["a\0", "b", "c"], object))),
            "1 of 3 strings of 'dep",
        ),
        (bare(np.zeros((4, 3), int)), r"values are int64: .*astype\('float32'\)"),
        (bare(np.full((4, 3), None)), "values are object"),
        (bare(np.zeros((4, 3), complex)), "values are complex128: .* holds real numbers"),
        (bare().astype(bool), "values are bool"),
        (bare().isel(unit=[]), "empty: its sizes are .*'unit': 0"),
        (bare().isel(unit=0, drop=True), r"dims are \('stimulus',\): .*there is no 'unit'"),
        (bare().rename(unit="neuron"), "rename 'neuron', or average over it.*there is no 'unit'"),
        (bare().expand_dims("session"), "rename 'session', or average over it"),
        (bare().drop_vars("unit"), "no names along 'unit'"),
        (bare().assign_coords(stimulus=range(4)), "along 'stimulus' are int64 .*'image0000.jpg'"),
        (bare().assign_coords(unit=["n", "m", "n"]), "1 names along 'unit' .* once: 'n'"),
        (bare().assign_coords(stimulus=list("aabb")), "2 names along 'stimulus' .*go along 'repe"),
        (bare(snr=(("stimulus", "unit"), np.zeros((4, 3)))), r"'snr' has dims \('stimulus', 'unit"),
        (bare(session="s1"), r"coordinate 'session' has dims \(\)"),
        (bare(region=("unit", np.array(["V1", 4, "IT"], object))), r"'region' holds 4 \(int\) amo"),
        (bare(region=("unit", np.array(["V1", np.nan, ""], object))), r"holds nan \(float\) among"),
        (bare(phase=("unit", np.zeros(3, complex))), "'phase' is complex128: labels are plain"),
        (
            bare()
            .drop_vars("unit")
            .assign_coords(xr.Coordinates.from_pandas_multiindex(MULTI, "unit")),
            "'unit' is a MultiIndex, which no file format stores: .*reset_index",
        ),
    ],
)
def test_data_that_is_no_assembly(data, message):
    with pytest.raises(InputError, match=message):
        Assembly(data)


VALUES = np.random.default_rng(1).integers(-9, 9, (4, 3)) / 4  # exact in half precision


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (VALUES.astype(">f4"), "float32"),
        (VALUES.astype(">f8"), "float64"),
        (VALUES.astype(np.longdouble), "float64"),
        (VALUES.astype(">f2"), "float16"),
        (VALUES.view(np.matrix), "float64"),
        (np.ma.masked_array(VALUES), "float64"),
        (VALUES.view(type("Subclass", (np.ndarray,), {})), "float64"),
        (VALUES[:, ::-1].copy()[:, ::-1], "float64"),
        (VALUES.tolist(), "float64"),
        (pd.DataFrame(VALUES, dtype="float32"), "float32"),
        (pd.DataFrame(VALUES).astype("Float64"), "float64"),
        (scipy.sparse.csr_array(VALUES), "float64"),
        (xr.DataArray(VALUES.astype(">f4"), dims=("a", "b")), "float32"),
        (torch.tensor(VALUES, requires_grad=True), "float64"),
        (torch.nn.Parameter(torch.tensor(VALUES).half()), "float16"),
        (torch.tensor(VALUES).bfloat16(), "float32"),
        (torch.tensor(VALUES.T.copy()).T.to_sparse(), "float64"),
        ([torch.tensor(row, requires_grad=True) for row in VALUES], "float64"),
        (dask.array.from_array(VALUES.astype(">f4"), chunks=(3, 2)), "float32"),
        (dask.array.from_array(VALUES.astype(np.longdouble), chunks=(3, 2)), "float64"),
        (dask.array.from_array(np.ma.masked_array(VALUES), chunks=(3, 2)), "float64"),
    ],
)
def test_arrays_of_any_kind_become_plain(tmp_path, given, dtype):
    assembly = make(given)
    assert assembly.data.dtype == np.dtype(dtype)
    assert assembly.data.dtype.isnative
    assert type(assembly.data.compute().data) is np.ndarray
    np.testing.assert_array_equal(assembly.data.values, VALUES)
    lazy = isinstance(given, dask.array.Array)
    assert (assembly.data.chunks is not None) == lazy
    opened = open_assembly(assembly.save(tmp_path / "v4.zarr"))
    assert opened.fingerprint() == assembly.fingerprint()
    assert assembly.fingerprint() == make(VALUES.astype(dtype)).fingerprint()


def test_what_xarray_holds_in_another_byte_order_becomes_plain():
    data = bare(VALUES.astype(">f4"), depth=("unit", np.array([1, 2, 3], ">i2")))
    data.attrs = {"snr": np.float32(0.5), "n": np.int64(3)}
    found = Assembly(data).data
    assert found.dtype == "float32"
    assert found.dtype.isnative
    assert found["depth"].dtype.isnative
    assert found.attrs == {"snr": 0.5, "n": 3}
    assert {type(value) for value in found.attrs.values()} == {float, int}
    assert type(data.attrs["n"]) is np.int64  # what was given is not changed


@pytest.mark.parametrize("lazy", [False, True])
def test_what_a_mask_hides_was_not_recorded(lazy):
    masked = np.ma.masked_array(VALUES, VALUES > 1)
    given = dask.array.from_array(masked, chunks=(3, 2)) if lazy else masked
    np.testing.assert_array_equal(np.isnan(make(given).data.values), VALUES > 1)
    table = pd.DataFrame(VALUES).astype("Float64").mask(VALUES > 1, pd.NA)
    np.testing.assert_array_equal(np.isnan(make(table).data.values), VALUES > 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, 2.0], [3.0]], "a list cannot be read as an array"),
        (torch.empty(4, 3, device="meta"), "a tensor of torch.float32 on the device 'meta'"),
        (torch.zeros(4, 3, dtype=torch.int32), "values are int32"),
        (torch.zeros(4, 3, dtype=torch.complex64), "values are complex64: .* real numbers"),
        (np.full((4, 3), np.longdouble("1e400")), "12 or more values are infinite"),
    ],
)
def test_arrays_that_hold_no_floats(given, message):
    with pytest.raises(InputError, match=message):
        make(given)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_value(infinite):
    values = np.zeros((4, 3))
    values[2, 1] = infinite
    with pytest.raises(InputError, match=r"1 or more .* at stimulus c, unit n2: correct them"):
        make(values)


def test_a_unit_that_was_never_recorded_is_allowed():
    values = np.zeros((4, 3))
    values[:, 1] = np.nan
    assert np.isnan(make(values).data.sel(unit="n2")).all()


# repeats


def test_average_leaves_out_what_was_not_recorded(trials):
    mean = trials.average()
    values = trials.data.values
    counts = (~np.isnan(values)).sum(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing is NaN: so it should be
        expected = np.nanmean(values, axis=-1)
    np.testing.assert_allclose(mean.data.values, expected, rtol=1e-6)
    assert np.isnan(mean.data.values[3]).all()
    assert np.isnan(mean.data.values[2, 2])
    np.testing.assert_allclose(mean.data["n_repeats"], counts.mean(1))
    np.testing.assert_allclose(mean.data["n_repeats_of_unit"], counts.mean(0))


def test_average_keeps_the_rest(trials):
    mean = trials.average()
    assert mean.data.dtype == np.float32
    assert mean.data.attrs == {"lab": "x"}
    assert (mean.name, mean.repeats, trials.repeats) == ("V4", 1, 5)
    assert mean.average() is mean


def test_average_of_few_digits_is_summed_in_many():
    rng = np.random.default_rng(0)
    values = (1000 + 5 * rng.standard_normal((4, 3, 20))).astype(np.float16)
    exact = values.astype(np.float64).mean(-1).astype(np.float16)
    for given in (values, dask.array.from_array(values, chunks=(2, 3, 20))):
        mean = make(given, dims=DIMS[:3]).average().data
        assert mean.dtype == np.float16
        np.testing.assert_array_equal(mean.values, exact)
    # the sum of 80 repeats is above the largest number of half precision, 65504
    many = make(np.full((4, 3, 80), 1000, np.float16), dims=DIMS[:3])
    for part in (many.average(), *many.halves()):
        np.testing.assert_array_equal(part.data.values, 1000)
    # in single precision, 2**24 + 1 is 2**24
    far = np.tile(np.float32([2**24, 1, 1, 2]), (4, 3, 1))
    np.testing.assert_array_equal(make(far, dims=DIMS[:3]).average().data.values, 2**22 + 1)


def test_average_keeps_time():
    values = np.random.default_rng(0).normal(size=(4, 3, 2, 5))
    np.testing.assert_allclose(make(values, dims=DIMS).average().data.values, values.mean(2))


def test_halves_are_means_of_disjoint_halves_that_cover_everything(trials):
    first, second = trials.halves(seed=1)
    values = trials.data.values
    half = first_half(~np.isnan(values), np.random.default_rng(1))
    np.testing.assert_allclose(first.data[0], [values[0, u, half[0, u]].mean() for u in range(3)])
    rest = ~half & ~np.isnan(values)
    np.testing.assert_allclose(second.data[0], [values[0, u, rest[0, u]].mean() for u in range(3)])
    # a stimulus shown once is in one half only, one never shown in none
    assert np.isfinite(first.data.values[2, 0]) != np.isfinite(second.data.values[2, 0])
    assert np.isnan(first.data.values[3]).all()
    assert np.isnan(second.data.values[3]).all()


def test_halves_follow_the_seed(trials):
    again, other = trials.halves(seed=0), trials.halves(seed=3)
    assert trials.halves(seed=0)[0].data.identical(again[0].data)
    assert not trials.halves(seed=0)[0].data.identical(other[0].data)


@pytest.mark.parametrize("shape", [(50, 7), (50, 4, 7), (50, 4, 3, 6)])
def test_first_half_deals_evenly(shape):
    rng = np.random.default_rng(0)
    recorded = rng.random(shape) > 0.3
    half = first_half(recorded, rng)
    assert not (half & ~recorded).any()
    surplus = half.sum(-1) - (recorded & ~half).sum(-1)
    assert set(np.unique(surplus)) == {-1, 0, 1}  # chance gives the odd one to either half


def test_first_half_is_the_same_trials_for_all_units():
    half = first_half(np.ones((50, 4, 6), bool), np.random.default_rng(0))
    order = half ^ half[:, :1]  # which half is dealt first is common as well
    assert not order.any()
    assert len(np.unique(half[:, 0], axis=0)) > 10


def test_halves_of_one_repeat():
    with pytest.raises(InputError, match=r"halves need at least two repeats .* load single trials"):
        make().halves()


# choosing


def test_where_keeps_what_carries_the_labels():
    assembly = make(region=["V1", "V4", "V1"], depth=[1, 2, 3], category=["x", "y", "x", "z"])
    found = assembly.where(region="V1", depth=[2, 3], category=["x", "z"])
    assert found.units.tolist() == ["n3"]
    assert found.data.values.ravel().tolist() == [2, 8, 11]


def test_where_takes_names():
    assert make().where(stimulus=["b", "a"]).stimuli.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"area": "V1"}, "no coordinate 'area': did you mean|no coordinate 'area': known"),
        ({"region": "V2"}, "no unit has region = 'V2': region holds 'V1', 'V4'"),
        ({"region": []}, "no unit has region = one of none"),
        ({"region": "V4", "depth": 1}, "nothing carries all of .*'depth': 1"),
    ],
)
def test_where_nothing_is_left(labels, message):
    with pytest.raises(InputError, match=message):
        make(region=["V1", "V4", "V1"], depth=[1, 2, 3]).where(**labels)


def test_by_splits_in_order_of_appearance():
    parts = make(region=["V4", "V1", "V4"]).by("region")
    assert {key: part.units.tolist() for key, part in parts.items()} == {
        "V4": ["n1", "n3"],
        "V1": ["n2"],
    }
    assert list(parts) == ["V4", "V1"]
    assert parts["V4"].name == "V4"
    assert list(make(depth=[1, 2, 1]).by("depth")) == ["1", "2"]


def test_by_a_label_that_is_not_there():
    with pytest.raises(InputError, match="no coordinate 'regoin': did you mean 'region'"):
        make(region="V4").by("regoin")


# align


def test_align_matches_by_name_and_sorts():
    one, two = make(), make(stimuli=STIMULI[::-1])
    first, second = align(one, two)
    assert first.stimuli.tolist() == second.stimuli.tolist() == sorted(STIMULI)
    np.testing.assert_array_equal(first.data.values, one.data.values[[1, 3, 2, 0]])
    np.testing.assert_array_equal(second.data.values, two.data.values[[2, 0, 1, 3]])


def test_align_leaves_what_is_aligned():
    one = make(stimuli=sorted(STIMULI))
    assert align(one, make())[0] is one


def test_align_counts_what_is_not_shared():
    with pytest.warns(
        UserWarning,
        match=r"layer \(4 stimuli\) and assembly 2 \(5 stimuli\) share 3 of 6 .* 'd', 'e', 'f'",
    ):
        aligned = align(make(name="layer"), make(stimuli=["c", "b", "a", "f", "e"]))
    assert [part.stimuli.tolist() for part in aligned] == [["a", "b", "c"]] * 2


def test_align_without_a_shared_stimulus():
    with pytest.raises(
        InputError,
        match=r"share 0 of 4 stimuli \('a', 'b' and 2 more against 'im1', 'im2'\).*renam",
    ):
        align(make(), make(stimuli=["im1", "im2"]))


# files

LABELS = {
    "region": ["V1", "", "Ωmega"],
    "depth": [1, 2, 3],
    "small": ("unit", np.array([1, 2, 3], "int8")),
    "good": [True, False, True],
    "snr": ("unit", [0.5, np.nan, 2]),
    "snr32": ("unit", np.array([0.5, np.nan, 2], "float32")),
    "shown": ("stimulus", pd.date_range("2021-03-25", periods=4, unit="ns")),
}


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["V4", None])
def test_files_keep_everything(tmp_path, trials, suffix, dtype, name):
    values = trials.data.values.astype(dtype)
    attrs = {"lab": "x", "affine": [[1.5, 0], [0, 1]], "note": None, "more": {"n": 3}}
    saved = make(values, dims=DIMS[:3], name=name, attrs=attrs, **LABELS)
    opened = open_assembly(saved.save(tmp_path / f"v4{suffix}"))
    assert saved.data.identical(opened.data)
    assert saved.data.dtype == opened.data.dtype
    for key, coordinate in saved.data.coords.items():
        assert coordinate.dtype == opened.data[key].dtype, key
    assert saved.fingerprint() == opened.fingerprint()


NAMES = ["x y", " a", "a/b", "/", ".", "..", ".h", "", "é", "units", "coordinates", "values", "c"]
NAMES += ["_FillValue", "zarr.json", "\n", "a\0b", "\ud800", "\\", "_label1", "x" * 300, "repeat"]


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_files_keep_every_name_of_a_label(tmp_path, suffix):
    several = make().data.assign_coords({name: ("unit", [3, 1, 2]) for name in NAMES[:-1]})
    alone = make().data.assign_coords({NAMES[-1]: ("unit", ["a", "b", "a"])})
    for data in (several, alone):
        saved = Assembly(data)
        opened = open_assembly(saved.save(tmp_path / f"v4{suffix}"))
        assert saved.data.identical(opened.data)
        assert list(saved.data.coords) == list(opened.data.coords)


TEXTS = ["", "b" * 5000, " \n"]
KINDS = {
    "text": TEXTS,
    "unicode": ["é", "e\u0301", "\U0001f600"],
    "bytes order": np.array([1, 2, 3], ">i4"),
    "unsigned": np.array([1, 2, 2**64 - 1], "u8"),
    "half": np.array([1, 2, np.nan], "f2"),
    "extended": np.array([1, 2, 3], np.longdouble),
    "infinite": [np.inf, -np.inf, -0.0],
    "flag": [True, False, True],
    "second": np.array(["2020-01-01", "1700-01-02", "NaT"], "M8[s]"),
    "nanosecond": np.array(["2020-01-01T00:00:00.123456789", "NaT", "2021-01-01"], "M8[ns]"),
}
ATTRS = {
    "units": "days since 2000-01-01",
    "scale_factor": 2.0,
    "_FillValue": 3,
    "missing_value": 3,
    "coordinates": "unit",
    "dtype": "bool",
    "nested": {"a": [1, {"b": None}], "c": True},
    "one": [1],
    "empty": [[], "", {}],
    "numpy": np.arange(3),
    "NAME": "x",
    "_Encoding": "x",
}


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_files_keep_labels_of_every_kind_and_their_attrs(tmp_path, suffix):
    data = make().data.assign_coords(
        {key: ("unit", np.asarray(values), ATTRS) for key, values in KINDS.items()}
    )
    data["unit"].attrs = ATTRS
    saved = Assembly(data)
    opened = open_assembly(saved.save(tmp_path / f"v4{suffix}"))
    assert saved.data.identical(opened.data)
    for key in KINDS:
        given, found = saved.data[key], opened.data[key]
        assert given.dtype.kind == found.dtype.kind
        assert given.dtype.kind == "U" or given.dtype == found.dtype
        assert repr(given.attrs) == repr(found.attrs) == repr(ATTRS | {"numpy": [0, 1, 2]})
    np.testing.assert_array_equal(opened.data["text"], TEXTS)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("name", ["a/b", "", "é\n", "\ud800", "values", "unit", None, 5])
def test_files_keep_names_and_attrs_of_the_whole(tmp_path, suffix, name):
    attrs = {"": [], "nan": float("nan"), "big": 10**30, "flag": True, "one": 1.0, "x": "\0\ud800"}
    saved = make(name=name, attrs=attrs)
    opened = open_assembly(saved.save(tmp_path / f"v4{suffix}"))
    assert repr(opened.data.attrs) == repr(saved.data.attrs)
    assert (opened.data.name, type(opened.data.name)) == (name, type(name))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": ("a", "b")}, r"the name \('a', 'b'\) of the assembly is a tuple"),
        ({"attrs": {"a": (1, 2)}}, "attrs cannot be saved exactly .'a: tuple'"),
        ({"attrs": {"a": {1: 2}}}, "attrs cannot be saved exactly .'a: dict'"),
        ({"attrs": {1: 2}}, "attrs cannot be saved exactly .'1: int'"),
        ({"x": ("unit", np.array(["a\0b", "c", "d"]))}, r"1 strings of 'x' .* 'a\\x00b'"),
        ({"x": xr.Variable("unit", [1, 2, 3], {"a": {1}})}, "attrs of the coordinate 'x' cannot"),
        (
            {"x": ("unit", np.array(["0001-01-01", "NaT", "NaT"], "M8[s]"))},
            "coordinate 'x' holds dates before 1678",
        ),
    ],
)
def test_what_would_not_come_back_is_refused(tmp_path, more, message):
    coords = {key: more[key] for key in more if key == "x"}
    saved = make(**{key: more[key] for key in more if key != "x"})
    coords = {
        key: value if isinstance(value, tuple | xr.Variable) else ("unit", value)
        for key, value in coords.items()
    }
    saved = Assembly(saved.data.assign_coords(coords))
    with pytest.raises(InputError, match=message):
        saved.save(tmp_path / "v4.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_label_that_a_library_changes_is_noticed(tmp_path, suffix, monkeypatch):
    path = make().save(tmp_path / f"v4{suffix}")
    write = {".nc": "dump_to_store", ".zarr": "to_zarr"}[suffix]
    original = getattr(xr.Dataset, write)

    def changed(dataset, *given, **options):
        label = dataset["depth"].copy(data=[1.0, 2.0, 4.0])
        return original(dataset.assign_coords(depth=label), *given, **options)

    monkeypatch.setattr(xr.Dataset, write, changed)
    with pytest.raises(InputError, match=f"v4{suffix} would not hold 'depth' as given"):
        make(depth=("unit", [1.0, 2.0, 3.0])).save(path)
    assert make().data.identical(open_assembly(path).data.load())
    assert [file.name for file in tmp_path.iterdir()] == [f"v4{suffix}"]


def test_files_of_earlier_versions_are_read(tmp_path):
    dataset = make().data.assign_coords(depth=("unit", [1, 2, 3], {"units": "mm"}))
    dataset = dataset.to_dataset(name="values")
    dataset.attrs = {"convergent_assembly": 1, "name": '"V4"', "attrs": '{"lab": "x"}'}
    dataset.to_netcdf(tmp_path / "v4.nc", engine="h5netcdf")
    opened = open_assembly(tmp_path / "v4.nc").data
    assert (opened.name, opened.attrs) == ("V4", {"lab": "x"})
    assert opened["depth"].attrs == {"units": "mm"}
    np.testing.assert_array_equal(opened.values, make().data.values)


def test_zarr_of_earlier_versions_is_read(tmp_path):
    path = make(region=("unit", ["V1", "V2", "V4"])).save(tmp_path / "v4.zarr")
    (path / "values" / "checksums").unlink()  # these versions had no checksums of files
    metadata = json.loads((path / "zarr.json").read_text())
    of_file = metadata["attributes"]
    kept = {"convergent_assembly": 1, "name": of_file["name"], "attrs": of_file["attrs"]}
    (path / "zarr.json").write_text(json.dumps(metadata | {"attributes": kept}))
    opened = open_assembly(path)
    np.testing.assert_array_equal(opened.data.values, make().data.values)
    make(np.ones((4, 3)), region=("unit", ["V1", "V2", "V4"])).save(path)
    with pytest.raises(InputError, match="was written again after it was opened"):
        opened.data.load()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_formats_of_later_versions_are_refused(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(storage, "FORMAT", 9)
    path = make().save(tmp_path / f"v4{suffix}")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"v4.* has format .*9.*, and this version .* 1 to 2: up"):
        open_assembly(path)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_file_without_permission_is_not_called_damaged(tmp_path, suffix, monkeypatch):
    path = make().save(tmp_path / f"v4{suffix}")

    def refuse(*_given, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checksums.Path, "open", refuse)
    monkeypatch.setattr(checksums.Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"you have no permission to read .*v4") as error:
        open_assembly(path)
    assert "it is damaged" not in str(error.value)


@pytest.mark.parametrize("how", ["replaced", "in place", "lost"])
def test_an_open_store_that_changes_is_an_error_and_never_other_values(tmp_path, how):
    path = make().save(tmp_path / "v4.zarr")
    opened, doubled = open_assembly(path), Assembly(open_assembly(path).data * 2)
    if how == "replaced":
        make(np.ones((4, 3))).save(path)
    elif how == "in place":
        zarr.open_array(path / "values", mode="r+")[:] = 1
    else:
        (path / "values" / "c" / "0" / "0").unlink()
    for one in (opened, doubled):
        with pytest.raises(InputError, match="cannot be read from disk"):
            one.fingerprint()
        with pytest.raises(InputError, match="cannot be read from disk"):
            one.data.compute()


def test_a_store_that_is_replaced_by_the_same_values_reads_on(tmp_path):
    path = make().save(tmp_path / "v4.zarr")
    opened = open_assembly(path)
    make().save(path)
    np.testing.assert_array_equal(opened.data.values, make().data.values)


def test_zarr_stays_on_disk_until_it_is_needed(tmp_path):
    path = make(region="V4").save(tmp_path / "v4.zarr")
    for chunk in (path / "values" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"never read")
    opened = open_assembly(path).where(region="V4")
    assert opened.data.chunks is not None
    with pytest.raises(ValueError, match="checksum"):
        opened.data.load()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_saving_again_replaces(tmp_path, suffix):
    make().save(tmp_path / f"v4{suffix}")
    other = make(np.ones((4, 3)))
    other.save(tmp_path / f"v4{suffix}")
    assert other.data.identical(open_assembly(tmp_path / f"v4{suffix}").data)
    assert [file.name for file in tmp_path.iterdir()] == [f"v4{suffix}"]


def test_what_is_lazily_opened_is_not_saved_in_its_own_place(tmp_path):
    path = make().save(tmp_path / "v4.zarr")
    opened = open_assembly(path)
    (tmp_path / "link.zarr").symlink_to(path)
    for data in (opened.data, opened.data * 2, opened.data[::-1, :2]):
        for place in (path, tmp_path / "link.zarr"):
            with pytest.raises(InputError, match=r"are read from .*zarr, .* into memory first"):
                Assembly(data).save(place)
    np.testing.assert_array_equal(open_assembly(path).data.values, make().data.values)
    Assembly(opened.data * 2).save(tmp_path / "other.zarr")
    Assembly((opened.data * 2).load()).save(path)
    np.testing.assert_array_equal(open_assembly(path).data.values, 2 * make().data.values)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_failed_save_leaves_the_old_file_whole(tmp_path, suffix):
    path = make().save(tmp_path / f"v4{suffix}")

    def fail(_block):
        raise RuntimeError("the disk of the source broke")

    values = dask.array.zeros((4, 3), chunks=(2, 3)).map_blocks(fail, dtype=float)
    with pytest.raises(RuntimeError, match="disk of the source"):
        make(values).save(path)
    assert make().data.identical(open_assembly(path).data.load())
    assert [file.name for file in tmp_path.iterdir()] == [f"v4{suffix}"]


def test_write_whole_makes_folders_and_replaces_a_file_by_a_folder(tmp_path):
    path = tmp_path / "new" / "thing.zarr"
    write_whole(path, lambda part: part.write_text("a file"))
    assert path.read_text() == "a file"
    write_whole(path, lambda part: part.mkdir())
    assert path.is_dir()
    assert list(path.parent.iterdir()) == [path]


def test_attrs_that_cannot_be_saved(tmp_path):
    with pytest.raises(
        InputError, match=r"attrs cannot be saved exactly \(.*ndarray.*arrays in coord"
    ):
        make(attrs={"rf": np.zeros(2)}).save(tmp_path / "v4.nc")


def test_suffix_that_is_not_known(tmp_path):
    with pytest.raises(InputError, match=r"cannot save 'v4.mat': name it .nc"):
        make().save(tmp_path / "v4.mat")
    (tmp_path / "v4.mat").touch()
    with pytest.raises(InputError, match=r"cannot open 'v4.mat': expected .nc"):
        open_assembly(tmp_path / "v4.mat")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*v4.nc"):
        open_assembly(tmp_path / "v4.nc")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_netcdf_cut_short(tmp_path, kept):
    path = make().save(tmp_path / "v4.nc")
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=r"v4.nc is not a readable .nc file .* cut short"):
        open_assembly(path)


def test_netcdf_with_damaged_values(tmp_path):
    saved = make(np.random.default_rng(0).normal(size=(4, 3)))
    path = saved.save(tmp_path / "v4.nc")
    content, value = path.read_bytes(), saved.data.values[2].tobytes()
    assert content.count(value) == 1
    path.write_bytes(content.replace(value, value[::-1]))
    with pytest.raises(InputError, match=r"v4.nc is not a readable .nc file .* damaged"):
        open_assembly(path)


@pytest.mark.parametrize("kind", ["folder", "file", "metadata"])
def test_zarr_that_is_none(tmp_path, kind):
    path = tmp_path / "v4.zarr"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.touch()
    else:
        make().save(path)
        (path / "values" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"v4.zarr is not a readable .zarr file"):
        open_assembly(path)


def test_netcdf_of_another_program(tmp_path):
    bare().to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=r"other.nc was not written by Assembly.save: .*wrap"):
        open_assembly(tmp_path / "other.nc")


# dask, fingerprint, summary


def test_dask_arrays_answer_as_numpy_does(trials):
    lazy = Assembly(trials.data.chunk({"stimulus": 2}))
    assert lazy.data.chunks is not None
    assert lazy.fingerprint() == trials.fingerprint()
    xr.testing.assert_identical(lazy.average().data.compute(), trials.average().data)
    for one, other in zip(lazy.halves(seed=2), trials.halves(seed=2), strict=True):
        xr.testing.assert_identical(one.data.compute(), other.data)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)])
def test_infinite_values_on_disk_are_an_error_where_they_are_read(tmp_path, shape):
    values = np.zeros(shape, np.float32)
    values[2, 1] = np.inf
    lazy = make(dask.array.from_array(values, chunks=2), dims=DIMS[: len(shape)], name="V4")
    message = r"values of V4 are infinite, the first at stimulus c, unit n2: correct them"
    for read in (lazy.fingerprint, *(lazy.trials for _ in shape[2:])):
        with pytest.raises(InputError, match=message):
            read()
    for suffix in (".nc", ".zarr"):
        with pytest.raises(InputError, match=message):
            lazy.save(tmp_path / f"v4{suffix}")
    assert not list(tmp_path.iterdir())


def test_dask_arrays_are_not_read_at_construction():
    def read(_block):
        raise AssertionError("was read")

    values = dask.array.zeros((4, 3)).map_blocks(read, dtype=float)
    assert "on disk" in repr(make(values, region="V4").where(region="V4"))


def test_fingerprint_sees_values_and_names_only():
    values = np.arange(12.0).reshape(4, 3)
    base = make(values).fingerprint()
    assert make(values, region="V4", name="x", attrs={"note": 1}).fingerprint() == base
    changed = values.copy()
    changed[3, 2] += 1e-12
    others = [
        make(changed),
        make(values.astype("float32")),
        make(values, stimuli=["d", "a", "c", "B"]),
        make(values[::-1], stimuli=STIMULI[::-1]),
        Assembly.from_array(values, stimuli=STIMULI, units=["n1", "n2", "N3"]),
    ]
    assert len({base, *(other.fingerprint() for other in others)}) == 6


def test_summary():
    assembly = make(np.zeros((4, 3, 2)), dims=DIMS[:3], name="V4", region=["V1", "<b>", "V1"])
    text = repr(assembly)
    assert text.startswith("Assembly V4: 4 stimuli x 3 units x 2 repeats, float64, ")
    assert "in memory" in text
    assert re.search(r"stimulus \(stimulus\): d, a, c, \.\.\.", text)
    page = assembly._repr_html_()
    assert "4 stimuli x 3 units x 2 repeats" in page
    assert "&lt;b&gt;" in page
    assert "<b>," not in page


def test_summary_counts_labels_that_come_often():
    assembly = Assembly.from_array(np.zeros((1, 9)), stimuli=["a"], region=["V1"] * 2 + ["V4"] * 7)
    assert "region (unit): V1 (2), V4 (7)" in repr(assembly)


def test_trials_are_a_bare_array_in_order(trials):
    turned = Assembly(trials.data.transpose("repeat", "unit", "stimulus"))
    for assembly in (trials, turned):
        np.testing.assert_array_equal(
            assembly.trials(), trials.data.transpose("stimulus", "unit", "repeat").values
        )
    assert make().trials().shape == (4, 3, 1)
    with pytest.raises(InputError, match="V4 has 2 time bins: average them"):
        make(np.zeros((4, 3, 2)), dims=("stimulus", "unit", "time"), name="V4").trials()


def test_pairs_are_mean_responses_to_shared_stimuli_sorted_by_name():
    values = np.random.default_rng(1).normal(size=(4, 3, 2))
    recording = make(values, dims=DIMS[:3])
    layer = Assembly.from_array(
        np.arange(8.0).reshape(4, 2), stimuli=["a", "b", "c", "d"], units=["z", "y"]
    )
    one, other = recording.paired(layer)
    np.testing.assert_allclose(one, values.mean(2)[[1, 3, 2, 0]])
    np.testing.assert_array_equal(other, np.arange(8.0).reshape(4, 2)[:, ::-1])
    back = layer.paired(recording)
    np.testing.assert_array_equal(back[0], other)
    np.testing.assert_array_equal(back[1], one)


def test_pairs_say_which_stimuli_are_not_shared_with_the_line_of_the_caller():
    fewer = make(stimuli=["d", "a", "c"], name="layer")
    with pytest.warns(UserWarning, match="share 3 of 4 stimuli; left out are 'b'") as said:
        one, other = make(name="V4").paired(fewer)
    assert said[0].filename == __file__
    np.testing.assert_array_equal(one, [[3, 4, 5], [6, 7, 8], [0, 1, 2]])
    np.testing.assert_array_equal(other, one)


def test_pairs_on_disk_are_not_read():
    lazy = make(dask.array.from_array(np.arange(12.0).reshape(4, 3), chunks=(2, 3)))
    assert dask.array.Array in map(type, lazy.paired(make()))


def test_accents_in_names_of_stimuli_are_written_in_one_way():
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    angstrom, letter = "\N{ANGSTROM SIGN}", "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}"
    one, other = (
        Assembly.from_array(np.eye(4), stimuli=[*names, "b", ""])
        for names in ((composed, letter), (apart, angstrom))
    )
    assert other.stimuli.tolist() == [composed, letter, "b", ""]
    assert len(align(one, other)[0].stimuli) == 4  # and no warning
    with pytest.raises(InputError, match="1 names along 'stimulus' occur more than once"):
        Assembly.from_array(np.eye(2), stimuli=[composed, apart])
