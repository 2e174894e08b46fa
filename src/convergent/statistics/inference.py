"""Standard errors, intervals, p-values and the set of the best, from resamples."""

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

# share of the variance added by refits that is counted; calibrated in tests/calibration
REFIT_SHARES = {"score": 0.4, "difference": 0.2}
ROUNDING = 1e-9
Factors = tuple[str, ...]  # what is drawn in a resample
Kind = Literal["score", "difference"]  # of an estimate


@dataclass(frozen=True, eq=False)
class Spread:
    """How much an estimate would vary if the experiment were repeated.

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
        """Confidence interval: estimate -+ t x standard error.

        Parameters
        ----------
        estimate : float array
            Its middle.
        level : float
            Coverage, such as 0.95.

        Returns
        -------
        lower, upper : float array
            Ends of the interval.
        """
        half = stats.t.ppf((1 + level) / 2, self.degrees) * self.error
        return estimate - half, estimate + half

    def p(self, difference: Floats) -> Floats:
        """Two-sided p-value of a difference from 0.

        Parameters
        ----------
        difference : float array
            The estimate.

        Returns
        -------
        float array
            p-values; 1 for a difference that is rounding error.
        """
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

    For one factor this is the variance over resamples, times :math:`m / (m - 1)` where m things
    were drawn at once. In resamples of the held-out stimuli alone (variance :math:`V_s`) the maps
    stay as they were fitted. If the maps are fitted again to the resampled training stimuli, the
    variance is :math:`V_r`. The fit adds to the variance of a score mostly effects of second order
    (a fit near its best can only lose), and resampling counts these three times. So only a share a
    of the increase is counted. By simulations it is about 0.4 for a score, and 0.2 for a paired
    difference, because chance in the training stimuli affects both sources alike:

    .. math:: V = V_s + a \max(0, V_r - V_s).

    Where units or subjects (u) are crossed with stimuli, the variance over them also contains the
    effect of chance in the stimuli on single units, :math:`V_i`, which is part of :math:`V_s`
    already. Resampling both factors counts this effect three times and resampling each alone
    counts it once, so that it can be separated:

    .. math:: V_{+} = V + \max(0, V_u - V_i), \qquad V_i = \max(0, V_{ru} - V_r - V_u),

    and V is at least :math:`V_u`.

    Parameters
    ----------
    draws : dict of tuple of str to float array (B, ...)
        Values in resamples, by what was drawn: ``("stimuli",)`` and ``("refit",)``; ``("units",)``
        or ``("subjects",)``; where both are random, also ``("refit", "units")`` or ``("refit",
        "subjects")``. Refits may be fewer, of the first resamples.
    drawn : dict of str to float
        Number of stimuli (or groups of them), and of units or subjects.
    n_folds : int
        Number of folds: stimuli are drawn within folds.
    kind : {"score", "difference"}
        Kind of the estimate, which decides a.

    Returns
    -------
    Spread
        Standard error, and its degrees of freedom.

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
    # a conclusion about more factors cannot be more certain
    total = np.maximum(total + REFIT_SHARES[kind] * growth, least)
    return Spread(np.sqrt(total), degrees)


def p_best(ahead: Floats, draws: Floats, pairs: Spread, seed: int = 0) -> Floats:
    r"""For each of several sources, the p-value of being as good as the best.

    Source l is compared with all others at once: the greatest of
    :math:`\hat\theta_{kl} / \mathrm{SE}_{kl}` over k is compared with its distribution if l were as
    good as all of them. This distribution is that of the joint resamples, with the tails of t. The
    sources with p above 5% include the truly best one in 95% of experiments, whichever that is.

    Parameters
    ----------
    ahead : float array (k, k)
        Difference of source k (row) from source l (column).
    draws : float array (B, k, k)
        The same in joint resamples.
    pairs : Spread
        Standard errors of these differences.
    seed : int
        Seed of the random numbers that widen the resamples to a t distribution.

    Returns
    -------
    float array (k,)
        p-values.

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
    r"""One-sided p-value of a permutation test.

    .. math:: p = \frac{1 + \#\{b: s_b \ge s\}}{1 + N}

    Parameters
    ----------
    found : float
        The statistic s.
    null : float array (N,)
        Its values under the null hypothesis; NaN are ignored.

    Returns
    -------
    float
        At least 1 / (1 + N).

    References
    ----------
    Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9.
    """
    null = null[~np.isnan(null)]
    return float((1 + np.sum(null >= found)) / (1 + len(null)))


def holm(p: Floats) -> Floats:
    """Correct p-values for their number, by Holm's step-down method.

    Parameters
    ----------
    p : float array (k,)
        p-values.

    Returns
    -------
    float array (k,)
        Corrected p-values: those below 0.05 are significant, with a familywise error of 0.05.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _inflation(at_once: float) -> float:
    """Factor by which the variance over resamples of so many things is too small; NaN for one."""
    return at_once / (at_once - 1) if at_once > 1 else float("nan")


def _variance(draws: Floats) -> Floats:
    """Variance over resamples, ignoring NaN."""
    n = (~np.isnan(draws)).sum(0)
    mean = np.nansum(draws, axis=0) / np.maximum(n, 1)
    square = np.nansum((draws - mean) ** 2, axis=0)
    return np.where(n > 1, square / np.maximum(n - 1, 1), np.nan)
