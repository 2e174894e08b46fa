"""What every metric says about one fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FoldScore"]


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
