"""Resampling of stimuli, units and subjects: what the experiment could have been instead."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError

__all__ = [
    "OVER",
    "Bootstrap",
    "Resamples",
    "Shuffle",
    "Splits",
    "check_draws",
    "draw_resamples",
    "unit_counts",
]

OVER = ("stimuli", "units", "subjects")
Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True)
class Bootstrap:
    """What is drawn anew, with replacement, to see how far a score would move.

    Parameters
    ----------
    samples : int
        Number of resamples.
    over : tuple of {"stimuli", "units", "subjects"}
        What is random: the score is to hold for other stimuli, other units of the same subjects,
        or other subjects. Stimuli are drawn within each fold (in whole groups, where the folds keep
        groups), units within a target. Subjects are drawn with all of their units, by the label
        ``subject``, and so exclude ``"units"``.
    seed : int
        Draws the resamples; they are the same for all sources, metrics and targets, so that
        differences are paired.
    refits : int
        In how many of the resamples, the first, the maps are fitted anew as well. That takes most
        of the time; with few, what fits add to the width of an interval is known less exactly.

    Raises
    ------
    InputError
        Where a number is out of its range, or `over` names something else.
    """

    samples: int = 1000
    over: tuple[str, ...] = ("stimuli",)
    seed: int = 0
    refits: int = 200

    def __post_init__(self) -> None:
        given = [self.over] if isinstance(self.over, str) else self.over
        over = tuple(given) if isinstance(given, (list, tuple, set)) else ()
        if not over or not set(over) <= set(OVER) or {"units", "subjects"} <= set(over):
            raise InputError(
                f"Bootstrap(over={self.over!r}): over holds one or both of 'stimuli' and either "
                "'units' or 'subjects' (who are drawn with all of their units)."
            )
        object.__setattr__(self, "over", tuple(sorted(set(over), key=OVER.index)))
        _check_counts("Bootstrap", samples=(self.samples, 2), seed=(self.seed, 0))
        _check_counts("Bootstrap", refits=(self.refits, 2))


@dataclass(frozen=True)
class Shuffle:
    """Null distribution: stimuli of the target exchanged, and everything fitted anew.

    Stimuli change places with others of the same fold (whole groups, where the folds keep groups),
    so that each population keeps its own geometry in every fold and only the relation between the
    two is lost.

    Parameters
    ----------
    samples : int
        Number of shuffles, N; the least p is 1 / (1 + N).
    seed : int
        Draws them.

    Raises
    ------
    InputError
        Where a number is out of its range.
    """

    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        _check_counts("Shuffle", samples=(self.samples, 1), seed=(self.seed, 0))


def check_draws(bootstrap: object, shuffle: object = None) -> None:
    """Make sure that resamples and shuffles are such, and not their number."""
    for name, value, kind in (("bootstrap", bootstrap, Bootstrap), ("shuffle", shuffle, Shuffle)):
        if not (value is None or isinstance(value, kind)):
            raise InputError(
                f"{name} is {value!r}: give {kind.__name__}(...), such as {kind.__name__}(1000)."
            )


@dataclass(frozen=True, eq=False)
class Resamples:
    """What is drawn for all populations of a score.

    Attributes
    ----------
    bootstrap : Bootstrap or None
        What is random.
    counts : float array (B, n) or None
        How often each stimulus is drawn.
    orders : int array (N, n) or None
        Which stimulus takes each one's place, in each shuffle.
    n_drawn : int
        How many stimuli, or groups of them, there are to draw from.
    """

    bootstrap: Bootstrap | None
    counts: NDArray[np.float64] | None
    orders: NDArray[np.intp] | None
    n_drawn: int


def draw_resamples(
    bootstrap: Bootstrap | None,
    shuffle: Shuffle | None,
    splits: Splits,
    groups: NDArray[Any] | None = None,
) -> Resamples:
    """Draw stimuli and shuffles, as far as they are asked for.

    Parameters
    ----------
    bootstrap : Bootstrap or None
        What is random.
    shuffle : Shuffle or None
        Null distribution.
    splits : list of (train, test)
        Positions of the stimuli of each fold.
    groups : array (n,), optional
        Which stimuli stay together.

    Raises
    ------
    InputError
        Where groups cannot change places.
    """
    counts = orders = None
    if bootstrap is not None and "stimuli" in bootstrap.over:
        counts = _stimulus_counts(bootstrap, splits, groups)
    if shuffle is not None:
        orders = _shuffled_orders(shuffle, splits, groups)
    n_drawn = sum(int(_members(test, groups).max()) + 1 for _, test in splits)
    return Resamples(bootstrap, counts, orders, n_drawn)


def _stimulus_counts(
    bootstrap: Bootstrap, splits: Splits, groups: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """How often each stimulus is drawn in each resample, (samples, n_stimuli)."""
    rng = np.random.default_rng([bootstrap.seed, 0])
    n = sum(len(test) for _, test in splits)
    counts = np.zeros((bootstrap.samples, n))
    for _, test in splits:
        member = _members(test, groups)
        size = int(member.max()) + 1
        drawn = rng.multinomial(size, np.full(size, 1 / size), size=bootstrap.samples)
        counts[:, test] = drawn[:, member]
    return counts


def unit_counts(
    bootstrap: Bootstrap, target: str, n_units: int, subjects: NDArray[Any] | None
) -> NDArray[np.float64]:
    """How often each unit is drawn in each resample, (samples, n_units).

    Parameters
    ----------
    bootstrap : Bootstrap
        Over units, or over subjects.
    target : str
        Whose units: those of different targets are drawn apart, subjects together.
    n_units : int
        Number of units that count in the aggregate.
    subjects : array (n_units,) or None
        Whose they are; where given, subjects are drawn.
    """
    apart = zlib.crc32(target.encode()) if subjects is None else 0
    rng = np.random.default_rng([bootstrap.seed, 1, apart])
    member = np.arange(n_units) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    size = int(member.max()) + 1 if len(member) else 0
    if not size:
        return np.zeros((bootstrap.samples, 0))
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=bootstrap.samples)
    return drawn[:, member].astype(np.float64)


def _shuffled_orders(
    shuffle: Shuffle, splits: Splits, groups: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """Position of the stimulus that takes each one's place, (samples, n_stimuli)."""
    places = []
    for _, test in splits:
        member = _members(test, groups)
        sizes = np.bincount(member)
        if len(np.unique(sizes)) > 1:
            raise InputError(
                f"groups of {sizes.min()} to {sizes.max()} stimuli cannot change places: shuffle "
                "with folds that keep no groups, or with groups of one size."
            )
        places.append(test[np.argsort(member, kind="stable")].reshape(len(sizes), -1))
    rng = np.random.default_rng(shuffle.seed)
    orders = np.empty((shuffle.samples, sum(place.size for place in places)), dtype=np.intp)
    for order in orders:
        for place in places:
            order[place] = place[rng.permutation(len(place))]
    return orders


def _members(test: NDArray[np.intp], groups: NDArray[Any] | None) -> NDArray[np.intp]:
    """Which of the things that are drawn each test stimulus belongs to: itself, or a group."""
    if groups is None:
        return np.arange(len(test))
    return np.asarray(np.unique(groups[test], return_inverse=True)[1])


def _check_counts(kind: str, **counts: tuple[Any, int]) -> None:
    """Each is a whole number, and no less than its least."""
    for name, (value, least) in counts.items():
        if not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{kind}({name}={value!r}): {name} is a whole number from {least} up.")
