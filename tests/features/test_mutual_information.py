"""Mutual information against what is known in closed form."""

import numpy as np
import pytest
from cases import labelled
from scipy.stats import multivariate_normal, norm

import convergent as cv
from convergent import features
from convergent.features._mutual_information import binned_information


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


@pytest.mark.parametrize("n", [100, 1000])
def test_independent_units_have_none(n):
    """Without its correction the estimate would be (b - 1)^2 / 2n nats too high."""
    x, y = gaussian(0.0, n, 30)
    bins = max(4, round(n ** (1 / 3)))
    error = (bins - 1) / n / np.log(2)  # of one pair, about
    assert abs(binned_information(x, y).mean()) < 0.1 * error + 4 * error / 30


@pytest.mark.parametrize("bins", [4, 10])
def test_a_unit_shares_all_information_with_itself(bins):
    x, _ = gaussian(0.0, 2000, 3)
    found = np.diagonal(binned_information(x, np.exp(x), bins=bins))  # any monotone function
    # log2 of the bins, and the correction: (b + b - b - 1) / 2n nats
    np.testing.assert_allclose(found, np.log2(bins) + (bins - 1) / 4000 / np.log(2), atol=1e-6)


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
