"""Standard errors, intervals, p-values and the set of the best, from resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ..base.arrays import Floats

__all__ = [
    "LINEAR_SHARE",
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

# calibrated in tests/calibration: share of the variance added by refits that is counted, and share
# of the variance over resamples of stimuli that is linear in how often each is drawn
REFIT_SHARES = {"score": 0.4, "difference": 0.2, "ratio": 1.0}
LINEAR_SHARE = 0.4
ROUNDING = 1e-9
Factors = tuple[str, ...]  # what is drawn in a resample
Kind = Literal["score", "difference", "ratio"]  # of an estimate


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

    For stimuli alone this is the variance over resamples of the held-out stimuli, with the maps
    as they were fitted, :math:`B_s`. Of n things drawn at once, resamples vary less than samples
    by the factor :math:`(n - 1) / n` in what is linear in how often each is drawn. This is a share
    l of the variance, by simulations about 0.4; in what is not linear, resamples vary more:

    .. math:: V_s = B_s \Bigl(1 + \frac{l}{n - 1}\Bigr).

    If the maps are fitted again to the resampled training stimuli, the variance is :math:`B_r`. The
    fit adds to the variance of a score mostly effects of second order (a fit near its best can only
    lose), and resampling counts these three times. So only a share a of the increase is counted. By
    simulations it is about 0.4 for a score, and 0.2 for a paired difference, because chance in the
    training stimuli affects both sources alike:

    .. math:: V = V_s + a \max(0, B_r - B_s).

    The degrees of freedom are :math:`n_\mathrm{eff} - 1`, of the effective number of stimuli.
    Where few stimuli weigh far more than all others, the variance is known as badly as with few
    stimuli.

    Where n units or subjects (u) are drawn alone, :math:`V_u = B_u \, n / (n - 1)`. It contains the
    effect of chance in the stimuli on single units. So where stimuli are drawn too, they add only
    what they do to all units alike. This is the covariance of two medians: of the units that are
    drawn, and of the rest, which are not. Let :math:`d_s` and :math:`d_s'` be what both change if
    stimuli are drawn too:

    .. math:: V_{+} = V_u + V, \qquad \textrm{with } B_s = \max(0, \mathrm{cov}(d_s, d_s'))
              \textrm{, and } B_r \textrm{ alike}.

    Parameters
    ----------
    draws : dict of tuple of str to float array (B, ...)
        Values in resamples, by what was drawn: ``("stimuli",)`` and ``("refit",)``; ``("units",)``
        or ``("subjects",)``; where both are random, also ``("stimuli", "units")`` and ``("refit",
        "units")`` (or subjects), and ``("rest",)``, ``("stimuli", "rest")`` and ``("refit",
        "rest")``, of the units that are not drawn. Refits may be fewer, of the first resamples.
    drawn : dict of str to float
        Number of stimuli (or groups of them), and of units or subjects; and the ``"effective"``
        number of stimuli, by default their number.
    n_folds : int
        Number of folds: stimuli are drawn within folds.
    kind : {"score", "difference", "ratio"}
        Kind of the estimate, which decides a. A ratio of sums over units is smooth, as medians are
        not: a is 1, and all of its variance is linear in the counts.

    Returns
    -------
    Spread
        Standard error, and its degrees of freedom.

    References
    ----------
    Efron and Stein 1981, Annals of Statistics 9 (resampling overestimates variance); Owen 2007,
    Annals of Applied Statistics 1 (resampling of two crossed factors); Satterthwaite 1946 (degrees
    of freedom of a sum).
    """
    parts: list[tuple[Floats, float]] = []  # variance, degrees of freedom
    name = next((name for name in ("units", "subjects") if (name,) in draws), None)
    growth = np.zeros(())
    if ("stimuli",) in draws:
        held_out, refit = (_of_stimuli(draws, factor, name) for factor in ("stimuli", "refit"))
        n = drawn["stimuli"]
        linear = 1.0 if kind == "ratio" else LINEAR_SHARE
        variance = np.maximum(_covariance(*held_out), 0) * _inflation(n / n_folds, linear)
        parts.append((variance, drawn.get("effective", n) - 1))
        same = [each[: len(refit[0])] for each in held_out]
        growth = np.maximum(_covariance(*refit) - _covariance(*same), 0)
    if name is not None:
        n = drawn[name]
        parts.append((_variance(draws[name,]) * _inflation(n), n - 1))
    total = sum((variance for variance, _ in parts), np.zeros(()))
    weight = sum((variance**2 / max(degrees, 1) for variance, degrees in parts), np.zeros(()))
    degrees = np.divide(total**2, weight, out=np.full(np.shape(total), np.inf), where=weight > 0)
    return Spread(np.sqrt(total + REFIT_SHARES[kind] * growth), degrees)


def _of_stimuli(
    draws: Mapping[Factors, Floats], factor: str, name: str | None
) -> tuple[Floats, Floats]:
    """Two arrays whose covariance over resamples is what chance in the stimuli alone adds."""
    if name is None:
        return draws[factor,], draws[factor,]
    several = ((draws[factor, units], draws[units,]) for units in (name, "rest"))
    one, other = (moved - still[: len(moved)] for moved, still in several)
    return one, other


def p_best(ahead: Floats, draws: Floats, pairs: Spread, seed: int = 0) -> Floats:
    r"""For each of several sources, the p-value of being as good as the best.

    Source l is compared with all others at once, by the greatest of
    :math:`\hat\theta_{kl} / \mathrm{SE}_{kl}` over k. This is compared with the distribution that
    the greatest over all pairs k, l would have if all sources were equally good: that of the joint
    resamples, with the tails of t. The sources with p above 5% include *all* that are truly best in
    95% of experiments: of two equally good sources, either is left out in at most 5%. For two
    sources p is that of their difference.

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
    Westfall and Young 1993 (maximum over correlated tests); Tukey 1953 (all pairs at once).
    """
    scale = np.sqrt(_variance(draws))
    moved = draws - np.nansum(draws, axis=0) / np.maximum((~np.isnan(draws)).sum(0), 1)
    rng = np.random.default_rng(seed)
    differ = (pairs.error > ROUNDING) & (scale > ROUNDING)  # copies of one source do not
    degrees = pairs.degrees[differ].min() if differ.any() else np.inf
    tail = np.sqrt(degrees / rng.chisquare(degrees, len(draws))) if degrees < np.inf else 1.0
    null = np.where(differ, moved / np.where(differ, scale, 1.0), -np.inf).max(axis=(1, 2)) * tail
    sure = np.where(ahead > ROUNDING, np.inf, -np.inf)
    t = np.where(differ, ahead / np.where(differ, pairs.error, 1.0), sure)
    np.fill_diagonal(t, -np.inf)
    return np.array([p_permutation(float(lead), null) for lead in t.max(axis=0)])


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


def _inflation(at_once: float, linear: float = 1.0) -> float:
    """Factor by which the variance over resamples of so many things is too small; NaN for one."""
    return 1 + linear / (at_once - 1) if at_once > 1 else float("nan")


def _variance(draws: Floats) -> Floats:
    """Variance over resamples, ignoring NaN."""
    return _covariance(draws, draws)


def _covariance(one: Floats, other: Floats) -> Floats:
    """Covariance over resamples, ignoring those in which one is NaN."""
    known = ~np.isnan(one + other)
    n = known.sum(0)
    one, other = (np.where(known, draws, 0.0) for draws in (one, other))
    one, other = (draws - draws.sum(0) / np.maximum(n, 1) for draws in (one, other))
    product = np.sum(known * one * other, axis=0)
    return np.where(n > 1, product / np.maximum(n - 1, 1), np.nan)
