"""Soft matching against POT's dense solver, scipy's assignment, and known answers."""

from functools import partial

import numpy as np
import ot
import pytest
from cases import folded

from convergent import InputError, Population, SoftMatching
from convergent.metrics import soft_matching

TRAIN, TEST = np.arange(60), np.arange(60, 90)
folds_of = partial(folded, train=TRAIN, test=TEST)


def correlations(x, y):
    """All p x q correlations."""
    return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]


def dense(c):
    """POT's plan on all pairs."""
    p, q = c.shape
    return ot.emd(np.full(p, 1 / p), np.full(q, 1 / q), 1 - c, numItermax=10**7)


def as_matrix(plan, shape):
    """Plan as a p x q matrix."""
    matrix = np.zeros(shape)
    np.add.at(matrix, (plan.source, plan.target), plan.mass)
    return matrix


def by_formula(x, y, how):
    """Unit scores, with all units responsive."""
    t = dense(correlations(x[TRAIN], y[TRAIN]))
    q = y.shape[1]
    if how == "pairwise":
        return q * (t * correlations(x[TEST], y[TEST])).sum(0)
    z = (x[TEST] - x[TRAIN].mean(0)) / x[TRAIN].std(0)
    return np.array([np.corrcoef(z @ t[:, j], y[TEST, j])[0, 1] for j in range(q)])


@pytest.mark.parametrize("how", ["pairwise", "barycentric"])
@pytest.mark.parametrize(("p", "q"), [(20, 20), (50, 20), (20, 50), (150, 12)])
def test_unit_scores_are_those_of_the_formula(how, p, q):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((90, p)) * rng.uniform(0.1, 10, p) + 3
    y = x[:, rng.integers(p, size=q)] + rng.standard_normal((90, q))
    r = SoftMatching(how).fit(*folds_of(x, y)).score().r
    np.testing.assert_allclose(r, by_formula(x, y, how), atol=1e-9)


@pytest.mark.parametrize("held", [True, False])
def test_large_problems_are_priced_without_the_matrix(held, monkeypatch):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((90, 150)), rng.standard_normal((90, 40))
    expected = by_formula(x, y, "pairwise")
    monkeypatch.setattr(soft_matching, "HELD_BYTES", 2**30 if held else 0)
    monkeypatch.setattr(soft_matching, "BLOCK_BYTES", 8 * 40 * 13)
    score = SoftMatching().fit(*folds_of(x, y)).score()
    np.testing.assert_allclose(score.r, expected, atol=1e-9)


def test_a_permuted_copy_is_found():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((90, 30))
    order = rng.permutation(30)
    fitted = SoftMatching().fit(*folds_of(x, 2 * x[:, order] - 5))
    score = fitted.score()
    np.testing.assert_allclose(score.r, 1, atol=1e-12)
    assert score.similarity == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(order[fitted.plan.target], fitted.plan.source)


def test_silent_units_are_set_aside_and_counted():
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((90, 10)), rng.standard_normal((90, 8))
    alone = SoftMatching().fit(*folds_of(x, y)).score()
    x = np.insert(x, [0, 4], 2.5, axis=1)  # two constant units
    y = np.insert(y, 3, 0, axis=1)
    y[TEST, 3] = rng.standard_normal(30)  # silent on the training stimuli alone
    score = SoftMatching().fit(*folds_of(x, y)).score()
    np.testing.assert_allclose(np.delete(score.r, 3), alone.r, atol=1e-12)
    assert np.isnan(score.r[3])
    assert (score.silent_source, score.silent_target) == (2, 1)


@pytest.mark.parametrize("how", ["pairwise", "barycentric"])
def test_a_silent_source_predicts_nothing(how):
    y = np.random.default_rng(9).standard_normal((90, 3))
    score = SoftMatching(how).fit(*folds_of(np.ones((90, 5)), y)).score()
    np.testing.assert_array_equal(score.r, 0)
    assert score.silent_source == 5


def test_unit_score_is_checked():
    with pytest.raises(InputError, match="no unit_score 'mean': known: 'pairwise', 'barycentric'"):
        SoftMatching("mean")


# POT's ot.emd on 1 - correlation of the same arrays
POT = {50: 0.2749533428122684, 30: 0.26026553622094917}


@pytest.mark.parametrize("units", POT)
def test_total_correlation_is_pots(synthetic, units):
    everything = np.arange(200)
    source = Population(synthetic.x[:, :units]).fold(everything, everything)
    target = Population(synthetic.y).fold(everything, everything)
    similarity = SoftMatching().fit(source, target).score().similarity
    assert similarity == pytest.approx(POT[units], abs=1e-6)
    if units == 50:
        assert np.sqrt(2 - 2 * similarity) == pytest.approx(1.2041982039413044, abs=1e-6)
