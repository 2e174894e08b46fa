"""Two populations prepared for comparison unit by unit: labelled assemblies in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arrays import Floats, is_silent
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..data.assembly_checks import read_values
from ..protocol.folds import Folds
from ..protocol.resampling import Splits
from ..scoring.inputs import aligned, as_populations, check_complete, group_labels
from ..scoring.order import places_of
from ..statistics.reliability import split_half
from ._cross_moments import CrossMoments

__all__ = ["SIDES", "TwoPopulations", "Units", "prepare"]

SIDES = ("source", "target")
_MOST_UNITS = 2**13  # of a side: folds hold tables of all pairs of them, 0.5 GB each at this size
_UNRELIABLE = 0.1  # below this reliability a unit has no normalized correlation


@dataclass(frozen=True, eq=False)
class Units:
    """Units of one population, and their responses to the stimuli that both populations share.

    Attributes
    ----------
    name : str
        Name of the population.
    given : Assembly
        The population as it was given, with all of its stimuli and repeats.
    shared : Assembly
        The same for the shared stimuli alone; stimuli and units are sorted by name, so that their
        order decides nothing if units tie.
    values : float array (n, p)
        Mean responses over repeats, standardized over stimuli; 0 for silent units. Everything in
        this package ignores shift and positive scale, so this uses nothing of the test stimuli.
    mean, sd : float array (p,)
        Mean and standard deviation of each unit's responses before they were standardized.
    sha256 : str
        SHA-256 of ``given``.
    """

    name: str
    given: Assembly
    shared: Assembly
    values: Floats
    mean: Floats
    sd: Floats
    sha256: str

    @property
    def units(self) -> NDArray[Any]:
        """Names of the units."""
        return self.shared.units

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """Whether each unit responds alike to all stimuli."""
        return np.asarray(self.sd == 0)

    @cached_property
    def reliability(self) -> Floats:
        """Split-half reliability of each unit's mean over repeats; 1 without repeats."""
        if self.shared.repeats == 1:
            return np.ones(len(self.sd))
        return split_half(self.shared.data.transpose("stimulus", "unit", "repeat").values).full

    @property
    def ceiling(self) -> Floats:
        """Square root of the reliability; NaN for units with low reliability."""
        return np.sqrt(np.where(self.reliability >= _UNRELIABLE, self.reliability, np.nan))


@dataclass(frozen=True, eq=False)
class TwoPopulations:
    """Source and target over the stimuli that they share, and how these are split.

    Attributes
    ----------
    source, target : Units
        Both populations.
    groups : array (n,) or None
        Group of each stimulus; stimuli of a group stay in one fold. None where there are no groups.
    splits : list of (train, test)
        Positions of the training and test stimuli of each fold; empty without folds.
    """

    source: Units
    target: Units
    groups: NDArray[Any] | None
    splits: Splits

    @property
    def sides(self) -> tuple[Units, Units]:
        """Source and target."""
        return self.source, self.target

    @property
    def n_stimuli(self) -> int:
        """Number of shared stimuli."""
        return len(self.source.values)

    @property
    def unit_coords(self) -> dict[str, Any]:
        """Coordinates ``unit`` and ``side`` of all units, those of the source first."""
        return {
            "unit": np.concatenate([side.units for side in self.sides]).astype(str),
            "side": ("unit", np.repeat(SIDES, [len(side.units) for side in self.sides])),
        }

    def as_given(self, found: xr.Dataset) -> xr.Dataset:
        """A result with its units in the order in which they were given."""
        source, target = (np.argsort(np.argsort(side.given.units)) for side in self.sides)
        places = {
            "unit": np.concatenate([source, len(source) + target]),
            **{f"source_unit{end}": source for end in ("", "_2")},
            **{f"target_unit{end}": target for end in ("", "_2")},
        }
        return found.isel({dim: places[dim] for dim in places if dim in found.dims})

    @property
    def attrs(self) -> dict[str, Any]:
        """Number of stimuli and names of the populations: attrs of every result."""
        names = {"source": self.source.name, "target": self.target.name}
        return {"n_stimuli": self.n_stimuli} | names

    @cached_property
    def fold_moments(self) -> list[CrossMoments]:
        """Cross-moments of the test stimuli of each fold."""
        x, y = (side.values for side in self.sides)
        return [CrossMoments.of(x[test], y[test]) for _, test in self.splits]

    @cached_property
    def moments(self) -> CrossMoments:
        """Cross-moments of all stimuli, as the sum over folds."""
        first, *rest = self.fold_moments
        for more in rest:
            first = first + more
        return first

    def train_and_test(self) -> Iterator[tuple[CrossMoments, CrossMoments]]:
        """Cross-moments of the training and of the test stimuli, fold by fold."""
        return ((self.moments - test, test) for test in self.fold_moments)


def prepare(
    source: Assembly,
    target: Assembly,
    folds: Folds | None,
    hashes: tuple[str, str] | None = None,
) -> TwoPopulations:
    """Bring two populations to the stimuli that they share, and standardize their units.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit); repeats are averaged.
    folds : Folds or None
        How the stimuli are split; positions of an image stay together. None for questions that
        fit nothing.
    hashes : tuple of str, optional
        SHA-256 of both, if they have been computed before.

    Returns
    -------
    TwoPopulations
        For the questions of this package.

    Raises
    ------
    InputError
        If they share no stimuli, values are missing, all units of a side are silent, stimuli are
        too few, or units too many for tables of their pairs.
    """
    for side, given in zip(SIDES, (source, target), strict=True):
        if not isinstance(given, Assembly):
            raise InputError(
                f"{side} is a {type(given).__name__}: units are compared between two populations, "
                "so give one Assembly on either side, such as layers['_blocks.5']."
            )
    sources, targets = aligned(as_populations("source", source), as_populations("target", target))
    ((one_name, one),), ((other_name, other),) = sources.items(), targets.items()
    p, q = len(one.units), len(other.units)
    if max(p, q) > _MOST_UNITS:
        raise InputError(
            f"{p} source and {q} target units: with more than {_MOST_UNITS} on a side, tables of "
            "all pairs take too much memory. Average over positions (spatial='mean'), take "
            "positions as stimuli (spatial='positions-4'), or choose units."
        )
    one, other = (Assembly(side.data.sortby("unit")) for side in (one, other))
    groups = group_labels(folds.group if folds else None, [other, one])
    places = places_of(folds.order if folds else None, [other, one])
    splits = folds.split(len(one.stimuli), groups, places) if folds else []
    # hashed before values are read, so that a change in between is noticed in the end
    known = hashes or (source.fingerprint(), target.fingerprint())
    return TwoPopulations(
        _units("source", one_name, source, one, known[0]),
        _units("target", other_name, target, other, known[1]),
        groups,
        splits,
    )


def _units(side: str, name: str, given: Assembly, shared: Assembly, sha256: str) -> Units:
    check_complete(name, shared, side)
    means = read_values(shared.average().data)
    values = np.asarray(means, dtype=np.float64)
    if np.isnan(values).any():
        raise InputError(
            f"{side} {name!r} holds NaN: keep the units (or stimuli) that were recorded "
            "throughout, with .data.dropna('unit')."
        )
    mean = values.mean(0)
    values = values - mean
    size = np.abs(values).max(0)  # squares of very small numbers are 0
    sd = np.where(is_silent(means), 0.0, size * (values / np.where(size > 0, size, 1.0)).std(0))
    if not sd.any():
        raise InputError(
            f"all {len(sd)} units of the {side} {name!r} respond alike to all {len(values)} "
            "stimuli: there is nothing to match. Choose another layer, or other stimuli."
        )
    responsive = sd > 0
    values = np.where(responsive, values / np.where(responsive, sd, 1.0), 0.0)
    return Units(name, given, shared, values, mean, sd, sha256)
