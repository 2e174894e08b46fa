"""The three metrics by a direct program: no Gram matrices, no shortcuts.

`numpy.linalg.svd` of each training fold, `sklearn.linear_model.RidgeCV` with a penalty for each
target, and `ot.emd` on all pairs. Each function goes from the stimuli of one fold to the scores of
the target's units.
"""

from __future__ import annotations

import numpy as np
import ot
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold


def folds(x, n=5):
    """Training and test stimuli, as convergent draws them."""
    return list(KFold(n, shuffle=True, random_state=0).split(x))


def pearson(a, b):
    """Correlation of each column."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))


def absolute(penalties, x):
    """Penalties that are relative to the mean squared norm of a centred training row."""
    return penalties * ((x - x.mean(0, dtype=float)) ** 2).sum(1, dtype=float).mean()


def linear(x, y, x_test, y_test, penalties=np.logspace(-4, 6, 21)):  # noqa: B008, as never written
    """Ridge, its penalty chosen for each target by leave-one-out; also the relative penalties."""
    x, y, x_test = (
        x.astype(float),
        y.astype(float),
        x_test.astype(float),
    )  # as it predicts in theirs
    scale = absolute(1.0, x)
    ridge = RidgeCV(penalties * scale, alpha_per_target=True).fit(x, y)
    return pearson(ridge.predict(x_test), y_test), ridge.alpha_ / scale


def procrustes(x, y, x_test, y_test):
    """Orthogonal map within the span of the training stimuli."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    u, s, v = axes(x - mean_x)
    a, _, b = np.linalg.svd((u * s).T @ (y - mean_y), full_matrices=False)
    return pearson((x_test - mean_x) @ v.T @ a @ b, y_test)


def axes(x):
    """Singular value decomposition, without directions that are rounding alone."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    keep = s > max(1e-10, 1e3 * np.finfo(x.dtype).eps) * s[0]
    return u[:, keep], s[keep], v[keep]


def full_procrustes(x, y, x_test, y_test):
    """Orthogonal map by scipy, of all units; also its nuclear norm, and r within the span.

    Outside the span of the training stimuli the map is arbitrary: the last value, a function,
    scores what it predicts from the inside alone.
    """
    mean_x = x.mean(0)
    rotation, nuclear = orthogonal_procrustes(x - mean_x, y - y.mean(0))
    predicted = (x_test - mean_x) @ rotation

    def within():
        v = axes(x - mean_x)[2]
        return pearson((x_test - mean_x) @ v.T @ (v @ rotation), y_test)

    return pearson(predicted, y_test), nuclear, within


def transport(similarity):
    """Plan (p, q) with uniform marginals and the greatest total similarity, by POT."""
    p, q = similarity.shape
    return ot.emd(np.full(p, 1 / p), np.full(q, 1 / q), 1 - similarity, numItermax=10**9)


def soft_matching(x, y, x_test, y_test):
    """Transport on the correlations of all pairs."""
    vary = x.std(0) > 0
    x, x_test = x[:, vary], x_test[:, vary]
    zx, zy = (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)
    plan = transport(zx.T @ zy / len(x))
    r = np.zeros(y.shape[1])
    for i, j in np.argwhere(plan > 0):
        a, b = x_test[:, i], y_test[:, j]
        if a.std() > 0:
            r[j] += len(r) * plan[i, j] * np.corrcoef(a, b)[0, 1]
    return r


DIRECT = {
    "linear": lambda *fold: linear(*fold)[0],
    "procrustes": procrustes,
    "soft-matching": soft_matching,
}


def score(x, y, metrics):
    """Of each metric, the median over units of the mean over folds."""
    return [
        float(
            np.median(
                np.mean([DIRECT[metric](x[a], y[a], x[b], y[b]) for a, b in folds(x)], axis=0)
            )
        )
        for metric in metrics
    ]
