"""Reliability of units: how well their mean responses repeat, from repeats of the same stimuli."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.draws import first_half
from ..base.errors import InputError

__all__ = [
    "CORRELATED_AT_ONCE",
    "RELIABILITIES",
    "UNITS_AT_ONCE",
    "Reliability",
    "Weights",
    "repeat_variance",
    "split_half",
]

UNITS_AT_ONCE = 512
CORRELATED_AT_ONCE = 2**22  # resamples x units


@dataclass(frozen=True, eq=False)
class Reliability:
    """How well each unit's mean response repeats.

    Attributes
    ----------
    halves : float array (..., q)
        Correlation between the means of random halves of the repeats.
    full : float array (..., q)
        The same for means of all repeats: the share of variance over stimuli that is signal.
    """

    halves: NDArray[np.float64]
    full: NDArray[np.float64]


def split_half(
    trials: NDArray[np.floating],
    splits: int = 100,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> Reliability:
    r"""PopulationFold-half reliability of each unit, corrected to the full number of repeats.

    The correlation h between means of random halves, averaged over many splits, is corrected by
    Spearman and Brown's formula, :math:`c = 2h / (1 + h)` for equal halves. With :math:`k_s`
    repeats of stimulus s, dealt into :math:`a_s + b_s`, the general form (Horst 1951) first finds
    the noise-to-signal ratio v of one repeat from

    .. math:: \frac{1}{h^2} = (1 + v \langle 1/a \rangle)(1 + v \langle 1/b \rangle),

    then :math:`c = 1 / (1 + v \langle 1/k \rangle)`, with means over stimuli.

    Parameters
    ----------
    trials : float array (n, q, repeats)
        Responses; NaN where a repeat was not recorded, so counts may differ.
    splits : int
        Number of random splits.
    seed : int
        Draws them.
    weights : float array (B, n), optional
        How often each stimulus counts, in each of B resamples; once where left out.

    Returns
    -------
    Reliability
        Of each unit, (q,), or (B, q) with weights; NaN for units with fewer than three stimuli that
        were repeated.

    Raises
    ------
    InputError
        Where no stimulus has two repeats.

    References
    ----------
    Spearman 1910; Brown 1910; Horst 1951, Educational and Psychological Measurement 11.
    """
    return _in_parts(trials, weights, lambda part, counts: _split_half(part, splits, seed, counts))


def repeat_variance(
    trials: NDArray[np.floating],
    weights: NDArray[np.float64] | None = None,
) -> Reliability:
    r"""Reliability of each unit from the variance of its repeats, without splitting them.

    The noise variance is the variance over the repeats of a stimulus (n - 1 in the denominator),
    averaged over stimuli: :math:`\sigma_N^2`. What it leaves of the variance of the mean responses
    is signal,

    .. math:: \sigma_S^2 = \operatorname{var}(\bar y) - \sigma_N^2 \langle 1/k \rangle, \qquad
              c = \frac{\sigma_S^2}{\sigma_S^2 + \sigma_N^2 \langle 1/k \rangle}.

    :math:`\sigma_S / \sigma_N` is the noise-ceiling SNR of the Natural Scenes Dataset, and c its
    noise ceiling (in percent there); but it is not set to 0 where noise exceeds the variance of
    the means, so that it is not biased upwards: such units have c < 0.

    Parameters
    ----------
    trials : float array (n, q, repeats)
        Responses; NaN where a repeat was not recorded, so counts may differ.
    weights : float array (B, n), optional
        How often each stimulus counts, in each of B resamples; once where left out.

    Returns
    -------
    Reliability
        Of each unit, (q,), or (B, q) with weights; NaN for units with fewer than three stimuli that
        were repeated. ``halves`` is what the same variances say of means of half the repeats.

    Raises
    ------
    InputError
        Where no stimulus has two repeats.

    References
    ----------
    Allen et al. 2022, Nature Neuroscience 25 (Methods, noise ceiling estimation).
    """
    return _in_parts(trials, weights, _repeat_variance)


RELIABILITIES: dict[str, Callable[..., Reliability]] = {
    "split-half": split_half,
    "repeat-variance": repeat_variance,
}

Weights = NDArray[np.float64]


def _in_parts(
    trials: NDArray[np.floating],
    weights: Weights | None,
    estimate: Callable[[NDArray[np.floating], Weights], Reliability],
) -> Reliability:
    """Estimate some units at a time."""
    if not ((~np.isnan(trials)).sum(-1) >= 2).any():
        raise InputError(
            "reliability needs at least two repeats of a stimulus, and there is one: load "
            "single trials instead of their mean, or ask for no ceiling (ceiling=None)."
        )
    counts = np.ones((1, len(trials))) if weights is None else weights
    step = max(1, min(UNITS_AT_ONCE, CORRELATED_AT_ONCE // len(counts)))
    parts = [
        estimate(trials[:, start : start + step], counts)
        for start in range(0, trials.shape[1], step)
    ]
    halves, full = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("halves", "full")
    )
    return Reliability(halves[0], full[0]) if weights is None else Reliability(halves, full)


def _split_half(
    trials: NDArray[np.floating], splits: int, seed: int, weights: Weights
) -> Reliability:
    filled, recorded = _recorded(trials)
    count = recorded.sum(-1)
    repeated = (count >= 2).astype(np.float64)
    total = filled.sum(-1)
    rng = np.random.default_rng(seed)
    r = np.zeros((len(weights), trials.shape[1]))
    defined = np.zeros_like(r)
    per_first = per_second = np.zeros((len(weights), recorded.shape[1]))
    for _ in range(splits):
        first = first_half(recorded, rng)
        in_first = first.sum(-1)
        sum_first = np.einsum("nqr,nqr->nq", filled, np.broadcast_to(first, filled.shape))
        in_second = count - in_first
        a = sum_first / np.maximum(in_first, 1)
        b = (total - sum_first) / np.maximum(in_second, 1)
        one = _correlate_where(a, b, repeated, weights)
        r, defined = r + np.nan_to_num(one), defined + ~np.isnan(one)
        per_first = per_first + _mean_inverse(in_first, repeated, weights) / splits
        per_second = per_second + _mean_inverse(in_second, repeated, weights) / splits
    known = (defined > 0) & (repeated.sum(0) >= 3)
    r = np.where(known, r / np.maximum(defined, 1), np.nan)
    full = _step_up(r, per_first, per_second, _mean_inverse(count, count > 0, weights))
    return Reliability(r, full)


def _repeat_variance(trials: NDArray[np.floating], weights: Weights) -> Reliability:
    filled, recorded = _recorded(trials)
    count = recorded.sum(-1)
    shown, repeated = (count > 0).astype(np.float64), (count >= 2).astype(np.float64)
    mean = filled.sum(-1) / np.maximum(count, 1)
    scatter = np.where(recorded, filled - mean[..., None], 0.0)
    within = (scatter**2).sum(-1) / np.maximum(count - 1, 1)
    noise = (weights @ (repeated * within)) / np.maximum(weights @ repeated, 1e-300)
    n = np.maximum(weights @ shown, 1.0)
    reference = (shown * mean).sum(0) / np.maximum(shown.sum(0), 1.0)
    rest = shown * (mean - reference)  # large means would cost digits
    square = np.maximum(weights @ rest**2 - (weights @ rest) ** 2 / n, 0.0)
    constant = square <= 1e-24 * (weights @ (shown * mean**2)) + 1e-12 * (rest**2).sum(0)
    unknown = constant | (weights @ repeated == 0)
    variance = np.where(unknown, np.nan, square / np.maximum(n - 1, 1.0))
    variance = np.where(repeated.sum(0) >= 3, variance, np.nan)
    noise_of_mean = noise * _mean_inverse(count, shown, weights)
    signal = variance - noise_of_mean
    half = signal + noise * _mean_inverse(np.maximum(count, 2) / 2, repeated, weights)
    return Reliability(np.asarray(signal / half), np.asarray(signal / variance))


def _recorded(trials: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Responses with 0 where there is none, and where there is one: (n, q, R), or (n, 1, R)."""
    recorded = ~np.isnan(trials)
    filled = np.where(recorded, trials, 0.0).astype(np.float64)
    if (recorded == recorded[:, :1]).all():  # the usual case: all units were recorded together
        recorded = recorded[:, :1]
    return filled, recorded


def _step_up(
    r: NDArray[np.float64],
    per_first: NDArray[np.float64],
    per_second: NDArray[np.float64],
    per_full: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Reliability of the full mean, from that of halves (mean 1/count of each)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = per_first * per_second, per_first + per_second, 1 - 1 / r**2
        noise = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
        # halves that do not correlate leave nothing to correct; the sign is kept for the reader
        return np.asarray(np.sign(r) / (1 + noise * per_full))


def _correlate_where(
    a: NDArray[np.floating], b: NDArray[np.floating], use: Weights, weights: Weights
) -> NDArray[np.float64]:
    """Pearson r (B, q) over the rows to be used; NaN where one side is constant."""
    n = np.maximum(weights @ use, 1e-300)
    rest, lengths = [], []
    for values in (a, b):
        centred = use * (values - (use * values).sum(0) / np.maximum(use.sum(0), 1))
        square = weights @ centred**2 - (weights @ centred) ** 2 / n
        # rounding of large means, and of a few stimuli against all
        rounding = 1e-24 * (weights @ (use * values**2)) + 1e-12 * (centred**2).sum(0)
        constant = square <= rounding
        rest.append(centred)
        lengths.append(np.sqrt(np.where(constant, np.nan, square)))
    product = weights @ (rest[0] * rest[1]) - (weights @ rest[0]) * (weights @ rest[1]) / n
    return np.asarray(product / (lengths[0] * lengths[1]))


def _mean_inverse(
    count: NDArray[np.number], use: NDArray[np.generic], weights: Weights
) -> NDArray[np.float64]:
    """Mean of 1 / count (B, q) over the stimuli to be used."""
    used = use.astype(np.float64)
    total = np.maximum(weights @ used, 1e-300)
    return np.asarray((weights @ (used / np.maximum(count, 1))) / total)
