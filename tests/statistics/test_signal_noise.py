"""Signal and noise of a recording against simulations whose covariances are known."""

import numpy as np
import pytest

from convergent import repeat_variance
from convergent.statistics.signal_noise import signal_and_noise


def factor(rank, units, seed=0):
    """F of a covariance F'F of so many dimensions, of mean variance 1."""
    f = np.random.default_rng(seed).standard_normal((rank, units))
    return f / np.sqrt((f**2).sum(0).mean())


def noiseless(n, signal, seed=0):
    """Gaussian responses (n, units) with this factor: the signal of `trials`."""
    return np.random.default_rng(seed).standard_normal((n, len(signal))) @ signal


def trials(n, signal, noise, repeats, seed=0):
    """Gaussian recording (n, units, repeats) with these factors."""
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((n, len(signal))) @ signal
    each = rng.standard_normal((n, repeats, len(noise))) @ noise
    return true[:, :, None] + each.transpose(0, 2, 1)


def covariance(f):
    """F'F."""
    return f.T @ f


def dimensions(c):
    """Participation ratio of a covariance."""
    return np.trace(c) ** 2 / (c**2).sum()


def estimate(x):
    """What the recording itself says."""
    return signal_and_noise(x, repeat_variance(x).full)


def test_draws_are_the_signal_and_its_own_residuals():
    x = trials(4000, factor(3, 5), factor(4, 5, seed=1), 4)
    model = estimate(x)
    one, three = np.full(4000, 1), np.full(4000, 3)
    first, rest = model.draw([one, three], np.random.default_rng(2))
    noise = np.cov((first - model.signal).T, (rest - model.signal).T)
    truth = covariance(factor(4, 5, seed=1))
    np.testing.assert_allclose(noise[:5, :5], truth, atol=0.12)
    np.testing.assert_allclose(noise[5:, 5:], truth / 3, atol=0.06)
    np.testing.assert_allclose(noise[:5, 5:], 0, atol=0.06)  # they share no repeat


def test_draws_of_counts_vary_more_where_the_rate_is_higher():
    rng = np.random.default_rng(3)
    rate = np.exp(rng.standard_normal((2000, 4)))
    x = rng.poisson(rate[:, :, None], (2000, 4, 5)).astype(float)
    model = estimate(x)
    high = model.signal > 2
    for where in (high, ~high & (model.signal > -0.5)):
        found = (model.size**2)[where].mean()
        assert found == pytest.approx(rate[where].mean(), rel=0.15)
    skew = ((model.signal / model.signal.std(0)) ** 3).mean(0)
    true = (((rate - rate.mean(0)) / rate.std(0)) ** 3).mean(0)
    np.testing.assert_allclose(skew, true, rtol=0.25)


@pytest.mark.parametrize("units", [6, 300])  # fewer, and more, than there are trials
def test_noise_variance_pools_unequal_repeats_by_their_degrees_of_freedom(units):
    x = trials(30, factor(3, units), factor(20, units, seed=1), 5)
    count = np.random.default_rng(2).integers(1, 6, 30)
    x[np.arange(5) >= count[:, None, None] + np.zeros((1, units, 1))] = np.nan
    scatter = [(k - 1) * np.cov(s[:, :k]) for s, k in zip(x, count, strict=True) if k > 1]
    model = estimate(x)
    expected = sum(scatter) / (count - 1).sum()
    sizes = (count - 1) @ model.size**2 / (count - 1).sum()
    np.testing.assert_allclose(sizes, np.diag(expected), rtol=1e-9)
    np.testing.assert_array_equal(model.repeats, count)


def test_each_unit_has_the_reliability_that_is_asked_for():
    x = trials(50, factor(4, 7), factor(7, 7, seed=1), 3)
    wanted = np.array([0.9, 0.5, 0.1, 0.0, -0.3, np.nan, 1.0])
    found = signal_and_noise(x, wanted).signal.var(0, ddof=1)
    variance = x.mean(2).var(0, ddof=1)
    np.testing.assert_allclose(found / variance, [0.9, 0.5, 0.1, 0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("units", [8, 60])
def test_with_many_stimuli_the_true_signal_covariance_is_found(units):
    signal, noise = factor(5, units), 1.5 * factor(units, units, seed=1)
    found = np.cov(estimate(trials(4000, signal, noise, 4)).signal.T)
    apart = np.linalg.norm(found - covariance(signal)) / np.linalg.norm(covariance(signal))
    assert apart < 0.08


def test_noise_shared_by_units_is_not_taken_for_signal():
    shared, units = np.ones((1, 10)), np.eye(10)
    x = trials(3000, units, np.concatenate([3 * shared, units]), 4)
    found = np.cov(estimate(x).signal.T)
    off = found[~np.eye(10, dtype=bool)]
    assert np.cov(x.mean(2).T)[0, 1] > 2
    assert abs(off.mean()) < 0.15


@pytest.mark.parametrize("noise", [1, 2])
@pytest.mark.parametrize(("n", "units", "rank"), [(60, 100, 20), (120, 200, 60)])
def test_few_stimuli_do_not_make_the_signal_too_low_dimensional(n, units, rank, noise):
    signal = factor(rank, units)
    x = trials(n, signal, noise * np.eye(units), 4)
    within = np.mean([np.cov(stimulus) for stimulus in x], axis=0)
    truth, found, unshrunk = map(
        dimensions,
        (
            np.cov(noiseless(n, signal).T),
            np.cov(estimate(x).signal.T),
            np.cov(x.mean(2).T) - within / 4,
        ),
    )
    assert unshrunk < truth
    assert found == pytest.approx(truth, rel=0.5)


def test_there_are_never_more_dimensions_of_signal_than_stimuli():
    n, units = 40, 150
    found = dimensions(np.cov(estimate(trials(n, np.eye(units), np.eye(units), 4)).signal.T))
    truth = dimensions(np.cov(noiseless(n, np.eye(units)).T))
    assert found == pytest.approx(truth, rel=0.2)
    assert found < n  # of 150


def test_a_signal_of_few_dimensions_is_left_with_few():
    x = trials(60, factor(3, 100), factor(100, 100, seed=1), 4)
    truth = dimensions(covariance(factor(3, 100)))
    assert dimensions(np.cov(estimate(x).signal.T)) == pytest.approx(truth, rel=0.3)


def test_more_units_than_stimuli_and_units_of_very_unequal_scale():
    scale = np.logspace(-3, 3, 80)
    x = trials(20, factor(5, 80), factor(80, 80, seed=1), 3)
    scaled = estimate(5 + x * scale[:, None])
    (drawn,) = scaled.draw([np.full(20, 3)], np.random.default_rng(2))
    assert drawn.shape == (20, 80)
    wanted = np.maximum(repeat_variance(x).full, 0) * x.mean(2).var(0, ddof=1) * scale**2
    np.testing.assert_allclose(scaled.signal.var(0, ddof=1), wanted, rtol=1e-6)


def test_a_unit_that_was_never_repeated_has_no_signal_and_no_noise():
    x = trials(30, factor(3, 5), factor(5, 5, seed=1), 4)
    x[:, 2, 1:] = np.nan
    model = estimate(x)
    rest = [0, 1, 3, 4]
    alone = estimate(x[:, rest])
    np.testing.assert_array_equal(model.signal[:, 2], 0)
    np.testing.assert_array_equal(model.size[:, 2], 0)
    np.testing.assert_allclose(model.size[:, rest], alone.size, rtol=0.3)
    assert np.isfinite(covariance(model.signal)).all()


def test_the_same_draws_come_again():
    model = estimate(trials(30, factor(3, 5), factor(5, 5, seed=1), 4))
    first, again = (model.draw([np.full(30, 4)], np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
