"""Mutual information against what is known in closed form."""

import numpy as np
import pytest
from cases import labelled
from scipy.stats import multivariate_normal, norm
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

import convergent as cv
from convergent import features
from convergent.features._mutual_information import (
    _by_neighbours,
    binned_information,
    expected_information,
)


def gaussian(rho, n=4000, units=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, units))
    return x, rho * x + (1 - rho**2) ** 0.5 * rng.standard_normal((n, units))


def in_bins(rho, bins):
    """Information of a Gaussian pair in bins of equal probability, from its distribution."""
    edges = norm.ppf(np.arange(bins + 1) / bins)
    edges[[0, -1]] = -8, 8
    both = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    below = np.array([[both.cdf([a, b]) for b in edges] for a in edges])
    p = np.diff(np.diff(below, axis=0), axis=1)
    return float(np.sum(p * np.log2(np.maximum(p, 1e-300) * bins**2)))


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("bins", [4, 12])
def test_gaussian_in_bins(rho, bins):
    x, y = gaussian(rho)
    found = np.diagonal(binned_information(x, y, bins=bins))
    assert found.mean() == pytest.approx(in_bins(rho, bins), abs=0.015)


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_gaussian_by_nearest_neighbours(rho):
    x, y = gaussian(rho, 1500, 3)
    found = features.mutual_information(
        labelled(x), labelled(y), estimator="nearest-neighbours", progress=False
    )
    assert np.diagonal(found).mean() == pytest.approx(-0.5 * np.log2(1 - rho**2), abs=0.05)


KINDS = {
    "gaussian": lambda z: z,
    "rectified": lambda z: np.maximum(z, 0),
    "sparse": lambda z: np.maximum(z - 1.3, 0),
    "few responses": lambda z: np.maximum(z - 2, 0),
    "counts": np.round,
    "heavy-tailed": lambda z: z**3,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [60, 100, 300, 1000])
def test_independent_units_have_none(kind, n):
    x, y = (KINDS[kind](z) for z in np.random.default_rng(n).standard_normal((2, n, 60)))
    for found in (binned_information(x, y), binned_information(x, y, x[: n // 5], y[: n // 5])):
        error = 4 * found.std() / 60  # pairs of a unit are not independent, but nearly
        assert abs(found.mean()) < max(0.01, error)
    assert abs(binned_information(x, y).mean()) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_independent_units_have_none_by_nearest_neighbours(kind):
    x, y = (KINDS[kind](z) for z in np.random.default_rng(1).standard_normal((2, 100, 16)))
    found = features.mutual_information(
        labelled(x), labelled(y), estimator="nearest-neighbours", progress=False
    )
    # as the docstring says, units that respond to few stimuli come out slightly too high
    assert abs(found.mean()) < (0.04 if kind == "few responses" else 0.025)


@pytest.mark.parametrize("n", [7, 60, 300, 20_000])
def test_chance_is_scikit_learns(n):
    rng = np.random.default_rng(n)
    for _ in range(4):
        labels = [np.minimum(rng.geometric(rng.uniform(0.1, 0.9), n), 8) for _ in range(2)]
        table = contingency_matrix(*labels, sparse=True).astype(np.int64)
        sizes = [np.bincount(one, minlength=9)[None] for one in labels]
        expected = expected_mutual_information(table, n)
        assert expected_information(*sizes).item() == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_dependent_sparse_units_are_found():
    rng = np.random.default_rng(2)
    shared = np.maximum(rng.standard_normal((300, 20)) - 1.3, 0)
    x, y = (shared * (1 + 0.3 * rng.random((300, 20))) for _ in range(2))
    found = binned_information(x, y)
    assert (np.diagonal(found) > 0.25).all()
    assert found[~np.eye(20, dtype=bool)].mean() < 0.01


@pytest.mark.parametrize("bins", [4, 10])
def test_a_unit_shares_all_information_with_itself(bins):
    x, _ = gaussian(0.0, 2000, 3)
    found = np.diagonal(binned_information(x, np.exp(x), bins=bins))  # any monotone function
    np.testing.assert_allclose(found, np.log2(bins), atol=1e-6)


@pytest.mark.parametrize("rho", [0.3, 0.6])
@pytest.mark.parametrize("n", [60, 300])
def test_few_stimuli_are_enough_for_gaussian_pairs(rho, n):
    """Bins lose little of it at these correlations; nearest neighbours lose nothing."""
    x, y = gaussian(rho, n, 120)
    truth = -0.5 * np.log2(1 - rho**2)
    found = [binned_information(x[:, [i]], y[:, [i]]).item() for i in range(120)]
    assert np.mean(found) == pytest.approx(truth, abs=0.09)
    own = [_by_neighbours(x[:, i], y[:, i], 3) for i in range(120)]
    assert np.mean(own) == pytest.approx(truth, abs=0.04)


def test_zeros_have_a_bin_of_their_own():
    """A rectified unit that is silent for 3 in 4 stimuli, and a switch that tells when: H(1/4)."""
    rng = np.random.default_rng(1)
    on = rng.random(4000) < 0.25
    rectified = np.where(on, rng.exponential(size=4000), 0.0)[:, None]
    switch = on[:, None].astype(float)
    h = -0.25 * np.log2(0.25) - 0.75 * np.log2(0.75)
    found = features.mutual_information(labelled(rectified), labelled(switch)).item()
    assert found == pytest.approx(h, abs=0.02)


def test_bins_are_those_of_the_training_stimuli():
    x, y = gaussian(0.8, 3000, 4)
    fresh = gaussian(0.8, 3000, 4, seed=1)
    own, other = (np.diagonal(binned_information(x, y, *shown, bins=8)) for shown in ((), fresh))
    assert own.mean() == pytest.approx(other.mean(), abs=0.05)


def test_large_tables_are_made_in_blocks():
    """Of 300 units with 16 bins, two blocks are made; of seven units, one."""
    x, y = gaussian(0.5, 60, 300)
    few = binned_information(x[:, :7], y[:, :7], bins=16)
    for one, other, part in ((x, y[:, :7], np.s_[:7, :]), (x[:, :7], y, np.s_[:, :7])):
        whole = binned_information(one, other, bins=16)
        assert whole.shape == (one.shape[1], other.shape[1])
        np.testing.assert_allclose(whole[part], few, atol=1e-12)
        last = binned_information(one[:, -7:], other[:, -7:], bins=16)
        np.testing.assert_allclose(whole[-7:, -7:], last, atol=1e-12)


def test_silent_units_have_no_information_and_bad_numbers_are_refused():
    x, y = gaussian(0.5, 300, 3)
    x[:, 1] = 2.0
    found = features.mutual_information(labelled(x), labelled(y))
    assert found.dims == ("source_unit", "target_unit")
    assert (found[1] == 0).all()
    with pytest.raises(cv.InputError, match="no estimator 'knn'"):
        features.mutual_information(labelled(x), labelled(y), estimator="knn")
    with pytest.raises(cv.InputError, match="bins=1: give a whole number from 2"):
        features.mutual_information(labelled(x), labelled(y), bins=1)
    nearest = {"estimator": "nearest-neighbours", "neighbours": 300}
    with pytest.raises(cv.InputError, match="neighbours=300: there are 300 stimuli"):
        features.mutual_information(labelled(x), labelled(y), **nearest)
