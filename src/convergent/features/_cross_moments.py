"""Sums over stimuli, from which correlations and errors of prediction follow without reading again.

A fold's training stimuli are all but its test stimuli, so their sums are a difference: each
population is read once, however many folds, penalties and partners there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats

__all__ = ["SILENT", "CrossMoments", "correlation", "covariance"]

SILENT = 1e-10  # of a unit's mean square: less variance than this is rounding


@dataclass(frozen=True, eq=False)
class CrossMoments:
    """Sums over some stimuli of two populations, of their squares and products.

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
        """CrossMoments of responses (n, p) and (n, q), of means near 0 (else digits are lost)."""
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
        """Those of some source and some target units."""
        products = self.xx[np.ix_(x, x)], self.xy[np.ix_(x, y)], self.yy[np.ix_(y, y)]
        return CrossMoments(self.n, self.x[x], self.y[y], *products)

    @property
    def source_covariance(self) -> Floats:
        """(p, p)."""
        return covariance(self.n, self.x, self.x, self.xx)

    @property
    def target_covariance(self) -> Floats:
        """(q, q)."""
        return covariance(self.n, self.y, self.y, self.yy)

    @property
    def covariance(self) -> Floats:
        """Between the populations, (p, q)."""
        return covariance(self.n, self.x, self.y, self.xy)

    @property
    def source_variance(self) -> Floats:
        """Of each unit, (p,); 0 where rounding alone is left."""
        return _variance(self.n, self.x, np.diagonal(self.xx))

    @property
    def target_variance(self) -> Floats:
        """Of each unit, (q,)."""
        return _variance(self.n, self.y, np.diagonal(self.yy))

    @property
    def correlation(self) -> Floats:
        """Pearson r of each source unit with each target unit, (p, q); 0 where one is silent."""
        return correlation(self.covariance, self.source_variance, self.target_variance)

    def standardized(self, train: CrossMoments) -> CrossMoments:
        """The same of responses less their means in ``train``, in their deviations there.

        Units that are silent there are 0.
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
    """Pearson r (p, q) from covariances and variances; 0 where a variance is."""
    scale = np.sqrt(np.multiply.outer(x_variance, y_variance))
    return np.clip(np.divide(cov, scale, out=np.zeros_like(cov), where=scale > 0), -1, 1)


def _variance(n: int, x: Floats, squares: Floats) -> Floats:
    found = squares / n - (x / n) ** 2
    return np.asarray(np.where(found > SILENT * squares / n, found, 0.0))
