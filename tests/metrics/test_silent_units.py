"""A unit is silent or not by the same rule in every question, whatever its scale or offset."""

import numpy as np
import pytest

import convergent as cv
from convergent import features

N, TRAIN, TEST = 60, np.arange(45), np.arange(45, 60)
CHANGES = {
    "as it is": lambda unit: unit,
    "scaled down": lambda unit: unit * 1e-10,
    "scaled far down": lambda unit: unit * 1e-100,
    "scaled up": lambda unit: unit * 1e12,
    "offset": lambda unit: unit + 1e8,
    "constant": lambda unit: np.full_like(unit, 0.1),
    "constant but for rounding": lambda _: 0.1 * (1 + 2.0**-52 * (np.arange(N) % 3)),
    "large and constant": lambda unit: np.full_like(unit, 1e9 / 3),
}
SILENT = {name for name in CHANGES if "constant" in name}


def labelled(values, name=None):
    dims = ("stimulus", "unit", "repeat")[: values.ndim]
    names = [f"image{i:02d}" for i in range(N)]
    return cv.Assembly.from_array(values, stimuli=names, dims=dims, name=name)


def pair(change, dtype=float):
    """A source, and a target of which unit 1 is changed."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 6))
    y = x @ rng.standard_normal((6, 4)) + 0.5 * rng.standard_normal((N, 4))
    changed = y.copy()
    changed[:, 1] = CHANGES[change](y[:, 1])
    return x.astype(dtype), y.astype(dtype), changed.astype(dtype)


@pytest.mark.parametrize("change", CHANGES)
def test_scores_features_reliability_and_plans_agree(change):
    x, y, changed = pair(change)
    silent = change in SILENT
    scores = cv.score(labelled(x), labelled(changed), ceiling=None)
    assert scores["excluded"].values.tolist() == ["", "constant" if silent else "", "", ""]
    assert np.isnan(scores["r"][..., 1]).all() == silent
    expected = cv.score(labelled(x), labelled(y), ceiling=None)
    if not silent:
        same = ["linear", "soft-matching"]  # which ignore the scale of a unit of the target
        np.testing.assert_allclose(
            scores["r"].sel(metric=same), expected["r"].sel(metric=same), atol=1e-5
        )
    drawn = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(2)}
    table = features.unit_table(features.match_units(labelled(x), labelled(changed), **drawn))
    assert ((table["class"] == "silent").tolist()) == [False] * 6 + [False, silent, False, False]
    trials = changed[:, :, None] + np.zeros(3)
    for estimate in (cv.split_half, cv.repeat_variance):
        np.testing.assert_array_equal(
            np.isnan(estimate(trials).full), [False, silent, False, False]
        )
    assert (1 in cv.transport_plan(x, changed).target) != silent


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("metric", [*cv.METRICS, "barycentric"])
def test_metrics_give_no_score_to_silent_units_and_one_to_all_others(change, metric):
    x, _, changed = pair(change)
    fit = (cv.METRICS[metric]() if metric in cv.METRICS else cv.SoftMatching(metric)).fit
    source, target = (cv.Population(z).fold(TRAIN, TEST) for z in (x, changed))
    score = fit(source, target).score()
    missing = [False, change in SILENT, False, False]
    np.testing.assert_array_equal(np.isnan(score.r), missing)
    counts = np.ones((2, len(TEST)))
    np.testing.assert_array_equal(np.isnan(fit(source, target).resample(counts)), [missing] * 2)
    if metric not in ("linear", "procrustes"):
        assert score.silent_target == sum(missing)
    back = fit(target, source).score()
    assert np.isfinite(back.r).all()
    if metric not in ("linear", "procrustes"):
        assert back.silent_source == sum(missing)


@pytest.mark.parametrize("metric", cv.METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("units", [4, 200])
def test_a_source_that_rounding_alone_makes_vary_predicts_nothing(metric, dtype, units):
    rng = np.random.default_rng(1)
    eps = np.finfo(dtype).eps
    x = (0.1 * (1 + eps * rng.integers(-2, 3, (N, units)))).astype(dtype)
    y = rng.standard_normal((N, 3))
    source, target = (cv.Population(z).fold(TRAIN, TEST) for z in (x, y))
    np.testing.assert_array_equal(cv.METRICS[metric]().fit(source, target).score().r, 0)


@pytest.mark.parametrize("metric", cv.METRICS)
def test_rounding_of_single_precision_is_no_response(metric):
    """A mean of float32 responses over repeats varies in its last digit."""
    x, y, _ = pair("as it is", np.float32)
    eps = np.finfo(np.float32).eps
    rng = np.random.default_rng(2)
    y[:, 1] = 0.1 * (1 + eps * rng.integers(-2, 3, N))
    y[TEST, 2] = 0.3 * (1 + eps * rng.integers(-2, 3, len(TEST)))  # on the test stimuli alone
    source, target = (cv.Population(z).fold(TRAIN, TEST) for z in (x, y))
    r = cv.METRICS[metric]().fit(source, target).score().r
    np.testing.assert_array_equal(np.isnan(r), [False, True, True, False])
