"""``convergent compare``: distances and references in a table, as rows and in files."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import convergent as cv


@pytest.fixture
def words(lab):
    return ("compare", "tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")


def test_rows_are_those_of_compare(run, lab, words, all_files, tmp_path):
    rows = run(*words, "--layers=0,2", "--folds=3", "--seed=4", "--json").rows()
    assert not all_files(tmp_path)
    stimuli = cv.Stimuli.from_folder(lab / "images")
    layers = cv.extract(cv.network("tinynetwork:make"), stimuli, ["0", "2"])
    direct = cv.compare(layers, layers, folds=cv.Folds(3, seed=4))
    assert set(rows[0]) == {
        *("measure", "first", "second", "value", "kind", "role", "cross_validated")
    }
    assert len(rows) == direct["value"].size
    for row in rows:
        keys = {name: row[name] for name in ("measure", "first", "second")}
        expected = direct["value"].sel(keys)
        np.testing.assert_allclose(row["value"], expected, atol=1e-6)
        assert row["kind"] == expected["kind"]


def test_table_and_files(run, words, all_files, tmp_path):
    options = ("--layers=0,2", "--layers-second=2", "--folds=3", "--references=cka,rsa-pearson")
    code, out, err = run(*words, *options)
    assert code == 0, err
    assert "tinynetwork:make with tinynetwork:make: 2" in out
    for measure in ("linear-forward", "soft-matching-distance-cv", "cka", "rsa-pearson"):
        assert measure in out
    assert "mutual-knn" not in out
    folder = tmp_path / "results"
    assert all_files(folder) == {"comparison.nc", "comparison.csv", "study.toml"}
    found = xr.load_dataset(folder / "comparison.nc", engine="h5netcdf")
    assert found["first"].values.tolist() == ["0", "2"]
    written = pd.read_csv(folder / "comparison.csv")
    assert len(written) == found["value"].size
    assert f"{float(found['value'].sel(measure='cka', first='0', second='2')):.3f}" in out


def test_a_network_and_the_regions_of_a_recording(run, lab, words):
    words = ("compare", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    options = ("--layers=2", "--folds=3", "--references=cka", "--json")
    assert {row["second"] for row in run(*words, *options).rows()} == {"V1", "V4"}
    subjects = run(*words, *options, "--by=subject", "--where-second=region=V1").rows()
    assert {row["second"] for row in subjects} == {"a", "b"}


def test_two_recordings_need_no_images(run, lab):
    words = ("compare", lab / "recording.nc", lab / "plain.zarr", "--folds=3", "--json")
    rows = run(*words, "--references=cka", "--where=region=V4").rows()
    assert {(row["first"], row["second"]) for row in rows} == {("V4", "plain")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--references=ccka",), "no reference 'ccka': did you mean 'cka'"),
        (("--spatial=centre",), "'centre': did you mean 'center'"),
        (("--folds=20",), "36 stimuli cannot be split in 20 folds"),
        (("--layers=5",), "there is no layer of tiny '5'"),
        (("--where=region=V1",), "tinynetwork:make is a network"),
        (("--device=abacus",), "cannot use the device 'abacus'"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, words, options, message):
    assert run(*words, *options).is_refused(message)


def test_positions_of_a_network_and_whole_images(run, lab):
    words = ("compare", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    assert run(*words, "--spatial=positions-2").is_refused("recording.nc are whole images")
