"""Perfect models at any reliability, and of responses that are not Gaussian.

Registered in `studies.STUDIES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from simulations import labelled, power_law, repeated

import convergent as cv
from convergent.base.arrays import correlate
from convergent.metrics.base import FoldScore

RELIABILITIES = (0.05, 0.1, 0.2, 0.5, 0.9)
MIXED = "0.05-0.9"
UNITS = 40


@dataclass(frozen=True)
class NoFit:
    """A metric without a map: unit i of the source predicts unit i of the target."""

    def fit(self, source, target):
        """Nothing is fitted."""
        return _Same(source, target)


@dataclass(frozen=True)
class _Same:
    source: object
    target: object

    def score(self):
        units = np.arange(self.target.population.n_units)
        both = (side.population.columns(units)[side.test] for side in (self.source, self.target))
        return FoldScore(correlate(*both))


def reliability_settings():
    """Settings by name: all combinations, and units that differ."""
    several = list(product(RELIABILITIES, (60, 200), (2, 4, 10)))
    several += [(MIXED, n, 4) for n in (60, 200)]
    return {
        f"c{c}-n{n}-repeats{k}": {"reliability": c, "n_stimuli": n, "repeats": k}
        for c, n, k in several
    }


def perfect_without_fit(rng, reliability, n_stimuli, repeats):
    """The noiseless responses themselves, of 40 units, scored without a fit."""
    c = rng.uniform(0.05, 0.9, UNITS) if reliability == MIXED else np.full(UNITS, reliability)
    true = power_law(n_stimuli, UNITS, rng)
    target = labelled(repeated(true, np.sqrt((1 / c - 1) * repeats), repeats, rng), "recorded")
    table = cv.summary(
        cv.score(
            labelled(true, "perfect"),
            target,
            {"no fit": NoFit()},
            ceiling="repeat-variance",
            min_reliability=-np.inf,
        )
    )
    return [{"normalized": table["normalized"].item()}]


RESPONSES = {
    "Gaussian": lambda z, k, rng: (z, repeated(z, 1.5, k, rng)),
    "Poisson": lambda z, k, rng: counts(np.exp(0.7 * z + 1), k, rng),
    "t3": lambda z, k, rng: heavy(z, k, rng),
    "ReLU": lambda z, k, rng: sparse(np.maximum(z - 0.5, 0), k, rng),
}


def counts(rate, repeats, rng):
    """Spike counts at these rates."""
    return rate, rng.poisson(rate[:, :, None], (*rate.shape, repeats)).astype(float)


def sparse(signal, repeats, rng):
    """Responses that are 0 to most stimuli."""
    return signal, repeated(signal, 0.5, repeats, rng)


def heavy(gaussian, repeats, rng):
    """Multivariate t with three degrees of freedom over stimuli."""
    signal = gaussian / np.sqrt(rng.chisquare(3, len(gaussian)) / 3)[:, None]
    return signal, repeated(signal, 1.5, repeats, rng)


def response_settings():
    """Settings by name: kinds of responses, and numbers of units and dimensions that are hard."""
    found = {
        f"{kind}-n{n}": {"responses": kind, "n_stimuli": n, "signal": "30 units"}
        for kind, n in product(RESPONSES, (60, 200))
    }
    for signal in ("120 units", "60 units, independent", "60 units, 3 dimensions"):
        name = signal.replace(" ", "-").replace(",", "")
        found[f"{name}-n60"] = {"responses": "Gaussian", "n_stimuli": 60, "signal": signal}
    return found


def perfect_of_kind(rng, responses, n_stimuli, signal, repeats=4):
    """The noiseless responses themselves, under the attainable ceiling."""
    q = int(signal.split()[0])
    gaussian = power_law(n_stimuli, q, rng)
    if "independent" in signal:
        gaussian = rng.standard_normal((n_stimuli, q))
    if "dimensions" in signal:
        weights = rng.standard_normal((3, q))
        gaussian = rng.standard_normal((n_stimuli, 3)) @ (weights / np.linalg.norm(weights, axis=0))
    true, trials = RESPONSES[responses](gaussian, repeats, rng)
    varies = trials.mean(2).std(0) > 0
    source, target = labelled(true[:, varies], "perfect"), labelled(trials[:, varies], "recorded")
    table = cv.summary(cv.score(source, target, list(cv.METRICS), ceiling="attainable"))
    return table[["metric", "normalized"]].to_dict("records")
