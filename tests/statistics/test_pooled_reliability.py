"""Reliability from all units together, and the aggregate that is divided by it: known answers."""

import itertools

import numpy as np
import pytest
from cases import labelled

import convergent as cv
from convergent.statistics.aggregation import ratio_of_sums
from convergent.statistics.pooled_reliability import pooled

Q = 1000


def recording(reliability, n, repeats=4, seed=0):
    """Noiseless responses and trials of independent units with these reliabilities (q,)."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n, len(reliability)))
    noise = np.sqrt((1 - reliability) * repeats)[:, None]
    noisy = noise * rng.standard_normal((*signal.shape, repeats))
    return signal, (signal * np.sqrt(reliability))[:, :, None] + noisy


def r_without_fit(signal, trials, folds=5):
    """Mean over folds of r of each noiseless response with its recording."""
    parts = np.split(np.arange(len(signal)), folds)
    both = [(signal[part], trials[part].mean(2)) for part in parts]
    centred = [[x - x.mean(0) for x in pair] for pair in both]
    return np.mean([(a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0)) for a, b in centred], 0)


def headline(signal, trials, folds=5):
    """The aggregate of a perfect model that needs no fit."""
    units = pooled(trials)
    few = 1 - (1 - units.expected) / (2 * (len(signal) / folds - 1))
    return ratio_of_sums(r_without_fit(signal, trials, folds), units.root * few, units.root)


@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("c", [0.05, 0.1, 0.2, 0.5, 0.9])
def test_a_perfect_model_scores_1_at_any_reliability(c, n):
    signal, trials = recording(np.full(Q, c), n)
    assert headline(signal, trials) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("repeats", [2, 10])
def test_a_perfect_model_scores_1_with_few_and_many_repeats(repeats):
    signal, trials = recording(np.full(Q, 0.1), 60, repeats)
    assert headline(signal, trials) == pytest.approx(1, abs=0.05)


def test_a_perfect_model_scores_1_where_units_differ():
    mixed = np.random.default_rng(1).uniform(0.05, 0.9, Q)
    for n in (60, 200):
        assert headline(*recording(mixed, n)) == pytest.approx(1, abs=0.03)
    silent = np.where(np.arange(Q) % 2, 0.0, 0.8)  # half of the units do not respond
    assert headline(*recording(silent, 200)) == pytest.approx(1, abs=0.04)


def test_the_median_of_units_divided_by_their_own_estimate_is_biased():
    # what the aggregate is not: units chosen and divided by one noisy estimate
    signal, trials = recording(np.full(Q, 0.05), 60)
    own = cv.split_half(trials, splits=20).full
    kept = own > 0.1
    normalized = np.median(r_without_fit(signal, trials)[kept] / np.sqrt(own[kept]))
    assert normalized < 0.65


def test_units_that_differ_by_chance_get_the_mean():
    units = pooled(recording(np.full(Q, 0.4), 200)[1])
    assert units.mean == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(units.expected, 0.4, atol=0.05)
    np.testing.assert_allclose(units.root**2, units.expected, atol=0.01)


def test_expectations_are_calibrated_where_units_differ():
    true = np.random.default_rng(2).beta(1, 3, 3000)
    units = pooled(recording(true, 100)[1])
    edges = np.quantile(units.expected, np.linspace(0, 1, 6))
    for low, high in itertools.pairwise(edges):
        those = (units.expected >= low) & (units.expected <= high)
        assert units.expected[those].mean() == pytest.approx(true[those].mean(), abs=0.03)
        assert units.root[those].mean() == pytest.approx(np.sqrt(true[those]).mean(), abs=0.03)


def test_the_standard_error_is_that_of_repeated_experiments():
    found = [pooled(recording(np.full(20, 0.3), 100, seed=seed)[1]) for seed in range(60)]
    deviation = np.std([units.mean for units in found])
    assert np.mean([units.error for units in found]) == pytest.approx(deviation, rel=0.3)


def test_without_noise_units_are_perfectly_reliable():
    signal = np.random.default_rng(3).standard_normal((50, 4))
    units = pooled(np.repeat(signal[:, :, None], 3, axis=2))
    np.testing.assert_allclose(units.root, 1, atol=1e-6)


def test_noise_alone_has_no_number():
    trials = np.random.default_rng(4).standard_normal((60, 8, 4))
    trials -= 0.5 * trials.mean(2, keepdims=True)  # means that vary less than chance
    units = pooled(trials)
    assert np.isnan(units.root).all()
    assert units.mean < units.error
    with pytest.warns(UserWarning, match="have no normalized score of their own"):
        scores = cv.score(
            labelled(trials.mean(2)), labelled(trials), "linear", min_reliability=-np.inf
        )
    table = cv.summary(scores)
    assert table["normalized"].isna().all()
    assert (table["n_units_normalized"] == 0).all()


def test_units_without_repeats_are_left_out():
    trials = recording(np.full(6, 0.5), 60)[1]
    trials[:, 2, 1:] = np.nan
    units = pooled(trials)
    assert list(np.isnan(units.root)) == [False, False, True, False, False, False]
    rest = pooled(np.delete(trials, 2, axis=1))
    np.testing.assert_allclose(np.delete(units.root, 2), rest.root)


def test_one_unit_alone():
    units = pooled(recording(np.array([0.6]), 400)[1])
    assert units.root[0] == pytest.approx(np.sqrt(0.6), abs=0.06)


def test_the_order_of_units_does_not_matter():
    trials = recording(np.random.default_rng(5).uniform(0, 0.9, 30), 60)[1]
    order = np.random.default_rng(6).permutation(30)
    np.testing.assert_allclose(pooled(trials[:, order]).root, pooled(trials).root[order])


def test_resamples_move_as_the_mean_reliability_does():
    trials = recording(np.full(200, 0.4), 150)[1]
    counts = np.vstack(
        [np.ones(150), np.random.default_rng(7).multinomial(150, [1 / 150] * 150, 5)]
    )
    moved = pooled(trials, counts.astype(float)).moved
    assert moved[0] == pytest.approx(1)
    means = cv.repeat_variance(trials, counts.astype(float)).full.mean(1)
    np.testing.assert_allclose(moved, np.sqrt(means / means[0]), atol=0.02)


@pytest.mark.parametrize(("share", "right"), [(0.04, 0.044), (0.49, 0.490)])
def test_explained_variance_is_the_square_of_the_mean_over_folds(share, right):
    # sources of one unit, true shares; n = 60, five folds, reliability .8
    rng = np.random.default_rng(1)
    known = rng.standard_normal((60, 20))
    mine = np.arange(120) % 20  # the source that each unit follows
    signal = np.sqrt(share) * known[:, mine] + np.sqrt(1 - share) * rng.standard_normal((60, 120))
    trials = signal[:, :, None] + rng.standard_normal((60, 120, 4))
    sources = {str(i): labelled(known[:, [i]]) for i in range(20)}
    scores = cv.score(sources, labelled(trials), "linear", min_reliability=0)
    assert scores["explained_variance"].dims == ("metric", "source", "unit")
    found = scores["explained_variance"].squeeze("metric").values
    follows = mine == np.arange(20)[:, None]
    assert found[follows].mean() == pytest.approx(right, abs=0.05)
    assert found[~follows].mean() == pytest.approx(0, abs=0.01)  # pure noise shows nothing
