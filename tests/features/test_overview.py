"""All questions at once: what is finished is kept, and claims are judged by their numbers."""

import numpy as np
import pytest
import xarray as xr

import convergent as cv
from convergent import features
from convergent.features._overview import STEPS, _Settings

FEW = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(20), "rotations": 2, "progress": False}


@pytest.fixture(scope="module")
def pair():
    return cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)


def test_it_goes_on_where_it_was(pair, tmp_path, monkeypatch):
    a, b = pair
    asked = []
    make = _Settings.make

    def stopped(self, step, layer, *rest):
        if step == "partial" and layer == "two":
            raise KeyboardInterrupt
        asked.append((layer, step))
        return make(self, step, layer, *rest)

    monkeypatch.setattr(_Settings, "make", stopped)
    with pytest.raises(KeyboardInterrupt):
        features.overview({"one": a, "two": b}, b, study=tmp_path, **FEW)
    assert len(asked) == len(STEPS) + 4
    monkeypatch.setattr(_Settings, "make", lambda *rest: asked.append(rest[1:3]) or make(*rest))
    asked.clear()
    found = features.overview({"one": a, "two": b}, b, study=tmp_path, **FEW)
    assert [step for step, _ in asked] == ["partial", "locality"]
    plain = features.overview({"one": a, "two": b}, b, **FEW)
    xr.testing.assert_allclose(found.layers, plain.layers)
    assert found.layers["target_layer"].values.tolist() == ["B", "B"]
    asked.clear()
    features.overview(a, b, study=tmp_path, **(FEW | {"rotations": 3}))
    assert [step for step, _ in asked] == ["locality"]  # all else is as it was
    assert len(found.table("units")) == 4 * 12
    with pytest.raises(cv.InputError, match="no table 'all'"):
        found.table("all")


def test_sides_of_several_layers(pair):
    a, b = pair
    with pytest.raises(cv.InputError, match="3 source and 2 target layers"):
        features.overview({"x": a, "y": a, "z": a}, {"x": b, "y": b}, **FEW)
    with pytest.raises(cv.InputError, match=r"2 folds and 1 shuffle\(s\)"):
        features.overview(a, b, folds=cv.Folds(2), shuffle=cv.Shuffle(1))
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


@pytest.mark.parametrize(
    ("values", "verdicts"),
    [
        ({}, ["holds"] * 3),
        ({"not_shared": 0.05}, ["holds partly", "holds", "holds"]),
        ({"shared": 0.0, "not_shared": 0.0}, ["does not hold here", "holds", "holds"]),
        ({"matched": 0.85}, ["holds", "holds partly", "holds"]),
        ({"canonical": 0.5, "matched": 0.45}, ["holds", "does not hold here", "holds"]),
        ({"native": 0.2, "scale_sparse": 0.9}, ["holds", "holds", "holds partly"]),
    ],
)
def test_verdicts(values, verdicts):
    assert features.claims(layers(**values))["verdict"].tolist() == verdicts


def test_a_claim_must_hold_for_other_networks():
    """Four networks, of which one shares nothing: the interval of the jackknife says so."""
    names = [(f"{i}", f"{j}") for i in range(4) for j in range(i)]
    several = [layers(shared=0.0 if "3" in pair else 0.2) for pair in names]
    told = features.claims(several, names).iloc[0]
    assert told["verdict"] == "holds partly"
    assert told["numbers"].startswith("0.10 [-")
    alike = features.claims([layers() for _ in names], names)
    assert alike["verdict"].tolist() == ["holds"] * 3
    assert "0.40 [0.40, 0.40]" in alike["numbers"][0]
    star = features.claims([layers(), layers()], [("a", "b"), ("a", "c")])
    assert "[" not in star["numbers"][0]  # without a nothing is left
    with pytest.raises(cv.InputError, match="2 results and 6 pairs of names"):
        features.claims([layers()] * 2, names)
