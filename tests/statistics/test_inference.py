"""Standard errors, intervals and p-values against scipy, textbooks and simulated experiments."""

import numpy as np
import pytest
from scipy import stats

from convergent.statistics.aggregation import over_units
from convergent.statistics.inference import (
    LINEAR_SHARE,
    REFIT_SHARES,
    ROUNDING,
    Spread,
    holm,
    p_best,
    p_permutation,
    spread,
)

# Spread


def draws(size=50, *shape, seed=0):
    return np.random.default_rng(seed).standard_normal((size, *shape))


def without_growth(values):
    """Resamples of stimuli in which it makes no difference to fit the maps anew."""
    return {("stimuli",): values, ("refit",): values[:20]}


@pytest.mark.parametrize(
    ("factor", "drawn", "more", "degrees"),
    [
        ("stimuli", {"stimuli": 60}, 1 + LINEAR_SHARE / 11, 59),  # drawn in 5 folds
        ("stimuli", {"stimuli": 60, "effective": 21.5}, 1 + LINEAR_SHARE / 11, 20.5),
        ("units", {"units": 9}, 9 / 8, 8),
        ("subjects", {"subjects": 4}, 4 / 3, 3),
    ],
)
def test_one_factor_is_the_variance_over_resamples_corrected_for_what_was_drawn(
    factor, drawn, more, degrees
):
    values = draws(50, 3)
    found = spread(without_growth(values) if factor == "stimuli" else {(factor,): values}, drawn, 5)
    expected = values.var(0, ddof=1) * more
    np.testing.assert_allclose(found.error**2, expected, rtol=1e-12)
    np.testing.assert_allclose(found.degrees, degrees)


def test_the_error_of_a_mean_is_the_textbooks():
    rng = np.random.default_rng(1)
    n, folds = 200, 4
    y = rng.standard_normal(n).reshape(folds, -1)
    weights = rng.multinomial(50, np.full(50, 1 / 50), size=(5_000, folds))
    means = (weights * y).sum((1, 2)) / n
    error = spread(without_growth(means), {"stimuli": n}, folds).error
    assert error**2 == pytest.approx(y.var(axis=1, ddof=1).mean() / n, rel=0.06)


def test_the_error_of_r_is_that_of_gaussian_samples():
    rng = np.random.default_rng(1)
    n, r, found = 100, 0.6, []
    for _ in range(60):
        x, e = rng.standard_normal((2, n))
        y = r * x + np.sqrt(1 - r**2) * e
        w = rng.multinomial(n, np.full(n, 1 / n), size=400) / n
        mx, my = w @ x, w @ y
        cov = w @ (x * y) - mx * my
        drawn = cov / np.sqrt((w @ x**2 - mx**2) * (w @ y**2 - my**2))
        found.append(spread(without_growth(drawn), {"stimuli": n}, 1).error)
    assert np.mean(found) == pytest.approx((1 - r**2) / np.sqrt(n - 1), rel=0.06)


def resampled_means(y, rng, samples):
    """Means of a table (stimuli, units) in resamples of its rows, its columns and both."""
    n, m = y.shape
    rows = rng.multinomial(n, np.full(n, 1 / n), size=samples) / n
    columns = rng.multinomial(m, np.full(m, 1 / m), size=samples)
    stimuli = rows @ y
    found = {("stimuli",): stimuli.mean(1), ("refit",): stimuli.mean(1)}
    for name, times in (("units", columns), ("rest", columns == 0)):
        total = times.sum(1)
        share = np.divide(times.T, total, out=np.full((m, samples), np.nan), where=total > 0).T
        both = (stimuli * share).sum(1)
        found |= {("stimuli", name): both, ("refit", name): both, (name,): share @ y.mean(0)}
    return found


@pytest.mark.parametrize(
    ("row", "column", "cell"),
    [(1.0, 1.0, 1.0), (1.0, 0.3, 3.0), (0.2, 1.0, 0.5), (1.0, 1.0, 0.0), (0.0, 0.0, 2.0)],
)
@pytest.mark.parametrize("m", [6, 20])
def test_two_crossed_factors_find_the_true_variance_of_the_mean(row, column, cell, m):
    n, found = 30, []
    rng = np.random.default_rng(2)
    for _ in range(80):
        y = row * rng.standard_normal((n, 1)) + column * rng.standard_normal(m)
        y = y + cell * rng.standard_normal((n, m))
        means = resampled_means(y, rng, 300)
        found.append(spread(means, {"stimuli": n, "units": m}, 1).error ** 2)
    truth = row**2 / n + column**2 / m + cell**2 / (n * m)
    # where noise of single cells is all there is, the bound keeps what is above 0 by chance
    assert 0.85 < np.mean(found) / truth < (1.2 if row else 1.4)


def test_two_factors_by_their_formula():
    names = [("stimuli",), ("refit",), ("units",), ("rest",)]
    names += [(factor, units) for factor in ("stimuli", "refit") for units in ("units", "rest")]
    named = {name: draws(50, 40, seed=i) for i, name in enumerate(names)}
    named |= {name: named[name][:30] for name in names if name[0] == "refit"}
    found = spread(named, {"stimuli": 50, "units": 8, "effective": 33.0}, 5)

    def together(factor):
        parts = [named[factor, units] - named[units,][: len(named[factor,])] for units in UNITS]
        return [np.cov(*each)[0, 1] for each in zip(*(part.T for part in parts), strict=True)]

    UNITS = ("units", "rest")
    s, r = (np.array(together(factor)) for factor in ("stimuli", "refit"))
    same = [named["stimuli", units][:30] - named[units,][:30] for units in UNITS]
    same = np.array([np.cov(*each)[0, 1] for each in zip(*(part.T for part in same), strict=True)])
    u = named["units",].var(0, ddof=1) * 8 / 7
    shared = np.maximum(s, 0) * (1 + LINEAR_SHARE / 9)
    growth = REFIT_SHARES["score"] * np.maximum(r - same, 0)
    np.testing.assert_allclose(found.error**2, u + shared + growth, rtol=1e-12)
    assert 3 < (shared == 0).sum() < 37
    degrees = (u + shared) ** 2 / (shared**2 / 32 + u**2 / 7)
    np.testing.assert_allclose(found.degrees, degrees, rtol=1e-12)


def test_noise_of_single_units_is_not_counted_twice():
    # units that err apart from each other: repeated, their median varies as other units do
    rng, found, medians = np.random.default_rng(3), [], []
    n, m = 40, 21
    for _ in range(100):
        y = 0.3 * rng.standard_normal(m) + rng.standard_normal((n, m))
        rows = rng.multinomial(n, np.full(n, 1 / n), size=200) / n @ y
        times = rng.multinomial(m, np.full(m, 1 / m), size=200)
        still = y.mean(0)[None]
        values = {("stimuli",): over_units(rows), ("refit",): over_units(rows)}
        for name, drawn in (("units", times), ("rest", (times == 0) * 1.0)):
            values[name,] = over_units(still, drawn)
            values["stimuli", name] = values["refit", name] = over_units(rows, drawn)
        found.append(spread(values, {"stimuli": n, "units": m}, 1).error ** 2)
        medians.append(np.median(y.mean(0)))
    assert 0.9 < np.mean(found) / np.var(medians) < 1.6  # the sum of both would be above 2


def test_a_share_of_what_a_refit_adds_is_added():
    held_out, refit = draws(80, 4), draws(30, 4, seed=1) * [0.5, 1.5, 2, 3]
    plain = spread(without_growth(held_out), {"stimuli": 50}, 5)
    found = spread({("stimuli",): held_out, ("refit",): refit}, {"stimuli": 50}, 5)
    growth = refit.var(0, ddof=1) - held_out[:30].var(0, ddof=1)  # of the same resamples
    assert growth[0] < 0 < growth[1]
    expected = plain.error**2 + REFIT_SHARES["score"] * np.maximum(growth, 0)
    np.testing.assert_allclose(found.error**2, expected, rtol=1e-12)
    np.testing.assert_allclose(found.degrees, plain.degrees)


def test_resamples_without_a_value_do_not_count():
    values = draws(50, 2)
    values[:7, 1] = np.nan
    found = spread(without_growth(values), {"stimuli": 60}, 5).error ** 2
    assert found[1] == pytest.approx(values[7:, 1].var(ddof=1) * (1 + LINEAR_SHARE / 11))


def test_what_is_never_known_has_no_spread_and_does_not_complain():
    found = spread(without_growth(np.full((20, 2), np.nan)), {"stimuli": 60}, 5)
    assert np.isnan(found.error).all()
    assert np.isnan(found.interval(np.array([np.nan, np.nan]), 0.95)).all()
    assert np.isnan(found.p(np.array([np.nan, np.nan]))).all()


# Intervals and p


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_and_p_are_those_of_students_t(level):
    estimate, error, degrees = np.array([0.3, -0.2]), np.array([0.1, 0.4]), np.array([4.0, 55.0])
    found = Spread(error, degrees)
    expected = stats.t.interval(level, degrees, estimate, error)
    np.testing.assert_allclose(found.interval(estimate, level), expected, rtol=1e-12)
    expected = 2 * stats.t.sf(np.abs(estimate) / error, degrees)
    np.testing.assert_allclose(found.p(estimate), expected, rtol=1e-12)


def test_p_is_below_5_percent_where_the_interval_leaves_0_out():
    estimate = np.linspace(-0.4, 0.4, 41)
    found = Spread(np.full(41, 0.1), np.full(41, 12.0))
    low, high = found.interval(estimate, 0.95)
    np.testing.assert_array_equal(found.p(estimate) < 0.05, (low > 0) | (high < 0))


def test_the_mean_of_a_sample_has_the_p_of_the_t_test():
    y = np.random.default_rng(3).normal(0.4, 1, 25)
    found = Spread(np.array(y.std(ddof=1) / 5), np.array(24.0))
    assert found.p(np.array(y.mean())) == pytest.approx(stats.ttest_1samp(y, 0).pvalue)


def test_what_does_not_differ_but_for_rounding_has_p_1_and_what_differs_without_spread_p_0():
    difference, error = np.array([0.0, 1e-16, 1e-16, 0.3]), np.array([0, 0, 1e-18, 0])
    p = Spread(error, np.full(4, np.inf)).p(difference)
    np.testing.assert_array_equal(p, [1, 1, 1, 0])


# Many comparisons


def test_holm_by_the_textbook():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.02, 0.7])), [1, 0.06, 1])
    np.testing.assert_allclose(holm(np.array([0.3])), [0.3])
    assert holm(np.zeros(0)).shape == (0,)


def test_holm_rejects_what_its_definition_rejects():
    p = np.random.default_rng(4).uniform(0, 0.03, 12)
    order, rejected = np.argsort(p), np.zeros(12, dtype=bool)
    for step, i in enumerate(order):
        if p[i] > 0.05 / (12 - step):
            break
        rejected[i] = True
    assert 0 < rejected.sum() < 12
    np.testing.assert_array_equal(holm(p) <= 0.05, rejected)


def compared(scores, n=40, seed=0, samples=400):
    """What `p_best` needs, of k sources with these scores of n stimuli, (n, k)."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=samples) @ scores / n
    ahead, moved = (z[..., :, None] - z[..., None, :] for z in (scores.mean(0), drawn))
    return ahead, moved, spread(without_growth(moved), {"stimuli": n}, 1)


def test_the_one_that_is_clearly_best_is_alone():
    scores = draws(40, 4, seed=5) + np.array([0, 3, 0.2, 0])
    p = p_best(*compared(scores))
    assert p[1] > 0.9
    np.testing.assert_allclose(np.delete(p, 1), 1 / 401)


def test_those_that_are_close_are_kept():
    scores = draws(40, 4, seed=6) + np.array([0, 2.0, 1.9, 0])
    assert (p_best(*compared(scores)) > 0.05).tolist() == [False, True, True, False]


def test_copies_of_one_source_are_as_good_as_each_other():
    one = np.random.default_rng(7).standard_normal((40, 1))
    np.testing.assert_array_equal(p_best(*compared(np.repeat(one, 3, axis=1))), 1)
    worse = np.concatenate([one, one, one - 3 + 0.1 * draws(40, 1)], axis=1)
    p = p_best(*compared(worse))
    np.testing.assert_array_equal(p > 0.05, [True, True, False])
    assert p[0] == p[1]
    shifted = np.concatenate([one, one - 0.5], axis=1)  # in every resample, by as much
    np.testing.assert_array_equal(p_best(*compared(shifted)), [1, 1 / 401])
    rounded = np.concatenate([one, one + ROUNDING / 10], axis=1)
    np.testing.assert_array_equal(p_best(*compared(rounded)), 1)


def test_one_source_is_the_best():
    np.testing.assert_array_equal(p_best(*compared(draws(40, 1))), [1])


def test_two_sources_are_compared_as_by_a_t_test():
    scores = draws(40, 2, seed=8) + np.array([0, 0.3])
    p = p_best(*compared(scores, samples=20_000))
    test = stats.ttest_rel(scores[:, 1], scores[:, 0])
    np.testing.assert_allclose(p, [test.pvalue, 1], atol=0.015)


def test_of_equally_good_sources_none_is_lost_in_95_percent():
    rng = np.random.default_rng(12)
    for k in (2, 4):
        lost = 0
        for seed in range(400):
            scores = rng.standard_normal((40, 1)) + rng.standard_normal((40, k))
            p = p_best(*compared(scores, seed=seed, samples=200))
            assert p[scores.mean(0).argmax()] == 1  # the highest is always kept
            lost += (p <= 0.05).any()
        assert lost / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_truly_best_is_kept_as_often_as_is_said():
    rng = np.random.default_rng(9)
    lost = 0
    for seed in range(300):
        scores = rng.standard_normal((25, 5)) + 0.5 * rng.standard_normal((25, 1))  # all equal
        lost += p_best(*compared(scores, 25, seed, 200))[0] <= 0.05
    assert 0 < lost / 300 < 0.09


# Permutations


def test_p_counts_what_was_found_among_the_permutations():
    null = np.arange(99) / 99
    assert p_permutation(2.0, null) == 1 / 100
    assert p_permutation(-1.0, null) == 1
    assert p_permutation(null[90], null) == pytest.approx(10 / 100)  # ties count
    assert p_permutation(0.5, np.array([0.1, np.nan, 0.7])) == pytest.approx(2 / 3)
    assert p_permutation(0.5, np.zeros(0)) == 1


def test_p_is_uniform_where_nothing_is_to_be_found():
    rng = np.random.default_rng(10)
    p = [p_permutation(x[0], x[1:]) for x in rng.standard_normal((2000, 100))]
    np.testing.assert_allclose(np.mean(np.array(p) <= 0.05), 0.05, atol=0.015)
    assert np.mean(p) == pytest.approx(0.505, abs=0.02)
