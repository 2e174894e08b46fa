"""What groups of units of two networks span: whether the same subspace, and with the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers
from ..statistics.aggregation import FoldMean
from ._assignment import bipartite
from ._cross_moments import CrossMoments, correlation

__all__ = [
    "LEAST_AXIS",
    "ROUNDING",
    "Fold",
    "canonical_correlations",
    "dimension",
    "groups",
    "matched",
    "predicted",
]

ROUNDING = 1e-12  # of a variance, in standardized units
LEAST_AXIS = 0.01  # of the variance along the longest axis: shorter axes of a span are left out
Fold = tuple[CrossMoments, CrossMoments]


@dataclass(frozen=True, eq=False)
class _Group:
    """Covariances of some source and some target units."""

    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, moments: CrossMoments, x: Integers, y: Integers) -> _Group:
        part = moments.of_units(x, y)
        # of silent units rounding would be left
        one, other = (v > 0 for v in (part.source_variance, part.target_variance))
        return cls(
            part.source_covariance * np.outer(one, one),
            part.covariance * np.outer(one, other),
            part.target_covariance * np.outer(other, other),
        )

    def turned(self, turn: Floats) -> _Group:
        """With the target units' axes turned."""
        return _Group(self.xx, self.xy @ turn, turn.T @ self.yy @ turn)

    @property
    def correlation(self) -> Floats:
        """(a, b); 0 where a unit is silent."""
        return correlation(self.xy, np.diagonal(self.xx), np.diagonal(self.yy))

    @property
    def responsive(self) -> NDArray[np.bool_]:
        """Pairs (a, b) of units that are not silent."""
        return np.asarray(np.outer(np.diagonal(self.xx) > 0, np.diagonal(self.yy) > 0))


def groups(folds: Sequence[Fold], x: Integers, y: Integers) -> list[tuple[_Group, _Group]]:
    """A cluster's covariances on training and test stimuli of each fold."""
    return [(_Group.of(train, x, y), _Group.of(test, x, y)) for train, test in folds]


def canonical_correlations(folds: Sequence[tuple[_Group, _Group]]) -> Floats:
    """Correlations along the canonical directions of training stimuli, on test stimuli.

    Parameters
    ----------
    folds : sequence of (training, test)
        Covariances of the two parts of a cluster.

    Returns
    -------
    float array (c,)
        Mean over folds; c is the lesser dimension of the parts. Their arccos are the principal
        angles between what the parts span.

    References
    ----------
    Hotelling 1936, Biometrika 28; Bjorck and Golub 1973, Mathematics of Computation 27.
    """
    found = []
    for train, test in folds:
        one, other = _whitener(train.xx), _whitener(train.yy)
        left, _, right = np.linalg.svd(one.T @ train.xy @ other, full_matrices=False)
        a, b = one @ left, other @ right.T
        across = np.sum(a * (test.xy @ b), axis=0)
        lengths = np.sum(a * (test.xx @ a), axis=0) * np.sum(b * (test.yy @ b), axis=0)
        found.append(across / np.sqrt(np.where(lengths > ROUNDING, lengths, np.inf)))
    fewest = min(map(len, found))
    return np.asarray(np.clip(np.mean([each[:fewest] for each in found], axis=0), -1, 1))


def matched(folds: Sequence[tuple[_Group, _Group]], turn: Floats | None = None) -> float:
    """Mean correlation on test stimuli of units that are paired one-to-one on training stimuli.

    Pairs may go opposite ways (large negative correlations); they are scored as in training.
    """
    means = []
    for train, test in folds:
        if turn is not None:
            train, test = train.turned(turn), test.turned(turn)
        r = train.correlation
        partner = bipartite(np.abs(r))[0]
        rows = np.flatnonzero(partner >= 0)
        pairs = rows, partner[rows]
        each = np.sign(r[pairs]) * test.correlation[pairs]
        means.append(_mean(each[test.responsive[pairs]]))
    return float(FoldMean.of(means)[0])


def predicted(folds: Sequence[tuple[_Group, _Group]]) -> float:
    """Mean correlation of target units with what the source units predict linearly, on test."""
    means = []
    for train, test in folds:
        axes = _whitener(train.xx)
        weights = axes @ (axes.T @ train.xy)
        own = np.diagonal(test.yy)
        variances = np.sum(weights * (test.xx @ weights), axis=0) * own
        across = np.sum(weights * test.xy, axis=0)
        # a prediction that is constant says nothing: 0
        r = across / np.sqrt(np.where(variances > ROUNDING * own, variances, np.inf))
        means.append(_mean(np.clip(r, -1, 1)[own > 0]))
    return float(FoldMean.of(means)[0])


def dimension(cov: Floats) -> float:
    """Participation ratio of the variances along the principal axes: (sum v)^2 / sum v^2."""
    total = float(np.sum(cov**2))
    return float(np.trace(cov)) ** 2 / total if total > 0 else float("nan")


def _mean(values: Floats) -> Floats:
    """Mean as an array of one; NaN of nothing."""
    return np.array([values.mean() if len(values) else np.nan])


def _whitener(cov: Floats) -> Floats:
    """Axes (units, r) along which the variance is 1; short axes are left out."""
    squares, axes = np.linalg.eigh(cov)
    long = squares > LEAST_AXIS * squares[-1]
    return np.asarray(axes[:, long] / np.sqrt(squares[long]))
