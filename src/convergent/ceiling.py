"""Noise ceilings: the score that the noise of the target leaves possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .assembly import first_half
from .errors import InputError

__all__ = ["CEILINGS", "Reliability", "split_half"]

UNITS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Reliability:
    """How well each unit's mean response repeats.

    Attributes
    ----------
    halves : float array (q,)
        Correlation between the means of random halves of the repeats.
    full : float array (q,)
        The same for means of all repeats: the share of variance over stimuli that is signal.
    """

    halves: NDArray[np.float64]
    full: NDArray[np.float64]


def split_half(trials: NDArray[np.floating], splits: int = 100, seed: int = 0) -> Reliability:
    r"""Split-half reliability of each unit, corrected to the full number of repeats.

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

    Returns
    -------
    Reliability
        NaN for units with fewer than three stimuli that were repeated.

    Raises
    ------
    InputError
        Where no stimulus has two repeats.

    References
    ----------
    Spearman 1910; Brown 1910; Horst 1951, Educational and Psychological Measurement 11.
    """
    recorded = ~np.isnan(trials)
    if not (recorded.sum(-1) >= 2).any():
        raise InputError(
            "a split-half ceiling needs at least two repeats of a stimulus, and there is one: load "
            "single trials instead of their mean, or ask for no ceiling (ceiling=None)."
        )
    starts = range(0, trials.shape[1], UNITS_AT_ONCE)
    parts = [
        _split_half(trials[:, start : start + UNITS_AT_ONCE], splits, seed) for start in starts
    ]
    return Reliability(
        np.concatenate([part.halves for part in parts]),
        np.concatenate([part.full for part in parts]),
    )


CEILINGS = {"split-half": split_half}


def _split_half(trials: NDArray[np.floating], splits: int, seed: int) -> Reliability:
    recorded = ~np.isnan(trials)
    if (recorded == recorded[:, :1]).all():  # the usual case: all units were recorded together
        recorded = recorded[:, :1]
    count = recorded.sum(-1)
    repeated = count >= 2
    filled = np.where(np.isnan(trials), 0.0, trials).astype(np.float64)
    total = filled.sum(-1)
    rng = np.random.default_rng(seed)
    r, defined = np.zeros(trials.shape[1]), np.zeros(trials.shape[1])
    per_first = per_second = np.zeros(recorded.shape[1])
    for _ in range(splits):
        first = first_half(recorded, rng)
        in_first = first.sum(-1)
        sum_first = np.einsum("nqr,nqr->nq", filled, np.broadcast_to(first, filled.shape))
        in_second = count - in_first
        a = sum_first / np.maximum(in_first, 1)
        b = (total - sum_first) / np.maximum(in_second, 1)
        one = _correlate_where(a, b, repeated)
        r, defined = r + np.nan_to_num(one), defined + ~np.isnan(one)
        per_first = per_first + _mean_inverse(in_first, repeated) / splits
        per_second = per_second + _mean_inverse(in_second, repeated) / splits
    known = (defined > 0) & (repeated.sum(0) >= 3)
    r = np.where(known, r / np.maximum(defined, 1), np.nan)
    full = _step_up(r, per_first, per_second, _mean_inverse(count, count > 0))
    return Reliability(r, full)


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
    a: NDArray[np.floating], b: NDArray[np.floating], use: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Pearson r of each column over the rows to be used; NaN where one is constant."""
    n = np.maximum(use.sum(0), 1)
    lengths, centred = [], []
    for values in (a, b):
        values = np.where(use, values, 0.0)
        rest = np.where(use, values - values.sum(0) / n, 0.0)
        length = np.sqrt((rest**2).sum(0))
        constant = length <= 1e-12 * np.sqrt((values**2).sum(0))  # but for rounding
        lengths.append(np.where(constant, np.nan, length))
        centred.append(rest)
    return np.asarray((centred[0] * centred[1]).sum(0) / (lengths[0] * lengths[1]))


def _mean_inverse(count: NDArray[np.integer], use: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray((use / np.maximum(count, 1)).sum(0) / np.maximum(use.sum(0), 1))
