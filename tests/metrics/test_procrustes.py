"""Procrustes against scipy, netrep's figures, and simulations with a known answer."""

from functools import partial

import dask.array
import mpmath
import numpy as np
import pytest
import torch
from cases import folded
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.model_selection import KFold

from convergent import Population, Procrustes
from convergent.base.arrays import correlate
from convergent.metrics.procrustes import nuclear_norm

TRAIN, TEST = np.arange(60), np.arange(60, 90)
folds_of = partial(folded, train=TRAIN, test=TEST)


def scipy_prediction(x, y):
    """Scipy's map of the centred, zero-padded populations, within the training span."""
    units = max(x.shape[1], y.shape[1])
    a, b = (np.pad(z - z[TRAIN].mean(0), ((0, 0), (0, units - z.shape[1]))) for z in (x, y))
    q, nuclear = orthogonal_procrustes(a[TRAIN], b[TRAIN])
    span_a, span_b = (np.linalg.pinv(z[TRAIN], rcond=1e-10) @ z[TRAIN] for z in (a, b))
    scale = nuclear / (a[TRAIN] ** 2).sum()
    return scale * (a[TEST] @ span_a @ q @ span_b)[:, : y.shape[1]], nuclear


@pytest.mark.parametrize(
    ("p", "q"), [(20, 20), (20, 35), (35, 20), (200, 20), (20, 200), (150, 300), (75, 70)]
)
def test_predictions_are_those_of_scipy(p, q):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((90, p)) + 2
    y = x @ rng.standard_normal((p, q)) / np.sqrt(p) + 0.5 * rng.standard_normal((90, q))
    source, target = folds_of(x, y)
    expected, nuclear = scipy_prediction(x, y)
    predicted = Procrustes().fit(source, target).predict()
    np.testing.assert_allclose(predicted, expected, atol=1e-7 * np.abs(expected).max())
    found = nuclear_norm(source.coordinates.train.T @ target.coordinates.train)
    assert found == pytest.approx(nuclear, rel=1e-9)
    assert Procrustes().fit(source, target).scale == pytest.approx(
        nuclear / (x[TRAIN] - x[TRAIN].mean(0)).ravel().dot((x[TRAIN] - x[TRAIN].mean(0)).ravel())
    )


KINDS = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "dask": lambda z: dask.array.from_array(z, chunks=(17, 23)),
}


def exact_prediction(x, y):
    """Predictions with 50 digits; Newton's method makes X'Y orthogonal."""
    mpmath.mp.dps = 50
    centred = [mpmath.matrix(z.tolist()) for z in (x, y)]
    for z in centred:
        for j in range(z.cols):
            mean = mpmath.fsum(z[int(i), j] for i in TRAIN) / len(TRAIN)
            for i in range(z.rows):
                z[i, j] -= mean
    a, b = centred
    q = a[: len(TRAIN), :].T * b[: len(TRAIN), :]
    for _ in range(100):
        inverse = (q**-1).T
        scale = mpmath.sqrt(mpmath.mnorm(inverse, "f") / mpmath.mnorm(q, "f"))
        q, last = (scale * q + inverse / scale) / 2, q
        if mpmath.mnorm(q - last, "f") < 1e-40:
            break
    return np.array((a[len(TRAIN) :, :] * q).tolist(), dtype=float)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("same_scales", [True, False])
def test_small_units_count_beside_large_ones(kind, same_scales):
    """Deviations of units from 1e-4 to 1e4: a shuffled order, so that large ones are not first."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((90, 8))
    y = x + 0.5 * rng.standard_normal((90, 8))
    scales = rng.permutation(np.logspace(-4, 4, 8))
    x, y = x * scales, y * (scales if same_scales else rng.permutation(scales))
    source, target = folds_of(KINDS[kind](x), KINDS[kind](y))
    fitted = Procrustes().fit(source, target)
    expected = correlate(exact_prediction(x, y), y[TEST])
    np.testing.assert_allclose(fitted.score().r, expected, atol=1e-10)
    once = np.ones((1, 60))
    np.testing.assert_allclose(fitted.resample(np.ones((1, 30)), once)[0], expected, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units", [8, 48])
def test_as_many_units_as_stimuli_and_unequal_scales(kind, units):
    """The target is the source, without any rounding, which small directions would show."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((90, units)) * np.logspace(-4, 4, units)
    source, target = folds_of(KINDS[kind](x), KINDS[kind](4 * x[:, ::-1]))
    np.testing.assert_allclose(Procrustes().fit(source, target).score().r, 1, atol=1e-9)
    assert source.coordinates.singular.shape == (units,)


@pytest.mark.parametrize("units", [20, 300])
@pytest.mark.parametrize("factors", [(1e-10, 1.0), (1e10, 1.0), (1.0, 1e-10), (1e10, 1e-10)])
def test_the_scale_of_a_population_changes_nothing(units, factors):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 90, units))
    y += x
    expected = Procrustes().fit(*folds_of(x, y)).score()
    found = Procrustes().fit(*folds_of(x * factors[0], y * factors[1])).score()
    np.testing.assert_allclose(found.r, expected.r, atol=1e-9)
    assert found.similarity == pytest.approx(expected.similarity, abs=1e-9)


def test_directions_that_the_other_population_lacks_are_left_out():
    """Two targets that do not vary together with the source."""
    sine = np.sin(2 * np.pi * np.outer(np.arange(60), [1, 2, 3, 4]) / 60)
    x = np.concatenate([sine[:, :2], np.ones((30, 2))])
    y = np.concatenate([sine[:, [0, 2, 3]], np.ones((30, 3))])
    fitted = Procrustes().fit(*folds_of(x, y))
    assert np.linalg.matrix_rank(fitted.rotation) == 1


@pytest.mark.parametrize("units", [12, 300])
def test_a_rotated_shifted_scaled_copy_is_found(units):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((90, 12)) @ rng.standard_normal((12, units))
    y = 3 * x @ ortho_group.rvs(units, random_state=2) + 7
    fitted = Procrustes().fit(*folds_of(x, y))
    score = fitted.score()
    np.testing.assert_allclose(score.r, 1, atol=1e-9)
    assert score.similarity == pytest.approx(1, abs=1e-9)
    assert fitted.scale == pytest.approx(3, rel=1e-9)


def test_the_map_is_orthogonal_within_the_span():
    rng = np.random.default_rng(3)
    fitted = Procrustes().fit(
        *folds_of(rng.standard_normal((90, 200)), rng.standard_normal((90, 30)))
    )
    q = np.asarray(fitted.rotation)
    np.testing.assert_allclose(q.T @ q, np.eye(30), atol=1e-9)


def test_a_silent_source_predicts_nothing():
    y = np.random.default_rng(5).standard_normal((90, 3))
    for units in (4, 400):
        score = Procrustes().fit(*folds_of(np.ones((90, units)), y)).score()
        np.testing.assert_array_equal(score.r, 0)
        assert np.isnan(score.similarity)


# netrep's LinearMetric(alpha=1, score_method="angular") on the same arrays
NETREP = {
    "all 50 units, zero-padded": (50, 0.7712603825420646),
    "first 30 units": (30, 0.8527447806740713),
}


@pytest.mark.parametrize("case", NETREP)
def test_angular_distance_is_netreps(synthetic, case):
    units, expected = NETREP[case]
    x, y, everything = synthetic.x[:, :units], synthetic.y, np.arange(200)
    source = Population(x).fold(everything, everything)
    target = Population(y).fold(everything, everything)
    similarity = Procrustes().fit(source, target).score().similarity
    assert np.arccos(similarity) == pytest.approx(expected, abs=1e-6)


def test_cross_validated_angular_distance_is_netreps(synthetic):
    folds = KFold(5, shuffle=True, random_state=0).split(synthetic.x)
    source, target = Population(synthetic.x), Population(synthetic.y)
    angles = [
        np.arccos(Procrustes().fit(source.fold(a, b), target.fold(a, b)).score().similarity)
        for a, b in folds
    ]
    assert np.mean(angles) == pytest.approx(0.9114156490744094, abs=1e-6)
