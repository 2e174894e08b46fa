"""Reliability of units, judged from all units of a recording together (empirical Bayes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..base.arrays import Floats
from .reliability import repeat_variance

__all__ = ["PooledReliability", "pooled"]

_GROUPS = 20  # of stimuli, for the jackknife
_NODES = 300  # points that stand for the distribution over units
_NO_NOISE = 1e-12


@dataclass(frozen=True, eq=False)
class PooledReliability:
    r"""What is expected of the reliability c of each unit, given the estimates of all units.

    Attributes
    ----------
    root : float array (q,)
        Expected :math:`\sqrt c`; NaN where nothing is known of a unit, and for all units if their
        mean reliability is not above its standard error.
    expected : float array (q,)
        Expected c; NaN in the same places.
    mean : float
        Mean of c over units.
    error : float
        Its standard error over stimuli.
    moved : float array (B,) or None
        In each resample of the stimuli, the sum of ``root**2`` relative to that of the data.
    """

    root: Floats
    expected: Floats
    mean: float
    error: float
    moved: Floats | None = None


def pooled(trials: NDArray[np.floating], counts: Floats | None = None) -> PooledReliability:
    r"""Estimate the reliability of units from all of them together.

    The estimate :math:`\hat c_u` of one unit, from the variance over repeats
    (`reliability.repeat_variance`), has an error that does not fade with the number of units, so
    that units chosen or divided by it are wrong in one direction. The mean over units can be known
    well. So the reliabilities of the units are taken to follow a beta distribution. Its mean is
    that of :math:`\hat c_u`, freed of bias by a jackknife over 20 groups of stimuli. Its variance
    is what the variance of :math:`\hat c_u` over units exceeds that due to chance, which the
    jackknife gives as well (and one standard error of it). The logarithm of :math:`1 - \hat c_u`
    has about the same error for all units, and Bayes' rule gives the expectation for each unit.
    Units that differ by chance alone all get the mean; units that are known well keep their own
    estimate.

    Parameters
    ----------
    trials : float array (n, q, repeats)
        Responses; NaN where a repeat was not recorded.
    counts : float array (B, n), optional
        How often each stimulus counts, in each of B resamples.

    Returns
    -------
    PooledReliability
        Of each unit.

    References
    ----------
    Quenouille 1956, Biometrika 43 (jackknife); Efron 2014, Statistical Science 29 (empirical
    Bayes); Carroll, Ruppert, Stefanski and Crainiceanu 2006, Measurement Error in Nonlinear Models
    (regression calibration: an uncertain divisor is replaced by its expectation).
    """
    unknown = np.full(trials.shape[1], np.nan)
    weights = _without_groups(trials)
    noise = 1 - repeat_variance(trials, weights).full  # (1 + groups, q), share of the variance
    known = np.isfinite(noise).all(axis=0)
    if not known.any():
        return PooledReliability(unknown, unknown, float("nan"), float("nan"))
    found = np.maximum(noise[:, known], _NO_NOISE)
    own, left = found[0], found[1:]
    mean = 1 - (len(left) * own.mean() - (len(left) - 1) * left.mean())
    error = float(np.sqrt(_jackknife_variance(left.mean(axis=1))))
    root, expected = unknown, unknown.copy()
    if mean > error:
        root = unknown.copy()
        root[known], expected[known] = _expectations(own, left, mean)
    moved = None
    if counts is not None:
        draws = repeat_variance(trials[:, known], counts).full  # NaN where no repeat is drawn
        shift = draws.mean(axis=1) - (1 - own.mean())
        total = float(np.nansum(root**2))
        # sqrt(c) moves by half of what c moves by, as a share of it
        moved = 1 + shift * known.sum() / (2 * total) if total else np.full(len(shift), np.nan)
    return PooledReliability(root, expected, float(mean), error, moved)


def _without_groups(trials: NDArray[np.floating]) -> Floats:
    """How often each stimulus counts, (1 + groups, n): once, and without each group in turn."""
    n = len(trials)
    repeats = (~np.isnan(trials)).sum(-1).max(axis=1)
    order = np.lexsort((np.random.default_rng(0).permutation(n), repeats))
    group = np.empty(n, dtype=np.intp)
    group[order] = np.arange(n) % _GROUPS  # as many repeats in each
    return np.vstack([np.ones(n), group != np.arange(min(_GROUPS, n))[:, None]]).astype(np.float64)


def _jackknife_variance(left: Floats) -> Floats:
    """Variance of an estimate, from its values without each group."""
    share = (len(left) - 1) / len(left)
    return np.asarray(share * ((left - left.mean(axis=0)) ** 2).sum(axis=0))


def _expectations(own: Floats, left: Floats, mean: float) -> tuple[Floats, Floats]:
    """Expected sqrt(c) and c (q,), from estimates of 1 - c, also without each group of stimuli."""
    q = len(own)
    spread = 0.0
    if q > 1:
        chance = _jackknife_variance(left - left.mean(axis=1, keepdims=True)).mean()
        spread = own.var(ddof=1) - chance * (1 + np.sqrt(2 / (q - 1)))
    spread = min(spread, 0.9 * mean * (1 - mean))
    if spread <= _NO_NOISE:
        return np.full(q, np.sqrt(mean)), np.full(q, mean)
    nodes = _beta_nodes(mean, spread)
    error = float(_jackknife_variance(np.log(left)).mean())
    logarithm = np.log(1 - nodes)
    width = error + np.gradient(logarithm) ** 2  # nodes stand for all between them
    away = np.log(own * (1 - mean) / own.mean())[:, None] - logarithm
    weight = np.exp(-0.5 * away**2 / width) / np.sqrt(width)
    total = np.maximum(weight.sum(axis=1), np.finfo(np.float64).tiny)
    return weight @ np.sqrt(nodes) / total, weight @ nodes / total


def _beta_nodes(mean: float, variance: float) -> Floats:
    """Points that are equally likely under the beta distribution of that mean and variance."""
    size = mean * (1 - mean) / variance - 1
    middle = (np.arange(_NODES) + 0.5) / _NODES
    nodes = special.betaincinv(mean * size, (1 - mean) * size, middle)
    return np.asarray(np.clip(nodes, _NO_NOISE, 1 - _NO_NOISE))
