"""Linear regression: how much of each target unit an affine map of the source predicts."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..population import Array, Split, correlate, correlate_resampled, to_numpy
from .fold_score import FoldScore

__all__ = ["Linear", "LinearMap", "ridge_leave_one_out"]

ERRORS_AT_ONCE = 2**21  # stimuli x penalties x targets: keeps memory flat, and in the cache


@dataclass(frozen=True)
class Linear:
    """Ridge regression with intercept; ignores shift, scale and (but for the penalty) linear maps.

    Parameters
    ----------
    penalties : tuple of float
        Relative penalties, in units of the mean squared norm of a centred training response of
        the source, so that rescaling the source changes nothing. One is chosen for each target
        unit, by exact leave-one-out on the training stimuli.

    Raises
    ------
    InputError
        Where there is no penalty, or one is not positive.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """

    penalties: tuple[float, ...] = tuple(np.logspace(-4, 6, 21).tolist())

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "penalties", tuple(map(float, self.penalties)))
        except (TypeError, ValueError):
            raise InputError(f"penalties are numbers in a tuple; got {self.penalties!r}.") from None
        if not self.penalties or not all(0 < penalty < np.inf for penalty in self.penalties):
            raise InputError(
                f"penalties must be positive numbers, at least one; got {self.penalties}."
            )

    def fit(self, source: Split, target: Split) -> LinearMap:
        """Fit the map on the training stimuli of a fold.

        Parameters
        ----------
        source, target : Split
            The two populations under the same split.
        """
        axes = source.coordinates
        response, _ = target.responses
        n = response.shape[0]
        xp = array_api.array_namespace(response)
        power = float(xp.sum(axes.singular**2)) / n
        penalties = np.asarray(self.penalties) * (power or 1.0)
        weights, chosen = [], []
        step = max(1, ERRORS_AT_ONCE // (n * len(penalties)))
        for start in range(0, response.shape[1], step):
            block = response[:, start : start + step]
            weight, choice = ridge_leave_one_out(axes.left, axes.singular, block, penalties)
            weights.append(weight)
            chosen.append(choice)
        return LinearMap(
            source, target, xp.concat(weights, axis=1), np.concatenate(chosen) / (power or 1.0)
        )


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A fitted affine map.

    Attributes
    ----------
    source, target : Split
        What it was fitted on.
    weights : array (r, q)
        From the source's principal axes to the target's units.
    penalties : float array (q,)
        The relative penalty chosen for each target unit.
    """

    source: Split
    target: Split
    weights: Array
    penalties: NDArray[np.float64]

    def predict(self) -> Array:
        """Predicted responses (n_test, q) to the test stimuli, less the training mean."""
        return self.source.coordinates.test @ self.weights

    def score(self) -> FoldScore:
        """Pearson r of prediction and response over the test stimuli, for each target unit."""
        return FoldScore(correlate(self.predict(), self.target.responses[1]))

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        r"""Unit scores in resamples of the stimuli.

        With resampled training stimuli the weights move as they would if each stimulus alone
        counted :math:`w_i` times instead of once, all these moves added up: with residual
        :math:`e_i` and leverage :math:`h_i`, by :math:`(X^\top X + \lambda)^{-1} x_i
        \frac{(w_i - 1) e_i}{1 + (w_i - 1) h_i}`. Penalties stay as chosen.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts.
        train : float array (B, n_train), optional
            How often each training stimulus counts; once where left out.

        Returns
        -------
        float array (B, q)
        """
        predicted, (shown, observed) = to_numpy(self.predict()), self.target.responses
        observed = to_numpy(observed)
        if train is None:
            return correlate_resampled(predicted, observed, test)
        left, singular, across, response = map(
            to_numpy,
            (*(getattr(self.source.coordinates, k) for k in ("left", "singular", "test")), shown),
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
) -> tuple[Array, NDArray[np.float64]]:
    r"""Ridge weights, with the penalty of each target that predicts left-out stimuli best.

    With centred source :math:`X = U S V^\top` and centred target y, the fitted values are
    :math:`H_\lambda y` with :math:`H_\lambda = U \frac{S^2}{S^2 + \lambda} U^\top`, and the error
    on stimulus i when it is left out of the fit, intercept included, is

    .. math:: e_i = \frac{y_i - (H_\lambda y)_i}{1 - \frac{1}{n} - (H_\lambda)_{ii}}.

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
    chosen : float array (q,)
        The penalty with the least mean squared left-out error.
    """
    xp = array_api.array_namespace(left, response)
    n = response.shape[0]
    projected = left.T @ response
    squares, leverage = singular**2, left**2
    candidates = xp.asarray(penalties, device=array_api.device(left))
    shrink = squares[:, None] / (squares[:, None] + candidates)
    remaining = xp.clip(1 - 1 / n - leverage @ shrink, min=1e-12)
    r, k, q = len(squares), len(penalties), response.shape[1]
    every = xp.reshape(shrink[:, :, None] * projected[:, None, :], (r, k * q))
    left_out = response[:, None, :] - xp.reshape(left @ every, (n, k, q))
    left_out = left_out / remaining[:, :, None]
    penalty = candidates[xp.argmin(xp.sum(left_out * left_out, axis=0), axis=0)]
    weights = singular[:, None] / (squares[:, None] + penalty) * projected
    return weights, to_numpy(penalty)
