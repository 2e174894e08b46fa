"""All that is known of one metric, source and target: gathered fold by fold, and kept on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.base import FittedMap, FoldScore
from ..protocol.resampling import Resamples
from ..statistics.aggregation import FoldMean, over_units

__all__ = ["OF_FOLDS", "RESAMPLED", "PairScores", "RunningPairScores"]

OF_FOLDS = ("r", "similarity", "silent_source", "silent_target")
RESAMPLED = ("held_out", "refitted", "shuffled")


@dataclass(frozen=True, eq=False)
class PairScores:
    """All that is known of one (metric, source, target).

    Attributes
    ----------
    folds : list of FoldScore
        Scores of each fold.
    held_out : float array (B, k) or None
        r of the scored units, mean over folds, in the bootstrap's resamples of held-out stimuli.
    refitted : float array (b, k) or None
        The same in the first resamples, with maps fitted anew to the resampled stimuli.
    shuffled : float array (N,) or None
        The aggregate r in each shuffle of the stimuli.
    """

    folds: Sequence[FoldScore]
    held_out: NDArray[np.float64] | None
    refitted: NDArray[np.float64] | None
    shuffled: NDArray[np.float64] | None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file keeps of it."""
        kept = {name: np.array([getattr(f, name) for f in self.folds]) for name in OF_FOLDS}
        resampled = {name: getattr(self, name) for name in RESAMPLED}
        return kept | {name: array for name, array in resampled.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PairScores:
        """From what `arrays` gave."""
        folds = [
            FoldScore(r, float(similarity), int(source), int(target))
            for r, similarity, source, target in zip(
                *(arrays[name] for name in OF_FOLDS), strict=True
            )
        ]
        return cls(folds, *(arrays.get(name) for name in RESAMPLED))


class RunningPairScores:
    """Scores of one (metric, source, target), gathered fold by fold."""

    def __init__(self, kept: NDArray[np.intp], resamples: Resamples) -> None:
        self._kept, self._counts = kept, resamples.counts
        self._refits = resamples.bootstrap.refits if resamples.bootstrap else 0
        self._folds: list[FoldScore] = []
        self._held_out, self._refitted = FoldMean(), FoldMean()
        self._shuffled: dict[int, FoldMean] = defaultdict(FoldMean)

    def add(self, fitted: FittedMap, split: tuple[NDArray[np.intp], NDArray[np.intp]]) -> None:
        """Take in one fold."""
        self._folds.append(fitted.score())
        if self._counts is not None:
            train, test = split
            first = self._counts[: self._refits]
            self._held_out.add(fitted.resample(self._counts[:, test]))
            self._refitted.add(fitted.resample(first[:, test], first[:, train]))

    def add_shuffled(self, i: int, fitted: FittedMap) -> None:
        """Take in one fold of the i-th shuffle."""
        self._shuffled[i].add(fitted.score().r)

    def done(self) -> PairScores:
        """What the result keeps."""
        held_out = refitted = shuffled = None
        if self._counts is not None:
            held_out, refitted = self._held_out.mean(), self._refitted.mean()
        if self._shuffled:
            each = np.stack([running.mean() for running in self._shuffled.values()])
            shuffled = over_units(each[:, self._kept])
        return PairScores(self._folds, held_out, refitted, shuffled)
