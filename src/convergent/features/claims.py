"""The three claims of the paper, put to numbers: whether they hold, and by how much.

What is asked of each was set before any result was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from ..errors import InputError

__all__ = ["CLAIMS", "claims"]

SOME = 0.1  # of the units, at the least, on either side of the line
SPAN = 0.5**0.5  # canonical correlation of a shared subspace, at the least
OTHER_AXES = 0.1  # by which single units match worse than what they span, at the least
MORE_THAN_ONE = 0.02  # by which the r of few units exceeds that of one, at the least
FEW = 0.5  # on the scale from one unit (0) to all (1): the root of their number, at the most

CLAIMS = (
    "some features are reliably shared, and others are not",
    "groups of units share a subspace, but with different bases",
    "the code lies between local and slightly distributed",
)


def claims(layers: xr.Dataset | Sequence[xr.Dataset], level: float = 0.95) -> pd.DataFrame:
    """Say whether each claim of the paper holds.

    Parameters
    ----------
    layers : xarray.Dataset, or sequence of them
        ``layers`` of `overview`; several are pairs of networks that share none, so that
        intervals are for other networks.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row a claim: ``claim``, ``verdict`` ("holds", "holds partly", "does not hold here") and
        the ``numbers``: means over layers, with intervals over pairs where there are several. A
        part holds where its interval does, or, of one pair, its estimate; a claim, where all parts
        do.

    Raises
    ------
    InputError
        Where there is nothing.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    several = [layers] if isinstance(layers, xr.Dataset) else list(layers)
    if not several:
        raise InputError("there is no result to judge: give the layers of one overview or more.")

    def of(statistic: Callable[[xr.Dataset], Any]) -> _Estimate:
        values = np.array([float(np.nanmean(statistic(one))) for one in several])
        return _Estimate.of(values, level)

    shared, alone = of(lambda one: one["shared"]), of(lambda one: one["not_shared"])
    span = of(lambda one: one["canonical"])
    axes = of(lambda one: one["canonical"] - one["matched"])
    native = of(lambda one: one["native"] - one["rotated"])
    few = of(lambda one: one["r_lasso"] - one["r_single"])
    scale = of(lambda one: one["scale_sparse"])
    rows = [
        (
            [shared.low >= SOME, alone.low >= SOME],
            f"{shared} of the units have a partner that surely tells half of their variance; "
            f"{alone} surely have none",
        ),
        (
            [span.low >= SPAN, axes.low >= OTHER_AXES],
            f"canonical correlation of a cluster's parts {span}, by {axes} above that of its units "
            "paired one-to-one",
        ),
        (
            [native.low > 0, few.low >= MORE_THAN_ONE, scale.high <= FEW],
            f"soft matching of units is {native} above that of rotations; few units predict by "
            f"{few} better (r) than one; effective number of them {scale} on the scale from one "
            "(0) to all (1)",
        ),
    ]
    return pd.DataFrame(
        [
            {"claim": claim, "verdict": _verdict(parts), "numbers": numbers}
            for claim, (parts, numbers) in zip(CLAIMS, rows, strict=True)
        ]
    )


class _Estimate:
    """A mean over pairs of networks, and its interval; without one, the mean is both ends."""

    def __init__(self, mean: float, half: float, known: bool) -> None:
        self.mean, self.low, self.high, self._known = mean, mean - half, mean + half, known

    @classmethod
    def of(cls, values: np.ndarray[Any, Any], level: float) -> _Estimate:
        n = len(values)
        if n < 2:
            return cls(float(values[0]), 0.0, known=False)
        error = float(values.std(ddof=1)) / n**0.5
        return cls(
            float(values.mean()), float(stats.t.ppf((1 + level) / 2, n - 1)) * error, known=True
        )

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" [{self.low:.2f}, {self.high:.2f}]" if self._known else "")


def _verdict(parts: Sequence[bool]) -> str:
    if all(parts):
        return "holds"
    return "holds partly" if any(parts) else "does not hold here"
