"""Noise ceilings: the score that noise and sample size leave possible, in the metric's own units.

Each ceiling is a function of a target as it was recorded, and of a `Scorer` that scores any two
populations as the question does. It gives one r for each metric and unit: what a score is divided
by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError
from ..metrics.population import Population
from .reliability import RELIABILITIES, Reliability
from .signal_noise import signal_and_noise

__all__ = [
    "CEILINGS",
    "NEED_REPEATS",
    "SIMULATIONS",
    "Ceiling",
    "Recorded",
    "Scorer",
    "Scores",
    "attainable",
    "from_reliability",
    "inter_subject",
    "self_match",
]

SIMULATIONS = 20


Scores = tuple[NDArray[np.float64], NDArray[np.float64] | None]


class Scorer(Protocol):
    """Scores one population against another, with the metrics and folds of the question."""

    def __call__(self, source: Population, target: Population, resample: bool = True) -> Scores:
        """R (metrics, q), mean over folds, and the same in each resample, (metrics, B, q)."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A target as its ceiling sees it: the units that are scored.

    Attributes
    ----------
    population : Population
        The mean responses.
    trials : float array (n, q, repeats) or None
        Single trials of the same units; None where there are no repeats.
    reliability : Reliability
        Of the same units; NaN where there are no repeats.
    resampled : Reliability or None
        The same for each of the bootstrap's resamples of the stimuli.
    subjects : array (q,) or None
        Subject of each unit.
    n_metrics : int
        How many metrics are scored.
    """

    population: Population
    trials: NDArray[np.floating] | None
    reliability: Reliability
    resampled: Reliability | None
    subjects: NDArray[Any] | None
    n_metrics: int


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What a score is divided by.

    Attributes
    ----------
    r : float array (metrics, q)
        The score that is possible; NaN where it is not known.
    resampled : float array (metrics, B, q) or None
        The same for each of the bootstrap's resamples of the stimuli.
    """

    r: NDArray[np.float64]
    resampled: NDArray[np.float64] | None


def from_reliability(target: Recorded, _score: Scorer) -> Ceiling:
    r"""R of a model that knows the noiseless responses: :math:`\sqrt c`, for every metric.

    It knows the noise of the recording, but not what it costs to fit a map on few stimuli.

    Parameters
    ----------
    target : Recorded
        With repeats.
    _score : Scorer
        Not needed: the same for every metric.
    """
    r = _root(target.reliability.full)
    resampled = None if target.resampled is None else _root(target.resampled.full)
    return Ceiling(
        np.broadcast_to(r, (target.n_metrics, *r.shape)),
        None
        if resampled is None
        else np.broadcast_to(resampled, (target.n_metrics, *resampled.shape)),
    )


def inter_subject(target: Recorded, score: Scorer) -> Ceiling:
    """How well each subject's units are predicted by the pooled units of all others.

    The same metric and folds as the score. The others are recorded with noise as well, so that a
    model can do better than they do.

    Parameters
    ----------
    target : Recorded
        With units of two or more subjects.
    score : Scorer
        Scores two populations as the question does.

    Raises
    ------
    InputError
        Where only one subject has units that can be scored.
    """
    assert target.subjects is not None
    names = np.unique(target.subjects)
    if len(names) < 2:
        raise InputError(
            f"of the subjects, only {names[0]!s} has units that can be scored, and this "
            "ceiling predicts each subject from the others: use another."
        )
    population = target.population
    r = np.full((target.n_metrics, population.n_units), np.nan)
    resampled: NDArray[np.float64] | None = None
    for name in names:
        own = np.flatnonzero(target.subjects == name)
        others = np.flatnonzero(target.subjects != name)
        r[:, own], draws = score(
            Population(population.columns(others)), Population(population.columns(own))
        )
        if draws is not None:
            if resampled is None:
                resampled = np.full((len(r), draws.shape[1], r.shape[1]), np.nan)
            resampled[:, :, own] = draws
    return Ceiling(r, resampled)


def self_match(target: Recorded, score: Scorer) -> Ceiling:
    """How well a population predicts its own copy, rotated or with its units in another order.

    The same metric and folds as the score: what a perfect match can reach with that many stimuli.
    Linear regression and Procrustes do not see the rotation, nor soft matching the order, so the
    copy is the population itself.

    Parameters
    ----------
    target : Recorded
        Without noise: a network.
    score : Scorer
        Scores two populations as the question does.
    """
    return Ceiling(*score(target.population, target.population))


def attainable(target: Recorded, score: Scorer) -> Ceiling:
    """What a perfect model would score with these stimuli, units, repeats and this noise.

    Signal and noise covariances over units are estimated from the repeats, and recordings are
    simulated from them: Gaussian over stimuli, as many stimuli, units and repeats as there are.
    The perfect model is the noiseless responses of the very same units; it is scored on the
    simulated recording with the same metric and folds, so that the cost of fitting the map is in
    the ceiling. The mean over simulations is given. A model with more dimensions than the target
    pays more than this. With more units than stimuli the covariances are hardly known, and the
    ceiling is rough: in simulations it was up to a tenth too low for signals of few dimensions,
    and too high by more where all units were independent. Where units differ in reliability by
    little more than chance, each is taken to be like the others, as far as the differences are
    chance.

    Under the bootstrap it moves as the square root of that reliability does.

    Parameters
    ----------
    target : Recorded
        With repeats.
    score : Scorer
        Scores two populations as the question does.
    """
    assert target.trials is not None
    reliability = target.reliability.full
    if np.isnan(reliability).all():
        return from_reliability(target, score)  # nothing is known
    trust = _trust(target.trials, reliability)
    model = signal_and_noise(target.trials, _towards_mean(reliability, trust))
    rng = np.random.default_rng(0)
    total = np.zeros((target.n_metrics, len(reliability)))
    for _ in range(SIMULATIONS):
        perfect, recorded = map(Population, model.draw(rng))
        total += score(perfect, recorded, resample=False)[0] / SIMULATIONS
    total = np.where(np.isnan(reliability), np.nan, total)
    if target.resampled is None:
        return Ceiling(total, None)
    moved = _root(_towards_mean(target.resampled.full, trust))
    return Ceiling(total, total[:, None] * (moved / _root(_towards_mean(reliability, trust))))


def _trust(trials: NDArray[np.floating], reliability: NDArray[np.float64]) -> float:
    r"""Share of the spread of reliability over units that is not chance.

    For Gaussian signal and noise, :math:`1 - c` is the inverse of an F ratio, and its logarithm has
    the variance :math:`2 / (n - 1) + 2 / \sum_s (k_s - 1)` by chance.
    """
    count = (~np.isnan(trials)).sum(-1)
    chance = 2 / (len(trials) - 1) + 2 / np.maximum(count - 1, 0).sum(0).mean()
    known = reliability[~np.isnan(reliability)]
    spread = np.log(np.maximum(1 - known, 1e-12)).var(ddof=1) if len(known) > 1 else 0.0
    return float(max(0.0, 1 - chance / spread)) if spread > 0 else 1.0


def _towards_mean(reliability: NDArray[np.float64], trust: float) -> NDArray[np.float64]:
    """Reliability (..., q) with that share of each unit's deviation from the mean over units."""
    noise = np.log(np.maximum(1 - reliability, 1e-12))
    known = ~np.isnan(noise)
    mean = np.where(known, noise, 0.0).sum(-1, keepdims=True) / np.maximum(
        known.sum(-1, keepdims=True), 1
    )
    return np.asarray(1 - np.exp(mean + trust * (noise - mean)))


CEILINGS: dict[str, Callable[[Recorded, Scorer], Ceiling]] = {
    "split-half": from_reliability,
    "repeat-variance": from_reliability,
    "inter-subject": inter_subject,
    "self": self_match,
    "attainable": attainable,
}
NEED_REPEATS = (*RELIABILITIES, "attainable")


def _root(reliability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square root where it is positive, NaN elsewhere."""
    return np.sqrt(np.where(reliability > 0, reliability, np.nan))
