"""``convergent features``."""

import numpy as np
import pandas as pd
import pytest

import convergent as cv


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Two saved populations whose units are shared in known ways."""
    folder = tmp_path_factory.mktemp("planted")
    pair = cv.simulate.convergent_pair(120, 10, shares=(0.6, 0.4, 0), block=4, private=2)
    return [one.save(folder / f"{one.name}.nc") for one in pair]


FEW = ("--shuffle=2", "--rotations=2", "--bootstrap=20", "--folds=3")


@pytest.mark.slow
def test_units_of_two_recordings(run, planted, tmp_path, all_files):
    code, out, err = run("features", *planted, *FEW)
    assert code == 0, err
    assert "some features are reliably shared" in out
    folder = tmp_path / "results"
    names = all_files(folder)
    assert {"units.csv", "matches.csv", "sparse.csv", "clusters.csv", "claims.csv"} <= names
    assert {"layers.csv", "overview.html", "overview.png", "00-A-matches.png"} <= names
    assert not any("best-stimuli" in name for name in names)  # there are no images
    units = pd.read_csv(folder / "units.csv")
    a, b = map(cv.open, planted)
    expected = cv.features.match_units(a, b, folds=cv.Folds(3), shuffle=None, bootstrap=None)
    best = expected["r"].sel(matching="semi").mean("fold")
    np.testing.assert_allclose(units["r"], best, atol=1e-9)
    page = (folder / "overview.html").read_text()
    assert page.count("<svg") == 7
    assert "the code lies between local and slightly distributed" in page


@pytest.mark.filterwarnings("ignore:no correlation between 'tiny")
def test_units_of_a_network_and_a_recording(run, lab, tmp_path, all_files):
    words = ("features", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    rows = run(*words, "--layers=0,2", "--where-second=region=V1", *FEW, "--json").rows()
    assert [(row["layer"], row["n_source"], row["n_target"]) for row in rows] == [
        ("0", 6, 4),
        ("2", 8, 4),
    ]
    assert not all_files(tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no correlation between 'tiny")
def test_what_units_like_is_drawn(run, lab, tmp_path, all_files):
    words = ("features", "tinynetwork:make", lab / "recording.nc", "--stimuli", lab / "images")
    code, _, err = run(*words, "--layers=0", *FEW, "--out=found")
    assert code == 0, err
    assert "00-0-best-stimuli.png" in all_files(tmp_path / "found")


def test_units_of_two_networks_at_positions(run, lab):
    words = ("features", "tinynetwork:make", "tinynetwork:make", "--stimuli", lab / "images")
    few = [word for word in FEW if not word.startswith("--shuffle")]
    (row,) = run(*words, "--layers=2", "--spatial=positions", *few, "--shuffle=9", "--json").rows()
    assert row["semi"] == pytest.approx(1)
    assert row["shared"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinynetwork:make", "recording.nc"), "add --stimuli FOLDER or ZIP"),
        (("recording.nc", "means.nc", "--layers=0"), "has no layers: leave out '0'"),
        (("recording.nc", "means.nc", "--where=V4"), "give LABEL=VALUE"),
        (("recording.nc", "means.nc", "--where=region=IT"), "no unit has region"),
        (("recording.nc", "means.nc", "--clusters=9"), "--clusters 9:"),
        (("recording.nc", "other.nc"), "share 0"),
    ],
)
def test_what_has_no_features_in_common_is_refused(run, lab, words, message):
    named = [lab / word if word.endswith(".nc") else word for word in words]
    assert run("features", *named, *FEW).is_refused(message)
