"""Every result says what decided it, and can be written to netCDF."""

import json

import pytest
import xarray as xr

import convergent as cv
from convergent import features

FOLDS = cv.Folds(3, seed=5)
KINDS = {
    "correlations": {},
    "match_units": {"folds": FOLDS, "shuffle": cv.Shuffle(2, seed=6), "bootstrap": cv.Bootstrap(9)},
    "sparse_prediction": {"folds": FOLDS, "penalties": (0.5, 0.1)},
    "clusters": {"folds": FOLDS, "k": 9, "seed": 7, "halves": 1, "rotations": 1},
    "partial_matching": {"folds": FOLDS, "shares": (0.5, 1.0)},
    "local_or_distributed": {"folds": FOLDS, "rotations": 2, "seed": 8},
    "mutual_information": {"bins": 4},
}


@pytest.fixture(scope="module")
def pair():
    return cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)


def plain(value):
    kinds = (cv.Folds, cv.Shuffle, cv.Bootstrap)
    return vars(value) if isinstance(value, kinds) else value


def check(made, kind, options, pair):
    assert made["kind"] == kind
    for name, value in options.items():
        assert made[name] == json.loads(json.dumps(plain(value)))
    for side, assembly in zip(("sources", "targets"), pair, strict=True):
        (found,) = made[side].values()
        assert found["sha256"] == assembly.fingerprint()
        assert found["n_units"] == 12
    assert made["versions"]["convergent"] == cv.__version__
    assert not {"metrics", "ceiling", "min_reliability"} & set(made)


@pytest.mark.parametrize("kind", KINDS)
def test_results_say_what_decided_them(pair, kind, tmp_path):
    found = getattr(features, kind)(*pair, **KINDS[kind])
    check(json.loads(found.attrs["provenance"]), kind, KINDS[kind], pair)
    assert all(isinstance(value, (str, int, float)) for value in found.attrs.values())
    found = found.to_dataset() if isinstance(found, xr.DataArray) else found
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "found.nc", engine="h5netcdf") as file:
        xr.testing.assert_allclose(file.load(), found)
        assert file.attrs == found.attrs


def test_an_overview_says_what_decided_it(pair, tmp_path):
    options = KINDS["match_units"] | {"rotations": 2, "seed": 3, "k": 9}
    found = features.overview(*pair, study=tmp_path, progress=False, **options)
    again = features.overview(*pair, study=tmp_path, progress=False, **options)
    for one in (found, again):
        check(json.loads(one.layers.attrs["provenance"]), "overview", options, pair)
        for step in one.steps["A"].values():
            assert json.loads(step.attrs["provenance"])["sources"]["A"]["n_units"] == 12
    assert found.layers.equals(again.layers)


def test_settings_are_keywords_or_a_protocol(pair):
    alone = cv.Protocol(folds=FOLDS)
    options = {"shares": (0.5, 1.0)}
    found = features.partial_matching(*pair, protocol=alone, **options)
    assert found.equals(features.partial_matching(*pair, folds=FOLDS, **options))
    bare = features.match_units(*pair, protocol=alone)  # it has no shuffle and no bootstrap
    assert not {"p", "r_low"} & set(bare)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("match_units", {"ceiling": "self"}, "ceiling='self' is not used"),
        ("match_units", {"metrics": "linear"}, "metrics=.* is not used"),
        ("clusters", {"bootstrap": cv.Bootstrap(9)}, "bootstrap=.* is not used"),
        ("sparse_prediction", {"shuffle": cv.Shuffle(9)}, "shuffle=.* is not used"),
        ("correlations", {"folds": FOLDS}, "folds=.* is not used"),
        ("mutual_information", {"min_reliability": 0.5}, "min_reliability=0.5 is not used"),
        ("overview", {"min_reliability": 0.5}, "min_reliability=0.5 is not used"),
    ],
)
def test_settings_that_mean_nothing_are_refused(pair, kind, options, message):
    with pytest.raises(cv.InputError, match=message):
        getattr(features, kind)(*pair, **options)


def test_unknown_settings_are_refused(pair):
    with pytest.raises(TypeError, match=r"unexpected keywords \['fold'\]"):
        features.match_units(*pair, fold=FOLDS)
