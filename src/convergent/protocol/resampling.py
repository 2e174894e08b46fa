"""Resampling of stimuli, units and subjects: what the experiment could have been instead."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import as_seed, as_whole, check_known
from ..base.errors import InputError, quoted

__all__ = [
    "OVER",
    "Bootstrap",
    "Resamples",
    "Shuffle",
    "Splits",
    "check_draws",
    "draw_resamples",
    "effective_number",
    "unit_counts",
]

OVER = ("stimuli", "units", "subjects")
_ENOUGH_UNITS = 256  # to see how unequal stimuli are
Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True)
class Bootstrap:
    """Bootstrap: resamples of stimuli, units or subjects, which give the error of a score.

    Parameters
    ----------
    samples : int
        Number of resamples.
    over : tuple of {"stimuli", "units", "subjects"}
        What is drawn again, with replacement: the interval then holds for other stimuli, for other
        units of the same subjects, or for other subjects. Stimuli are drawn within each fold (in
        whole groups, where the folds have groups), units within a target. A subject, by the label
        ``subject``, is drawn with all of its units, so ``"subjects"`` excludes ``"units"``.
    seed : int
        Seed of the random resamples. They are the same for all sources, metrics and targets, so
        that differences are paired.
    refits : int
        Number of resamples, the first ones, in which the maps are fitted again as well. This takes
        most of the time. With few, the part of an interval's width that is due to the fits is
        known less exactly.

    Raises
    ------
    InputError
        If a number is out of its range, or `over` names something else.

    References
    ----------
    Efron 1979, Annals of Statistics 7; Schütt, Kipnis, Diedrichsen and Kriegeskorte 2023, eLife 12
    (over stimuli and subjects).

    Examples
    --------
    >>> import convergent as cv
    >>> cv.Bootstrap(500, over=("stimuli", "units"))
    Bootstrap(samples=500, over=('stimuli', 'units'), seed=0, refits=200)
    """

    samples: int = 1000
    over: tuple[str, ...] = ("stimuli",)
    seed: int = 0
    refits: int = 200

    def __post_init__(self) -> None:
        given = [self.over] if isinstance(self.over, str) else self.over
        over = tuple(given) if isinstance(given, (list, tuple, set)) else ()
        if not over or not all(one in OVER for one in over) or {"units", "subjects"} <= set(over):
            raise InputError(
                f"Bootstrap(over={quoted(self.over)}): over holds one or both of 'stimuli' and "
                "either 'units' or 'subjects' (which are drawn with all of their units)."
            )
        object.__setattr__(self, "over", tuple(sorted(set(over), key=OVER.index)))
        for name in ("samples", "refits"):
            object.__setattr__(self, name, as_whole(f"bootstrap {name}", getattr(self, name), 2))
        object.__setattr__(self, "seed", as_seed(self.seed))


@dataclass(frozen=True)
class Shuffle:
    """Null distribution: stimuli of the target are exchanged, and everything is fitted again.

    By default, stimuli change places with others of the same fold (whole groups, where the folds
    have groups), so that each population keeps its own geometry in every fold and only the relation
    between the two is lost.

    Parameters
    ----------
    samples : int
        Number of shuffles, N; the least p is 1 / (1 + N).
    seed : int
        Seed of the random shuffles.
    kind : {"random", "circular"}
        ``"circular"`` is for stimuli that follow each other in time: all stimuli are shifted along
        their order by the same number of places, those beyond the end to the beginning. Responses
        that are alike to stimuli that follow each other stay so; exchanged at random they would
        not, and p would be far too small. It needs ``Folds(order=...)``. Of n stimuli there are
        n - 1 shifts; no shift is drawn twice. It takes longer, since the geometry of the target is
        computed again for each shift.

    Raises
    ------
    InputError
        If a number is out of its range, or the kind is unknown.

    References
    ----------
    Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9
    (permutation p-values are never zero); Harris 2020, bioRxiv 2020.11.29.402719 (shifts).

    Examples
    --------
    >>> import convergent as cv
    >>> cv.Shuffle(200)
    Shuffle(samples=200, seed=0, kind='random')
    """

    samples: int = 1000
    seed: int = 0
    kind: Literal["random", "circular"] = "random"

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", as_whole("shuffle samples", self.samples))
        object.__setattr__(self, "seed", as_seed(self.seed))
        check_known("kind of shuffle", self.kind, ("random", "circular"))


def check_draws(bootstrap: object, shuffle: object = None) -> None:
    """Make sure that settings are a `Bootstrap` and a `Shuffle`, and not numbers of samples.

    Parameters
    ----------
    bootstrap, shuffle : object
        The settings, or None.

    Raises
    ------
    InputError
        If one is something else.
    """
    for name, value, kind in (("bootstrap", bootstrap, Bootstrap), ("shuffle", shuffle, Shuffle)):
        if not (value is None or isinstance(value, kind)):
            raise InputError(
                f"{name} is {quoted(value)}: give {kind.__name__}(...), such as "
                f"{kind.__name__}(1000)."
            )


@dataclass(frozen=True, eq=False)
class Resamples:
    """Resamples and shuffles, the same for all populations of a score.

    Attributes
    ----------
    bootstrap : Bootstrap or None
        How resamples are drawn.
    counts : float array (B, n) or None
        How often each stimulus is drawn, in each resample.
    orders : int array (N, n) or None
        Which stimulus takes the place of each, in each shuffle.
    n_drawn : int
        How many stimuli, or groups of them, there are to draw from.
    members : int array (n,)
        Which of these each stimulus is, or belongs to.
    """

    bootstrap: Bootstrap | None
    counts: NDArray[np.float64] | None
    orders: NDArray[np.intp] | None
    n_drawn: int
    members: NDArray[np.intp]


def draw_resamples(
    bootstrap: Bootstrap | None,
    shuffle: Shuffle | None,
    splits: Splits,
    groups: NDArray[Any] | None = None,
) -> Resamples:
    """Draw resamples and shuffles of the stimuli, where they are asked for.

    Parameters
    ----------
    bootstrap : Bootstrap or None
        How resamples are drawn.
    shuffle : Shuffle or None
        How shuffles are drawn.
    splits : list of (train, test)
        Positions of the stimuli of each fold.
    groups : array (n,), optional
        Group of each stimulus; a group stays together.

    Returns
    -------
    Resamples
        What was drawn; None for what was not asked for.

    Raises
    ------
    InputError
        If groups of unequal size cannot change places, or there are fewer shifts than samples.
    """
    counts = orders = None
    if bootstrap is not None and "stimuli" in bootstrap.over:
        counts = _stimulus_counts(bootstrap, splits, groups)
    if shuffle is not None:
        orders = _shuffled_orders(shuffle, splits, groups)
    members, n_drawn = np.zeros(sum(len(test) for _, test in splits), dtype=np.intp), 0
    for _, test in splits:
        members[test] = n_drawn + _members(test, groups)
        n_drawn = int(members[test].max()) + 1
    return Resamples(bootstrap, counts, orders, n_drawn, members)


def effective_number(responses: Any, members: NDArray[np.intp]) -> float:
    r"""Effective number of stimuli, or of groups of them, where some weigh more than others.

    A stimulus enters a covariance over stimuli with its squared distance :math:`d_i^2` from the
    mean response, summed over units of variance 1. Where few stimuli drive the units much more than
    all others do (heavy tails), a correlation rests on these few, and so does its estimated error:

    .. math:: n_\mathrm{eff} = \frac{\left(\sum_i d_i^2\right)^2}{\sum_i d_i^4}.

    Parameters
    ----------
    responses : float array (n, q)
        Mean responses, numpy or dask, without NaN. With more than 256 units, some of them,
        evenly spaced.
    members : int array (n,)
        Group of each stimulus, from 0: distances are summed over a group.

    Returns
    -------
    float
        From 1 to the number of groups; their number where nothing varies.

    References
    ----------
    Kish 1965, Survey Sampling (effective sample size).

    Examples
    --------
    >>> import numpy as np
    >>> effective_number(np.array([[1.0], [-1], [1], [-1]]), np.arange(4))
    4.0
    >>> round(effective_number(np.array([[0.1], [-0.1], [5], [-5]]), np.arange(4)), 2)
    2.0
    """
    step = -(-responses.shape[1] // _ENOUGH_UNITS) or 1
    values = np.asarray(responses[:, ::step], dtype=np.float64)
    values = values - values.mean(0)
    largest = np.abs(values).max(0, initial=0)
    values = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
    power = (values**2).sum(0)
    shares = np.divide(values**2, power, out=np.zeros_like(values), where=power > 0).sum(1)
    weights = np.bincount(members, shares)
    return float(weights.sum() ** 2 / (weights**2).sum()) if shares.any() else float(len(weights))


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
    """Draw units, or subjects with all of their units.

    Parameters
    ----------
    bootstrap : Bootstrap
        Over units, or over subjects.
    target : str
        Name of the target. Units of different targets are drawn independently; subjects are the
        same for all targets.
    n_units : int
        Number of units that count in the aggregate.
    subjects : array (n_units,) or None
        Subject of each unit, where subjects are drawn.

    Returns
    -------
    float array (samples, n_units)
        How often each unit is drawn in each resample.
    """
    own = zlib.crc32(target.encode()) if subjects is None else 0
    rng = np.random.default_rng([bootstrap.seed, 1, own])
    member = np.arange(n_units) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    size = int(member.max()) + 1 if len(member) else 0
    if not size:
        return np.zeros((bootstrap.samples, 0))
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=bootstrap.samples)
    return drawn[:, member].astype(np.float64)


def _shuffled_orders(
    shuffle: Shuffle, splits: Splits, groups: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """Position of the stimulus that takes the place of each, (samples, n_stimuli)."""
    places, widths = [], set()
    for _, test in splits:
        member = _members(test, groups)
        if shuffle.kind == "circular":  # groups in the order of their first stimulus
            first = np.unique(member, return_index=True)[1]
            member = np.argsort(np.argsort(first))[member]
            widths |= set(np.bincount(member).tolist())  # all change places with each other
        else:
            widths = set(np.bincount(member).tolist())
        if len(widths) > 1:
            raise InputError(
                f"groups of {min(widths)} to {max(widths)} stimuli cannot change places: shuffle "
                "with folds without groups, or with groups of one size."
            )
        places.append(test[np.argsort(member, kind="stable")].reshape(member.max() + 1, -1))
    rng = np.random.default_rng(shuffle.seed)
    orders = np.empty((shuffle.samples, sum(place.size for place in places)), dtype=np.intp)
    if shuffle.kind == "circular":
        _shift(orders, places, rng)
        return orders
    for order in orders:
        for place in places:
            order[place] = place[rng.permutation(len(place))]
    return orders


def _shift(
    orders: NDArray[np.intp], places: Sequence[NDArray[np.intp]], rng: np.random.Generator
) -> None:
    """Shift all stimuli, or groups of them, along their order, in each shuffle by another number.

    A shift within each fold would break the order once in a fold, and p would be too small.
    """
    in_order = np.concatenate(places)
    if len(orders) >= len(in_order):
        raise InputError(
            f"{len(in_order)} stimuli, or groups of them, can be shifted by 1 to "
            f"{len(in_order) - 1} places, and {len(orders)} circular shuffles are asked for: give "
            f"Shuffle({len(in_order) - 1}, kind='circular'), or fewer."
        )
    for order, shift in zip(orders, rng.permutation(len(in_order) - 1) + 1, strict=False):
        order[in_order] = np.roll(in_order, shift, axis=0)


def _members(test: NDArray[np.intp], groups: NDArray[Any] | None) -> NDArray[np.intp]:
    """Which draw each test stimulus belongs to: its own, or that of its group."""
    if groups is None:
        return np.arange(len(test))
    return np.asarray(np.unique(groups[test], return_inverse=True)[1])
