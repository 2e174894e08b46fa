"""Comparisons against scores and plain calls, what they must not depend on, and bad input."""

import json

import numpy as np
import pytest
import xarray as xr
from cases import labelled
from sklearn.model_selection import KFold

import convergent as cv
from convergent import Population
from convergent.metrics.distances import angular, euclidean, soft_matching
from convergent.metrics.references import REFERENCES

N = 45
METRICS = [
    *("linear-forward", "linear-backward", "linear"),
    *("procrustes-angle", "procrustes-angle-cv", "procrustes-distance"),
    *("soft-matching-distance", "soft-matching-distance-cv"),
]


@pytest.fixture(scope="module")
def layers():
    """Three populations with something in common; the second has more units than stimuli."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((N, 8))
    return {
        name: labelled(base @ rng.standard_normal((8, p)) + rng.standard_normal((N, p)), name)
        for name, p in {"small": 6, "wide": 90, "middle": 12}.items()
    }


@pytest.fixture(scope="module")
def compared(layers):
    return cv.compare(layers["small"], {"wide": layers["wide"], "middle": layers["middle"]})


def test_cross_validated_angle_is_netreps(synthetic):
    found = cv.compare(labelled(synthetic.x), labelled(synthetic.y), references=())["value"]
    expected = {
        "procrustes-angle-cv": 0.9114156490744094,
        "procrustes-angle": 0.7712603825420646,
        "procrustes-distance": 70.75973150854264,
        "soft-matching-distance": 1.2041982039413044,
    }
    for measure, value in expected.items():
        assert found.sel(measure=measure).item() == pytest.approx(value, abs=1e-6)


def test_cross_validated_measures_are_those_of_score(layers, compared):
    for partner in ("wide", "middle"):
        found = compared["value"].sel(first="small", second=partner)
        pair = layers["small"], layers[partner]
        forward, backward = (
            cv.score(*sides, ceiling=None, units=False) for sides in (pair, pair[::-1])
        )
        there, back = (float(s["r"].sel(metric="linear").item()) for s in (forward, backward))
        expected = {
            "linear-forward": there,
            "linear-backward": back,
            "linear": (there + back) / 2,
        }
        similarity = forward["similarity"].isel(source=0, target=0)
        angles = np.arccos(similarity.sel(metric="procrustes"))
        chords = np.sqrt(2 - 2 * similarity.sel(metric="soft-matching"))
        expected["procrustes-angle-cv"] = float(angles.mean())
        expected["soft-matching-distance-cv"] = float(chords.mean())
        for measure, value in expected.items():
            assert found.sel(measure=measure).item() == pytest.approx(value, abs=1e-9)


def test_in_sample_measures_are_those_of_the_functions(layers, compared):
    functions = REFERENCES | {
        "procrustes-angle": angular,
        "procrustes-distance": euclidean,
        "soft-matching-distance": soft_matching,
    }
    one = Population(layers["small"].data.values)
    for partner in ("wide", "middle"):
        other = Population(layers[partner].data.values)
        found = compared["value"].sel(first="small", second=partner)
        for measure, function in functions.items():
            assert found.sel(measure=measure).item() == pytest.approx(
                function(one, other), abs=1e-9
            )


def test_labels_say_what_each_measure_is(compared):
    assert compared["value"].dims == ("measure", "first", "second")
    assert compared["measure"].values.tolist() == [*METRICS, *REFERENCES]
    assert compared["first"].values.tolist() == ["small"]
    assert compared["second"].values.tolist() == ["wide", "middle"]
    table = compared[["kind", "role", "cross_validated"]].to_dataframe()
    assert set(table.index[table["kind"] == "distance"]) == {
        m for m in METRICS if "linear" not in m
    }
    assert set(table.index[table["role"] == "reference"]) == set(REFERENCES)
    validated = set(table.index[table["cross_validated"]])
    assert validated == {m for m in METRICS if "linear" in m or m.endswith("-cv")}
    assert (compared.attrs["n_stimuli"], compared.attrs["simulated"]) == (N, 0)
    made = json.loads(compared.attrs["provenance"])
    assert list(made["second"]) == ["wide", "middle"]
    assert set(made["first"]["small"]) >= {"sha256", "n_units"}


def test_the_other_way_round_is_the_transpose(layers):
    there, back = (
        cv.compare(*sides)["value"]
        for sides in (
            (layers, layers["middle"]),
            (layers["middle"], layers),
        )
    )
    swapped = {"linear-forward": "linear-backward", "linear-backward": "linear-forward"}
    for measure in there["measure"].values.tolist():
        one = there.sel(measure=measure).values
        other = back.sel(measure=swapped.get(measure, measure)).values.T
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_a_population_is_like_itself_and_unlike_others(layers):
    value = cv.compare(layers, layers)["value"]
    assert value.sizes == {"measure": 14, "first": 3, "second": 3}
    for measure in ("procrustes-angle", "procrustes-distance", "soft-matching-distance"):
        np.testing.assert_allclose(np.diag(value.sel(measure=measure)), 0, atol=1e-5)
    for measure in REFERENCES:
        np.testing.assert_allclose(np.diag(value.sel(measure=measure)), 1, atol=1e-9)
    off = ~np.eye(3, dtype=bool)
    for measure in value["measure"].values.tolist():
        found = value.sel(measure=measure).values
        kind = "distance" if "procrustes" in measure or "soft" in measure else "similarity"
        for i in range(3):
            others = np.concatenate([found[i][off[i]], found[:, i][off[:, i]]])
            itself = found[i, i]
            assert (others > itself).all() if kind == "distance" else (others < itself).all()


def test_independent_populations_have_nothing_in_common_once_cross_validated():
    rng = np.random.default_rng(1)
    value = cv.compare(*(labelled(rng.standard_normal((N, 80))) for _ in range(2)))["value"]
    found = value.squeeze().to_series()
    assert abs(found["linear"]) < 0.15
    assert abs(found["procrustes-angle-cv"] - np.pi / 2) < 0.1
    assert abs(found["soft-matching-distance-cv"] - np.sqrt(2)) < 0.1
    assert abs(found["cka-debiased"]) < 0.1
    assert found["procrustes-angle"] < 0.8  # in sample, they seem close
    assert found["cka"] > 0.3


def test_a_better_readout_is_predicted_in_one_direction_alone():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((N, 10))
    value = cv.compare(labelled(x), labelled(x[:, :2] @ rng.standard_normal((2, 4))))["value"]
    there, back = (value.sel(measure=f"linear-{to}").item() for to in ("forward", "backward"))
    assert there > 0.99
    assert back < 0.6


def test_order_of_stimuli_and_units_does_not_matter(layers, compared):
    rng = np.random.default_rng(3)
    shuffled = {
        name: cv.Assembly(
            a.data.isel(stimulus=rng.permutation(N), unit=rng.permutation(a.data.sizes["unit"]))
        )
        for name, a in layers.items()
    }
    after = cv.compare(shuffled.pop("small"), shuffled)
    np.testing.assert_allclose(after["value"], compared["value"], atol=1e-9)


def test_only_shared_stimuli_count_and_repeats_are_averaged(layers):
    trials = layers["middle"].data.values[:, :, None] + np.array([-1.0, 1.0])
    some = cv.Assembly(labelled(trials, "trials").data.isel(stimulus=slice(5, None)))
    with pytest.warns(UserWarning, match="share 40 of 45 stimuli"):
        found = cv.compare(layers["small"], some, references="cka")
    cut = [cv.Assembly(layers[z].data.isel(stimulus=slice(5, None))) for z in ("small", "middle")]
    expected = cv.compare(*cut, references="cka")
    np.testing.assert_allclose(found["value"], expected["value"], atol=1e-9)
    assert found.attrs["n_stimuli"] == 40


def test_what_lies_on_disk_gives_the_same(layers, compared):
    pair = {name: layers[name] for name in ("wide", "middle")}
    lazy = {name: cv.Assembly(a.data.chunk(unit=5)) for name, a in pair.items()}
    found = cv.compare(cv.Assembly(layers["small"].data.chunk(stimulus=20)), lazy)
    np.testing.assert_allclose(found["value"], compared["value"], atol=1e-8)


def test_each_population_is_read_once(layers, monkeypatch):
    taken = []
    gram = Population.__dict__["gram"].func

    def counted(population):
        taken.append(population.n_units)
        return gram(population)

    counting = type(Population.__dict__["gram"])(counted)
    counting.__set_name__(Population, "gram")
    monkeypatch.setattr(Population, "gram", counting)
    cv.compare(layers, layers)
    assert sorted(taken) == [6, 6, 12, 12, 90, 90]


def test_folds_and_groups_are_followed(layers):
    groups = [f"session{i % 9}" for i in range(N)]
    small = cv.Assembly(layers["small"].data.assign_coords(session=("stimulus", groups)))
    plain, grouped = (
        cv.compare(small, layers["wide"], folds=folds, references=())["value"]
        for folds in (cv.Folds(3, seed=1), cv.Folds(3, seed=1, group="session"))
    )
    member = np.array([int(group[-1]) for group in groups])
    for value, split in ((plain, np.arange(N)), (grouped, member)):
        x, y = (Population(layers[name].data.values) for name in ("small", "wide"))
        angles = []
        for train, test in KFold(3, shuffle=True, random_state=1).split(np.unique(split)):
            places = [np.flatnonzero(np.isin(split, part)) for part in (train, test)]
            fitted = cv.Procrustes().fit(x.fold(*places), y.fold(*places))
            angles.append(np.arccos(fitted.score().similarity))
        found = value.sel(measure="procrustes-angle-cv").item()
        assert found == pytest.approx(np.mean(angles), abs=1e-9)


def test_a_constant_unit_does_not_count(layers):
    values = np.hstack([layers["small"].data.values, np.full((N, 9), 0.1)])
    before, after = (
        cv.compare(layers["middle"], z, references=())["value"].values.ravel()
        for z in (layers["small"], labelled(values))
    )
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_a_unit_counts_in_the_folds_in_which_it_responds(layers):
    values = layers["small"].data.values[:, :3].copy()
    values[3:, 0] = 0  # responds to 3 stimuli, of which some folds test none
    sparse = labelled(values)
    found = cv.compare(layers["middle"], sparse, references=())["value"]
    scores = cv.score(layers["middle"], sparse, "linear", ceiling=None)["r"].squeeze()
    assert 0 < int(np.isnan(scores).sum()) < 5
    expected = scores.mean("fold").median().item()
    assert found.sel(measure="linear-forward").item() == pytest.approx(expected, abs=1e-9)


def test_a_silent_population_has_no_shape(layers):
    found = cv.compare(layers["small"], labelled(np.zeros((N, 4))))["value"].squeeze()
    nothing = ["linear-forward", "linear", "procrustes-angle", "procrustes-angle-cv", "cka"]
    nothing += ["soft-matching-distance", "soft-matching-distance-cv", "mutual-knn"]
    assert np.isnan(found.sel(measure=nothing)).all()
    assert found.sel(measure="linear-backward").item() == 0


def test_simulated_populations_are_marked(layers):
    data = layers["small"].data.assign_attrs(simulated=1)
    assert cv.compare(cv.Assembly(data), layers["wide"], references=()).attrs["simulated"] == 1


def test_the_result_survives_a_file(compared, tmp_path):
    compared.to_netcdf(tmp_path / "compared.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "compared.nc", engine="h5netcdf") as found:
        xr.testing.assert_identical(found.load(), compared)


def test_references_are_chosen_by_name(layers):
    pair = layers["small"], layers["middle"]
    assert cv.compare(*pair, references=())["measure"].values.tolist() == METRICS
    chosen = cv.compare(*pair, references=["cka", "mutual-knn", "cka"])
    assert chosen["measure"].values.tolist() == [*METRICS, "cka", "mutual-knn"]
    with pytest.raises(cv.InputError, match=r"no reference 'CKA'"):
        cv.compare(*pair, references="CKA")


def test_progress_stays_off_stdout_and_changes_nothing(layers, capsys):
    pair = layers["small"], layers["middle"]
    drawn, plain = (cv.compare(*pair, references=(), progress=show) for show in (True, False))
    xr.testing.assert_identical(drawn, plain)
    assert capsys.readouterr().out == ""


def test_bad_input_is_named(layers):
    small, wide = layers["small"], layers["wide"]
    with pytest.raises(cv.InputError, match="second is a ndarray: give an Assembly"):
        cv.compare(small, wide.data.values)
    with pytest.raises(cv.InputError, match="first is empty"):
        cv.compare({}, wide)
    with pytest.raises(cv.InputError, match=r"folds is 5: give Folds"):
        cv.compare(small, wide, folds=5)
    with pytest.raises(cv.InputError, match="cannot be split in 20 folds"):
        cv.compare(small, wide, folds=cv.Folds(20))
    renamed = wide.data.assign_coords(stimulus=[f"other{i}" for i in range(N)])
    with pytest.raises(cv.InputError, match="share 0 of 45 stimuli"):
        cv.compare(small, cv.Assembly(renamed))
    values = wide.data.values.copy()
    values[3, 4] = np.nan
    for sides in ((small, labelled(values, "gappy")), (labelled(values, "gappy"), small)):
        with pytest.raises(cv.InputError, match="'gappy' has NaN in 1 of 90 units"):
            cv.compare(*sides)
    few = [cv.Assembly(z.data.isel(stimulus=slice(9))) for z in (small, wide)]
    with pytest.raises(cv.InputError, match="9 stimuli has 8 others"):
        cv.compare(*few, folds=cv.Folds(3))
    assert np.isfinite(cv.compare(*few, folds=cv.Folds(3), references="cka")["value"]).all()
