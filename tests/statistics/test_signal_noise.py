"""Signal and noise of a recording against simulations whose covariances are known."""

import numpy as np
import pytest

from convergent import repeat_variance
from convergent.statistics.signal_noise import SignalNoise, signal_and_noise


def factor(rank, units, seed=0):
    """F of a covariance F'F of so many dimensions, of mean variance 1."""
    f = np.random.default_rng(seed).standard_normal((rank, units))
    return f / np.sqrt((f**2).sum(0).mean())


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


def test_draws_have_the_covariances_of_signal_and_of_noise_over_repeats():
    repeats = np.repeat([1, 4], 20_000)
    model = SignalNoise(factor(3, 5), factor(4, 5, seed=1), repeats)
    true, recorded = model.draw(np.random.default_rng(2))
    assert true.shape == recorded.shape == (40_000, 5)
    np.testing.assert_allclose(np.cov(true.T), covariance(model.signal), atol=0.05)
    for k in (1, 4):
        noise = (recorded - true)[repeats == k]
        np.testing.assert_allclose(np.cov(noise.T), covariance(model.noise) / k, atol=0.05)
    across = np.cov(true.T, (recorded - true).T)[:5, 5:]
    np.testing.assert_allclose(across, 0, atol=0.03)


def test_noise_covariance_is_the_mean_covariance_of_repeats():
    x = trials(40, factor(3, 6), factor(6, 6, seed=1), 4)
    expected = np.mean([np.cov(stimulus) for stimulus in x], axis=0)
    np.testing.assert_allclose(covariance(estimate(x).noise), expected, rtol=1e-9)


@pytest.mark.parametrize("units", [6, 300])  # fewer, and more, than there are trials
def test_noise_covariance_pools_unequal_repeats_by_their_degrees_of_freedom(units):
    x = trials(30, factor(3, units), factor(20, units, seed=1), 5)
    count = np.random.default_rng(2).integers(1, 6, 30)
    x[np.arange(5) >= count[:, None, None] + np.zeros((1, units, 1))] = np.nan
    scatter = [(k - 1) * np.cov(s[:, :k]) for s, k in zip(x, count, strict=True) if k > 1]
    model = estimate(x)
    expected = sum(scatter) / (count - 1).sum()
    np.testing.assert_allclose(covariance(model.noise), expected, atol=1e-9)
    np.testing.assert_array_equal(model.repeats, count)


def test_each_unit_has_the_reliability_that_is_asked_for():
    x = trials(50, factor(4, 7), factor(7, 7, seed=1), 3)
    wanted = np.array([0.9, 0.5, 0.1, 0.0, -0.3, np.nan, 1.0])
    found = np.diag(covariance(signal_and_noise(x, wanted).signal))
    variance = x.mean(2).var(0, ddof=1)
    np.testing.assert_allclose(found / variance, [0.9, 0.5, 0.1, 0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("units", [8, 60])
def test_with_many_stimuli_the_true_signal_covariance_is_found(units):
    signal, noise = factor(5, units), 1.5 * factor(units, units, seed=1)
    found = covariance(estimate(trials(4000, signal, noise, 4)).signal)
    apart = np.linalg.norm(found - covariance(signal)) / np.linalg.norm(covariance(signal))
    assert apart < 0.08


def test_noise_shared_by_units_is_not_taken_for_signal():
    shared, units = np.ones((1, 10)), np.eye(10)
    x = trials(3000, units, np.concatenate([3 * shared, units]), 4)
    found = covariance(estimate(x).signal)
    off = found[~np.eye(10, dtype=bool)]
    assert np.cov(x.mean(2).T)[0, 1] > 2
    assert abs(off.mean()) < 0.15


@pytest.mark.parametrize("noise", [0.5, 1, 2])
@pytest.mark.parametrize(("n", "units", "rank"), [(60, 100, 20), (120, 200, 60)])
def test_few_stimuli_do_not_make_the_signal_too_low_dimensional(n, units, rank, noise):
    signal = factor(rank, units)
    x = trials(n, signal, noise * np.eye(units), 4)
    within = np.mean([np.cov(stimulus) for stimulus in x], axis=0)
    truth, found, unshrunk = map(
        dimensions,
        (covariance(signal), covariance(estimate(x).signal), np.cov(x.mean(2).T) - within / 4),
    )
    assert unshrunk < 0.8 * truth
    assert found == pytest.approx(truth, rel=0.35)
    assert abs(found - truth) < 0.65 * abs(unshrunk - truth)


def test_there_are_never_more_dimensions_of_signal_than_stimuli():
    n, units = 40, 150
    found = dimensions(covariance(estimate(trials(n, np.eye(units), np.eye(units), 4)).signal))
    assert 0.85 * n < found < n  # of 150


def test_a_signal_of_few_dimensions_is_left_with_few():
    x = trials(60, factor(3, 100), factor(100, 100, seed=1), 4)
    truth = dimensions(covariance(factor(3, 100)))
    assert dimensions(covariance(estimate(x).signal)) == pytest.approx(truth, rel=0.3)


def test_more_units_than_stimuli_and_units_of_very_unequal_scale():
    scale = np.logspace(-3, 3, 80)
    x = trials(20, factor(5, 80), factor(80, 80, seed=1), 3)
    model, scaled = estimate(x), estimate(5 + x * scale[:, None])
    assert len(model.signal) <= 20
    true, recorded = scaled.draw(np.random.default_rng(2))
    assert true.shape == recorded.shape == (20, 80)
    wanted = np.maximum(repeat_variance(x).full, 0) * x.mean(2).var(0, ddof=1) * scale**2
    np.testing.assert_allclose(np.diag(covariance(scaled.signal)), wanted, rtol=1e-6)


def test_a_unit_that_was_never_repeated_has_no_signal_and_no_noise():
    x = trials(30, factor(3, 5), factor(5, 5, seed=1), 4)
    x[:, 2, 1:] = np.nan
    model = estimate(x)
    rest = [0, 1, 3, 4]
    alone = estimate(x[:, rest])
    np.testing.assert_array_equal(model.signal[:, 2], 0)
    np.testing.assert_allclose(covariance(model.noise[:, rest]), covariance(alone.noise), rtol=1e-9)
    assert np.isfinite(covariance(model.signal)).all()


def test_the_same_draws_come_again():
    model = estimate(trials(30, factor(3, 5), factor(5, 5, seed=1), 4))
    first, again = (model.draw(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
