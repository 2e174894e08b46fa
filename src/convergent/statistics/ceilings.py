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

from ..base.draws import first_half
from ..base.errors import InputError
from ..metrics.population import Population
from .aggregation import ratio_of_sums
from .pooled_reliability import pooled
from .reliability import RELIABILITIES, Reliability
from .signal_noise import SignalNoise, signal_and_noise

__all__ = [
    "CEILINGS",
    "CEILING_WORDS",
    "MOST_CORRECTION",
    "NEED_REPEATS",
    "SIMULATIONS",
    "Ceiling",
    "CeilingWords",
    "Recorded",
    "Scorer",
    "Scores",
    "attainable",
    "from_reliability",
    "inter_subject",
    "self_match",
]

SIMULATIONS = 12
MOST_CORRECTION = 1.25


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
    resampled : Reliability or None
        Reliability in each of these resamples.
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
    resampled: Reliability | None
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
        ``r`` in each of the bootstrap's resamples of the stimuli.
    expected_resampled : float array (metrics, B, q) or None
        ``expected`` in these.
    """

    r: NDArray[np.float64]
    expected: NDArray[np.float64]
    weight: NDArray[np.float64]
    resampled: NDArray[np.float64] | None = None
    expected_resampled: NDArray[np.float64] | None = None

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
    resampled = None if target.resampled is None else _root(target.resampled.full)
    moved = None if units.moved is None else units.moved[:, None] * (units.root * few)

    def of_metrics(values: NDArray[np.float64] | None) -> Any:
        if values is None:
            return None
        return np.broadcast_to(values, (target.n_metrics, *values.shape))

    return Ceiling(
        of_metrics(_root(target.reliability.full)),
        of_metrics(units.root * few),
        units.root,
        of_metrics(resampled),
        of_metrics(moved),
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
    return Ceiling(r, r, np.ones(r.shape[1]), resampled, resampled)


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
    return Ceiling(r, r, np.ones(r.shape[1]), resampled, resampled)


def attainable(target: Recorded, score: Scorer) -> Ceiling:
    r"""What a perfect model would score with these stimuli, units, repeats and this noise.

    Noiseless responses and noise are estimated from the repeats, and recordings of the same
    stimuli are simulated from them, with the data's own distributions
    (`signal_noise.signal_and_noise`). The perfect model is the noiseless responses of the very
    same units; it is scored on the simulated recordings with the same metric and folds, so that
    the cost of fitting the map is in the ceiling. The mean over simulations is given.

    The simulation is then compared with the recording itself: let :math:`h` be the score of one
    half of the repeats predicting the other, and :math:`h'` the same in simulated recordings. The
    ceiling is multiplied by :math:`\sqrt{h / h'}`, kept between 0.8 and 1.25. The root is taken
    because both halves have noise, and the model has none. Where some stimuli were not repeated,
    the factor is 1.

    Fitting a model with more dimensions than the target costs more than the ceiling takes into
    account. ``.docs/calibration.md`` lists how far off the ceiling is, by kind of response and by
    number of units and stimuli.

    Under the bootstrap it moves as the square root of the reliability does.

    Parameters
    ----------
    target : Recorded
        With repeats.
    score : Scorer
        Scores two populations as the question does.
    """
    assert target.trials is not None
    units = pooled(target.trials, target.counts)
    total = np.full((target.n_metrics, len(units.root)), np.nan)
    if np.isfinite(units.root).any():
        model = signal_and_noise(target.trials, units.expected)
        perfect, halves = _simulated(model, score)
        known = np.isfinite(units.root)
        total[:, known] = perfect[:, known]
        count = (~np.isnan(target.trials)).sum(-1)
        if count.min() >= 2:
            total *= _factor(_between_halves(target.trials, score), halves, units.root)
    resampled = None if units.moved is None else total[:, None] * units.moved[:, None]
    return Ceiling(total, total, units.root, resampled, resampled)


def _simulated(
    model: SignalNoise, score: Scorer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores (metrics, q) in simulated recordings: of a perfect model, and of half the repeats."""
    rng = np.random.default_rng(0)
    perfect, first = Population(model.signal), model.repeats // 2
    shares = (first / model.repeats)[:, None]
    found = []
    for _ in range(SIMULATIONS):
        one, other = model.draw([first, model.repeats - first], rng)
        recorded = Population(shares * one + (1 - shares) * other)
        pairs = ((perfect, recorded), (Population(one), Population(other)))
        found.append([score(source, target, False)[0] for source, target in pairs])
    of_perfect, of_halves = np.mean(found, axis=0)
    return of_perfect, of_halves


def _between_halves(trials: NDArray[np.floating], score: Scorer) -> NDArray[np.float64]:
    """Scores (metrics, q) of half the repeats against the others, mean over random halves."""
    rng, recorded = np.random.default_rng(0), ~np.isnan(trials)
    filled = np.where(recorded, trials, 0.0).astype(np.float64)
    found = []
    for _ in range(max(SIMULATIONS // 2, 1)):
        first = first_half(recorded, rng)
        one, other = (
            Population((filled * half).sum(-1) / half.sum(-1))
            for half in (first, recorded & ~first)
        )
        found.append(score(one, other, False)[0])
    return np.asarray(np.mean(found, axis=0))


def _factor(
    halves: NDArray[np.float64], simulated: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Factor (metrics, 1) of the ceiling, from scores between halves and the same simulated."""
    both = ratio_of_sums(halves, simulated, weight)
    root = np.sqrt(np.where(both > 0, both, 1.0))
    return np.clip(root, 1 / MOST_CORRECTION, MOST_CORRECTION)[:, None]


CEILINGS: dict[str, Callable[[Recorded, Scorer], Ceiling]] = {
    "split-half": from_reliability,
    "repeat-variance": from_reliability,
    "inter-subject": inter_subject,
    "self": self_match,
    "attainable": attainable,
}
NEED_REPEATS = (*RELIABILITIES, "attainable")


@dataclass(frozen=True)
class CeilingWords:
    """How figures, pages and commands speak of a ceiling.

    Attributes
    ----------
    label : str
        For the legend of a figure.
    definition : str
        What the ceiling is, in a sentence.
    normalized : str
        What a normalized score of 1 says, in a sentence.
    """

    label: str
    definition: str
    normalized: str


_PERFECT = "1 is the score of a perfect model, whatever the noise of the recording"

CEILING_WORDS: dict[str | None, CeilingWords] = {
    "split-half": CeilingWords(
        "noise ceiling (split-half)",
        "The ceiling is the r of a model that knows the noiseless responses: the square root of "
        "the reliability, which is the correlation of random halves of the repeats, corrected to "
        "all repeats (Spearman-Brown). It does not include the cost of fitting a map.",
        f"{_PERFECT}, but for the cost of fitting a map on few stimuli.",
    ),
    "repeat-variance": CeilingWords(
        "noise ceiling (repeat variance)",
        "The ceiling is the r of a model that knows the noiseless responses: the square root of "
        "the share of the variance of the mean response that is signal, from the variance over "
        "repeats. It does not include the cost of fitting a map.",
        f"{_PERFECT}, but for the cost of fitting a map on few stimuli.",
    ),
    "attainable": CeilingWords(
        "attainable ceiling",
        "The ceiling is what a perfect model, with the units of the target and no others, would "
        "score with as many stimuli, units and repeats and this noise, in simulated recordings. It "
        "includes the cost of fitting a map.",
        f"{_PERFECT} and the number of stimuli.",
    ),
    "inter-subject": CeilingWords(
        "inter-subject ceiling",
        "The ceiling is how well the units of the other subjects predict the units of each "
        "subject, by the same metric and folds. The other subjects are recorded with noise too.",
        "1 is the score of the other subjects; a model may do better, as they are recorded with "
        "noise.",
    ),
    "self": CeilingWords(
        "ceiling (with itself)",
        "The ceiling is how well the target predicts a copy of itself, by the same metric and "
        "folds: what a perfect match can reach with this number of stimuli. It says nothing "
        "about noise.",
        "1 is the score of a perfect match.",
    ),
    None: CeilingWords(
        "no ceiling",
        "No ceiling was computed: scores are not corrected for the noise of the recording, nor for "
        "the number of stimuli.",
        "Without a ceiling there is no normalized score.",
    ),
}


def _root(reliability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square root where it is positive, NaN elsewhere."""
    return np.sqrt(np.where(reliability > 0, reliability, np.nan))
