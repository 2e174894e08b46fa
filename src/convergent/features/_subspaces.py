"""Subspaces that the two parts of a cluster span: whether they, and their axes, are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers
from ..statistics.aggregation import FoldMean
from ._assignment import bipartite
from ._cross_moments import CrossMoments, correlation

__all__ = ["canonical_correlations", "dimension", "groups", "matched", "predicted"]

_ROUNDING = 1e-12  # of a variance, in standardized units
_LEAST_AXIS = 0.01  # of the variance along the longest axis: shorter axes are left out


@dataclass(frozen=True, eq=False)
class _Group:
    """Covariances of a cluster's source units (xx), target units (yy), and between them (xy)."""

    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, moments: CrossMoments, x: Integers, y: Integers) -> _Group:
        part = moments.of_units(x, y)
        # silent units would leave rounding errors
        one, other = (v > 0 for v in (part.source_variance, part.target_variance))
        return cls(
            part.source_covariance * np.outer(one, one),
            part.covariance * np.outer(one, other),
            part.target_covariance * np.outer(other, other),
        )

    def rotated(self, rotation: Floats) -> _Group:
        """Covariances when the target units are rotated."""
        return _Group(self.xx, self.xy @ rotation, rotation.T @ self.yy @ rotation)

    @property
    def correlation(self) -> Floats:
        """Correlations (a, b); 0 for silent units."""
        return correlation(self.xy, np.diagonal(self.xx), np.diagonal(self.yy))

    @property
    def responsive(self) -> NDArray[np.bool_]:
        """Whether both units of each pair (a, b) respond."""
        return np.asarray(np.outer(np.diagonal(self.xx) > 0, np.diagonal(self.yy) > 0))


def groups(
    folds: Sequence[tuple[CrossMoments, CrossMoments]], x: Integers, y: Integers
) -> list[tuple[_Group, _Group]]:
    """Covariances of source units x and target units y on training and test stimuli, by fold."""
    return [(_Group.of(train, x, y), _Group.of(test, x, y)) for train, test in folds]


def canonical_correlations(folds: Sequence[tuple[_Group, _Group]]) -> Floats:
    """Correlations on test stimuli along the canonical directions of the training stimuli.

    Parameters
    ----------
    folds : sequence of (training, test)
        From `groups`.

    Returns
    -------
    float array (c,)
        Mean over folds; c is the smaller of the two parts' dimensions. Their arccos are the
        principal angles between the subspaces.

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
        found.append(across / np.sqrt(np.where(lengths > _ROUNDING, lengths, np.inf)))
    fewest = min(map(len, found))
    return np.asarray(np.clip(np.mean([each[:fewest] for each in found], axis=0), -1, 1))


def matched(folds: Sequence[tuple[_Group, _Group]], rotation: Floats | None = None) -> float:
    """Mean correlation on test stimuli of units that are paired one-to-one on training stimuli.

    Units may be paired by a large negative correlation; r is multiplied by the sign in training.
    With a rotation, the target units are rotated first.
    """
    means = []
    for train, test in folds:
        if rotation is not None:
            train, test = train.rotated(rotation), test.rotated(rotation)
        r = train.correlation
        partner = bipartite(np.abs(r))[0]
        rows = np.flatnonzero(partner >= 0)
        pairs = rows, partner[rows]
        each = np.sign(r[pairs]) * test.correlation[pairs]
        means.append(_mean(each[test.responsive[pairs]]))
    return float(FoldMean.of(means)[0])


def predicted(folds: Sequence[tuple[_Group, _Group]]) -> float:
    """Mean correlation on test stimuli of target units with linear predictions from the source."""
    means = []
    for train, test in folds:
        axes = _whitener(train.xx)
        weights = axes @ (axes.T @ train.xy)
        own = np.diagonal(test.yy)
        variances = np.sum(weights * (test.xx @ weights), axis=0) * own
        across = np.sum(weights * test.xy, axis=0)
        # a constant prediction says nothing: r is 0
        r = across / np.sqrt(np.where(variances > _ROUNDING * own, variances, np.inf))
        means.append(_mean(np.clip(r, -1, 1)[own > 0]))
    return float(FoldMean.of(means)[0])


def dimension(cov: Floats) -> float:
    """Participation ratio of the variances along the principal axes: (sum v)^2 / sum v^2."""
    total = float(np.sum(cov**2))
    return float(np.trace(cov)) ** 2 / total if total > 0 else float("nan")


def _mean(values: Floats) -> Floats:
    """Mean as an array of one value; NaN if there are none."""
    return np.array([values.mean() if len(values) else np.nan])


def _whitener(cov: Floats) -> Floats:
    """Principal axes (units, r), scaled to variance 1; short axes are left out."""
    squares, axes = np.linalg.eigh(cov)
    long = squares > _LEAST_AXIS * squares[-1]
    return np.asarray(axes[:, long] / np.sqrt(squares[long]))
