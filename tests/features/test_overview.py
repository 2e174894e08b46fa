"""All questions at once: what is finished is kept, and claims are judged by their numbers."""

import numpy as np
import pytest
import xarray as xr

import convergent as cv
from convergent import features
from convergent.features._overview import STEPS
from convergent.statistics import reliability

FEW = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(20), "rotations": 2, "progress": False}


@pytest.fixture(scope="module")
def pair():
    return cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)


@pytest.fixture
def made(monkeypatch):
    """Kinds of the results that are computed, not read from the study."""
    kinds = []
    dataset = cv.Study.dataset

    def noted(self, recipe, make):
        def note_and_make():
            kinds.append(recipe["kind"])
            return make()

        return dataset(self, recipe, note_and_make)

    monkeypatch.setattr(cv.Study, "dataset", noted)
    return kinds


def test_it_continues_where_it_stopped(pair, tmp_path, made, monkeypatch):
    a, b = pair
    noted = cv.Study.dataset

    def stopped(self, recipe, make):
        if made.count("partial_matching") == 1 and recipe["kind"] == "partial_matching":
            raise KeyboardInterrupt
        return noted(self, recipe, make)

    monkeypatch.setattr(cv.Study, "dataset", stopped)
    layers = {"one": a, "two": cv.Assembly(-a.data)}
    with pytest.raises(KeyboardInterrupt):
        features.overview(layers, b, study=tmp_path, **FEW)
    assert len(made) == len(STEPS) + 4
    monkeypatch.setattr(cv.Study, "dataset", noted)
    made.clear()
    found = features.overview(layers, b, study=tmp_path, **FEW)
    assert made == ["partial_matching", "local_or_distributed"]
    plain = features.overview(layers, b, **FEW)
    xr.testing.assert_allclose(found.layers, plain.layers)
    assert found.layers["target_layer"].values.tolist() == ["B", "B"]
    assert len(found.table("units")) == 4 * 12
    with pytest.raises(cv.InputError, match="no table 'all'"):
        found.table("all")


@pytest.fixture(scope="module")
def study(pair, tmp_path_factory):
    """A study that holds all steps of one layer."""
    folder = tmp_path_factory.mktemp("study")
    features.overview(*pair, study=folder, **FEW)
    return folder


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, []),
        ({"rotations": 3}, ["local_or_distributed"]),
        ({"bootstrap": cv.Bootstrap(21)}, ["match_units"]),
        ({"k": 9}, ["clusters"]),
    ],
)
def test_only_what_a_setting_decides_is_computed_again(pair, study, made, change, again):
    features.overview(*pair, study=study, **(FEW | change))
    assert made == again


def test_a_step_by_itself_is_read_from_the_study_of_an_overview(pair, study, made):
    draws = {name: FEW[name] for name in ("shuffle", "bootstrap")}
    features.correlations(*pair, study=study)
    features.match_units(*pair, study=study, **draws)
    features.sparse_prediction(*pair, study=study)
    features.clusters(*pair, study=study)
    features.partial_matching(*pair, study=study)
    features.local_or_distributed(*pair, study=study, rotations=2)
    assert made == []
    features.match_units(pair[1], pair[0], study=study, **draws)
    assert made == ["match_units"]


def test_each_population_is_read_once_for_a_layer(pair, monkeypatch):
    """Hashes are computed once, but for those of `privileged_axis`; reliabilities, when needed."""
    rng = np.random.default_rng(0)
    a, b = pair
    trials = b.data.values[..., None] + rng.standard_normal((90, 12, 3))
    dims = ("stimulus", "unit", "repeat")
    recording = cv.Assembly.from_array(trials, dims=dims, stimuli=b.stimuli, name="recording")
    calls = {"hash": [], "reliability": []}
    fingerprint, split_half = cv.Assembly.fingerprint, reliability.split_half

    def hashed(self):
        calls["hash"].append(self.name)
        return fingerprint(self)

    def split(trials, *rest):
        calls["reliability"].append(trials.shape)
        return split_half(trials, *rest)

    monkeypatch.setattr(cv.Assembly, "fingerprint", hashed)
    monkeypatch.setattr("convergent.features._two_populations.split_half", split)
    features.correlations(a, recording)
    features.clusters(a, recording, halves=0, rotations=0)
    assert calls == {"hash": ["A", "recording"] * 2, "reliability": []}
    calls["hash"].clear()
    cv.privileged_axis(a, recording, rotations=2, progress=False)
    elsewhere = len(calls["hash"])
    calls["hash"].clear()
    features.overview({"one": a, "two": a}, recording, **FEW)
    assert len(calls["hash"]) - 2 * elsewhere <= 3  # two layers and one recording
    assert calls["reliability"] == [(90, 12, 3)] * 2


def test_sides_of_several_layers(pair):
    a, b = pair
    with pytest.raises(cv.InputError, match="3 source and 2 target layers"):
        features.overview({"x": a, "y": a, "z": a}, {"x": b, "y": b}, **FEW)
    with pytest.raises(cv.InputError, match=r"2 folds and 1 shuffle\(s\)"):
        features.overview(a, b, folds=cv.Folds(2), shuffle=cv.Shuffle(1))
    with pytest.raises(cv.InputError, match=r"give bootstrap=Bootstrap\(200\)"):
        features.overview(a, b, bootstrap=None)
    found = features.overview(a, {"x": b, "y": b}, **FEW)
    assert found.layers["layer"].values.tolist() == ["x", "y"]


def layers(**values):
    usual = {
        "shared": 0.4,
        "not_shared": 0.3,
        "canonical": 0.9,
        "matched": 0.6,
        "predicted": 0.8,
        "native": 0.5,
        "rotated": 0.2,
        "r_lasso": 0.8,
        "r_single": 0.6,
        "scale_sparse": 0.3,
    }
    numbers = {name: ("layer", np.full(2, value)) for name, value in (usual | values).items()}
    return xr.Dataset(numbers, {"layer": ["one", "two"]})


HOLDS, PARTLY, NOT = "holds", "holds partly", "does not hold here"


@pytest.mark.parametrize(
    ("values", "verdicts"),
    [
        ({}, [HOLDS] * 3),
        ({"not_shared": 0.05}, [PARTLY, HOLDS, HOLDS]),
        ({"shared": 0.0, "not_shared": 0.0}, [NOT, HOLDS, HOLDS]),
        # none are shared: that all others are not is no part of the claim
        ({"shared": 0.0, "not_shared": 0.95}, [NOT, HOLDS, HOLDS]),
        ({"matched": 0.85}, [HOLDS, PARTLY, HOLDS]),
        ({"canonical": 0.5, "matched": 0.45}, [HOLDS, NOT, HOLDS]),
        # no subspace is shared, with whatever axes
        ({"canonical": 0.5, "matched": 0.0}, [HOLDS, NOT, HOLDS]),
        ({"native": 0.2}, [HOLDS, HOLDS, PARTLY]),
        ({"scale_sparse": 0.9}, [HOLDS, HOLDS, PARTLY]),
        ({"r_single": 0.8, "scale_sparse": 0.0}, [HOLDS, HOLDS, PARTLY]),  # local
        ({"native": 0.2, "scale_sparse": 0.9}, [HOLDS, HOLDS, NOT]),  # fully distributed
        # nothing is predicted: there is no code that few units could carry
        ({"r_lasso": 0.05, "r_single": 0.01, "scale_sparse": 0.1}, [HOLDS, HOLDS, NOT]),
        ({"shared": np.nan}, ["cannot be judged", HOLDS, HOLDS]),
        ({"canonical": np.nan}, [HOLDS, "cannot be judged", HOLDS]),
    ],
)
def test_verdicts(values, verdicts):
    found = features.claims(layers(**values))
    assert found["verdict"].tolist() == verdicts
    assert "nan" not in " ".join(found["numbers"])


def test_of_random_networks_no_claim_holds():
    def population(seed):
        rng = np.random.default_rng(seed)
        names = [f"{i:03d}" for i in range(150)]
        return cv.Assembly.from_array(rng.standard_normal((150, 15)), stimuli=names)

    draws = {"shuffle": cv.Shuffle(4), "bootstrap": cv.Bootstrap(50)}
    claims = features.overview(population(1), population(2), **(FEW | draws)).claims
    assert claims["numbers"][0].startswith("0.00 of the units")
    assert not set(claims["verdict"]) & {HOLDS, PARTLY}


def test_a_claim_must_hold_for_other_networks():
    """Four networks, of which one shares nothing: the interval of the jackknife says so."""
    names = [(f"{i}", f"{j}") for i in range(4) for j in range(i)]
    several = [layers(shared=0.0 if "3" in pair else 0.2) for pair in names]
    first = features.claims(several, names).iloc[0]
    assert first["verdict"] == "not decided"
    assert first["numbers"].startswith("0.10 [-")
    alike = features.claims([layers() for _ in names], names)
    assert alike["verdict"].tolist() == ["holds"] * 3
    assert "0.40 [0.40, 0.40]" in alike["numbers"][0]
    star = features.claims([layers(), layers()], [("a", "b"), ("a", "c")])
    assert "[" not in star["numbers"][0]  # without a nothing is left
    with pytest.raises(cv.InputError, match="2 results and 6 pairs of names"):
        features.claims([layers()] * 2, names)
