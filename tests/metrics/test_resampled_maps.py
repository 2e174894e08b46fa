"""Scores in resamples of the stimuli, against stimuli that are repeated or left out for real."""

import dask.array
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from convergent import Linear, Population, Procrustes, SoftMatching
from convergent.base.arrays import correlate

TRAIN, TEST = np.arange(60), np.arange(60, 90)
METRICS = {
    "linear": Linear(),
    "procrustes": Procrustes(),
    "pairwise": SoftMatching(),
    "barycentric": SoftMatching("barycentric"),
}
SHAPES = [(20, 7), (7, 20), (200, 7), (75, 110)]  # fewer and more units than stimuli


def populations(p, q, seed=0):
    """Two that share something."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((90, 12))
    return tuple(
        shared @ rng.standard_normal((12, units)) + rng.standard_normal((90, units)) + 2
        for units in (p, q)
    )


def views(x, y, train=TRAIN, test=TEST):
    """Both populations under one split."""
    return Population(x).fold(train, test), Population(y).fold(train, test)


def drawn(n, samples, seed=1):
    """How often each of n stimuli is drawn."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_counts_of_test_stimuli_are_stimuli_repeated(metric, p, q):
    x, y = populations(p, q)
    fitted = METRICS[metric].fit(*views(x, y))
    counts = drawn(30, 4)
    found = fitted.resample(counts.astype(float))
    assert found.shape == (4, q)
    for r, count in zip(found, counts, strict=True):
        repeated = METRICS[metric].fit(*views(x, y, TRAIN, np.repeat(TEST, count))).score().r
        np.testing.assert_allclose(r, repeated, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_every_stimulus_once_is_the_score(metric, p, q):
    fitted = METRICS[metric].fit(*views(*populations(p, q)))
    score = fitted.score().r
    np.testing.assert_allclose(fitted.resample(np.ones((1, 30)))[0], score, atol=1e-9)
    again = fitted.resample(np.ones((2, 30)), np.ones((2, 60)))
    np.testing.assert_allclose(again, [score, score], atol=1e-9)


@pytest.mark.parametrize(("p", "q"), SHAPES)
def test_procrustes_is_fitted_anew_to_repeated_training_stimuli(p, q):
    x, y = populations(p, q)
    fitted = Procrustes().fit(*views(x, y))
    train, test = drawn(60, 4), drawn(30, 4, seed=2)
    found = fitted.resample(test.astype(float), train.astype(float))
    for r, shown, held_out in zip(found, train, test, strict=True):
        again = views(x, y, np.repeat(TRAIN, shown), np.repeat(TEST, held_out))
        np.testing.assert_allclose(r, Procrustes().fit(*again).score().r, atol=1e-6)


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize(("p", "q"), [(20, 7), (200, 7)])
def test_linear_is_exact_where_one_training_stimulus_is_left_out_or_counts_twice(p, q, count):
    x, y = populations(p, q)
    fitted = Linear().fit(*views(x, y))
    power = ((x[TRAIN] - x[TRAIN].mean(0)) ** 2).sum(1).mean()
    penalties = fitted.penalties * power  # as chosen on all of them
    train = np.ones((60, 60)) + (count - 1) * np.eye(60)
    found = fitted.resample(np.ones((60, 30)), train)
    for i in (0, 17, 59):
        rows = np.repeat(TRAIN, train[i].astype(int))
        predicted = Ridge(penalties).fit(x[rows], y[rows]).predict(x[TEST])
        np.testing.assert_allclose(found[i], correlate(predicted, y[TEST]), atol=1e-9)
    assert np.abs(found - fitted.score().r).max() > 1e-4


def test_linear_adds_up_the_moves_of_all_training_stimuli():
    x, y = populations(20, 3)
    fitted = Linear((1.0,)).fit(*views(x, y))
    train = drawn(60, 40)
    found = fitted.resample(np.ones((40, 30)), train.astype(float))
    power = ((x[TRAIN] - x[TRAIN].mean(0)) ** 2).sum(1).mean()
    refitted = np.empty((40, 3))
    for r, count in zip(refitted, train, strict=True):
        rows = np.repeat(TRAIN, count)
        r[:] = correlate(Ridge(power).fit(x[rows], y[rows]).predict(x[TEST]), y[TEST])
    plain = fitted.score().r
    moved, truly = found - plain, refitted - plain
    assert np.corrcoef(moved.ravel(), truly.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(moved.std(0), truly.std(0), rtol=0.35)


@pytest.mark.parametrize(("p", "q"), [(20, 7), (7, 20), (12, 12)])
def test_a_soft_matching_is_planned_anew_for_repeated_training_stimuli(p, q):
    x, y = populations(p, q)
    fitted = SoftMatching().fit(*views(x, y))
    train, test = drawn(60, 4), drawn(30, 4, seed=2)
    found = fitted.resample(test.astype(float), train.astype(float))
    for r, shown, held_out in zip(found, train, test, strict=True):
        again = views(x, y, np.repeat(TRAIN, shown), np.repeat(TEST, held_out))
        np.testing.assert_allclose(r, SoftMatching().fit(*again).score().r, atol=1e-9)


@pytest.mark.parametrize("how", ["pairwise", "barycentric"])
def test_a_soft_matching_of_very_many_pairs_keeps_its_plan(how, monkeypatch):
    fitted = SoftMatching(how).fit(*views(*populations(20, 7)))
    test, train = drawn(30, 3).astype(float), drawn(60, 3).astype(float)
    moved = fitted.resample(test, train)
    monkeypatch.setattr("convergent.metrics.soft_matching.REFITTED_PAIRS", 20 * 7 - 1)
    kept = fitted.resample(test, train)
    np.testing.assert_array_equal(kept, fitted.resample(test))
    assert np.abs(moved - kept).max() > 0.01


@pytest.mark.parametrize("metric", METRICS)
def test_units_that_are_silent_have_no_score_in_any_resample(metric):
    x, y = populations(20, 5)
    y[:, 1] = 3.0
    y[TEST, 3] = 1.0  # silent on the test stimuli alone
    y[TEST[1:], 4] = 0.5  # but for one of them
    counts = np.ones((2, 30))
    counts[1, :2] = 0, 2
    train = np.ones((2, 60))
    fitted = METRICS[metric].fit(*views(x, y))
    for found in (fitted.resample(counts), fitted.resample(counts, train)):
        missing = np.isnan(found)
        np.testing.assert_array_equal(missing[:, :4], [[False, True, False, True]] * 2)
    r, without = fitted.resample(counts)[:, 4]
    assert np.isfinite(r)
    assert np.isnan(without)


@pytest.mark.parametrize("metric", METRICS)
def test_silent_units_of_the_source_say_nothing(metric):
    y = np.random.default_rng(3).standard_normal((90, 4))
    found = METRICS[metric].fit(*views(np.ones((90, 5)), y)).resample(np.ones((2, 30)))
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("metric", METRICS)
def test_torch_and_dask_give_the_same_as_numpy(metric):
    x, y = populations(100, 8)
    test, train = drawn(30, 3).astype(float), drawn(60, 3).astype(float)
    expected = METRICS[metric].fit(*views(x, y)).resample(test, train)
    for kind in (torch.from_numpy, lambda z: dask.array.from_array(z, chunks=(17, 23))):
        found = METRICS[metric].fit(*views(kind(x), kind(y))).resample(test, train)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("p", "q"), [(20, 7), (200, 110)])
def test_a_reordered_target_is_fitted_as_one_whose_stimuli_changed_places(metric, p, q):
    x, y = populations(p, q)
    rng = np.random.default_rng(4)
    train, test = rng.permutation(60), rng.permutation(30)
    source, target = views(x, y)
    found = METRICS[metric].fit(source, target.reordered(train, test)).score()
    y = np.concatenate([y[TRAIN][train], y[TEST][test]])
    expected = METRICS[metric].fit(*views(x, y)).score()
    np.testing.assert_allclose(found.r, expected.r, atol=1e-8)
    np.testing.assert_allclose(found.similarity, expected.similarity, atol=1e-9)
