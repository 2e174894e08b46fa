"""Linear regression: how much of each target unit an affine map of the source predicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray

from ..base.arguments import as_list, as_number
from ..base.arrays import Array, correlate, correlate_resampled, to_numpy
from ..base.devices import single_is_exact
from ..base.errors import InputError
from .base import FoldScore, check_pair
from .population import PopulationFold

__all__ = ["TARGETS_AT_ONCE", "Linear", "LinearMap", "ridge_leave_one_out"]

_ROWS_AT_ONCE = 1024
TARGETS_AT_ONCE = 128  # whose left-out errors are computed at once


@dataclass(frozen=True)
class _Precision:
    """How left-out errors are computed: number type, its rounding, and axes that may be dropped."""

    kind: str
    rounding: float
    truncation: float


_SINGLE = _Precision("float32", 2.0**-24, 1e-5)
_DOUBLE = _Precision("float64", 2.0**-53, 1e-14)


@dataclass(frozen=True)
class Linear:
    r"""Ridge regression with intercept; ignores shift, scale and (except the penalty) linear maps.

    With centred training responses X of the source and y of a target unit, the weights are

    .. math:: w = (X^\top X + \lambda I)^{-1} X^\top y, \qquad
              \lambda = \alpha \, \tfrac{1}{n} \sum_i \|x_i\|^2,

    and the unit's score is the Pearson correlation of prediction and response over the test
    stimuli.

    Parameters
    ----------
    penalties : tuple of float
        Relative penalties :math:`\alpha`, in units of the mean squared norm of a centred training
        response of the source, so that rescaling the source changes nothing. One is chosen for
        each target unit, by exact leave-one-out over the training stimuli.

    Raises
    ------
    InputError
        If there is no penalty, or one is not positive.

    References
    ----------
    Hoerl and Kennard 1970, Technometrics 12 (ridge regression); Golub, Heath and Wahba 1979,
    Technometrics 21 (choice of the penalty); Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710
    (as one of three metrics).

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((60, 5))
    >>> y = x @ rng.standard_normal((5, 2)) + 3  # two units that read out the source
    >>> train, test = np.arange(48), np.arange(48, 60)
    >>> folds = [cv.Population(z).fold(train, test) for z in (x, y)]
    >>> cv.Linear().fit(*folds).score().r.round(4).tolist()
    [1.0, 1.0]
    """

    penalties: tuple[float, ...] = tuple(np.logspace(-4, 6, 21).tolist())

    def __post_init__(self) -> None:
        several = as_list("penalties", self.penalties, "a list of positive numbers")
        given = tuple(as_number("penalties", one) for one in several)
        object.__setattr__(self, "penalties", given)
        if not self.penalties or not all(0 < penalty < np.inf for penalty in self.penalties):
            raise InputError(
                f"penalties must be positive numbers, at least one; got {self.penalties}."
            )

    def fit(self, source: PopulationFold, target: PopulationFold) -> LinearMap:
        """Fit the map on the training stimuli of a fold.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split.

        Returns
        -------
        LinearMap
            The map.

        Raises
        ------
        InputError
            If the two are not under the same split of the same stimuli.
        """
        check_pair(source, target)
        fitted = LinearMap(source, target, self.penalties)
        if target.small:
            fitted.fit_all()
        return fitted


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A fitted affine map; with very many target units, it is fitted as these are read.

    Attributes
    ----------
    source, target : PopulationFold
        The two populations.
    candidates : tuple of float
        Relative penalties to choose from.
    """

    source: PopulationFold
    target: PopulationFold
    candidates: tuple[float, ...]

    def fit_all(self) -> None:
        """Fit the weights of all units, and keep them in memory."""
        _ = self._fitted

    @cached_property
    def _fitted(self) -> tuple[Array, NDArray[np.float64], Array]:
        """Weights and penalties of all units, and their responses to the test stimuli."""
        parts = [(*self._fit(train), test) for train, test in self.target.blocks()]
        if len(parts) == 1:
            return parts[0]
        weights, chosen, observed = zip(*parts, strict=True)
        xp = array_api.array_namespace(*weights)
        return xp.concat(weights, axis=1), np.concatenate(chosen), xp.concat(observed, axis=1)

    @property
    def weights(self) -> Array:
        """From the source's principal axes to the target's units, (r, q)."""
        return self._fitted[0]

    @property
    def penalties(self) -> NDArray[np.float64]:
        """The relative penalty chosen for each target unit, (q,)."""
        return self._fitted[1]

    def predict(self) -> Array:
        """Predict the responses to the test stimuli.

        Returns
        -------
        float array (n_test, q)
            Responses less the training mean.
        """
        return self.source.coordinates.test @ self.weights

    def score(self) -> FoldScore:
        """Score each target unit on the test stimuli.

        Returns
        -------
        FoldScore
            Pearson r of prediction and response; no similarity.
        """
        if self.target.small:  # the weights serve later questions too
            return FoldScore(correlate(self.predict(), self._fitted[2]))
        axes = self.source.coordinates.test
        r = [correlate(axes @ self._fit(train)[0], test) for train, test in self.target.blocks()]
        return FoldScore(np.concatenate(r))

    def _fit(self, response: Array) -> tuple[Array, NDArray[np.float64]]:
        """Weights (r, b) and relative penalties (b,) for some units."""
        axes = self.source.coordinates
        power = float(array_api.array_namespace(response).sum(axes.singular**2)) / len(response)
        penalties = np.asarray(self.candidates) * (power or 1.0)
        weights, chosen = ridge_leave_one_out(axes.left, axes.singular, response, penalties)
        return weights, np.asarray(self.candidates)[chosen]

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        r"""Score the map in resamples of the stimuli.

        With resampled training stimuli the weights move as they would if each stimulus alone
        counted :math:`w_i` times instead of once, all these moves added up: with residual
        :math:`e_i` and leverage :math:`h_i`, by :math:`(X^\top X + \lambda)^{-1} x_i
        \frac{(w_i - 1) e_i}{1 + (w_i - 1) h_i}`. Penalties stay as chosen.

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
        predicted, (response, observed) = to_numpy(self.predict()), self.target.responses
        observed = to_numpy(observed)
        if train is None:
            return correlate_resampled(predicted, observed, test)
        axes = self.source.coordinates
        left, singular, across, response = map(
            to_numpy,
            (*(getattr(axes, name) for name in ("left", "singular", "test")), response),
        )
        squares = singular[:, None] ** 2
        penalty = self.penalties * (float(squares.sum()) / len(left) or 1.0)
        shrink = squares / (squares + penalty)
        residual = response - left @ (shrink * (left.T @ response))
        leverage = left**2 @ shrink + 1 / len(left)
        scores = []
        for tested, fitted in zip(test, train - 1, strict=True):
            push = fitted[:, None] * residual / np.maximum(1 + fitted[:, None] * leverage, 1e-12)
            moved = singular[:, None] / (squares + penalty) * (left.T @ push)
            scores.append(correlate_resampled(predicted + across @ moved, observed, tested[None]))
        return np.concatenate(scores)


def ridge_leave_one_out(
    left: Array, singular: Array, response: Array, penalties: NDArray[np.float64]
) -> tuple[Array, NDArray[np.intp]]:
    r"""Ridge weights, with the penalty of each target that predicts left-out stimuli best.

    With centred source :math:`X = U S V^\top` and centred target y, let :math:`y_\perp` be the
    part of y outside the span of U. The error on stimulus i when it is left out of the fit,
    intercept included, is

    .. math:: e_i(\lambda) = \frac{(y_\perp + U D_\lambda U^\top y)_i}
              {1 - \frac{1}{n} - \sum_r U_{ir}^2 (1 - D_{\lambda r})},
              \qquad D_{\lambda r} = \frac{\lambda}{s_r^2 + \lambda}.

    As functions of s, the :math:`D_\lambda` of all penalties lie close to a space of few
    dimensions, so one product with U for each of these serves all penalties. The penalty is chosen
    in single precision, and in double precision wherever a bound on the error leaves a doubt.

    Parameters
    ----------
    left : array (n, r)
        U.
    singular : array (r,)
        S.
    response : array (n, q)
        Centred targets.
    penalties : float array (k,)
        Candidate :math:`\lambda`.

    Returns
    -------
    weights : array (r, q)
        :math:`\frac{S}{S^2 + \lambda} U^\top y`, to be applied to coordinates :math:`X V`.
    chosen : int array (q,)
        Which penalty has the least mean squared left-out error.

    References
    ----------
    Golub, Heath and Wahba 1979, Technometrics 21 (leave-one-out from one fit).
    """
    xp = array_api.array_namespace(left, response)
    device = array_api.device(left)
    n, r = left.shape
    projected = left.T @ response
    if not r:  # a source that does not vary predicts the mean, whatever the penalty
        return projected, np.zeros(response.shape[1], dtype=np.intp)
    # centred responses have nothing outside n - 1 axes
    outside = response - left @ projected if r < n - 1 else None
    squares, candidates = singular**2, xp.asarray(penalties, device=device)
    keeps = candidates / (squares[:, None] + candidates)
    inverse = 1 / xp.clip(_not_own(left, keeps, outside is not None), min=1e-12)
    precision = _SINGLE if single_is_exact(left) else _DOUBLE
    # in units of their greatest value, as single precision does not hold all numbers
    size = xp.max(xp.abs(response), axis=0)
    size = 2.0 ** xp.floor(xp.log2(xp.where(size > 0, size, 1.0)))  # so that no digit changes
    scaled, beyond = projected / size, None if outside is None else outside / size
    chosen, doubtful = _least_error(left, keeps, inverse, scaled, beyond, precision)
    if doubtful.any() and precision is _SINGLE:
        some = xp.asarray(np.flatnonzero(doubtful), device=device)
        rest = None if beyond is None else xp.take(beyond, some, axis=1)
        part = xp.take(scaled, some, axis=1)
        chosen[doubtful], _ = _least_error(left, keeps, inverse, part, rest, _DOUBLE)
    penalty = xp.take(candidates, xp.asarray(chosen, device=device))
    return singular[:, None] / (squares[:, None] + penalty) * projected, chosen


def _not_own(left: Array, keeps: Array, outside: bool) -> Array:
    """Share of other stimuli in each fitted value, 1 - 1 / n - leverage, (n, k)."""
    xp = array_api.array_namespace(left)
    n, parts = left.shape[0], []
    for start in range(0, n, _ROWS_AT_ONCE):
        leverage = left[start : start + _ROWS_AT_ONCE] ** 2
        part = leverage @ keeps
        if outside:
            part = part + xp.clip(1 - 1 / n - xp.sum(leverage, axis=1), min=0.0)[:, None]
        parts.append(part)
    return xp.concat(parts, axis=0)


def _least_error(
    left: Array,
    keeps: Array,
    inverse: Array,
    projected: Array,
    outside: Array | None,
    precision: _Precision,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Which penalty has the least left-out error, and where another may have less."""
    xp = array_api.array_namespace(left)
    length = xp.sum(projected**2, axis=0)
    if outside is not None:
        length = length + xp.sum(outside**2, axis=0)
    possible = _possible(keeps, inverse, projected, outside)
    k, q = possible.shape
    chosen, doubtful = possible.argmax(axis=0), np.zeros(q, dtype=bool)
    last = k - 1 - possible[::-1].argmax(axis=0)
    # targets with much the same penalties to choose from, together
    order = np.lexsort((last, chosen))
    order = order[(last != chosen)[order]]
    kind = getattr(xp, precision.kind)
    left, projected = xp.astype(left, kind), xp.astype(_take(projected, order), kind)
    if outside is not None:
        outside = xp.astype(_take(outside, order), kind)
    for start in range(0, len(order), TARGETS_AT_ONCE):
        part = slice(start, start + TARGETS_AT_ONCE)
        some = order[part]
        few = np.flatnonzero(possible[:, some].any(axis=1))
        own, inverses = _take(keeps, few), _take(inverse, few)
        rest = None if outside is None else outside[:, part]
        error = _left_out(left, own, inverses, projected[:, part], rest, precision.truncation)
        largest = xp.max(inverses, axis=0) * (1 if rest is not None else xp.max(own, axis=0))
        share = precision.truncation + 4 * precision.rounding * len(keeps) ** 0.5
        bound = share * to_numpy(largest[:, None] * _take(length[None], some) ** 0.5)
        best = error.argmin(axis=0)
        most = np.take_along_axis(error + bound, best[None], axis=0)
        chosen[some], doubtful[some] = few[best], (error - bound <= most).sum(axis=0) > 1
    return chosen, doubtful


def _possible(
    keeps: Array, inverse: Array, projected: Array, outside: Array | None
) -> NDArray[np.bool_]:
    """Penalties (k, q) that may have the least left-out error.

    Left-out errors are residuals times ``inverse``. So their sum of squares lies between the
    residuals' times the least and the greatest inverse, squared.
    """
    xp = array_api.array_namespace(keeps)
    residual = (keeps**2).T @ projected**2
    if outside is not None:
        residual = residual + xp.sum(outside**2, axis=0)
    least = xp.min(inverse, axis=0)[:, None] ** 2 * residual
    most = xp.max(inverse, axis=0)[:, None] ** 2 * residual
    return np.asarray(to_numpy(least <= xp.min(most, axis=0) * (1 + 1e-9)))


def _left_out(
    left: Array,
    keeps: Array,
    inverse: Array,
    projected: Array,
    outside: Array | None,
    truncation: float,
) -> NDArray[np.float64]:
    """Norm (k, q) of the left-out errors of each penalty, in the precision of ``left``."""
    xp = array_api.array_namespace(left)
    n, r = left.shape
    axes, mix = _few_axes(keeps, truncation)
    weights = mix.T * inverse[:, :, None]
    if outside is not None:
        weights = xp.concat([weights, inverse[:, :, None]], axis=2)
    axes, weights = xp.astype(axes, left.dtype), xp.astype(weights, left.dtype)
    turned = xp.reshape(axes[:, :, None] * projected[:, None, :], (r, -1))
    fitted = xp.reshape(left @ turned, (n, axes.shape[1], -1))
    if outside is not None:
        fitted = xp.concat([fitted, outside[:, None, :]], axis=1)
    squared = 0.0
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        error = weights[rows] @ fitted[rows]
        error *= error
        squared = squared + xp.sum(error, axis=0)
    return to_numpy(squared).astype(np.float64) ** 0.5


def _take(values: Array, columns: NDArray[np.intp]) -> Array:
    """Take some columns, in the order given."""
    xp = array_api.array_namespace(values)
    return xp.take(values, xp.asarray(columns, device=array_api.device(values)), axis=1)


def _few_axes(keeps: Array, truncation: float) -> tuple[Array, Array]:
    """Columns (r, b) and weights (b, k) whose product is ``keeps`` (r, k), to the truncation."""
    xp = array_api.array_namespace(keeps)
    largest = xp.max(keeps, axis=0)
    columns, lengths, mix = xp.linalg.svd(keeps / largest, full_matrices=False)
    few = int(xp.sum(lengths > truncation))
    return columns[:, :few] * lengths[:few], mix[:few] * largest
