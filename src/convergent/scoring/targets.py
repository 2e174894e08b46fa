"""A target: the units that are predicted, and which of them count."""

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
from ..protocol.design import Design
from ..protocol.resampling import unit_counts
from ..protocol.settings import Protocol
from ..statistics.ceilings import NEED_REPEATS
from ..statistics.reliability import RELIABILITIES, Reliability
from .inputs import stacked

__all__ = ["Target", "target_of"]


@dataclass(frozen=True, eq=False)
class Target:
    """The units of a target: which are predicted, and which count in the aggregate.

    Attributes
    ----------
    name : str
        Name of the target in messages.
    sha256 : str
        Hash of the target as it was recorded.
    units : str array (q,)
        Names of all units.
    scored : int array (k,)
        Positions of the units that are predicted, sorted by name: where units tie, their order
        must not matter.
    excluded : str array (q,)
        Why a unit does not count in the aggregate; '' if it does.
    reliability : Reliability
        Of each unit; NaN without repeats.
    repeated : int array (q,)
        Number of stimuli of which a unit was recorded more than once.
    values : array (n, k)
        Mean responses of the scored units; numpy or dask.
    trials : float array (n, k, repeats) or None
        Single trials of the scored units, where a ceiling needs them.
    subjects : array (k,) or None
        Subject of each scored unit, where known.
    unit_counts : float array (B, included) or None
        How often each unit that counts is drawn in each resample; None if units are not random.
    drawn : dict of str to int
        How many stimuli (or groups of them), units or subjects are drawn.
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

    @property
    def included(self) -> Integers:
        """Which of the scored units count in the aggregate."""
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
    """Choose the units of a target that can be predicted.

    Parameters
    ----------
    name : str
        Name of the target in messages.
    assemblies : Assembly, or list of them
        Over the stimuli of the design; several of the same units are stacked.
    sha256 : str
        Hash of the target as it was recorded.
    protocol : Protocol
        Its ceiling, least reliability and bootstrap.
    design : Design
        What is drawn.
    may_be_silent : bool
        Whether a target without any unit that varies is scored (as NaN) instead of refused.

    Raises
    ------
    InputError
        Where no unit can be scored.
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
    included = np.flatnonzero(excluded[scored] == "")
    counts, drawn = _drawn(str(name), protocol, design, included, subjects)
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
    )


def _reliability(
    trials: NDArray[np.floating] | None, ceiling: str | None, n_units: int
) -> Reliability:
    """Reliability of all units; NaN without repeats, or where no ceiling is asked for."""
    if trials is None or ceiling is None:
        unknown = np.full(n_units, np.nan)
        return Reliability(unknown, unknown)
    # a ceiling of another kind still leaves out units that do not repeat
    return RELIABILITIES.get(ceiling, RELIABILITIES["split-half"])(trials)


def _choice(
    name: str,
    units: NDArray[Any],
    values: Any,
    reliability: Floats,
    min_reliability: float,
    may_be_silent: bool,
) -> tuple[NDArray[Any], Integers]:
    """Why units do not count (q,), and positions of those that are scored, sorted by name."""
    # in one pass where they are on disk
    missing, least, most = compute(  # type: ignore[no-untyped-call]
        np.isnan(values).sum(0), values.min(0), values.max(0)
    )
    constant = is_silent_range(least, most, values.dtype)  # never so where a value is missing
    estimated = not np.isnan(reliability).all()
    # of several reasons, the last holds
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
            "score the stimuli, or the sessions, that they share."
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
    """Say where a ceiling rests on some of the stimuli alone."""
    estimated = not np.isnan(reliability.full).all()
    if estimated and repeated.size and repeated.min() < n_stimuli:
        warn(
            f"the ceiling of target {name!r} rests on the {repeated.min()} of {n_stimuli} stimuli "
            "that were repeated, and assumes that the noise of all others is like theirs."
        )


def _subjects(assembly: Assembly, scored: Integers) -> NDArray[Any] | None:
    """Subject of each scored unit, where that is known."""
    label = assembly.data.coords.get("subject")
    if label is None or label.dims != ("unit",):
        return None
    return np.asarray(label.values)[scored]


def _drawn(
    name: str,
    protocol: Protocol,
    design: Design,
    included: Integers,
    subjects: NDArray[Any] | None,
) -> tuple[Floats | None, dict[str, int]]:
    """How often each included unit is drawn in each resample, and how much there is to draw."""
    resamples, bootstrap = design.resamples, protocol.bootstrap
    drawn = {"stimuli": resamples.n_drawn} if resamples.counts is not None else {}
    if bootstrap is None or bootstrap.over == ("stimuli",):
        return None, drawn
    whose = None
    if "subjects" in bootstrap.over and subjects is not None:
        whose = subjects[included]
    drawn[bootstrap.over[-1]] = len(included) if whose is None else len(np.unique(whose))
    return unit_counts(bootstrap, name, len(included), whose), drawn
