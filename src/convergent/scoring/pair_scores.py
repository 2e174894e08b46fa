"""Scores of one metric, source and target: collected fold by fold, and kept in a study."""

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
    """Scores of one metric, source and target.

    Attributes
    ----------
    folds : list of FoldScore
        Scores of each fold.
    held_out : float array (B, k) or None
        r of the scored units, mean over folds, in each of B resamples of the held-out stimuli.
    refitted : float array (b, k) or None
        The same in the first b resamples, with maps that are fitted again to the resampled training
        stimuli.
    shuffled : float array (N,) or None
        Aggregate r in each of N shuffles of the stimuli.
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
        """Convert to plain arrays, which a study can keep."""
        of_folds = {name: np.array([getattr(f, name) for f in self.folds]) for name in _OF_FOLDS}
        resampled = {name: getattr(self, name) for name in _RESAMPLED}
        return of_folds | {name: array for name, array in resampled.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PairScores:
        """Convert back from what `PairScores.arrays` returned."""
        folds = [
            FoldScore(r, float(similarity), int(source), int(target))
            for r, similarity, source, target in zip(
                *(arrays[name] for name in _OF_FOLDS), strict=True
            )
        ]
        return cls(folds, *(arrays.get(name) for name in _RESAMPLED))


class Pair(NamedTuple):
    """Keys of a source and a target, and the name of the design in which they are scored."""

    source: Hashable
    target: Hashable
    design: str = ""


class Key(NamedTuple):
    """Key of scores: metric, source, target and design."""

    metric: str
    source: Hashable
    target: Hashable
    design: str = ""


@dataclass(frozen=True, eq=False)
class PairResults:
    """Scores of pairs, and ceilings of targets.

    Attributes
    ----------
    pairs : dict of Key to PairScores
        By metric, source, target and design.
    ceilings : dict of Ceiling
        By target; empty without ceilings.
    """

    pairs: dict[Key, PairScores]
    ceilings: dict[Hashable, Ceiling]


class RunningPairScores:
    """Scores of one metric, source and target, while its folds are fitted one after the other.

    Parameters
    ----------
    included : int array
        Positions of the scored units that count in the aggregate.
    resamples : Resamples
        Which stimuli each resample draws.
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
        """Add the scores of a fold, with those in resamples of its stimuli."""
        self._folds.append(fitted.score())
        if self._counts is not None:
            train, test = split
            self._held_out.add(fitted.resample(self._counts[:, test]))
            if self._refits:
                first = self._counts[: self._refits]
                self._refitted.add(fitted.resample(first[:, test], first[:, train]))

    def add_shuffled(self, i: int, fitted: FittedMap) -> None:
        """Add the scores of a fold in the i-th shuffle."""
        self._shuffled[i].add(fitted.score().r)

    def done(self) -> PairScores:
        """Return the scores, after all folds were added."""
        held_out = refitted = shuffled = None
        if self._counts is not None:
            held_out = self._held_out.mean()
            refitted = self._refitted.mean() if self._refits else None
        if self._shuffled:
            each = np.stack([running.mean() for running in self._shuffled.values()])
            shuffled = over_units(each[:, self._included])
        return PairScores(self._folds, held_out, refitted, shuffled)
