"""What distances, references and plans take: assemblies by name, populations and arrays."""

import dask.array
import numpy as np
import pytest
import torch

import convergent as cv
from convergent.metrics.distances import DISTANCES
from convergent.metrics.references import REFERENCES

N = 40
MEASURES = {
    **DISTANCES,
    **REFERENCES,
    "rsa-correlation": lambda x, y: cv.references.rsa(x, y, rdm="correlation"),
    "plan": lambda x, y: cv.transport_plan(x, y).mass.sum(),
}
NAMES = [f"image{i:03d}.png" for i in range(N)]


def draw(seed, units=8):
    """Responses with units of unequal variance, far from zero."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.standard_normal((N, units)), 0) * rng.uniform(0.5, 2, units) + 0.3


X, Y = draw(0), draw(0) @ np.random.default_rng(2).standard_normal((8, 8)) + draw(1)


def labelled(values, order=slice(None), name=None, **options):
    names = np.array(NAMES)[order].tolist()
    return cv.Assembly.from_array(values[order], stimuli=names, name=name, **options)


@pytest.mark.parametrize("name", MEASURES)
def test_assemblies_are_compared_as_their_arrays_are(name):
    expected = MEASURES[name](X, Y)
    assert MEASURES[name](labelled(X), labelled(Y)) == pytest.approx(expected, abs=1e-9)
    populations = cv.Population(X), cv.Population(Y)
    assert MEASURES[name](*populations) == pytest.approx(expected, abs=1e-9)
    for kind in (torch.from_numpy, lambda z: dask.array.from_array(z, chunks=(9, 5))):
        assert MEASURES[name](kind(X), kind(Y)) == pytest.approx(expected, abs=1e-7)
    on_disk = labelled(dask.array.from_array(X, chunks=(9, 5)))
    assert MEASURES[name](on_disk, labelled(Y)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", MEASURES)
def test_stimuli_are_matched_by_name_and_units_may_stand_in_any_order(name):
    rng = np.random.default_rng(3)
    other = labelled(Y)
    expected = MEASURES[name](labelled(X), other)
    mixed = labelled(X, rng.permutation(N))
    mixed = cv.Assembly(mixed.data.isel(unit=rng.permutation(8)))
    assert MEASURES[name](mixed, other) == expected
    assert MEASURES[name](other, mixed) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", MEASURES)
def test_repeats_are_averaged(name):
    noise = np.random.default_rng(4).standard_normal((N, 8, 3))
    trials = X[:, :, None] + noise - noise.mean(2, keepdims=True)
    recording = labelled(trials, dims=("stimulus", "unit", "repeat"))
    expected = MEASURES[name](X, Y)
    assert MEASURES[name](recording, labelled(Y)) == pytest.approx(expected, abs=1e-7)


def test_stimuli_that_are_not_shared_are_left_out_with_a_warning():
    some = labelled(X, slice(5, None), name="layer")
    with pytest.warns(
        UserWarning, match=r"layer \(35 stimuli\) and V4 \(40 .*'image000.png'"
    ) as said:
        found = cv.references.cka(some, labelled(Y, name="V4"))
    assert said[0].filename == __file__
    assert found == pytest.approx(cv.references.cka(X[5:], Y[5:]), abs=1e-9)
    strangers = cv.Assembly.from_array(X, stimuli=[f"other{i:02d}" for i in range(N)])
    with pytest.raises(cv.InputError, match="share 0 of 40 stimuli"):
        cv.references.cka(strangers, labelled(Y))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("bare", [np.asarray, torch.from_numpy, cv.Population])
def test_an_assembly_cannot_be_matched_with_what_has_no_names(name, bare):
    message = r"an Assembly have names and those of a \w+ have none.*from_array"
    for pair in ((labelled(X), bare(Y)), (bare(X), labelled(Y))):
        with pytest.raises(cv.InputError, match=message):
            MEASURES[name](*pair)


@pytest.mark.parametrize("name", MEASURES)
def test_time_bins_are_refused(name):
    bins = labelled(np.stack([X, X], axis=2), dims=("stimulus", "unit", "time"), name="V4")
    with pytest.raises(cv.InputError, match=r"V4 has 2 time bins: average"):
        MEASURES[name](bins, labelled(Y))


WRONG = {
    "a list": (X.tolist(), "not a list: give numpy.asarray"),
    "a labelled array": (labelled(X).data, "not a DataArray"),
    "one axis": (X[:, 0], r"the array has the shape \(40,\)"),
    "three axes": (np.zeros((N, 2, 3)), r"the array has the shape \(40, 2, 3\)"),
    "no units": (np.zeros((N, 0)), "one or more of each"),
    "whole numbers": (np.ones((N, 3), dtype=int), r"holds int64: convert.*astype\('float64'\)"),
    "missing": (np.where(np.arange(8) == 2, np.nan, X), "NaN or infinite values in 1 of 8 units"),
    "infinite": (np.where(np.arange(8) > 5, np.inf, X), "NaN or infinite values in 2 of 8 units"),
    "fewer stimuli": (X[:30], "40 stimuli and the other 30"),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_are_no_responses_are_refused(name, case):
    wrong, message = WRONG[case]
    with pytest.raises(cv.InputError, match=message):
        MEASURES[name](Y, wrong)


@pytest.mark.parametrize("name", MEASURES)
def test_missing_values_of_assemblies_are_refused(name):
    missing = X.copy()
    missing[3, 2] = np.nan
    for values in (missing, dask.array.from_array(missing, chunks=(9, 5))):
        with pytest.raises(cv.InputError, match=r"NaN or infinite.*dropna\('unit'\)"):
            MEASURES[name](labelled(values), labelled(Y))


# Plans


def test_a_plan_names_units_by_their_places_in_what_was_given():
    rng = np.random.default_rng(5)
    order = rng.permutation(8)
    units = [f"u{i}" for i in rng.permutation(8)]
    x = labelled(X, rng.permutation(N), units=units)
    y = labelled(3 * X[:, order] - 1)
    for pair in ((x, y), (X, 3 * X[:, order] - 1)):
        plan = cv.transport_plan(*pair)
        np.testing.assert_array_equal(plan.source, np.arange(8))
        np.testing.assert_array_equal(order[plan.target], plan.source)
        np.testing.assert_allclose(plan.mass, 1 / 8)
    back = cv.transport_plan(y, x)
    np.testing.assert_array_equal(order[back.source], back.target)


def test_silent_units_are_in_no_pair():
    x = np.insert(X, [0, 3], 0.7, axis=1)
    plan = cv.transport_plan(x, Y)
    expected = cv.transport_plan(X, Y)
    np.testing.assert_array_equal(plan.source, np.delete(np.arange(10), [0, 4])[expected.source])
    np.testing.assert_array_equal(plan.target, expected.target)
    assert len(cv.transport_plan(np.ones((N, 3)), Y).mass) == 0


def test_a_plan_is_of_correlations_whatever_scale_and_offset():
    plan = cv.transport_plan(X, Y)
    c = np.corrcoef(X.T, Y.T)[:8, 8:]
    total = (plan.mass * c[plan.source, plan.target]).sum()
    assert total == pytest.approx(1 - cv.distances.soft_matching(X, Y) ** 2 / 2, abs=1e-9)
    scaled = cv.transport_plan(X * np.logspace(-9, 9, 8) + 5, 1e6 + Y)
    np.testing.assert_array_equal(scaled.target, plan.target)
