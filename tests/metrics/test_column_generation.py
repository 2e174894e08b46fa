import itertools

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from convergent.metrics import column_generation
from convergent.metrics.column_generation import optimal_plan


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    """No problem is so small that all pairs are looked at."""
    monkeypatch.setattr(column_generation, "WHOLE_PAIRS", 0)


def units(n, count, seed):
    """Random units: columns of norm 1, few stimuli, so that correlations are far from 0."""
    x = np.random.default_rng(seed).standard_normal((n, count))
    return x / np.linalg.norm(x, axis=0)


def dense(c):
    """POT's plan on all pairs."""
    p, q = c.shape
    return ot.emd(np.full(p, 1 / p), np.full(q, 1 / q), 1 - c, numItermax=10**7)


def as_matrix(plan, shape):
    """Plan as a p x q matrix."""
    matrix = np.zeros(shape)
    np.add.at(matrix, (plan.source, plan.target), plan.mass)
    return matrix


def check_optimal(x, y):
    """The plan has uniform marginals, the total of the dense solver, and says that it is best."""
    c = x.T @ y
    plan = optimal_plan(x, y)
    t = as_matrix(plan, c.shape)
    np.testing.assert_allclose(t.sum(1), 1 / c.shape[0], rtol=1e-12)
    np.testing.assert_allclose(t.sum(0), 1 / c.shape[1], rtol=1e-12)
    assert (t * c).sum() == pytest.approx((dense(c) * c).sum(), abs=1e-9)
    assert 0 <= plan.violation <= column_generation.LARGEST_VIOLATION
    return plan


@pytest.mark.parametrize(
    ("p", "q"), [(1, 1), (1, 9), (9, 1), (5, 5), (40, 30), (30, 40), (300, 7), (7, 300), (250, 250)]
)
@pytest.mark.parametrize("groups", [1, 6])
def test_the_plan_is_optimal(p, q, groups, monkeypatch):
    monkeypatch.setattr(column_generation, "GROUPS", groups)
    plan = check_optimal(units(5, p, 1), units(5, q, 2))
    if p * q > 1e4:
        assert plan.pairs < p * q / 2  # most pairs were never part of the problem


@pytest.mark.parametrize(("p", "q"), [(1, 1), (9, 1), (30, 40), (90, 90)])
def test_where_all_pairs_are_few_they_are_looked_at_once(p, q, monkeypatch):
    monkeypatch.setattr(column_generation, "WHOLE_PAIRS", p * q)
    plan = check_optimal(units(5, p, 1), units(5, q, 2))
    assert (plan.rounds, plan.pairs) == (1, p * q)


def test_equal_counts_give_the_best_permutation():
    x, y = units(6, 120, 1), units(6, 120, 2)
    plan = optimal_plan(x, y)
    rows, columns = linear_sum_assignment(x.T @ y, maximize=True)
    np.testing.assert_array_equal(plan.source, rows)
    np.testing.assert_array_equal(plan.target, columns)
    np.testing.assert_allclose(plan.mass, 1 / 120)


def test_brute_force_finds_nothing_better():
    x, y = units(4, 6, 1), units(4, 6, 2)
    c = x.T @ y
    best = max(c[range(6), order].mean() for order in itertools.permutations(range(6)))
    assert (as_matrix(optimal_plan(x, y), c.shape) * c).sum() == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("held", [0, 10**9])
@pytest.mark.parametrize("pairs", [1, 37 * 5])
def test_blocks_change_nothing(pairs, held, monkeypatch):
    monkeypatch.setattr(column_generation, "BLOCK_PAIRS", pairs)
    monkeypatch.setattr(column_generation, "MADE_PAIRS", pairs)
    monkeypatch.setattr(column_generation, "HELD_BYTES", held)
    check_optimal(units(5, 200, 1), units(5, 37, 2))


def test_units_can_be_read_block_by_block():
    class Columns:
        def __init__(self, x):
            self.x, self.shape = x, x.shape

        def block(self, units):
            return self.x[:, units]

    x, y = units(5, 90, 1), units(5, 60, 2)
    streamed, held = optimal_plan(Columns(x), y), optimal_plan(x, y)
    np.testing.assert_array_equal(streamed.source, held.source)
    np.testing.assert_array_equal(streamed.target, held.target)
    np.testing.assert_array_equal(streamed.mass, held.mass)


@pytest.mark.parametrize("shape", [(60, 60), (80, 30), (512, 512), (640, 512)])
@pytest.mark.parametrize("distinct", [1, 10])
def test_units_that_tie_do_not_break_it(shape, distinct):
    p, q = shape
    x = np.repeat(units(5, distinct, 1), p // distinct, axis=1)
    check_optimal(x, units(5, q, 2))
    y = np.repeat(units(5, min(distinct, 2), 3), q // min(distinct, 2), axis=1)
    check_optimal(x, y)
    check_optimal(x, x[:, : p // 2])


def test_what_single_precision_leaves_in_doubt_is_decided_in_double():
    # partners that differ by a thousandth of what float32 resolves
    rng = np.random.default_rng(0)
    x = units(9, 40, 1)
    y = x[:, rng.permutation(40)] + 1e-10 * rng.standard_normal((9, 40))
    x = x + 1e-10 * rng.standard_normal((9, 40))
    x, y = x / np.linalg.norm(x, axis=0), y / np.linalg.norm(y, axis=0)
    together = np.repeat(x[:, :1], 40, axis=1) + 1e-9 * rng.standard_normal((9, 40))
    together = together / np.linalg.norm(together, axis=0)
    for a, b in ((x, y), (together, y), (together, together[:, ::-1])):
        check_optimal(a, b)


def test_torch_gives_the_plan_of_numpy():
    x, y = units(5, 90, 1), units(5, 60, 2)
    found, expected = optimal_plan(*map(torch.from_numpy, (x, y))), optimal_plan(x, y)
    np.testing.assert_array_equal(as_matrix(found, (90, 60)), as_matrix(expected, (90, 60)))
    assert found.violation <= 1e-9


def test_where_torch_rounds_products_more_double_precision_is_taken(monkeypatch):
    x, y = units(5, 90, 1), units(5, 60, 2)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    tensors = tuple(map(torch.from_numpy, (x, y)))
    assert column_generation._single(tensors[0]).dtype == torch.float64
    assert column_generation._single(x).dtype == np.float32
    np.testing.assert_array_equal(
        as_matrix(optimal_plan(*tensors), (90, 60)), as_matrix(optimal_plan(x, y), (90, 60))
    )


def test_a_plan_that_is_not_the_best_is_reported(monkeypatch):
    monkeypatch.setattr(column_generation, "ROUNDS", 1)
    with pytest.warns(UserWarning, match="is not the best"):
        plan = optimal_plan(units(5, 250, 1), units(5, 250, 2))
    assert plan.violation > 1e-3


def test_a_plan_of_no_units_is_empty():
    plan = optimal_plan(np.zeros((5, 0)), units(5, 3, 1))
    assert (len(plan.mass), plan.violation) == (0, 0.0)
