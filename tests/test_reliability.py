"""Split-half reliability against formulas and simulations with a known answer."""

import numpy as np
import pytest

from convergent import InputError, split_half
from convergent.reliability import _step_up


def trials(n, noise, repeats, seed=0):
    """Signal of variance 1 and independent noise, (n, units, repeats)."""
    rng = np.random.default_rng(seed)
    noise = np.asarray(noise, dtype=float)
    signal = rng.standard_normal((n, len(noise), 1))
    return signal + noise[:, None] * rng.standard_normal((n, len(noise), repeats))


@pytest.mark.parametrize("repeats", [2, 3, 5, 6])
def test_the_true_reliability_is_found(repeats):
    noise = np.repeat([0.5, 1, 2, 4], 50)
    found = split_half(trials(2000, noise, repeats), splits=20).full
    truth = 1 / (1 + noise**2 / repeats)
    for level in np.unique(noise):
        assert found[noise == level].mean() == pytest.approx(truth[noise == level][0], abs=0.01)


def test_unequal_repeats_are_allowed():
    x = trials(3000, np.full(60, 2.0), 8)
    kept = np.random.default_rng(1).integers(2, 9, 3000)
    x[np.arange(8) >= kept[:, None, None] + np.zeros((1, 60, 1))] = np.nan
    truth = 1 / (1 + 4 * np.mean(1 / kept))
    assert split_half(x, splits=20).full.mean() == pytest.approx(truth, abs=0.01)


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
    full = _step_up(*(np.array([v]) for v in (r, 1 / a, 1 / b, 1 / (a + b))))
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
    monkeypatch.setattr("convergent.reliability.UNITS_AT_ONCE", 4)
    np.testing.assert_allclose(split_half(x, seed=3).full, first, rtol=1e-12)
    assert not np.array_equal(split_half(x, seed=4).full, first)


def test_one_repeat_is_refused():
    with pytest.raises(InputError, match=r"at least two repeats.*ceiling=None"):
        split_half(np.random.default_rng(5).standard_normal((10, 3, 1)))
