"""What a metric is: it fits a map on the training stimuli, and the map scores the test stimuli."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError
from .population import PopulationFold

__all__ = ["FittedMap", "FoldScore", "Metric", "check_pair"]


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
        How many units are silent over the training stimuli, and were set aside.
    """

    r: NDArray[np.float64]
    similarity: float = float("nan")
    silent_source: int = 0
    silent_target: int = 0


class FittedMap(Protocol):
    """What a metric's fit returns."""

    def score(self) -> FoldScore:
        """Score the map on the test stimuli of its fold.

        Returns
        -------
        FoldScore
            Unit scores, and the similarity of the populations.
        """

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score the map in resamples of the stimuli.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts, in each of B resamples.
        train : float array (B, n_train), optional
            How often each training stimulus counts in the fit; once by default.

        Returns
        -------
        float array (B, q)
            Unit scores.
        """


@runtime_checkable
class Metric(Protocol):
    """A way to map a source on a target: hyper-parameters, and a fit on one fold."""

    def fit(self, source: PopulationFold, target: PopulationFold) -> FittedMap:
        """Fit the map on the training stimuli of a fold.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split of the stimuli.

        Returns
        -------
        FittedMap
            It scores the test stimuli.
        """


def check_pair(source: PopulationFold, target: PopulationFold) -> None:
    """Make sure that two populations are under the same split of the same stimuli.

    Parameters
    ----------
    source, target : PopulationFold
        Stimuli of one may have changed places, as in a null distribution.

    Raises
    ------
    InputError
        If they are no folds of populations, or have other stimuli than these, or the numbers of
        their stimuli differ.
    """
    for name, side in (("source", source), ("target", target)):
        if not isinstance(side, PopulationFold):
            raise InputError(
                f"{name} is a {type(side).__name__}: a metric is fitted to a fold of a population, "
                "Population(values).fold(train, test). For whole data sets use convergent.score."
            )
        last = max(int(side.train.max()), int(side.test.max()))
        if last >= side.population.n_stimuli:
            raise InputError(
                f"the fold of the {name} has a stimulus at position {last}, and there are "
                f"{side.population.n_stimuli}: split as many stimuli as the population has."
            )
    counts = [side.population.n_stimuli for side in (source, target)]
    if counts[0] != counts[1]:
        raise InputError(
            f"the source has {counts[0]} stimuli and the target {counts[1]}: give both over the "
            "same stimuli in the same order (convergent.align matches them by name)."
        )
    for part in ("train", "test"):
        one, other = (len(getattr(side, part)) for side in (source, target))
        if one != other:
            raise InputError(
                f"the source has {one} {part} stimuli and the target {other}: fold both "
                "populations with the same train and test."
            )
