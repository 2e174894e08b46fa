"""Reliability from halves and from variances, against formulas and simulations with an answer."""

import numpy as np
import pytest

from convergent import Assembly, InputError, repeat_variance, split_half
from convergent.statistics.reliability import RELIABILITIES, step_up


def trials(n, noise, repeats, seed=0):
    """Signal of variance 1 and independent noise, (n, units, repeats)."""
    rng = np.random.default_rng(seed)
    noise = np.asarray(noise, dtype=float)
    signal = rng.standard_normal((n, len(noise), 1))
    return signal + noise[:, None] * rng.standard_normal((n, len(noise), repeats))


def unequal(n, noise, most, seed=0):
    """Trials with 2 to ``most`` repeats of each stimulus, and how many each has."""
    x = trials(n, noise, most, seed)
    kept = np.random.default_rng(seed + 1).integers(2, most + 1, n)
    x[np.arange(most) >= kept[:, None, None] + np.zeros((1, x.shape[1], 1))] = np.nan
    return x, kept


ESTIMATES = {
    "split-half": lambda x: split_half(x, splits=20).full,
    "repeat-variance": lambda x: repeat_variance(x).full,
}


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("repeats", [2, 3, 5, 6])
def test_the_true_reliability_is_found(repeats, estimate):
    noise = np.repeat([0.5, 1, 2, 4], 50)
    found = ESTIMATES[estimate](trials(2000, noise, repeats))
    truth = 1 / (1 + noise**2 / repeats)
    for level in np.unique(noise):
        assert found[noise == level].mean() == pytest.approx(truth[noise == level][0], abs=0.01)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_unequal_repeats_are_allowed(estimate, noise):
    x, kept = unequal(3000, np.full(60, noise), 8)
    truth = 1 / (1 + noise**2 * np.mean(1 / kept))
    assert ESTIMATES[estimate](x).mean() == pytest.approx(truth, abs=0.01)


def test_units_recorded_on_different_trials_give_the_same_as_alone():
    x = trials(200, [1, 1, 2], 6)
    x[:50, 1, 4:] = np.nan
    x[100:, 2, 1] = np.nan
    together = split_half(x, splits=200)
    for unit in range(3):
        alone = split_half(x[:, unit : unit + 1], splits=200, seed=5)
        assert together.full[unit] == pytest.approx(alone.full[0], abs=0.02)


def test_two_repeats_by_the_textbook_formula():
    x = trials(100, [1.0, 2.0], 2)
    h = [np.corrcoef(x[:, unit, 0], x[:, unit, 1])[0, 1] for unit in range(2)]
    found = split_half(x, splits=300)
    np.testing.assert_allclose(found.halves, h, atol=0.02)
    np.testing.assert_allclose(found.full, 2 * found.halves / (1 + found.halves), rtol=1e-12)


def test_unequal_halves_by_their_definition():
    signal, noise, a, b = 1.0, 3.0, 2, 1
    r = signal / np.sqrt((signal + noise / a) * (signal + noise / b))
    full = step_up(*(np.array([v]) for v in (r, 1 / a, 1 / b, 1 / (a + b))))
    assert full[0] == pytest.approx(signal / (signal + noise / (a + b)), rel=1e-12)


def test_pure_noise_has_no_reliability_and_no_noise_has_all():
    found = split_half(np.random.default_rng(2).standard_normal((2000, 40, 6)), splits=20).full
    assert abs(found.mean()) < 0.02
    perfect = np.repeat(np.random.default_rng(3).standard_normal((50, 2, 1)), 4, axis=2)
    np.testing.assert_allclose(split_half(perfect).full, 1, rtol=1e-9)


def test_stimuli_with_one_repeat_are_left_out():
    x = trials(60, [1.0], 4)
    more = np.concatenate([x, np.full((30, 1, 4), np.nan)])
    more[60:, :, 0] = 50 * np.random.default_rng(4).standard_normal((30, 1))
    halves = split_half(more, splits=300).halves
    assert halves[0] == pytest.approx(split_half(x, splits=300).halves[0], abs=0.02)


def test_a_sparse_unit_is_judged_by_the_splits_in_which_it_speaks():
    x = np.zeros((60, 1, 4))
    x[[5, 9], 0, :2] = 1.0  # in some splits one half is silent
    assert np.isfinite(split_half(x).full).all()


def test_a_unit_without_repeats_has_no_reliability():
    x = trials(40, [1.0, 1.0], 3)
    x[:, 1, 1:] = np.nan
    found = split_half(x)
    assert np.isfinite(found.full[0])
    assert np.isnan(found.full[1])


def test_it_is_deterministic_by_seed_and_blind_to_blocks(monkeypatch):
    x = trials(50, np.ones(9), 5)
    first = split_half(x, seed=3).full
    monkeypatch.setattr("convergent.statistics.reliability.UNITS_AT_ONCE", 4)
    np.testing.assert_allclose(split_half(x, seed=3).full, first, rtol=1e-12)
    assert not np.array_equal(split_half(x, seed=4).full, first)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_one_repeat_is_refused(estimate):
    x = np.random.default_rng(5).standard_normal((10, 3, 4))
    with pytest.raises(InputError, match=r"at least two repeats.*ceiling=None"):
        RELIABILITIES[estimate](x[:, :, :1])
    x[:, :, 1:] = np.nan
    with pytest.raises(InputError, match="at least two repeats"):
        RELIABILITIES[estimate](x)


# From the variance of repeats


def nsd(x):
    """Noise ceiling as the Natural Scenes Dataset computes it, of (n, repeats) of one unit."""
    z = (x - x.mean()) / x.std()  # single trials have variance 1
    noise = np.sqrt(z.var(axis=1, ddof=1).mean())
    ncsnr = np.sqrt(max(0.0, 1 - noise**2)) / noise
    return ncsnr**2 / (ncsnr**2 + 1 / x.shape[1])


@pytest.mark.parametrize("repeats", [2, 3, 6])
def test_repeat_variance_is_the_noise_ceiling_of_the_natural_scenes_dataset(repeats):
    n = 40
    x = 300 + 7 * trials(n, [0.3, 1.0, 2.0], repeats)
    published = np.array([nsd(x[:, unit]) for unit in range(3)])
    assert (published > 0).all()
    # there the variance over all trials has n k in its denominator, so that what is left for the
    # signal is too little by a share of 1 / n
    unbiased = 1 - (1 - published) * (n - 1) / n
    np.testing.assert_allclose(repeat_variance(x).full, unbiased, rtol=1e-9)


def test_noise_beyond_the_variance_of_the_means_is_negative_and_not_clipped():
    x = np.random.default_rng(6).standard_normal((30, 200, 4))
    found = repeat_variance(x).full
    published = np.array([nsd(x[:, unit]) for unit in range(200)])
    # the inverse of an F ratio, whose mean is m / (m - 2)
    assert found.mean() == pytest.approx(1 - 29 / 27, abs=0.05)
    assert published.mean() > 0.05
    assert (published[found < 0] == 0).all()


def test_both_estimates_agree_on_average():
    x = unequal(400, np.repeat([0.5, 1, 2], 60), 5)[0]
    halves, variance = split_half(x, splits=40), repeat_variance(x)
    np.testing.assert_allclose(variance.full, halves.full, atol=0.1)
    assert np.mean(variance.full - halves.full) == pytest.approx(0, abs=0.003)
    assert np.mean(variance.halves - halves.halves) == pytest.approx(0, abs=0.01)


def test_halves_and_the_whole_keep_to_spearman_and_brown():
    found = repeat_variance(trials(50, [0.5, 1.0, 2.0], 4))
    np.testing.assert_allclose(found.full, 2 * found.halves / (1 + found.halves), rtol=1e-12)


def test_repeat_variance_is_blind_to_shift_scale_and_blocks(monkeypatch):
    x = unequal(50, np.ones(9), 5)[0]
    found = repeat_variance(x).full
    np.testing.assert_allclose(repeat_variance(1e6 - 3 * x).full, found, rtol=1e-6)
    monkeypatch.setattr("convergent.statistics.reliability.UNITS_AT_ONCE", 4)
    np.testing.assert_allclose(repeat_variance(x).full, found, rtol=1e-12)


def test_units_recorded_on_different_trials_have_the_same_variances_as_alone():
    x = trials(30, [1, 1, 2], 6)
    x[:9, 1, 4:] = np.nan
    x[20:, 2, 1] = np.nan
    alone = [repeat_variance(x[:, unit : unit + 1]).full[0] for unit in range(3)]
    np.testing.assert_allclose(repeat_variance(x).full, alone, rtol=1e-12)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_fewer_than_three_repeated_stimuli_say_nothing(estimate):
    x = trials(40, [1.0, 1.0, 1.0], 3)
    x[2:, 0, 1:] = np.nan
    x[3:, 1, 1:] = np.nan
    found = RELIABILITIES[estimate](x)
    np.testing.assert_array_equal(np.isnan(found.full), [True, False, False])
    np.testing.assert_array_equal(np.isnan(found.halves), [True, False, False])


def test_a_constant_unit_has_no_repeat_variance():
    x = trials(40, [1.0, 1.0], 3)
    x[:, 1] = 0.1
    np.testing.assert_array_equal(np.isnan(repeat_variance(x).full), [False, True])


# Resamples of the stimuli


def dealt_in_turn(recorded, rng):
    """Halves that are the same for every copy of a stimulus."""
    del rng
    return recorded & (np.cumsum(recorded, axis=-1) % 2 == 1)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_weights_count_stimuli_as_if_they_were_there_so_often(estimate, monkeypatch):
    monkeypatch.setattr("convergent.statistics.reliability.first_half", dealt_in_turn)
    x = unequal(40, [0.5, 1.0, 2.0], 5)[0]
    x[30:, 1, 1:] = np.nan  # seen once
    weights = np.random.default_rng(7).multinomial(40, np.full(40, 1 / 40), size=6)
    found = RELIABILITIES[estimate](x, weights=weights.astype(float))
    for b, counts in enumerate(weights):
        physical = RELIABILITIES[estimate](np.repeat(x, counts, axis=0))
        np.testing.assert_allclose(found.full[b], physical.full, rtol=1e-9)
        np.testing.assert_allclose(found.halves[b], physical.halves, rtol=1e-9)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_weights_of_one_change_nothing(estimate):
    x = unequal(40, [0.5, 1.0, 2.0], 5)[0]
    plain, weighted = (RELIABILITIES[estimate](x, weights=w) for w in (None, np.ones((2, 40))))
    assert weighted.full.shape == weighted.halves.shape == (2, 3)
    np.testing.assert_allclose(weighted.full, np.tile(plain.full, (2, 1)), rtol=1e-12)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_a_resample_in_which_a_unit_is_silent_says_nothing_of_it(estimate):
    x = np.zeros((30, 1, 4))
    x[:3] = 3 + trials(3, [1.0], 4)
    weights = np.random.default_rng(8).multinomial(30, np.full(30, 1 / 30), size=200).astype(float)
    silent = weights[:, :3].sum(1) == 0
    assert 0 < silent.sum() < 50
    found = RELIABILITIES[estimate](x, weights=weights).full[:, 0]
    np.testing.assert_array_equal(np.isnan(found), silent)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_a_resample_without_repeated_stimuli_says_nothing(estimate):
    x = trials(30, [1.0, 2.0], 4)
    x[3:, :, 1:] = np.nan
    weights = np.ones((2, 30))
    weights[1, :6] = 0, 0, 0, 2, 2, 2
    found = RELIABILITIES[estimate](x, weights=weights).full
    np.testing.assert_array_equal(np.isnan(found), [[False, False], [True, True]])


# What is taken


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_an_assembly_is_taken_as_its_trials_are(estimate):
    x = unequal(40, [0.5, 1.0, 2.0], 5)[0]
    names = [f"image{i:02d}" for i in range(40)]
    dims = ("stimulus", "unit", "repeat")
    recording = Assembly.from_array(x, stimuli=names, dims=dims)
    turned = Assembly(recording.data.transpose("repeat", "unit", "stimulus"))
    expected = RELIABILITIES[estimate](x)
    for given in (recording, turned):
        found = RELIABILITIES[estimate](given)
        np.testing.assert_array_equal(found.full, expected.full)
        np.testing.assert_array_equal(found.halves, expected.halves)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_an_assembly_without_repeats_or_with_time_is_refused(estimate):
    names = [f"image{i:02d}" for i in range(40)]
    mean = Assembly.from_array(trials(40, [1.0], 3).mean(2), stimuli=names)
    with pytest.raises(InputError, match="at least two repeats"):
        RELIABILITIES[estimate](mean)
    dims = ("stimulus", "unit", "repeat", "time")
    bins = Assembly.from_array(np.zeros((40, 2, 3, 4)), stimuli=names, dims=dims)
    with pytest.raises(InputError, match=r"has 4 time bins: average them"):
        RELIABILITIES[estimate](bins)


@pytest.mark.parametrize("estimate", RELIABILITIES)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((5, 3)), r"got a float64 array of the shape \(5, 3\): give an Assembly"),
        (np.zeros((5, 3, 4), dtype=int), "got a int64 array"),
        ([[[1.0, 2.0]]], "got a list"),
        (np.full((5, 3, 4), np.inf), "infinite values: set them to NaN"),
    ],
)
def test_what_is_no_recording_is_refused(estimate, given, message):
    with pytest.raises(InputError, match=message):
        RELIABILITIES[estimate](given)


@pytest.mark.parametrize("setting", [{"splits": 0}, {"splits": 2.5}, {"seed": -1}])
def test_splits_and_seeds_are_whole_numbers(setting):
    with pytest.raises(InputError, match="whole number"):
        split_half(trials(20, [1.0], 3), **setting)


@pytest.mark.parametrize("estimate", RELIABILITIES)
def test_weights_are_of_all_stimuli(estimate):
    with pytest.raises(InputError, match=r"give how often each of 20 stimuli counts"):
        RELIABILITIES[estimate](trials(20, [1.0], 3), weights=np.ones((2, 19)))
