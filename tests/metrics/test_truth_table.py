"""What each metric ignores, and what it must notice."""

import numpy as np
import pytest
from scipy.stats import ortho_group

import convergent as cv

N, P = 120, 24


def source():
    """Responses of units with unequal variance that are neither Gaussian nor rotation invariant."""
    rng = np.random.default_rng(0)
    return np.maximum(rng.standard_normal((N, P)), 0) * rng.uniform(0.5, 2, P)


def permute_stimuli(x):
    return x[np.random.default_rng(1).permutation(len(x))]


TRANSFORMATIONS = {
    "shift": lambda x: x + np.random.default_rng(2).normal(0, 5, P),
    "scale": lambda x: 7 * x,
    "scale of each unit": lambda x: x * np.random.default_rng(3).uniform(0.2, 5, P),
    "reflection": lambda x: -x,
    "rotation": lambda x: x @ ortho_group.rvs(P, random_state=4),
    "permutation of units": lambda x: x[:, np.random.default_rng(5).permutation(P)],
    "duplication of all units": lambda x: np.tile(x, 3),
    "duplication of one unit": lambda x: np.hstack([x, np.repeat(x[:, :1], 3 * P, axis=1)]),
    "invertible linear map": lambda x: x @ np.random.default_rng(6).standard_normal((P, P)),
    "shuffle of stimuli": permute_stimuli,
}

# the penalty of ridge is not blind to linear maps; without it, regression is
METRICS = {
    "linear": cv.Linear(),
    "unpenalized": cv.Linear(penalties=(1e-12,)),
    "procrustes": cv.Procrustes(),
    "soft-matching": cv.SoftMatching(),
    "barycentric": cv.SoftMatching("barycentric"),
}

IGNORES = {
    "shift": set(METRICS),
    "scale": set(METRICS),
    "scale of each unit": {"unpenalized", "soft-matching", "barycentric"},
    "reflection": {"linear", "unpenalized", "procrustes"},
    "rotation": {"linear", "unpenalized", "procrustes"},
    "permutation of units": set(METRICS),
    "duplication of all units": set(METRICS),
    "duplication of one unit": {"unpenalized"},
    "invertible linear map": {"unpenalized"},
    "shuffle of stimuli": set(),
}


def unit_scores(x):
    """Unit scores of all metrics, mean over folds."""
    rng = np.random.default_rng(7)
    y = source() @ rng.standard_normal((P, 8)) + rng.standard_normal((N, 8))
    names = [f"image{i:03d}" for i in range(N)]
    a, b = (cv.Assembly.from_array(z, stimuli=names) for z in (x, y))
    r = cv.score(a, b, METRICS, ceiling=None)["r"].isel(source=0).mean("fold")
    return {metric: r.sel(metric=metric).values for metric in METRICS}


@pytest.fixture(scope="module")
def unchanged():
    return unit_scores(source())


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_metric_ignores_what_it_should_and_notices_the_rest(transformation, unchanged):
    changed = unit_scores(TRANSFORMATIONS[transformation](source()))
    ignored = {
        metric
        for metric in METRICS
        if np.allclose(changed[metric], unchanged[metric], rtol=0, atol=1e-6)
    }
    assert ignored == IGNORES[transformation]
    for metric in set(METRICS) - ignored:  # noticed, and not by a rounding error
        assert np.abs(changed[metric] - unchanged[metric]).max() > 1e-4


def test_every_metric_stands_in_the_table():
    kinds = {type(metric) for metric in METRICS.values()}
    assert kinds == set(cv.METRICS.values())
