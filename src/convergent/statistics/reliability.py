"""Reliability of units: how well their mean responses repeat, from repeats of the same stimuli."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import as_seed, as_whole
from ..base.arrays import Floats, is_rounding, is_silent_range
from ..base.draws import first_half
from ..base.errors import InputError, quoted

__all__ = [
    "RELIABILITIES",
    "UNITS_AT_ONCE",
    "Recording",
    "Reliability",
    "repeat_variance",
    "split_half",
    "step_up",
]

UNITS_AT_ONCE = 512
_CORRELATED_AT_ONCE = 2**22  # resamples x units


@runtime_checkable
class Recording(Protocol):
    """Single trials with names, such as a `convergent.Assembly` with repeats."""

    def trials(self) -> NDArray[np.floating]:
        """Responses (stimulus, unit, repeat); NaN where a repeat was not recorded."""


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

    halves: Floats
    full: Floats


def split_half(
    trials: Recording | NDArray[np.floating],
    splits: int = 100,
    seed: int = 0,
    weights: Floats | None = None,
) -> Reliability:
    r"""Split-half reliability of each unit, corrected to the full number of repeats.

    The correlation h between means of random halves, averaged over many splits, is corrected by
    Spearman and Brown's formula, :math:`c = 2h / (1 + h)` for equal halves. With :math:`k_s`
    repeats of stimulus s, divided into halves of :math:`a_s` and :math:`b_s`, the general form
    (Horst 1951) first finds the noise-to-signal ratio v of one repeat from

    .. math:: \frac{1}{h^2} = (1 + v \langle 1/a \rangle)(1 + v \langle 1/b \rangle),

    then :math:`c = 1 / (1 + v \langle 1/k \rangle)`, with means over stimuli.

    Parameters
    ----------
    trials : Assembly with repeats, or float array (stimulus, unit, repeat)
        Responses; NaN where a repeat was not recorded, so the number of repeats may differ.
    splits : int
        Number of random splits.
    seed : int
        Seed of the random splits.
    weights : float array (B, n), optional
        How often each stimulus counts, in each of B resamples; once by default.

    Returns
    -------
    Reliability
        Of each unit, (q,), or (B, q) with weights; NaN for units with fewer than three stimuli that
        were repeated.

    Raises
    ------
    InputError
        If no stimulus has two repeats, or the responses are no such array.

    References
    ----------
    Spearman 1910, British Journal of Psychology 3; Brown 1910, British Journal of Psychology 3;
    Horst 1951, Educational and Psychological Measurement 11.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((2000, 2, 1))
    >>> noise = np.array([1.0, 2.0])[:, None] * rng.standard_normal((2000, 2, 4))
    >>> cv.split_half(signal + noise).full.round(1).tolist()  # 1 / (1 + 1 / 4), 1 / (1 + 4 / 4)
    [0.8, 0.5]
    """
    splits, seed = as_whole("splits", splits), as_seed(seed)
    return _in_parts(trials, weights, lambda part, counts: _split_half(part, splits, seed, counts))


def repeat_variance(
    trials: Recording | NDArray[np.floating], weights: Floats | None = None
) -> Reliability:
    r"""Reliability of each unit from the variance of its repeats, without splitting them.

    The noise variance is the variance over the repeats of a stimulus (n - 1 in the denominator),
    averaged over stimuli: :math:`\sigma_N^2`. The rest of the variance of the mean responses is
    signal,

    .. math:: \sigma_S^2 = \operatorname{var}(\bar y) - \sigma_N^2 \langle 1/k \rangle, \qquad
              c = \frac{\sigma_S^2}{\sigma_S^2 + \sigma_N^2 \langle 1/k \rangle}.

    :math:`\sigma_S / \sigma_N` is the noise-ceiling SNR of the Natural Scenes Dataset, and c its
    noise ceiling (in percent there). Here c is not set to 0 where noise exceeds the variance of
    the means, so that it is not biased upwards: such units have c < 0.

    Parameters
    ----------
    trials : Assembly with repeats, or float array (stimulus, unit, repeat)
        Responses; NaN where a repeat was not recorded, so the number of repeats may differ.
    weights : float array (B, n), optional
        How often each stimulus counts, in each of B resamples; once by default.

    Returns
    -------
    Reliability
        Of each unit, (q,), or (B, q) with weights; NaN for units with fewer than three stimuli that
        were repeated. ``halves`` is the same for means of half the repeats.

    Raises
    ------
    InputError
        If no stimulus has two repeats, or the responses are no such array.

    References
    ----------
    Allen et al. 2022, Nature Neuroscience 25 (Methods, noise ceiling estimation).
    """
    return _in_parts(trials, weights, _repeat_variance)


def step_up(halves: Floats, first: Floats, second: Floats, full: Floats) -> Floats:
    r"""Reliability of the mean over all repeats, from the correlation between halves.

    Spearman and Brown's formula for unequal halves (Horst 1951), as for `split_half`.

    Parameters
    ----------
    halves : float array
        Correlation h between the means of halves.
    first, second : float array
        Mean over stimuli of one over the number of repeats in either half, :math:`\langle 1/a
        \rangle` and :math:`\langle 1/b \rangle`.
    full : float array
        The same of all repeats, :math:`\langle 1/k \rangle`.

    Returns
    -------
    float array
        c, with the sign of h: halves that do not correlate leave nothing to correct.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = first * second, first + second, 1 - 1 / halves**2
        noise = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
        return np.asarray(np.sign(halves) / (1 + noise * full))


RELIABILITIES: dict[str, Callable[..., Reliability]] = {
    "split-half": split_half,
    "repeat-variance": repeat_variance,
}


def _in_parts(
    given: Recording | NDArray[np.floating],
    weights: Floats | None,
    estimate: Callable[[NDArray[np.floating], Floats], Reliability],
) -> Reliability:
    """Estimate some units at a time."""
    trials = _checked(given)
    counts = np.ones((1, len(trials)))
    if weights is not None:
        counts = weights if isinstance(weights, np.ndarray) else np.empty(0)
        plain = counts.ndim == 2 and counts.shape[1] == len(trials) and counts.dtype.kind in "biuf"
        if not plain or not len(counts) or not (counts >= 0).all() or np.isinf(counts).any():
            raise InputError(
                f"weights={quoted(weights)}: give how often each of {len(trials)} stimuli counts, "
                "numbers from 0 up in an array (resamples, stimuli)."
            )
    step = max(1, min(UNITS_AT_ONCE, _CORRELATED_AT_ONCE // len(counts)))
    parts = [
        estimate(_near_one(trials[:, start : start + step]), counts)
        for start in range(0, trials.shape[1], step)
    ]
    halves, full = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("halves", "full")
    )
    return Reliability(halves[0], full[0]) if weights is None else Reliability(halves, full)


def _near_one(trials: NDArray[np.floating]) -> NDArray[np.floating]:
    """Responses of each unit times a power of 2, so that squares of very small ones are not 0."""
    largest = np.fmax.reduce(np.abs(trials), axis=(0, 2))
    _, exponent = np.frexp(np.where(largest > 0, largest, 1.0))  # 1 also for NaN
    return np.asarray(np.ldexp(trials, -exponent[:, None]))


def _checked(given: Any) -> NDArray[np.floating]:
    """Single trials (n, q, repeats), of which a stimulus has two or more."""
    trials = given.trials() if isinstance(given, Recording) else given
    if not isinstance(trials, np.ndarray) or trials.ndim != 3 or trials.dtype.kind != "f":
        found = type(trials).__name__
        if isinstance(trials, np.ndarray):
            found = f"{trials.dtype} array of the shape {trials.shape}"
        raise InputError(
            f"reliability needs single trials, and got a {found}: give an Assembly with repeats, "
            "or a float array (stimulus, unit, repeat) with NaN where a repeat was not recorded."
        )
    if np.isinf(trials).any():
        raise InputError("the trials hold infinite values: set them to NaN if not recorded.")
    if not ((~np.isnan(trials)).sum(-1) >= 2).any():
        raise InputError(
            "reliability needs at least two repeats of a stimulus, and there is one: load "
            "single trials instead of their mean, or ask for no ceiling (ceiling=None)."
        )
    return trials


def _split_half(
    trials: NDArray[np.floating], splits: int, seed: int, weights: Floats
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
    silent = _silent(trials, recorded & (count >= 2)[..., None])
    known = (defined > 0) & (repeated.sum(0) >= 3) & ~silent
    r = np.where(known, r / np.maximum(defined, 1), np.nan)
    return Reliability(
        r, step_up(r, per_first, per_second, _mean_inverse(count, count > 0, weights))
    )


def _repeat_variance(trials: NDArray[np.floating], weights: Floats) -> Reliability:
    filled, recorded = _recorded(trials)
    count = recorded.sum(-1)
    seen, repeated = (count > 0).astype(np.float64), (count >= 2).astype(np.float64)
    mean = filled.sum(-1) / np.maximum(count, 1)
    scatter = np.where(recorded, filled - mean[..., None], 0.0)
    within = (scatter**2).sum(-1) / np.maximum(count - 1, 1)
    noise = (weights @ (repeated * within)) / np.maximum(weights @ repeated, 1e-300)
    n = np.maximum(weights @ seen, 1.0)
    reference = (seen * mean).sum(0) / np.maximum(seen.sum(0), 1.0)
    rest = seen * (mean - reference)  # large means would cost digits
    total = weights @ rest**2
    square = np.maximum(total - (weights @ rest) ** 2 / n, 0.0)
    rounding = is_rounding(square, total, len(trials), raw=weights @ (seen * mean**2))
    constant = _silent(trials, recorded) | rounding
    unknown = constant | (weights @ repeated == 0)
    variance = np.where(unknown, np.nan, square / np.maximum(n - 1, 1.0))
    variance = np.where(repeated.sum(0) >= 3, variance, np.nan)
    noise_of_mean = noise * _mean_inverse(count, seen, weights)
    signal = variance - noise_of_mean
    half = signal + noise * _mean_inverse(np.maximum(count, 2) / 2, repeated, weights)
    return Reliability(np.asarray(signal / half), np.asarray(signal / variance))


def _recorded(trials: NDArray[np.floating]) -> tuple[Floats, NDArray[np.bool_]]:
    """Responses with 0 where there is none, and which were recorded: (n, q, R), or (n, 1, R)."""
    recorded = ~np.isnan(trials)
    filled = np.where(recorded, trials, 0.0).astype(np.float64)
    if (recorded == recorded[:, :1]).all():  # the usual case: all units were recorded together
        recorded = recorded[:, :1]
    return filled, recorded


def _silent(trials: NDArray[np.floating], counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Units (q,) that are silent over the trials that count."""
    least = np.where(counted, trials, np.inf).min(axis=(0, 2))
    most = np.where(counted, trials, -np.inf).max(axis=(0, 2))
    return np.asarray(is_silent_range(least, most, trials.dtype))


def _correlate_where(
    a: NDArray[np.floating], b: NDArray[np.floating], use: Floats, weights: Floats
) -> Floats:
    """Pearson r (B, q) over the rows to be used; NaN where one side is constant."""
    n = np.maximum(weights @ use, 1e-300)
    rest, lengths = [], []
    for values in (a, b):
        centred = use * (values - (use * values).sum(0) / np.maximum(use.sum(0), 1))
        total = weights @ centred**2
        square = total - (weights @ centred) ** 2 / n
        constant = is_rounding(square, total, len(values), raw=weights @ (use * values**2))
        rest.append(centred)
        lengths.append(np.sqrt(np.where(constant, np.nan, square)))
    product = weights @ (rest[0] * rest[1]) - (weights @ rest[0]) * (weights @ rest[1]) / n
    return np.asarray(product / (lengths[0] * lengths[1]))


def _mean_inverse(count: NDArray[np.number], use: NDArray[np.generic], weights: Floats) -> Floats:
    """Mean of 1 / count (B, q) over the stimuli to be used."""
    used = use.astype(np.float64)
    total = np.maximum(weights @ used, 1e-300)
    return np.asarray((weights @ (used / np.maximum(count, 1))) / total)
