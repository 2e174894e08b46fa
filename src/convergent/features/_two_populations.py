"""Two populations side by side, unit by unit: labelled assemblies in, bare arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.arrays import Floats
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..protocol.folds import Folds, check_folds
from ..scoring.inputs import aligned, check_complete, group_labels, named
from ..statistics.reliability import split_half
from ._cross_moments import CrossMoments

__all__ = ["MOST_UNITS", "SIDES", "UNRELIABLE", "Pair", "Side", "Splits", "pair_of"]

SIDES = ("source", "target")
MOST_UNITS = 2**13  # of a side: folds hold tables of all pairs of them, 0.5 GB each at this size
UNRELIABLE = 0.1  # units that repeat less have no normalized correlation
Splits = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True, eq=False)
class Side:
    """Units of one population.

    Attributes
    ----------
    name : str
        What the population is called.
    units : str array (p,)
        Their names.
    values : float array (n, p)
        Responses, each unit less its mean and in its standard deviations; 0 where it is silent.
        Everything here ignores shift and positive scale, so nothing is learned from test stimuli.
    mean, sd : float array (p,)
        Of the responses as they were.
    reliability : float array (p,)
        PopulationFold-half reliability of the mean over repeats; 1 where there are no repeats.
    """

    name: str
    units: NDArray[Any]
    values: Floats
    mean: Floats
    sd: Floats
    reliability: Floats

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """Units that respond alike to all stimuli."""
        return np.asarray(self.sd == 0)

    @property
    def ceiling(self) -> Floats:
        """Square root of the reliability; NaN for units that hardly repeat."""
        return np.sqrt(np.where(self.reliability >= UNRELIABLE, self.reliability, np.nan))


@dataclass(frozen=True, eq=False)
class Pair:
    """Source and target over the stimuli that they share, sorted by name, and their folds."""

    source: Side
    target: Side
    stimuli: NDArray[Any]
    groups: NDArray[Any] | None
    splits: Splits

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both of them."""
        return self.source, self.target

    @property
    def unit_coords(self) -> dict[str, Any]:
        """Labels of the units of both, the source's first: names, and whose they are."""
        return {
            "unit": np.concatenate([side.units for side in self.sides]).astype(str),
            "side": ("unit", np.repeat(SIDES, [len(side.units) for side in self.sides])),
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """What every result says of them."""
        names = {"source": self.source.name, "target": self.target.name}
        return {"n_stimuli": len(self.stimuli)} | names

    @cached_property
    def fold_moments(self) -> list[CrossMoments]:
        """CrossMoments of the test stimuli of each fold."""
        x, y = (side.values for side in self.sides)
        return [CrossMoments.of(x[test], y[test]) for _, test in self.splits]

    @cached_property
    def moments(self) -> CrossMoments:
        """CrossMoments of all stimuli."""
        first, *rest = self.fold_moments
        for more in rest:
            first = first + more
        return first

    def folds(self) -> Iterator[tuple[CrossMoments, CrossMoments]]:
        """CrossMoments of the training and of the test stimuli of each fold."""
        return ((self.moments - test, test) for test in self.fold_moments)


def pair_of(source: Assembly, target: Assembly, folds: Folds | None) -> Pair:
    """Bring two populations to the stimuli that they share.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged.
    folds : Folds or None
        How the stimuli are split; positions of an image stay together. None where they are not.

    Raises
    ------
    InputError
        Where they share no stimuli, values are missing, all units of a side are silent, stimuli are
        too few, or units too many for tables of their pairs.
    """
    if folds is not None:
        check_folds(folds)
    for side, given in zip(SIDES, (source, target), strict=True):
        if not isinstance(given, Assembly):
            raise InputError(
                f"{side} is a {type(given).__name__}: units are compared between two populations, "
                "so give one Assembly on either side, such as layers['_blocks.5']."
            )
    sources, targets = aligned(named("source", source), named("target", target))
    ((one_name, one),), ((other_name, other),) = sources.items(), targets.items()
    p, q = len(one.units), len(other.units)
    if max(p, q) > MOST_UNITS:
        raise InputError(
            f"{p} source and {q} target units: with more than {MOST_UNITS} on a side, tables of "
            "all pairs take too much memory. Average over positions (spatial='mean'), take "
            "positions as stimuli (spatial='positions-4'), or choose units."
        )
    groups = group_labels(folds.group if folds else None, [other, one])
    everything = np.arange(len(one.stimuli))
    splits = folds.split(len(everything), groups) if folds else [(everything, everything)]
    sides = (_side("source", one_name, one), _side("target", other_name, other))
    return Pair(*sides, stimuli=one.stimuli, groups=groups, splits=splits)


def _side(side: str, name: str, assembly: Assembly) -> Side:
    check_complete(name, assembly, side)
    data = assembly.average().data
    values = np.asarray(data.values, dtype=np.float64)
    if np.isnan(values).any():
        raise InputError(
            f"{side} {name!r} holds NaN: keep the units (or stimuli) that were recorded "
            "throughout, with .data.dropna('unit')."
        )
    mean = values.mean(0)
    values = values - mean
    sd = values.std(0)
    # what rounding leaves of a constant is no variation
    sd = np.where(sd > 1e-9 * (np.abs(mean) + sd.max(initial=0.0)), sd, 0.0)
    if not sd.any():
        raise InputError(
            f"all {len(sd)} units of the {side} {name!r} respond alike to all {len(values)} "
            "stimuli: there is nothing to match. Choose another layer, or other stimuli."
        )
    responsive = sd > 0
    values = np.where(responsive, values / np.where(responsive, sd, 1.0), 0.0)
    reliability = np.ones(len(sd))
    if assembly.repeats > 1:
        trials = assembly.data.transpose("stimulus", "unit", "repeat").values
        reliability = split_half(trials).full
    return Side(name, assembly.units, values, mean, sd, reliability)
