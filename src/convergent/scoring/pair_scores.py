"""Scores of one source, target and metric: gathered fold by fold, and kept on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers
from ..metrics.base import FittedMap, FoldScore
from ..protocol.resampling import Resamples
from ..statistics.aggregation import FoldMean, over_units
from ..statistics.ceilings import Ceiling

__all__ = ["Key", "Pair", "PairResults", "PairScores", "RunningPairScores"]

_OF_FOLDS = ("r", "similarity", "silent_source", "silent_target")
_RESAMPLED = ("held_out", "refitted", "shuffled")


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of one (metric, source, target).

    Attributes
    ----------
    folds : list of FoldScore
        Scores of each fold.
    held_out : float array (B, k) or None
        r of the scored units, mean over folds, in each resample of the held-out stimuli.
    refitted : float array (b, k) or None
        The same in the first resamples, with maps fitted again to the resampled stimuli.
    shuffled : float array (N,) or None
        The aggregate r in each shuffle of the stimuli.
    """

    folds: Sequence[FoldScore]
    held_out: Floats | None
    refitted: Floats | None
    shuffled: Floats | None

    @property
    def r(self) -> Floats:
        """Score of each unit (k,), mean over folds."""
        return FoldMean.of(fold.r for fold in self.folds)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays that a study keeps."""
        of_folds = {name: np.array([getattr(f, name) for f in self.folds]) for name in _OF_FOLDS}
        resampled = {name: getattr(self, name) for name in _RESAMPLED}
        return of_folds | {name: array for name, array in resampled.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PairScores:
        """From the arrays that `PairScores.arrays` gave."""
        folds = [
            FoldScore(r, float(similarity), int(source), int(target))
            for r, similarity, source, target in zip(
                *(arrays[name] for name in _OF_FOLDS), strict=True
            )
        ]
        return cls(folds, *(arrays.get(name) for name in _RESAMPLED))


class Pair(NamedTuple):
    """A source and a target, by their keys, and the name of the design that they are scored in."""

    source: Hashable
    target: Hashable
    design: str = ""


class Key(NamedTuple):
    """Which scores: a metric, a source, a target and a design."""

    metric: str
    source: Hashable
    target: Hashable
    design: str = ""


@dataclass(frozen=True, eq=False)
class PairResults:
    """Scores of pairs, and ceilings of targets.

    Attributes
    ----------
    pairs : dict of PairScores
        By metric, source, target and design.
    ceilings : dict of Ceiling
        By target; empty where no ceiling was asked for.
    """

    pairs: dict[Key, PairScores]
    ceilings: dict[Hashable, Ceiling]


class RunningPairScores:
    """Scores of one (metric, source, target) while its folds are fitted.

    Parameters
    ----------
    included : int array
        Positions of the scored units that count in the aggregate.
    resamples : Resamples
        Which stimuli are drawn in each resample.
    refit : bool
        Whether maps are fitted again to the first resamples.
    """

    def __init__(self, included: Integers, resamples: Resamples, refit: bool = True) -> None:
        self._included, self._counts = included, resamples.counts
        self._refits = resamples.bootstrap.refits if resamples.bootstrap and refit else 0
        self._folds: list[FoldScore] = []
        self._held_out, self._refitted = FoldMean(), FoldMean()
        self._shuffled: dict[int, FoldMean] = defaultdict(FoldMean)

    def add(self, fitted: FittedMap, split: tuple[Integers, Integers]) -> None:
        """Add the scores of one fold."""
        self._folds.append(fitted.score())
        if self._counts is not None:
            train, test = split
            self._held_out.add(fitted.resample(self._counts[:, test]))
            if self._refits:
                first = self._counts[: self._refits]
                self._refitted.add(fitted.resample(first[:, test], first[:, train]))

    def add_shuffled(self, i: int, fitted: FittedMap) -> None:
        """Add one fold of the i-th shuffle."""
        self._shuffled[i].add(fitted.score().r)

    def done(self) -> PairScores:
        """The scores, once all folds are added."""
        held_out = refitted = shuffled = None
        if self._counts is not None:
            held_out = self._held_out.mean()
            refitted = self._refitted.mean() if self._refits else None
        if self._shuffled:
            each = np.stack([running.mean() for running in self._shuffled.values()])
            shuffled = over_units(each[:, self._included])
        return PairScores(self._folds, held_out, refitted, shuffled)
