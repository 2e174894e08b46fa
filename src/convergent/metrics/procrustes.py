"""Procrustes: how much of each target unit a rotation of the source predicts."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Array, correlate, correlate_resampled
from .base import FoldScore, check_pair
from .population import PopulationFold, graded_svd

__all__ = ["Procrustes", "ProcrustesMap", "nuclear_norm", "rotation"]

_SHORT = 1e-13  # of the longest: a direction that may be rounding error


@dataclass(frozen=True)
class Procrustes:
    r"""Orthogonal map; ignores shift, scale, rotation and reflection.

    With centred training responses X of the source and Y of the target, the map is

    .. math:: \hat Y = c X Q, \qquad Q = \arg\min_{Q^\top Q = I} \|X Q - Y\|, \qquad
              c = \frac{\langle X Q, Y \rangle}{\|X\|^2}.

    Where unit counts differ, or stimuli are fewer than units, the map is a partial isometry: zero
    outside the span of the training stimuli, where the data say nothing.

    References
    ----------
    Schönemann 1966, Psychometrika 31; Williams, Kunz, Kornblith and Linderman 2021, NeurIPS;
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((60, 2))
    >>> y = 3 * x @ np.array([[0.0, -1.0], [1.0, 0.0]]) + 5  # rotated by 90 degrees
    >>> train, test = np.arange(48), np.arange(48, 60)
    >>> folds = [cv.Population(z).fold(train, test) for z in (x, y)]
    >>> cv.Procrustes().fit(*folds).score().r.round(6).tolist()
    [1.0, 1.0]
    """

    def fit(self, source: PopulationFold, target: PopulationFold) -> ProcrustesMap:
        """Fit the map on the training stimuli of a fold.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split.

        Returns
        -------
        ProcrustesMap
            The map.

        Raises
        ------
        InputError
            If the two are not under the same split of the same stimuli.
        """
        check_pair(source, target)
        x, y = source.coordinates, target.coordinates
        turned, nuclear = rotation(x.left.T @ y.left, x.singular, y.singular)
        power = float(array_api.array_namespace(turned).sum(x.singular**2))
        return ProcrustesMap(source, target, turned, nuclear / power if power else 0.0)


@dataclass(frozen=True, eq=False)
class ProcrustesMap:
    """A fitted orthogonal map.

    Attributes
    ----------
    source, target : PopulationFold
        The two populations.
    rotation : array (r_source, r_target)
        From the source's principal axes to the target's.
    scale : float
        Factor that brings the turned source closest to the target.
    """

    source: PopulationFold
    target: PopulationFold
    rotation: Array
    scale: float

    def predict(self) -> Array:
        """Predict the responses to the test stimuli.

        Returns
        -------
        float array (n_test, q)
            Responses less the training mean.
        """
        return self.target.expand(self._turned())

    def _turned(self) -> Array:
        """The source's responses to the test stimuli, in the target's principal axes."""
        return self.scale * self.source.coordinates.test @ self.rotation

    def similarity(self) -> float:
        """Cosine of the two matrices of test responses after the map.

        Returns
        -------
        float
            Its arccos is the angular shape distance, cross-validated; NaN where a population does
            not vary.
        """
        x, y = self.source.coordinates, self.target.coordinates
        xp = array_api.array_namespace(x.test)
        lengths = x.test_norm * y.test_norm
        inner = float(xp.sum((x.test @ self.rotation) * y.test))
        return inner / lengths if lengths else float("nan")

    def score(self) -> FoldScore:
        """Score each target unit on the test stimuli.

        Returns
        -------
        FoldScore
            Pearson r of prediction and response, and the `similarity`.
        """
        weights = self.target.of_training(self._turned())
        r = [correlate(weights @ train, test) for train, test in self.target.blocks()]
        return FoldScore(np.concatenate(r), similarity=self.similarity())

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score the map in resamples of the stimuli, fitted again to resampled training stimuli.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts.
        train : float array (B, n_train), optional
            How often each training stimulus counts; once by default.

        Returns
        -------
        float array (B, q)
            Unit scores.
        """
        observed = self.target.responses[1]
        if train is None:
            return correlate_resampled(self.predict(), observed, test)
        x, y = self.source.coordinates, self.target.coordinates
        both = x.train, y.train
        xp = array_api.array_namespace(*both)
        scores = []
        for tested, fitted in zip(test, train, strict=True):
            weights = xp.asarray(fitted, device=array_api.device(both[0]))[:, None]
            a, b = (z - xp.sum(weights * z, axis=0) / fitted.sum() for z in both)
            inner = (a / x.singular).T @ (weights * (b / y.singular))
            turned, _ = rotation(inner, x.singular, y.singular)
            predicted = self.target.expand(self.scale * x.test @ turned)
            scores.append(correlate_resampled(predicted, observed, tested[None]))
        return np.concatenate(scores)


def rotation(inner: Array, lengths: Array, others: Array) -> tuple[Array, float]:
    r"""Orthogonal map that brings centred responses X closest to Y.

    .. math:: Q = \arg\max_{Q} \operatorname{tr}(Q^\top X^\top Y) = A B^\top
              \quad\text{with}\quad X^\top Y = S_x U_x^\top U_y S_y = A \Sigma B^\top,

    over the directions with :math:`\Sigma > 0`. Directions in which both populations vary little
    count as all others do; only directions that the other population lacks are left out.

    Parameters
    ----------
    inner : array (r, s)
        :math:`U_x^\top U_y`, of all directions of the source with all of the target.
    lengths, others : array (r,), (s,)
        :math:`S_x` and :math:`S_y`, the lengths of the responses along these, longest first.

    Returns
    -------
    rotation : array (r, s)
        Q, a partial isometry.
    nuclear : float
        :math:`\operatorname{tr} \Sigma`; over :math:`\|X\| \|Y\|` it is the cosine of the angular
        shape distance.

    References
    ----------
    Schönemann 1966, Psychometrika 31.
    """
    xp = array_api.array_namespace(inner)
    if 0 in inner.shape:
        return inner, 0.0
    products = lengths[:, None] * inner * others
    a, sigma, b = xp.linalg.svd(products, full_matrices=False)
    rank = len(sigma)
    if sigma[-1] <= _SHORT * sigma[0]:  # short, or none at all
        a, sigma, b = graded_svd(products)
        cosines = xp.linalg.svdvals(inner)
        rank = int(xp.sum(cosines > _SHORT * cosines[0]))
    return a[:, :rank] @ b[:rank], float(xp.sum(sigma))


def nuclear_norm(inner: Array) -> float:
    r"""Greatest inner product of two sets of centred responses, over all rotations of one.

    It is the :math:`\operatorname{tr} \Sigma` of `rotation`, at half the cost.

    Parameters
    ----------
    inner : array (r, s)
        :math:`X^\top Y`.

    Returns
    -------
    float
        :math:`\operatorname{tr} \Sigma`.
    """
    xp = array_api.array_namespace(inner)
    return float(xp.sum(xp.linalg.svdvals(inner))) if 0 not in inner.shape else 0.0
