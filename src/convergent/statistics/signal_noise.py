"""Signal and noise of a recording, estimated from repeats, and new recordings of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers

__all__ = ["SignalNoise", "signal_and_noise"]

_LEAST_VARIANCE = 0.05  # of the noise at any stimulus, as a share of its mean over stimuli


@dataclass(frozen=True, eq=False)
class SignalNoise:
    """Signal and noise of a recording.

    Attributes
    ----------
    signal : float array (n, q)
        Estimated noiseless responses.
    size : float array (n, q)
        Standard deviation of the noise of one repeat, which may depend on the response.
    residuals : float array (m, q)
        Deviations of repeats from the mean of their stimulus, in units of `size`. All units of a
        repeat stand in one row, so that noise shared by units stays shared.
    repeats : int array (n,)
        How often each stimulus was presented: the greatest number over units.
    """

    signal: Floats
    size: Floats
    residuals: Floats
    repeats: Integers

    def draw(self, parts: Sequence[Integers], rng: np.random.Generator) -> list[Floats]:
        """Draw new means over repeats: the signal, and residuals of other repeats and stimuli.

        Parameters
        ----------
        parts : sequence of int array (n,)
            How many repeats of each stimulus are averaged, in each of several means that share no
            repeat.
        rng : numpy.random.Generator
            Source of the random numbers.

        Returns
        -------
        list of float array (n, q)
            Mean responses, for each of the parts.
        """
        total = int(sum(int(part.sum()) for part in parts))
        rows = np.concatenate(
            [rng.permutation(len(self.residuals)) for _ in range(-(-total // len(self.residuals)))]
        )
        found, start = [], 0
        for part in parts:
            stop = start + int(part.sum())
            owner = np.repeat(np.arange(len(part)), part)
            noise = np.zeros_like(self.signal)
            np.add.at(noise, owner, self.residuals[rows[start:stop]])
            found.append(self.signal + self.size * noise / np.maximum(part, 1)[:, None])
            start = stop
        return found


def signal_and_noise(trials: NDArray[np.floating], reliability: Floats) -> SignalNoise:
    r"""Estimate noiseless responses and noise, so that recordings like this one can be drawn.

    The noise covariance :math:`\Sigma_N` is that of repeats about the mean of their stimulus. The
    covariance of the mean responses over these stimuli is :math:`\Sigma_S + \Sigma_N \langle 1/k
    \rangle`, so that subtracting the noise leaves that of the signal, :math:`\Sigma_S`. Chance in
    the noise makes the covariances between units too large, and the signal then seems to have
    fewer dimensions than it has. So they are shrunk until their sum of squares is the one expected
    without this chance; negative eigenvalues are set to 0, and each unit is scaled to its own
    reliability. The noiseless responses are the mean responses, mapped linearly with the least
    change to where they have this covariance. So they keep the shape of the data's own
    distribution: counts stay skewed, and a stimulus that drives many units still does.

    The variance of the noise is a linear function of the noiseless response, for each unit (counts
    vary more where they are higher), and the noise itself is the residuals of the data.

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
        Signal, and size and residuals of the noise.

    References
    ----------
    Kay et al. 2025, "Disentangling signal and noise in neural responses through generative
    modeling", PLOS Computational Biology 21 (covariances of signal and noise, GSN).
    """
    recorded = ~np.isnan(trials)
    filled = np.where(recorded, trials, 0.0).astype(np.float64)
    count = recorded.sum(-1)
    mean = filled.sum(-1) / count
    residual = np.where(recorded, filled - mean[..., None], 0.0)
    degrees = np.maximum(count - 1, 0)
    centred = mean - mean.mean(0)
    noise = _short(_rows(residual) / np.sqrt(np.maximum(degrees.sum(0), 1)))
    signal = _signal(centred, noise * np.sqrt((1 / count).mean()), int(degrees.sum(0).max()))
    wanted = np.maximum(np.nan_to_num(reliability), 0) * (centred**2).sum(0)
    found = (signal**2).sum(0)
    signal = signal * np.sqrt(np.divide(wanted, found, out=np.zeros_like(found), where=found > 0))
    within = (residual**2).sum(-1) / np.maximum(degrees, 1)
    size = np.sqrt(_noise_variance(signal, within, degrees))
    # residuals from a mean over k repeats have (k - 1) / k of the variance of the noise
    scale = np.sqrt(count / np.maximum(degrees, 1))
    scaled = residual * np.divide(scale, size, out=np.zeros_like(size), where=size > 0)[..., None]
    seen = recorded & (count > 1)[..., None]
    return SignalNoise(signal, size, _pool(scaled, seen), count.max(1))


def _signal(centred: Floats, noise: Floats, degrees: int) -> Floats:
    """Noiseless responses (n, q), of mean 0, from mean responses and the factor of their noise."""
    n = len(centred)
    turn, lengths, axes = np.linalg.svd(centred / np.sqrt(n - 1), full_matrices=False)
    kept = lengths > lengths[:1] * n * np.finfo(np.float64).eps
    turn, lengths, axes = turn[:, kept], lengths[kept], axes[kept]
    along = noise @ axes.T
    difference = np.diag(lengths**2) - along.T @ along
    own = (centred**2).sum(0) / (n - 1) - (noise**2).sum(0)  # its diagonal, unit by unit
    squares, turned = np.linalg.eigh(difference)
    plain = np.sqrt(np.maximum(squares, 0))[:, None] * (turned.T @ axes)
    # chance in the stimuli is not counted: they stay the same
    chance = _chance(centred / np.sqrt(n - 1), n - 1) - _chance(plain, n - 1)
    chance = max(0.0, chance + _chance(noise, degrees))
    shared = (difference**2).sum() - (own**2).sum()
    keep = np.sqrt(max(0.0, 1 - chance / shared)) if shared > 0 else 0.0
    shrunk = keep * difference + (1 - keep) * (axes * own) @ axes.T
    # the linear map of least change from one covariance to the other (optimal transport)
    root = _root(lengths[:, None] * shrunk * lengths)
    return np.asarray((turn * np.sqrt(n - 1)) @ (root / lengths) @ axes)


def _noise_variance(signal: Floats, within: Floats, degrees: Integers) -> Floats:
    """Variance of the noise (n, q): linear in the signal of the unit, and nowhere near 0."""
    weight = degrees / np.maximum(degrees.sum(0), 1)
    mean = (weight * within).sum(0)
    away = signal - (weight * signal).sum(0)
    square = (weight * away**2).sum(0)
    product = (weight * away * (within - mean)).sum(0)
    slope = np.divide(product, square, out=np.zeros_like(square), where=square > 0)
    variance = np.maximum(mean + slope * away, _LEAST_VARIANCE * mean)
    total = (weight * variance).sum(0)
    return np.asarray(variance * np.divide(mean, total, out=np.zeros_like(total), where=total > 0))


def _rows(trials: NDArray[Any]) -> NDArray[Any]:
    """Repeats (n * repeats, q) below each other."""
    return np.asarray(trials.transpose(0, 2, 1).reshape(-1, trials.shape[1]))


def _pool(scaled: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Residuals (m, q) of repeats in which some unit was recorded, each of mean square 1.

    Where a unit was not recorded, another of its residuals is put.
    """
    rows, known = _rows(scaled), np.asarray(_rows(seen))
    rows, known = rows[known.any(axis=1)], known[known.any(axis=1)]
    if not known.all():
        rng = np.random.default_rng(0)
        for unit in np.flatnonzero(~known.all(axis=0) & known.any(axis=0)):
            lacking = ~known[:, unit]
            rows[lacking, unit] = rng.choice(rows[~lacking, unit], lacking.sum())
    length = np.sqrt((rows**2).mean(axis=0))
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0))


def _root(square: Floats) -> Floats:
    """Symmetric square root, of the part that has positive eigenvalues."""
    values, vectors = np.linalg.eigh(square)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _chance(rows: Floats, degrees: int) -> float:
    """Expected sum of squared errors of the covariances between units, X'X, of Gaussian rows."""
    variance = (rows**2).sum(0)
    across = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    total = variance.sum() ** 2 + (across**2).sum() - 2 * (variance**2).sum()
    return float(total / degrees)


def _short(rows: Floats) -> Floats:
    """The fewest rows with the same inner products of columns."""
    if len(rows) <= rows.shape[1]:
        return rows
    return np.asarray(np.linalg.qr(rows, mode="r"))
