"""Sums over stimuli, from which correlations and errors of predictions follow.

A fold's training stimuli are all stimuli but its test stimuli, so their sums are differences: each
population is read once, whatever the number of folds, penalties and partners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, is_rounding

__all__ = ["CrossMoments", "correlation", "covariance"]

_SUMMED = 2**15  # terms of a sum over all stimuli, for the rounding error of a fold's sums


@dataclass(frozen=True, eq=False)
class CrossMoments:
    """Sums over stimuli of the responses of two populations, and of their products.

    Attributes
    ----------
    n : int
        Number of stimuli.
    x, y : float array (p,), (q,)
        Sums of responses.
    xx, xy, yy : float array (p, p), (p, q), (q, q)
        Sums of products.
    """

    n: int
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats) -> CrossMoments:
        """Sums of responses (n, p) and (n, q), which need means near 0 (else digits are lost)."""
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, y.T @ y)

    def __add__(self, other: CrossMoments) -> CrossMoments:
        return CrossMoments(
            self.n + other.n,
            *(getattr(self, name) + getattr(other, name) for name in ("x", "y", "xx", "xy", "yy")),
        )

    def __sub__(self, other: CrossMoments) -> CrossMoments:
        return CrossMoments(
            self.n - other.n,
            *(getattr(self, name) - getattr(other, name) for name in ("x", "y", "xx", "xy", "yy")),
        )

    def of_units(self, x: NDArray[np.intp], y: NDArray[np.intp]) -> CrossMoments:
        """Sums for a selection of source units x and target units y."""
        products = self.xx[np.ix_(x, x)], self.xy[np.ix_(x, y)], self.yy[np.ix_(y, y)]
        return CrossMoments(self.n, self.x[x], self.y[y], *products)

    @property
    def source_covariance(self) -> Floats:
        """Covariances of the source units, (p, p)."""
        return covariance(self.n, self.x, self.x, self.xx)

    @property
    def target_covariance(self) -> Floats:
        """Covariances of the target units, (q, q)."""
        return covariance(self.n, self.y, self.y, self.yy)

    @property
    def covariance(self) -> Floats:
        """Covariances of source units with target units, (p, q)."""
        return covariance(self.n, self.x, self.y, self.xy)

    @property
    def source_variance(self) -> Floats:
        """Variance of each source unit, (p,); 0 if it is below rounding."""
        return _variance(self.n, self.x, np.diagonal(self.xx))

    @property
    def target_variance(self) -> Floats:
        """Variance of each target unit, (q,); 0 if it is below rounding."""
        return _variance(self.n, self.y, np.diagonal(self.yy))

    @property
    def correlation(self) -> Floats:
        """Pearson r of each source unit with each target unit, (p, q); 0 if one is silent."""
        return correlation(self.covariance, self.source_variance, self.target_variance)

    def standardized(self, train: CrossMoments) -> CrossMoments:
        """Sums of standardized responses, with the means and deviations of ``train``.

        Units that are silent in ``train`` are 0.
        """
        (x, x_scale), (y, y_scale) = (
            (
                mean / train.n,
                np.where(variance > 0, 1 / np.sqrt(np.where(variance > 0, variance, 1)), 0),
            )
            for mean, variance in (
                (train.x, train.source_variance),
                (train.y, train.target_variance),
            )
        )

        def products(
            one: Floats, other: Floats, one_mean: Floats, other_mean: Floats, sums: Floats
        ) -> Floats:
            shifted = sums - np.multiply.outer(one, other_mean) - np.multiply.outer(one_mean, other)
            return np.asarray(shifted + self.n * np.multiply.outer(one_mean, other_mean))

        return CrossMoments(
            self.n,
            (self.x - self.n * x) * x_scale,
            (self.y - self.n * y) * y_scale,
            products(self.x, self.x, x, x, self.xx) * np.multiply.outer(x_scale, x_scale),
            products(self.x, self.y, x, y, self.xy) * np.multiply.outer(x_scale, y_scale),
            products(self.y, self.y, y, y, self.yy) * np.multiply.outer(y_scale, y_scale),
        )


def covariance(n: int, x: Floats, y: Floats, xy: Floats) -> Floats:
    """Covariance (p, q) from sums (p,), (q,) and sums of products (p, q)."""
    return np.asarray(xy / n - np.multiply.outer(x / n, y / n))


def correlation(cov: Floats, x_variance: Floats, y_variance: Floats) -> Floats:
    """Pearson r (p, q) from covariances and variances; 0 where a variance is 0."""
    scale = np.sqrt(np.multiply.outer(x_variance, y_variance))
    return np.clip(np.divide(cov, scale, out=np.zeros_like(cov), where=scale > 0), -1, 1)


def _variance(n: int, x: Floats, squares: Floats) -> Floats:
    found = squares / n - (x / n) ** 2
    # a fold's sums are differences of sums over all stimuli, and have the rounding error of these
    return np.where(is_rounding(found, squares / n, _SUMMED), 0.0, found)
