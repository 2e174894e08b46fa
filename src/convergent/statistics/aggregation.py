"""Means over folds and medians over units."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FoldMean", "median", "over_units"]


class FoldMean:
    """Mean over the folds in which a unit could be scored, kept as a running sum."""

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._known: NDArray[np.intp] | int = 0

    @classmethod
    def of(cls, folds: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The mean over an iterable of the folds' scores."""
        running = cls()
        for r in folds:
            running.add(r)
        return running.mean()

    def add(self, r: NDArray[np.float64]) -> None:
        """Take in the scores of one fold; NaN where a unit has none."""
        known = ~np.isnan(r)
        self._total = self._total + np.where(known, r, 0.0)
        self._known = self._known + known

    def mean(self) -> NDArray[np.float64]:
        """The mean, of the shape of the scores; NaN where no fold has one."""
        known = np.asarray(self._known)
        return np.where(known > 0, self._total / np.maximum(known, 1), np.nan)


def over_units(
    values: NDArray[np.floating], counts: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Median over units in each resample, without NaN; NaN where nothing is left.

    Parameters
    ----------
    values : float array (B, q) or (1, q)
        Scores of units.
    counts : float array (B, q), optional
        How often each unit is drawn; once where left out.

    Returns
    -------
    float array (B,)
    """
    if counts is None:
        return np.asarray(median(values), dtype=np.float64)
    shape = np.broadcast_shapes(values.shape, counts.shape)
    order = np.broadcast_to(np.argsort(values, axis=1), shape)  # NaN come last
    values = np.take_along_axis(np.broadcast_to(values, shape), order, axis=1)
    weights = np.take_along_axis(counts, order, axis=1) * ~np.isnan(values)
    passed = 2 * np.cumsum(weights, axis=1)
    total = passed[:, -1:] / 2
    lower = np.take_along_axis(values, (passed >= total).argmax(1)[:, None], axis=1)
    upper = np.take_along_axis(values, (passed > total).argmax(1)[:, None], axis=1)
    return np.where(total > 0, (lower + upper) / 2, np.nan)[:, 0]


def median(values: NDArray[np.floating]) -> Any:
    """Median over the last axis, without NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(All-NaN slice|Mean of empty slice)", RuntimeWarning)
        return np.nanmedian(values, axis=-1) if values.size else np.full(values.shape[:-1], np.nan)
