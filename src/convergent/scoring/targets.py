"""Targets: which units are predicted, and which of them count in the aggregate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dask.base import compute
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers, is_silent_range
from ..base.errors import InputError, examples, warn
from ..data.assembly import Assembly
from ..data.zarr_files import may_change
from ..protocol.design import Design
from ..protocol.resampling import effective_number, unit_counts
from ..protocol.settings import Protocol
from ..statistics.ceilings import NEED_REPEATS
from ..statistics.reliability import RELIABILITIES, Reliability
from .inputs import stacked

__all__ = ["VOXEL_AXES", "Target", "target_of"]

VOXEL_AXES = ("voxel_i", "voxel_j", "voxel_k")  # as formats.from_nifti calls them
_UNEQUAL = 1 / 4  # share of the stimuli; below it intervals held the truth too rarely


@dataclass(frozen=True, eq=False)
class Target:
    """A population that is predicted.

    Attributes
    ----------
    name : str
        Name of the target in messages.
    sha256 : str
        Hash of all responses.
    units : str array (q,)
        Names of all units.
    scored : int array (k,)
        Positions of the units that are predicted, sorted by name, so that their order in the
        assembly decides nothing if units tie.
    excluded : str array (q,)
        Why a unit is left out of the aggregate; '' if it is not.
    reliability : Reliability
        Reliability of each unit; NaN without repeats.
    repeated : int array (q,)
        Number of stimuli with two or more recorded repeats, for each unit.
    values : array (n, k)
        Mean responses of the scored units; numpy or dask.
    trials : float array (n, k, repeats) or None
        Single trials of the scored units, if the ceiling needs them.
    subjects : array (k,) or None
        Subject of each scored unit, if known.
    unit_counts : float array (B, k) or None
        How often each scored unit is drawn in each resample; None if units are not drawn.
    drawn : dict of str to int
        Number of stimuli (or groups of them), units or subjects that are drawn from.
    n_effective : float
        Effective number of stimuli (or groups of them), by how much they drive the included units;
        NaN if stimuli are not drawn.
    voxels : int array (q, 3) or None
        Indices of each unit in its volume; None if units are no voxels.
    given : tuple of Assembly
        The responses, if dask may give other values when it computes them again; otherwise empty.
    """

    name: str
    sha256: str
    units: NDArray[Any]
    scored: Integers
    excluded: NDArray[Any]
    reliability: Reliability
    repeated: Integers
    values: Any
    trials: NDArray[np.floating] | None = None
    subjects: NDArray[Any] | None = None
    unit_counts: Floats | None = None
    drawn: Mapping[str, int] = field(default_factory=dict)
    n_effective: float = float("nan")
    voxels: Integers | None = None
    given: tuple[Assembly, ...] = ()

    @property
    def included(self) -> Integers:
        """Positions, among the scored units, of those that count in the aggregate."""
        return np.flatnonzero(self.excluded[self.scored] == "")


def target_of(
    name: Hashable,
    assemblies: Assembly | Sequence[Assembly],
    sha256: str,
    protocol: Protocol,
    design: Design,
    *,
    may_be_silent: bool = False,
) -> Target:
    """Choose the units of a target that are predicted, and those that count in the aggregate.

    Parameters
    ----------
    name : str
        Name of the target in messages.
    assemblies : Assembly, or sequence of them
        Responses to the stimuli of the design. Several assemblies of the same units are put one
        below the other.
    sha256 : str
        Hash of all responses.
    protocol : Protocol
        Ceiling, least reliability and bootstrap.
    design : Design
        Folds and resamples.
    may_be_silent : bool
        Whether a target in which no unit varies is scored, as NaN, instead of refused.

    Returns
    -------
    Target
        With units sorted by name.

    Raises
    ------
    InputError
        If no unit can be scored.
    """
    several = [assemblies] if isinstance(assemblies, Assembly) else list(assemblies)
    first, values = several[0], stacked(several)
    trials = first.data.values if first.repeats > 1 else None
    reliability = _reliability(trials, protocol.ceiling, len(first.units))
    excluded, scored = _choice(
        str(name), first.units, values, reliability.full, protocol.min_reliability, may_be_silent
    )
    repeated = np.zeros(len(first.units), dtype=np.intp)
    if trials is not None:
        repeated = (np.isfinite(trials).sum(-1) >= 2).sum(0)
    _warn_of_few_repeats(str(name), reliability, repeated[excluded == ""], len(values))
    subjects = _subjects(first, scored)
    counts, drawn = _drawn(str(name), protocol, design, len(scored), subjects)
    effective = _effective(values, scored[excluded[scored] == ""], design)
    if not may_be_silent and protocol.ceiling != "self":  # layers of networks are as they are
        _warn_of_few_stimuli(str(name), effective, design.n_drawn)
    in_order = np.array_equal(scored, np.arange(len(first.units)))
    needs_trials = trials is not None and protocol.ceiling in NEED_REPEATS
    return Target(
        name=str(name),
        sha256=sha256,
        units=first.units,
        scored=scored,
        excluded=excluded,
        reliability=reliability,
        repeated=repeated,
        values=values if in_order else values[:, scored],
        trials=trials[:, scored] if trials is not None and needs_trials else None,
        subjects=subjects,
        unit_counts=counts,
        drawn=drawn,
        n_effective=effective,
        voxels=_voxels(first),
        given=tuple(several) if any(may_change(one.data.data) for one in several) else (),
    )


def _reliability(
    trials: NDArray[np.floating] | None, ceiling: str | None, n_units: int
) -> Reliability:
    """Reliability of all units; NaN without repeats, or without a ceiling."""
    if trials is None or ceiling is None:
        nan = np.full(n_units, np.nan)
        return Reliability(nan, nan)
    # with other ceilings too, units whose responses do not repeat are left out
    return RELIABILITIES.get(ceiling, RELIABILITIES["split-half"])(trials)


def _choice(
    name: str,
    units: NDArray[Any],
    values: Any,
    reliability: Floats,
    min_reliability: float,
    may_be_silent: bool,
) -> tuple[NDArray[Any], Integers]:
    """Why units are left out (q,), and positions of the scored ones, sorted by name."""
    # one pass over values on disk
    missing, least, most = compute(  # type: ignore[no-untyped-call]
        np.isnan(values).sum(0), values.min(0), values.max(0)
    )
    constant = is_silent_range(least, most, values.dtype)  # False if a value is missing
    estimated = not np.isnan(reliability).all()
    # a later reason replaces an earlier one
    reasons = {
        f"reliability below {min_reliability:g}": reliability < min_reliability,
        "reliability cannot be estimated": np.isnan(reliability) & estimated,
        "constant": constant,
        "not recorded for all stimuli": missing > 0,
        "not recorded": missing == len(values),
    }
    excluded = np.full(len(units), "", dtype=f"U{max(map(len, reasons))}")
    for reason, where in reasons.items():
        excluded[where] = reason
    partly = excluded == "not recorded for all stimuli"
    if partly.any():
        warn(
            f"{int(partly.sum())} of {len(units)} units of target {name!r} were not recorded for "
            f"all {len(values)} stimuli ({examples(units[partly].tolist())}) and are left out: "
            "score only stimuli, or sessions, for which all units were recorded."
        )
    scored = np.flatnonzero((missing == 0) & ~constant)
    if not len(scored) and not may_be_silent:
        found = ", ".join(f"{reason} ({(excluded == reason).sum()})" for reason in set(excluded))
        raise InputError(f"target {name!r} has no unit that can be scored: {found}.")
    if not len(scored):
        excluded, scored = np.full_like(excluded, ""), np.arange(len(units))
    return excluded, scored[np.argsort(units[scored])]


def _warn_of_few_repeats(
    name: str, reliability: Reliability, repeated: Integers, n_stimuli: int
) -> None:
    """Warn if only some of the stimuli were repeated."""
    estimated = not np.isnan(reliability.full).all()
    if estimated and repeated.size and repeated.min() < n_stimuli:
        warn(
            f"the ceiling of target {name!r} rests on the {repeated.min()} of {n_stimuli} stimuli "
            "that were repeated, and assumes that the noise of all others is like theirs."
        )


def _subjects(assembly: Assembly, scored: Integers) -> NDArray[Any] | None:
    """Subject of each scored unit; None if unknown."""
    label = assembly.data.coords.get("subject")
    if label is None or label.dims != ("unit",):
        return None
    return np.asarray(label.values)[scored]


def _voxels(assembly: Assembly) -> Integers | None:
    """Indices (q, 3) of units that are voxels; None if they are not."""
    axes = [assembly.data.coords.get(axis) for axis in VOXEL_AXES]
    if any(axis is None or axis.dims != ("unit",) for axis in axes):
        return None
    return np.stack([axis.values for axis in axes if axis is not None], axis=1).astype(np.intp)


def _effective(values: Any, included: Integers, design: Design) -> float:
    """Effective number of stimuli; NaN if they are not drawn."""
    if design.resamples.counts is None:
        return float("nan")
    first = values[: len(design.resamples.members)]  # others below it are of the same stimuli
    return effective_number(first[:, included], design.resamples.members)


def _warn_of_few_stimuli(name: str, effective: float, n_stimuli: float) -> None:
    """Warn if few stimuli drive the units of a recording."""
    if effective < _UNEQUAL * n_stimuli:
        warn(
            f"target {name!r} is driven by few stimuli much more than by all others: its "
            f"correlations over {n_stimuli:.0f} stimuli (or groups of them) rest on about "
            f"{effective:.0f}. Intervals are wider for that, but may be too narrow still: in "
            "simulations with stimuli from a t distribution of 3 degrees of freedom, 95% intervals "
            "held the true r in 89 to 94% of experiments. Look for outliers, or compress the "
            "responses (their square root or logarithm)."
        )


def _drawn(
    name: str,
    protocol: Protocol,
    design: Design,
    n_units: int,
    subjects: NDArray[Any] | None,
) -> tuple[Floats | None, dict[str, int]]:
    """How often each scored unit is drawn, and how many stimuli, units or subjects there are."""
    resamples, bootstrap = design.resamples, protocol.bootstrap
    drawn = {"stimuli": resamples.n_drawn} if resamples.counts is not None else {}
    if bootstrap is None or bootstrap.over == ("stimuli",):
        return None, drawn
    whose = subjects if "subjects" in bootstrap.over else None
    drawn[bootstrap.over[-1]] = n_units if whose is None else len(np.unique(whose))
    return unit_counts(bootstrap, name, n_units, whose), drawn
