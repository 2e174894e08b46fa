"""Linear against scikit-learn, and against simulations with a known answer."""

from functools import partial

import numpy as np
import pytest
from cases import folded
from sklearn.linear_model import Ridge, RidgeCV

from convergent import InputError, Linear
from convergent.metrics.linear import ridge_leave_one_out

TRAIN, TEST = np.arange(60), np.arange(60, 90)
folds_of = partial(folded, train=TRAIN, test=TEST)


def relative(x):
    """The unit of the penalties."""
    return ((x[TRAIN] - x[TRAIN].mean(0)) ** 2).sum(1).mean()


SHAPES = {
    "fewer units than stimuli": lambda rng: rng.standard_normal((90, 20)),
    "more units than stimuli": lambda rng: rng.standard_normal((90, 300)),
    "units between training and all stimuli": lambda rng: rng.standard_normal((90, 75)),
    "rank deficient, few units": lambda rng: (
        rng.standard_normal((90, 5)) @ rng.standard_normal((5, 40))
    ),
    "rank deficient, many units": lambda rng: (
        rng.standard_normal((90, 5)) @ rng.standard_normal((5, 400))
    ),
    "duplicated units": lambda rng: np.tile(rng.standard_normal((90, 10)), 20),
    "constant units": lambda rng: np.hstack([rng.standard_normal((90, 150)), np.ones((90, 50))]),
    "far from zero": lambda rng: rng.standard_normal((90, 200)) + 1e3,
    "one unit": lambda rng: rng.standard_normal((90, 1)),
    "unequal scales, few units": lambda rng: rng.standard_normal((90, 20)) * np.logspace(-4, 4, 20),
    "unequal scales": lambda rng: rng.standard_normal((90, 55)) * np.logspace(-4, 4, 55),
    "unequal scales, many units": lambda rng: (
        rng.standard_normal((90, 300)) * np.logspace(-4, 4, 300)
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_predictions_and_penalties_are_those_of_scikit_learn(shape):
    rng = np.random.default_rng(1)
    x = SHAPES[shape](rng)
    y = x[:, :1] + rng.standard_normal((90, 7)) * np.logspace(-1, 1.5, 7)
    metric = Linear()
    fitted = metric.fit(*folds_of(x, y))
    oracle = RidgeCV(np.asarray(metric.penalties) * relative(x), alpha_per_target=True)
    oracle.fit(x[TRAIN], y[TRAIN])
    np.testing.assert_allclose(fitted.penalties * relative(x), oracle.alpha_, rtol=1e-9)
    expected = oracle.predict(x[TEST]) - y[TRAIN].mean(0)
    np.testing.assert_allclose(fitted.predict(), expected, atol=1e-6 * np.abs(expected).max())


def test_leave_one_out_equals_leaving_each_out():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((25, 8)), rng.standard_normal((25, 4))
    penalties = np.array([0.1, 3.0, 40.0])
    errors = np.zeros((3, 4))
    for i in range(25):
        rest = np.arange(25) != i
        for k, penalty in enumerate(penalties):
            left_out = Ridge(penalty).fit(x[rest], y[rest]).predict(x[i : i + 1])[0]
            errors[k] += (y[i] - left_out) ** 2
    # the mean is centred with all stimuli, the intercept refitted by the formula
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    _, chosen = ridge_leave_one_out(u, s, y - y.mean(0), penalties)
    np.testing.assert_array_equal(chosen, errors.argmin(0))


def test_a_noiseless_readout_is_predicted_perfectly_and_noise_is_not():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((90, 10))
    y = np.hstack([x @ rng.standard_normal((10, 5)) + 4, rng.standard_normal((90, 200))])
    r = Linear().fit(*folds_of(x, y)).score().r
    assert (r[:5] > 0.99).all()
    assert abs(r[5:].mean()) < 0.05


def test_rescaling_the_source_changes_nothing():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((90, 200)), rng.standard_normal((90, 6))
    small = Linear().fit(*folds_of(x * 1e-5, y)).score().r
    np.testing.assert_allclose(small, Linear().fit(*folds_of(x, y)).score().r, atol=1e-9)


def test_a_silent_source_predicts_nothing():
    y = np.random.default_rng(5).standard_normal((90, 3))
    for units in (4, 400):
        np.testing.assert_array_equal(Linear().fit(*folds_of(np.ones((90, units)), y)).score().r, 0)


def test_the_map_does_not_depend_on_the_test_responses():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((90, 200)), rng.standard_normal((90, 4))
    other = y.copy()
    other[TEST] = rng.standard_normal((30, 4))
    before, after = Linear().fit(*folds_of(x, y)), Linear().fit(*folds_of(x, other))
    np.testing.assert_array_equal(before.predict(), after.predict())
    np.testing.assert_array_equal(before.penalties, after.penalties)


def test_many_targets_are_done_in_blocks(monkeypatch):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((90, 30)), rng.standard_normal((90, 11))
    whole = Linear().fit(*folds_of(x, y))
    monkeypatch.setattr("convergent.metrics.linear.TARGETS_AT_ONCE", 4)
    blocks = Linear().fit(*folds_of(x, y))
    np.testing.assert_allclose(blocks.predict(), whole.predict(), atol=1e-12)
    np.testing.assert_array_equal(blocks.penalties, whole.penalties)


@pytest.mark.parametrize("penalties", [(), (0.0,), (-1.0, 1.0), (np.inf,), (np.nan,), 1.0])
def test_penalties_must_be_positive(penalties):
    with pytest.raises(InputError, match="penalties"):
        Linear(penalties)
