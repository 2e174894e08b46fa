"""From resamples to standard errors, intervals and the set of the best: bare numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["ROUNDING", "Spread", "holm", "p_best", "p_permutation", "spread"]

Floats = NDArray[np.float64]
REFIT_SHARE = 0.5
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Spread:
    """How far an estimate would move if the experiment were done again.

    Attributes
    ----------
    error : float array
        Standard error.
    degrees : float array
        Degrees of freedom of its t distribution.
    """

    error: Floats
    degrees: Floats

    def interval(self, estimate: Floats, level: float) -> tuple[Floats, Floats]:
        """Lower and upper end: estimate -+ t x standard error."""
        half = stats.t.ppf((1 + level) / 2, self.degrees) * self.error
        return estimate - half, estimate + half

    def p(self, difference: Floats) -> Floats:
        """Two-sided p of a difference from 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(difference == 0, 0.0, np.abs(difference) / self.error)
        return np.asarray(2 * stats.t.sf(t, self.degrees))


def spread(draws: Mapping[str, Floats], drawn: Mapping[str, float], n_folds: int) -> Spread:
    r"""Standard error of an estimate, from its values in the resamples of each random factor.

    One factor: the variance over resamples, times :math:`m / (m - 1)` where m things were drawn at
    once. Two crossed factors, stimuli (s) and units or subjects (u): resampling both counts what
    they do together three times, so that

    .. math:: V = 2 (V_s + V_u) - V_{su}, \qquad \max(V_s, V_u) \le V \le V_s + V_u.

    Resamples of held-out stimuli leave the maps as they were fitted. Where these are fitted anew
    with the resampled training stimuli ("refit"), the variance grows by what the fit contributes,
    and as much again or more, since a resample adds its own noise to noise that is there already;
    half of the growth is added to V.

    Parameters
    ----------
    draws : dict of str to float array (B, ...)
        Values by factor: ``stimuli``, ``refit``, and ``units`` or ``subjects``, alone or with
        ``stimuli and ...``. "refit" may have fewer: the first ones.
    drawn : dict of str to float
        How many stimuli (or groups of them), and units or subjects, there are.
    n_folds : int
        Stimuli are drawn within folds.

    References
    ----------
    Schütt, Kipnis, Diedrichsen and Kriegeskorte 2023, eLife 12 (two-factor bootstrap); Efron and
    Stein 1981, Annals of Statistics 9 (resampling overestimates variance).
    """
    per_fold = drawn.get("stimuli", 0) / n_folds
    single: dict[str, tuple[Floats, float]] = {}
    for name, together, degrees in (
        ("stimuli", per_fold, drawn.get("stimuli", 0) - n_folds),
        *((name, drawn.get(name, 0), drawn.get(name, 0) - 1) for name in ("units", "subjects")),
    ):
        if name in draws:
            factor = together / max(together - 1, 1)
            single[name] = _variance(draws[name]) * factor, max(degrees, 1)
    total = sum((v for v, _ in single.values()), np.zeros(()))
    if len(single) == 2:
        both = next(values for name, values in draws.items() if " and " in name)
        least = np.maximum(*(v for v, _ in single.values()))
        total = np.clip(2 * total - _variance(both), least, total)
    weight = sum((v**2 / degrees for v, degrees in single.values()), np.zeros(()))
    degrees = np.divide(total**2, weight, out=np.full(np.shape(total), np.inf), where=weight > 0)
    if "refit" in draws:
        same = draws["stimuli"][: len(draws["refit"])]
        growth = _variance(draws["refit"]) - _variance(same)
        total = total + REFIT_SHARE * np.maximum(growth, 0)
    return Spread(np.sqrt(total), degrees)


def p_best(ahead: Floats, draws: Floats, pairs: Spread, seed: int = 0) -> Floats:
    r"""For each of several sources, p that it is as good as the best.

    Source l is compared with all others at once: the greatest of
    :math:`\hat\theta_{kl} / \mathrm{SE}_{kl}` over k is held against what it would be if l were as
    good as all of them, by the joint resamples, with the tails of t. The sources with p above 5%
    hold the truly best one in 95% of experiments; nothing is assumed of which one that is.

    Parameters
    ----------
    ahead : float array (k, k)
        How far source k (row) is ahead of source l (column).
    draws : float array (B, k, k)
        The same in joint resamples.
    pairs : Spread
        Of these differences.
    seed : int
        Draws the tails.

    References
    ----------
    Hsu 1981, Annals of Statistics 9 (comparison with the best); Westfall and Young 1993 (maximum
    over correlated tests).
    """
    moved = draws - np.nanmean(draws, axis=0)
    scale = np.nanstd(draws, axis=0, ddof=1)
    rng = np.random.default_rng(seed)
    p = np.ones(len(ahead))
    for mine in range(len(ahead) if len(ahead) > 1 else 0):
        others = np.delete(np.arange(len(ahead)), mine)
        lead, error, width = (each[others, mine] for each in (ahead, pairs.error, scale))
        differ = (error > ROUNDING) & (width > ROUNDING)  # copies of one source do not
        sure = np.where(lead > ROUNDING, np.inf, -np.inf)
        t = np.where(differ, lead / np.where(differ, error, 1.0), sure)
        degrees = pairs.degrees[others, mine].min()
        tail = np.sqrt(degrees / rng.chisquare(degrees, len(draws))) if degrees < np.inf else 1.0
        null = moved[:, others, mine] / np.where(differ, width, 1.0)
        null = np.where(differ, null, -np.inf).max(axis=1) * tail
        p[mine] = p_permutation(float(t.max()), null)
    return p


def p_permutation(found: float, null: Floats) -> float:
    """P = (1 + number of null values at least as great) / (1 + number of null values)."""
    null = null[~np.isnan(null)]
    return float((1 + np.sum(null >= found)) / (1 + len(null)))


def holm(p: Floats) -> Floats:
    """p-values corrected for their number, by Holm's step-down method."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _variance(draws: Floats) -> Floats:
    return np.asarray(np.nanvar(draws, axis=0, ddof=1))
