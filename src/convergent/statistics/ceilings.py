"""Noise ceilings: the score that noise and sample size leave possible, in the metric's own units.

Each ceiling is a function of a target as it was recorded, and of a `Scorer` that scores any two
populations as the question does. It gives one r for each metric and unit, by which the score of
that unit is divided, and what the aggregate over units is divided by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError
from ..metrics.population import Population
from .pooled_reliability import pooled
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
    counts : float array (B, n) or None
        How often each stimulus counts, in each of the bootstrap's resamples.
    subjects : array (q,) or None
        Subject of each unit.
    n_metrics : int
        How many metrics are scored.
    n_test : float
        Number of test stimuli in a fold, on average.
    """

    population: Population
    trials: NDArray[np.floating] | None
    reliability: Reliability
    counts: NDArray[np.float64] | None
    subjects: NDArray[Any] | None
    n_metrics: int
    n_test: float


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What scores are divided by.

    Attributes
    ----------
    r : float array (metrics, q)
        The score that is possible for each unit; NaN where it is not known.
    expected : float array (metrics, q)
        The same, given the responses of all units: what the aggregate is divided by.
    weight : float array (q,)
        Weight of each unit in the aggregate; NaN where the unit has none.
    resampled : float array (metrics, B, q) or None
        ``expected`` in each of the bootstrap's resamples of the stimuli.
    """

    r: NDArray[np.float64]
    expected: NDArray[np.float64]
    weight: NDArray[np.float64]
    resampled: NDArray[np.float64] | None = None

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Convert to plain arrays, which a study can keep."""
        return {name: array for name, array in vars(self).items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> Ceiling:
        """Convert back from what `Ceiling.arrays` returned."""
        return cls(**arrays)


def from_reliability(target: Recorded, _score: Scorer) -> Ceiling:
    r"""R of a model that knows the noiseless responses: :math:`\sqrt c`, for every metric.

    It knows the noise of the recording, but not what it costs to fit a map on few stimuli. The
    aggregate is divided by what is expected of such a model on m test stimuli, where Pearson's r
    is a little too small on average (Hotelling 1953):
    :math:`\sqrt c \, (1 - (1 - c) / (2 (m - 1)))`.

    Parameters
    ----------
    target : Recorded
        With repeats.
    _score : Scorer
        Not needed: the same for every metric.
    """
    assert target.trials is not None
    units = pooled(target.trials, target.counts)
    few = 1 - (1 - units.expected) / (2 * max(target.n_test - 1, 1))
    resampled = None if units.moved is None else units.moved[:, None] * (units.root * few)

    def of_metrics(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to(values, (target.n_metrics, *values.shape))

    return Ceiling(
        of_metrics(_root(target.reliability.full)),
        of_metrics(units.root * few),
        units.root,
        None if resampled is None else of_metrics(resampled),
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
    return Ceiling(r, r, np.ones(r.shape[1]), resampled)


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
    r, resampled = score(target.population, target.population)
    return Ceiling(r, r, np.ones(r.shape[1]), resampled)


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
    units = pooled(target.trials, target.counts)
    model = signal_and_noise(target.trials, units.expected)
    rng = np.random.default_rng(0)
    total = np.zeros((target.n_metrics, len(units.root)))
    for _ in range(SIMULATIONS):
        perfect, recorded = map(Population, model.draw(rng))
        total += score(perfect, recorded, resample=False)[0] / SIMULATIONS
    total = np.where(np.isnan(units.root), np.nan, total)
    resampled = None if units.moved is None else total[:, None] * units.moved[:, None]
    return Ceiling(total, total, units.root, resampled)


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
