"""Fieller's intervals against the t-test that they invert, and against what is known."""

import numpy as np
import pytest
from scipy import stats

from convergent.statistics.inference import LINEAR_SHARE, Spread, spread
from convergent.statistics.ratio import ratio

STIMULI, FOLDS = 100, 5
INFLATION = 1 + LINEAR_SHARE / (STIMULI / FOLDS - 1)
T = stats.t.ppf(0.975, STIMULI - 1)


def resampled(part, whole, refits=None):
    """Spread of a N + b D from resamples of both; the first draws are refits, by default."""

    def of(a, b):
        draws = a * part + b * whole
        again = draws[: len(draws) // 4] if refits is None else a * refits[0] + b * refits[1]
        drawn = {"stimuli": STIMULI}
        return spread({("stimuli",): draws, ("refit",): again}, drawn, FOLDS, "difference")

    return of


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(0)
    whole = 0.1 * rng.standard_normal(1000)
    return 0.5 * whole + 0.07 * rng.standard_normal(1000), whole


@pytest.mark.parametrize("whole", [0.25, 0.3, 0.8, 5.0])
@pytest.mark.parametrize("part", [-0.1, 0.0, 0.3])
def test_it_holds_the_ratios_that_a_t_test_does_not_exclude(draws, part, whole):
    estimate, *ends = ratio(np.array(part), np.array(whole), resampled(*draws), 0.95)
    assert estimate == pytest.approx(part / whole)
    covariance = np.cov(*draws) * INFLATION
    for end in ends:  # where the test is just at its limit
        variance = covariance[0, 0] - 2 * end * covariance[0, 1] + end**2 * covariance[1, 1]
        assert (part - end * whole) ** 2 == pytest.approx(T**2 * variance, rel=1e-6)
    assert ends[0] < estimate < ends[1]


def test_a_whole_that_is_not_above_its_error_has_no_ratio(draws):
    limit = T * np.sqrt(np.var(draws[1], ddof=1) * INFLATION)
    wholes = np.array([1.01 * limit, 0.99 * limit, 0.0, -5.0, np.nan])
    several = [each[:, None] for each in draws]
    for found in ratio(np.full(5, 0.1), wholes, resampled(*several), 0.95):
        assert np.isfinite(found).tolist() == [True, False, False, False, False]


def test_ratios_without_error_and_of_equal_numbers():
    none = np.zeros((50, 1))
    exact = ratio(np.array([0.3]), np.array([0.6]), resampled(none, none), 0.95)
    assert [float(each[0]) for each in exact] == [0.5, 0.5, 0.5]
    noise = 0.1 * np.random.default_rng(1).standard_normal((50, 1))
    equal = ratio(np.array([0.8]), np.array([0.8]), resampled(noise, noise), 0.95)
    np.testing.assert_allclose(np.ravel(equal), 1, atol=1e-9)


def test_refits_make_it_wider(draws):
    rng = np.random.default_rng(2)
    again = [each[:250] + 0.1 * rng.standard_normal(250) for each in draws]
    narrow = ratio(np.array(0.4), np.array(0.8), resampled(*draws), 0.95)
    wide = ratio(np.array(0.4), np.array(0.8), resampled(*draws, again), 0.95)
    assert wide[1] < narrow[1] < narrow[2] < wide[2]


@pytest.mark.parametrize("whole", [0.35, 1.0])
def test_it_holds_the_truth_in_95_percent(whole):
    rng = np.random.default_rng(3)
    error = 0.1
    wholes = whole + error * rng.standard_normal(20000)
    parts = 0.6 * whole + 0.05 * rng.standard_normal(20000) + 0.5 * (wholes - whole)

    def known(a, b):
        return Spread(
            np.sqrt((a * 0.05) ** 2 + ((0.5 * a + b) * error) ** 2), np.full(np.shape(a), np.inf)
        )

    _, low, high = ratio(parts, wholes, known, 0.95)
    # without a number the interval is unbounded: of those the method makes no claim
    missed = ((low > 0.6) | (high < 0.6)).mean()
    assert missed == pytest.approx(0.05, abs=0.006)
