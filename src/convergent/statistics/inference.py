"""From resamples to standard errors, intervals and the set of the best: bare numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ..base.arrays import Floats

__all__ = [
    "REFIT_SHARES",
    "ROUNDING",
    "Factors",
    "Kind",
    "Spread",
    "holm",
    "p_best",
    "p_permutation",
    "spread",
]

# of what refits add to the variance; tests/calibration measures what is needed
REFIT_SHARES = {"score": 0.4, "difference": 0.2}
ROUNDING = 1e-9
Factors = tuple[str, ...]  # what was drawn in a resample
Kind = Literal["score", "difference"]  # of an estimate


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
            t = np.where(np.abs(difference) < ROUNDING, 0.0, np.abs(difference) / self.error)
        return np.asarray(2 * stats.t.sf(t, self.degrees))


def spread(
    draws: Mapping[Factors, Floats],
    drawn: Mapping[str, float],
    n_folds: int,
    kind: Kind = "score",
) -> Spread:
    r"""Standard error of an estimate, from its values in the resamples of each random factor.

    One factor: the variance over resamples, times :math:`m / (m - 1)` where m things were drawn at
    once. Resamples of held-out stimuli (variance :math:`V_s`) leave the maps as they were fitted.
    With the maps fitted anew to the resampled training stimuli the variance is :math:`V_r`. What a
    fit adds to the spread of a score is mostly of second order (a fit near its best can only lose),
    and resampling counts effects of second order three times. So only a share a of the growth is
    taken: as simulations show, about 0.4 for a score, and less for a paired difference, 0.2, as
    chance in the training stimuli costs both sources alike,

    .. math:: V = V_s + a \max(0, V_r - V_s).

    With units or subjects (u) crossed with stimuli, their variance too holds what chance in the
    stimuli does to single units, which is in :math:`V_s` already. Resampling both counts it three
    times, and each alone once, which tells it apart:

    .. math:: V_{+} = V + \max(0, V_u - V_i), \qquad V_i = \max(0, V_{ru} - V_r - V_u),

    and no less than :math:`V_u`.

    Parameters
    ----------
    draws : dict of tuple of str to float array (B, ...)
        Values by what was drawn: ``("stimuli",)`` and ``("refit",)``; ``("units",)`` or
        ``("subjects",)``; where both are random, also ``("refit", "units")`` or ``("refit",
        "subjects")``. Refits may be fewer: of the first resamples.
    drawn : dict of str to float
        How many stimuli (or groups of them), and units or subjects, there are.
    n_folds : int
        Stimuli are drawn within folds.
    kind : {"score", "difference"}
        What the estimate is, which decides a.

    References
    ----------
    Schütt, Kipnis, Diedrichsen and Kriegeskorte 2023, eLife 12 (two-factor bootstrap); Efron and
    Stein 1981, Annals of Statistics 9 (resampling overestimates variance); Satterthwaite 1946
    (degrees of freedom of a sum).
    """
    parts: list[tuple[Floats, float]] = []  # variance, degrees of freedom
    growth = least = np.zeros(())
    more: dict[str, float] = {}
    if ("stimuli",) in draws:
        more["stimuli"] = _inflation(drawn["stimuli"] / n_folds)
        variance = _variance(draws["stimuli",]) * more["stimuli"]
        parts.append((variance, drawn["stimuli"] - n_folds))
        same = draws["stimuli",][: len(draws["refit",])]
        growth = np.maximum(_variance(draws["refit",]) - _variance(same), 0)
    for name in ("units", "subjects"):
        if (name,) in draws:
            more[name] = _inflation(drawn[name])
            variance = least = _variance(draws[name,]) * more[name]
            if ("stimuli",) in draws:
                both = draws["refit", name]
                alone = _variance(draws["refit",]) + _variance(draws[name,][: len(both)])
                shared = (_variance(both) - alone) * more[name] * more["stimuli"]
                variance = np.maximum(variance - np.maximum(shared, 0), 0)
            parts.append((variance, drawn[name] - 1))
    total = sum((variance for variance, _ in parts), np.zeros(()))
    weight = sum((variance**2 / max(degrees, 1) for variance, degrees in parts), np.zeros(()))
    degrees = np.divide(total**2, weight, out=np.full(np.shape(total), np.inf), where=weight > 0)
    # what holds for more cannot be surer
    total = np.maximum(total + REFIT_SHARES[kind] * growth, least)
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
    scale = np.sqrt(_variance(draws))
    moved = draws - np.nansum(draws, axis=0) / np.maximum((~np.isnan(draws)).sum(0), 1)
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


def _inflation(at_once: float) -> float:
    """What the variance over resamples of so many things is too small by; NaN for a single one."""
    return at_once / (at_once - 1) if at_once > 1 else float("nan")


def _variance(draws: Floats) -> Floats:
    n = (~np.isnan(draws)).sum(0)
    mean = np.nansum(draws, axis=0) / np.maximum(n, 1)
    square = np.nansum((draws - mean) ** 2, axis=0)
    return np.where(n > 1, square / np.maximum(n - 1, 1), np.nan)
