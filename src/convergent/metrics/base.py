"""What a metric is: it fits a map on the training stimuli, and the map scores the test stimuli."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .population import PopulationFold

__all__ = ["FittedMap", "FoldScore", "Metric"]


@dataclass(frozen=True, eq=False)
class FoldScore:
    """Scores of one source and one target on the test stimuli of one fold.

    Attributes
    ----------
    r : float array (q,)
        Score of each target unit; NaN where it has none.
    similarity : float
        One number for the two populations, in [-1, 1], where the metric has one; NaN elsewhere.
    silent_source, silent_target : int
        Units without variance on the training stimuli that were set aside.
    """

    r: NDArray[np.float64]
    similarity: float = float("nan")
    silent_source: int = 0
    silent_target: int = 0


class FittedMap(Protocol):
    """What a metric's fit returns."""

    def score(self) -> FoldScore:
        """Score the map on the test stimuli of its fold."""

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Unit scores (B, q) in resamples of the test stimuli, and of the training stimuli."""


@runtime_checkable
class Metric(Protocol):
    """A way to map a source on a target: hyper-parameters, and a fit on one fold."""

    def fit(self, source: PopulationFold, target: PopulationFold) -> FittedMap:
        """Fit the map on the training stimuli of a fold."""
