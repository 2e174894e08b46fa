"""The engine against the definitions, written out in float64, on random shapes."""

import numpy as np
import ot
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convergent as cv
from convergent import Population
from convergent.metrics import column_generation, population, soft_matching

PENALTIES = np.logspace(-4, 6, 21)
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def pearson(a, b):
    """Correlation of each column; 0 where a prediction is constant, NaN where a response is."""
    a, b = a - a.mean(0), b - b.mean(0)
    norms = np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)
    norms = [np.where(norm > 1e-9 * (1 + np.abs(norm)), norm, 0) for norm in norms]
    r = (a * b).sum(0) / np.where(norms[0] * norms[1] > 0, norms[0] * norms[1], 1)
    return np.where(norms[1] > 0, r, np.nan)


def centred(values, train, test):
    mean = values[train].mean(0)
    return values[train] - mean, values[test] - mean


def plain_linear(x, y, train, test):
    """Ridge in the space of stimuli; each stimulus is left out by the formula of the hat matrix."""
    (a, a_test), (b, _) = centred(x, train, test), centred(y, train, test)
    n, inner = len(a), a @ a.T
    errors, predictions = [], []
    for penalty in PENALTIES * (np.trace(inner) / n or 1.0):
        dual = np.linalg.solve(inner + penalty * np.eye(n), b)
        # 1 - leverage without cancellation: penalty x the diagonal of the inverse
        free = penalty * np.diag(np.linalg.inv(inner + penalty * np.eye(n))) - 1 / n
        errors.append((((penalty * dual) / free[:, None]) ** 2).sum(0))
        predictions.append(a_test @ a.T @ dual)
    best = np.argmin(errors, axis=0)
    return pearson(np.array(predictions)[best, :, np.arange(y.shape[1])].T, y[test])


def axes(values):
    """Directions in which the training responses vary, (units, rank)."""
    _, s, v = np.linalg.svd(values, full_matrices=False)
    return v[s > 1e-6 * s[0]].T if s[0] > 0 else v[:0].T


def plain_procrustes(x, y, train, test):
    """Orthogonal map between the spans of the training stimuli, by full SVDs of the units."""
    (a, a_test), (b, b_test) = centred(x, train, test), centred(y, train, test)
    u, v = axes(a), axes(b)
    left, sigma, right = np.linalg.svd((a @ u).T @ (b @ v), full_matrices=False)
    keep = sigma > 1e-12 * sigma[0] if len(sigma) else []
    turned = u @ left[:, keep] @ right[keep] @ v.T
    lengths = np.linalg.norm(a_test) * np.linalg.norm(b_test)
    return pearson(a_test @ turned, y[test]), ((a_test @ turned) * b_test).sum() / lengths


def plain_soft_matching(x, y, train, test):
    """Optimal transport on all correlations; r of the plan's pairs, and its total on train."""
    (a, _), (b, _) = centred(x, train, test), centred(y, train, test)
    responsive = [np.flatnonzero(np.linalg.norm(z, axis=0) > 1e-9) for z in (a, b)]
    a, b = a[:, responsive[0]], b[:, responsive[1]]
    c = (a / np.linalg.norm(a, axis=0)).T @ (b / np.linalg.norm(b, axis=0))
    p, q = c.shape
    plan = ot.emd(np.full(p, 1 / p), np.full(q, 1 / q), 1 - c, numItermax=10**7)
    r = np.full(y.shape[1], np.nan)
    for j, unit in enumerate(responsive[1]):
        alike = [pearson(x[test][:, [i]], y[test][:, [unit]])[0] for i in responsive[0]]
        r[unit] = q * plan[:, j] @ np.array(alike)
    return r, (plan * c).sum()


@st.composite
def pairs(draw, constant=True, duplicated=True):
    """Two populations over the same stimuli, of every shape that has given trouble somewhere."""
    n = draw(st.integers(12, 60))
    p, q = draw(st.integers(1, 90)), draw(st.sampled_from([1, 1, 7, 30, 70]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shared = rng.standard_normal((n, draw(st.sampled_from([2, 5, 40]))))
    sides = []
    for units in (p, q):
        noise = draw(st.sampled_from([0.0, 0.3, 2.0]))  # without: rank-deficient
        values = shared @ rng.standard_normal((shared.shape[1], units))
        values = values + noise * rng.standard_normal((n, units))
        values = values * 10.0 ** draw(st.integers(-3, 3)) + draw(st.sampled_from([0.0, 1.0, 30.0]))
        if duplicated and units > 2 and draw(st.booleans()):
            values[:, units // 2] = values[:, 0]
        if constant and units > 3 and draw(st.booleans()):
            values[:, 1] = 0.5
        sides.append(values.astype(draw(st.sampled_from([np.float32, np.float64]))))
    order = rng.permutation(n)
    train, test = np.sort(order[n // 5 :]), np.sort(order[: n // 5])
    if len(test) < 3:
        train, test = np.sort(order[3:]), np.sort(order[:3])
    return *sides, train, test


def fit(metric, x, y, train, test):
    views = (Population(z, "cpu").fold(train, test) for z in (x, y))  # as cv.score does
    return cv.METRICS[metric]().fit(*views).score()


def in_double(x, y, train, test):
    return x.astype(np.float64), y.astype(np.float64), train, test


@pytest.fixture(params=["whole", "blocks"])
def blocks(request, monkeypatch):
    """Everything at once, or a few units at a time."""
    if request.param == "blocks":
        monkeypatch.setattr(population, "SMALL_BYTES", 0)
        monkeypatch.setattr(population, "BLOCK_BYTES", 8 * 40 * 13)
        monkeypatch.setattr(soft_matching, "HELD_BYTES", 0)
        monkeypatch.setattr(column_generation, "WHOLE_PAIRS", 0)


@pytest.mark.usefixtures("blocks")
@EXAMPLES
@given(case=pairs())
def test_linear(case):
    np.testing.assert_allclose(fit("linear", *case).r, plain_linear(*in_double(*case)), atol=1e-5)


@pytest.mark.usefixtures("blocks")
@EXAMPLES
@given(case=pairs())
def test_procrustes(case):
    r, similarity = plain_procrustes(*in_double(*case))
    found = fit("procrustes", *case)
    np.testing.assert_allclose(found.r, r, atol=1e-5)
    assert found.similarity == pytest.approx(similarity, abs=1e-5)


@pytest.mark.usefixtures("blocks")
@EXAMPLES
@given(case=pairs(duplicated=False))
def test_soft_matching(case):
    r, _ = plain_soft_matching(*in_double(*case))
    np.testing.assert_allclose(fit("soft-matching", *case).r, r, atol=1e-5)


@pytest.mark.usefixtures("blocks")
@EXAMPLES
@given(case=pairs())
def test_soft_matching_of_units_that_tie_reaches_the_best_total(case):
    # plans that tie score differently on other stimuli: so they are judged where they were made
    x, y, train, _ = case
    _, best = plain_soft_matching(*in_double(x, y, train, train))
    assert fit("soft-matching", x, y, train, train).similarity == pytest.approx(best, abs=1e-9)
