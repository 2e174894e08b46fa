"""Circular shifts: the maps of a network are moved by rows and columns to where they fit best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError, quoted
from .base import FittedMap, FoldScore, Metric, check_pair
from .population import PopulationFold
from .table import as_metric, metric_name

__all__ = ["CircularShifts", "CircularShiftsMap", "shifted_places"]

_HELD_OUT = 0.25  # of the training images, by which the shift is chosen


@dataclass(frozen=True)
class CircularShifts:
    """A metric that also ignores a circular shift of the maps of a convolutional layer.

    Stimuli are positions of images (``extract(..., spatial="positions-4")``). The maps of the
    source are moved by rows and columns; what leaves at one edge enters at the opposite one. All
    channels and images are moved alike. For every shift the inner metric is fitted on three
    quarters of the training images, and the shift with the greatest score (mean over units) on the
    others is chosen; then the map is fitted on all training images. Test images have no part in
    the choice. There are as many fits as positions, and one more.

    Parameters
    ----------
    inner : str or metric
        Metric that is fitted at each shift: ``"procrustes"``, ``Linear(...)``.
    grid : (int, int)
        Rows and columns of the maps.

    Raises
    ------
    InputError
        If the metric is not known, or the grid is not two whole numbers from 1 up.

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, NeurIPS, "Generalized shape metrics on neural
    representations" (section on convolutional layers).
    """

    inner: Metric
    grid: tuple[int, int]

    def __init__(self, inner: str | Metric, grid: Sequence[int]) -> None:
        sides = tuple(grid) if isinstance(grid, (list, tuple)) else ()
        if len(sides) != 2 or not all(_is_count(side) for side in sides):
            raise InputError(
                f"grid={quoted(grid)}: give rows and columns of the maps, whole numbers from 1 "
                "up, such as grid=(4, 4) for spatial='positions-4'."
            )
        object.__setattr__(self, "inner", as_metric(inner))
        object.__setattr__(self, "grid", tuple(int(side) for side in sides))

    @property
    def metric_name(self) -> str:
        """The inner metric's name, and ``-shifted``."""
        return f"{metric_name(self.inner)}-shifted"

    def fit(self, source: PopulationFold, target: PopulationFold) -> CircularShiftsMap:
        """Choose the shift and fit the map, on the training stimuli of a fold.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split: whole images, the positions of each together,
            row by row.

        Returns
        -------
        CircularShiftsMap
            The map at the chosen shift.

        Raises
        ------
        InputError
            If the two are not under the same split of the same stimuli, the stimuli are not
            positions of whole images, or there is one training image only.
        """
        check_pair(source, target)
        for name, fold in (("source", source), ("target", target)):
            for part in (fold.train, fold.test):
                _check_whole(name, part, self.grid)
        held_out = self._held_out(source, target)
        row, column = divmod(int(held_out.argmax()), self.grid[1])  # of ties the least shift
        moved = _moved(source, (row, column), self.grid)
        return CircularShiftsMap(self.inner.fit(moved, target), (row, column), held_out)

    def _held_out(self, source: PopulationFold, target: PopulationFold) -> NDArray[np.float64]:
        """Score (rows, columns) of each shift on held-out training images, mean over units."""
        places = self.grid[0] * self.grid[1]
        images = len(source.train) // places
        if images < 2:
            raise InputError(
                "the metric is fitted on one part of the training images, and the shift is chosen "
                "on another, and there is one training image: use more images, or fewer folds."
            )
        # drawn at random, as the order of names can follow the contents of the images
        drawn = np.random.default_rng(0).permutation(images)
        most = max(1, round(_HELD_OUT * images))
        rows = [
            (image[:, None] * places + np.arange(places)).ravel()
            for image in (np.sort(drawn[most:]), np.sort(drawn[:most]))
        ]
        x, y = (
            side.population.fold(*(side.train[part] for part in rows)) for side in (source, target)
        )
        scores = np.full(self.grid, -np.inf)  # where no unit has a score
        for shift in np.ndindex(*self.grid):
            r = self.inner.fit(_moved(x, shift, self.grid), y).score().r
            if not np.isnan(r).all():
                scores[shift] = np.nanmean(r)
        return scores


@dataclass(frozen=True, eq=False)
class CircularShiftsMap:
    """A map fitted at the chosen shift.

    Attributes
    ----------
    fitted : FittedMap
        Map of the inner metric, with the source's maps shifted.
    shift : (int, int)
        By how many rows and columns the source's maps are moved (as ``numpy.roll`` does).
    held_out : float array (rows, columns)
        Score of each shift on the held-out training images, mean over units.
    """

    fitted: FittedMap
    shift: tuple[int, int]
    held_out: NDArray[np.float64]

    def score(self) -> FoldScore:
        """Score the inner map on the test stimuli.

        Returns
        -------
        FoldScore
            Unit scores, and the similarity of the inner metric.
        """
        return self.fitted.score()

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score the map in resamples of the images; the shift stays the same.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts, positions of an image alike.
        train : float array (B, n_train), optional
            How often each training stimulus counts; once by default.

        Returns
        -------
        float array (B, q)
            Unit scores.
        """
        return self.fitted.resample(test, train)


def shifted_places(shift: tuple[int, ...], grid: tuple[int, int]) -> NDArray[np.intp]:
    """Position of a map that comes to each place when it is shifted, both counted row by row.

    Parameters
    ----------
    shift, grid : (int, int)
        Rows and columns.

    Returns
    -------
    int array (rows x columns,)
        ``values[shifted_places(shift, grid)]`` is the map rolled by the shift.
    """
    return np.roll(np.arange(grid[0] * grid[1]).reshape(grid), shift, axis=(0, 1)).ravel()


def _moved(fold: PopulationFold, shift: tuple[int, ...], grid: tuple[int, int]) -> PopulationFold:
    """A population with its maps shifted; its geometry is reordered, not computed again."""
    if not any(shift):
        return fold
    places = shifted_places(shift, grid)
    train, test = (
        (np.arange(0, len(part), len(places))[:, None] + places).ravel()
        for part in (fold.train, fold.test)
    )
    return fold.reordered(train, test)


def _check_whole(side: str, part: NDArray[np.intp], grid: tuple[int, int]) -> None:
    """Make sure that stimuli are positions of whole images, in the order of the grid."""
    places = grid[0] * grid[1]
    if len(part) % places == 0:
        blocks = part.reshape(-1, places)
        if (blocks == blocks[:, :1] + np.arange(places)).all() and not (
            part[::places] % places
        ).any():
            return
    raise InputError(
        f"the {side} has {len(part)} stimuli in a part of a fold, which are not all {places} "
        f"positions (grid {grid[0]} x {grid[1]}) of whole images: extract layers with "
        "spatial='positions-N' and give grid=(N, N), or the grid that 'row' and 'column' along "
        "'stimulus' show."
    )


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and value is not True and bool(value >= 1)
