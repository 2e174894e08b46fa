"""Signal and noise of a recording: their covariances, estimated from repeats, and new draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SignalNoise", "signal_and_noise"]


@dataclass(frozen=True, eq=False)
class SignalNoise:
    """A Gaussian recording: factors of its covariances over units.

    Attributes
    ----------
    signal : float array (r, q)
        F, so that F'F is the covariance of the noiseless responses over stimuli.
    noise : float array (s, q)
        The same for the noise of one repeat.
    repeats : int array (n,)
        How often each stimulus was presented: the greatest number over units.
    """

    signal: NDArray[np.float64]
    noise: NDArray[np.float64]
    repeats: NDArray[np.intp]

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw responses to new stimuli.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the random numbers.

        Returns
        -------
        true : float array (n, q)
            Noiseless responses.
        recorded : float array (n, q)
            Their means over noisy repeats.
        """
        n = len(self.repeats)
        true = rng.standard_normal((n, len(self.signal))) @ self.signal
        noise = rng.standard_normal((n, len(self.noise))) @ self.noise
        return true, true + noise / np.sqrt(self.repeats)[:, None]


def signal_and_noise(trials: NDArray[np.floating], reliability: NDArray[np.float64]) -> SignalNoise:
    r"""Covariances of signal and noise, from repeats.

    The noise covariance :math:`\Sigma_N` is that of repeats about the mean of their stimulus. The
    covariance of the mean responses is :math:`\Sigma_S + \Sigma_N \langle 1/k \rangle`, so that
    subtracting the noise leaves the covariance of the signal, :math:`\Sigma_S`. With few stimuli,
    chance makes the covariances between units too large, and the signal then seems to have fewer
    dimensions than it has. So they are shrunk until their sum of squares is the one expected
    without chance. Negative eigenvalues are then set to 0, and each unit is scaled to its own
    reliability.

    Parameters
    ----------
    trials : float array (n, q, repeats)
        Responses; NaN where a repeat was not recorded. Each stimulus was presented at least once,
        and some repeatedly.
    reliability : float array (q,)
        Share of the variance of each unit's mean responses that is signal; a negative value or
        NaN counts as 0.

    Returns
    -------
    SignalNoise
        Factors of the two covariances.

    References
    ----------
    Kay et al. 2025, "Disentangling signal and noise in neural responses through generative
    modeling", PLOS Computational Biology 21 (generative modelling of signal and noise, GSN).
    """
    recorded = ~np.isnan(trials)
    filled = np.where(recorded, trials, 0.0).astype(np.float64)
    count = recorded.sum(-1)
    mean = filled.sum(-1) / count
    residual = np.where(recorded, filled - mean[..., None], 0.0)
    degrees = np.maximum(count - 1, 0).sum(0)
    residual = residual.transpose(0, 2, 1).reshape(-1, trials.shape[1])
    noise = _short(residual / np.sqrt(np.maximum(degrees, 1)))
    centred = (mean - mean.mean(0)) / np.sqrt(len(mean) - 1)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    noise_of_mean = noise * np.sqrt((1 / count).mean())
    along = noise_of_mean @ axes.T
    difference = np.diag(lengths**2) - along.T @ along
    own = (centred**2).sum(0) - (noise_of_mean**2).sum(0)  # its diagonal, unit by unit
    chance = _chance(centred, len(mean) - 1) + _chance(noise_of_mean, int(degrees.max()))
    shared = (difference**2).sum() - (own**2).sum()
    keep = np.sqrt(max(0.0, 1 - chance / shared)) if shared > 0 else 0.0
    shrunk = keep * difference + (1 - keep) * (axes * own) @ axes.T
    squares, turn = np.linalg.eigh(shrunk)
    signal = np.sqrt(np.maximum(squares, 0))[:, None] * (turn.T @ axes)
    wanted = np.sqrt(np.maximum(np.nan_to_num(reliability), 0) * (centred**2).sum(0))
    found = np.sqrt((signal**2).sum(0))
    signal = signal * np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
    return SignalNoise(signal, noise, count.max(1))


def _chance(rows: NDArray[np.float64], degrees: int) -> float:
    """Expected sum of squared errors of the covariances between units, X'X, of Gaussian rows."""
    variance = (rows**2).sum(0)
    across = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    total = variance.sum() ** 2 + (across**2).sum() - 2 * (variance**2).sum()
    return float(total / degrees)


def _short(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fewest rows with the same inner products of columns."""
    if len(rows) <= rows.shape[1]:
        return rows
    return np.asarray(np.linalg.qr(rows, mode="r"))
