"""A target as it is scored: its units, which of them count, and its ceiling."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.base import compute
from numpy.typing import NDArray

from ..base.errors import InputError, examples, unknown
from ..base.hashing import code_of, parameters
from ..base.study import Study
from ..data.assembly import Assembly
from ..protocol.resampling import Bootstrap, unit_counts
from ..statistics.ceilings import CEILINGS, NEED_REPEATS, Ceiling, Recorded
from ..statistics.reliability import RELIABILITIES, Reliability
from .tasks import Aim, Sweep

__all__ = ["Goal", "TargetUnits", "check_ceiling", "check_subjects", "prepare"]


@dataclass(frozen=True, eq=False)
class TargetUnits:
    """The units of a target: which could be scored, and which count in the aggregate.

    Attributes
    ----------
    names : str array (q,)
        All units.
    scored : int array (k,)
        Positions of those that were scored.
    excluded : str array (q,)
        Why a unit does not count in the aggregate; '' where it does.
    reliability : Reliability
        Of each unit; NaN where there are no repeats.
    repeated : int array (q,)
        Number of stimuli of which a unit was recorded more than once.
    """

    names: NDArray[Any]
    scored: NDArray[np.intp]
    excluded: NDArray[Any]
    reliability: Reliability
    repeated: NDArray[np.intp]

    @property
    def kept(self) -> NDArray[np.intp]:
        """Which of the scored units count in the aggregate."""
        return np.flatnonzero(self.excluded[self.scored] == "")


@dataclass(frozen=True, eq=False)
class Goal:
    """A target, ready to be predicted.

    Attributes
    ----------
    units : TargetUnits
        All of its units, and which are scored.
    aim : Aim
        What is predicted: the responses of the scored units.
    ceiling : Ceiling
        Of the scored units.
    unit_counts : float array (B, kept) or None
        How often each unit that counts in the aggregate is drawn in the bootstrap's resamples;
        None where units are not random.
    drawn : dict of str to int
        How many stimuli (or groups of them), units or subjects are drawn.
    """

    units: TargetUnits
    aim: Aim
    ceiling: Ceiling
    unit_counts: NDArray[np.float64] | None
    drawn: dict[str, int]


def prepare(
    name: str,
    assembly: Assembly,
    sweep: Sweep,
    ceiling: str | None,
    min_reliability: float,
    study: Study | None,
    fingerprint: str,
) -> Goal:
    """Choose the units that can be scored, and find their ceiling, or recall it from the study."""
    resamples = sweep.resamples
    trials = assembly.data.values if assembly.repeats > 1 else None
    values = assembly.average().data.data
    # a ceiling of another kind still leaves out units that do not repeat
    estimate = RELIABILITIES.get(ceiling or "", RELIABILITIES["split-half"])
    nothing = np.full(len(assembly.units), np.nan)
    reliability = Reliability(nothing, nothing)
    if ceiling is not None and trials is not None:
        reliability = estimate(trials)
    units = _units(name, assembly, values, reliability, min_reliability)
    everything = np.array_equal(units.scored, np.arange(len(units.names)))
    own = values if everything else values[:, units.scored]
    aim = Aim(own, units.scored, units.kept, fingerprint)
    subjects = _subjects(assembly, units)
    if ceiling == "attainable" and len(units.scored) > len(values):
        warnings.warn(
            f"target {name!r} has {len(units.scored)} units and {len(values)} stimuli: with more "
            "units than stimuli, covariances between them are hardly known, and the attainable "
            "ceiling is rough. Hold it against 'split-half'.",
            stacklevel=3,
        )
    possible = Ceiling(np.full((len(sweep.metrics), len(units.scored)), np.nan), None)
    if ceiling is not None:
        recipe = _recipe(sweep, aim, ceiling, subjects)
        known = study and study.recall(recipe)
        if known:
            possible = Ceiling(known["r"], known.get("resampled"))
        else:
            possible = _ceiling(sweep, aim, ceiling, trials, estimate, reliability, subjects)
            if study:
                found = {k: v for k, v in vars(possible).items() if v is not None}
                study.keep(recipe, found)
        possible = _positive(possible, name, list(sweep.metrics), units)
    bootstrap, counts = resamples.bootstrap, None
    drawn = {"stimuli": resamples.n_drawn} if resamples.counts is not None else {}
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        whose = None
        if "subjects" in bootstrap.over and subjects is not None:
            whose = subjects[units.kept]
        counts = unit_counts(bootstrap, name, len(units.kept), whose)
        drawn[bootstrap.over[-1]] = len(units.kept) if whose is None else len(np.unique(whose))
    return Goal(units, aim, possible, counts, drawn)


def _recipe(sweep: Sweep, aim: Aim, ceiling: str, subjects: NDArray[Any] | None) -> dict[str, Any]:
    """All that decides on a ceiling, as plain values."""
    return sweep.drawn | {
        "kind": "ceiling",
        "ceiling": ceiling,
        "metrics": [
            code_of(type(metric)) | parameters(metric) for metric in sweep.metrics.values()
        ],
        "target": aim.fingerprint,
        "scored": aim.scored.tolist(),
        "subjects": None if subjects is None else subjects.astype(str).tolist(),
    }


def _ceiling(
    sweep: Sweep,
    aim: Aim,
    ceiling: str,
    trials: NDArray[np.floating] | None,
    estimate: Callable[..., Reliability],
    reliability: Reliability,
    subjects: NDArray[Any] | None,
) -> Ceiling:
    """The ceiling of the scored units."""
    part = None if trials is None else trials[:, aim.scored]
    counts, resampled = sweep.resamples.counts, None
    if part is not None and counts is not None:
        resampled = estimate(part, weights=counts)
    own = Reliability(*(values[aim.scored] for values in vars(reliability).values()))
    recorded = Recorded(sweep.views(aim), part, own, resampled, subjects, counts)
    return CEILINGS[ceiling](recorded, sweep.metrics)


def check_subjects(bootstrap: Bootstrap | None, targets: Mapping[str, Assembly]) -> None:
    """Make sure, before any work, that subjects can be drawn where they are to be."""
    if bootstrap is None or "subjects" not in bootstrap.over:
        return
    for name, target in targets.items():
        label = target.data.coords.get("subject")
        if label is None or label.dims != ("unit",) or len(np.unique(label.values)) < 2:
            found = "no label 'subject' along 'unit'"
            if label is not None and label.dims == ("unit",):
                found = f"one subject, {label.values[0]!s}"
            raise InputError(
                f"a bootstrap over subjects needs two or more, and target {name!r} has {found}: "
                "say whose each unit is, Assembly(a.data.assign_coords(subject=('unit', names))), "
                "or draw 'units'."
            )


def _units(
    name: str,
    assembly: Assembly,
    values: Any,
    reliability: Reliability,
    min_reliability: float,
) -> TargetUnits:
    """Which units can be scored, and why others do not count."""
    n_units = len(assembly.units)
    # in one pass where they are on disk
    missing, least, most = compute(  # type: ignore[no-untyped-call]
        np.isnan(values).sum(0), values.min(0), values.max(0)
    )
    rounding = 16 * np.finfo(values.dtype).eps * np.maximum(np.abs(least), np.abs(most))
    constant = most - least <= rounding  # never so where a value is missing
    estimated = not np.isnan(reliability.full).all()
    # of several reasons, the last holds
    reasons = {
        f"reliability below {min_reliability:g}": reliability.full < min_reliability,
        "reliability cannot be estimated": np.isnan(reliability.full) & estimated,
        "constant": constant,
        "not recorded for all stimuli": missing > 0,
        "not recorded": missing == len(values),
    }
    excluded = np.full(n_units, "", dtype=f"U{max(map(len, reasons))}")
    for reason, where in reasons.items():
        excluded[where] = reason
    partly = excluded == "not recorded for all stimuli"
    if partly.any():
        warnings.warn(
            f"{int(partly.sum())} of {n_units} units of target {name!r} were not recorded for all "
            f"{len(values)} stimuli ({examples(assembly.units[partly].tolist())}) and are left "
            "out: score the stimuli, or the sessions, that they share.",
            stacklevel=4,
        )
    scored = np.flatnonzero((missing == 0) & ~constant)
    scored = scored[np.argsort(assembly.units[scored])]  # where units tie, order must not matter
    if not len(scored):
        found = ", ".join(f"{reason} ({(excluded == reason).sum()})" for reason in set(excluded))
        raise InputError(f"target {name!r} has no unit that can be scored: {found}.")
    repeated = np.zeros(n_units, dtype=np.intp)
    if assembly.repeats > 1:
        repeated = (np.isfinite(assembly.data.values).sum(-1) >= 2).sum(0)
    counted = repeated[excluded == ""]
    if estimated and counted.size and counted.min() < len(values):
        warnings.warn(
            f"the ceiling of target {name!r} rests on the {counted.min()} of {len(values)} stimuli "
            "that were repeated, and takes the noise of all others to be like theirs.",
            stacklevel=4,
        )
    return TargetUnits(assembly.units, scored, excluded, reliability, repeated)


def _subjects(assembly: Assembly, units: TargetUnits) -> NDArray[Any] | None:
    """Whose each scored unit is, where that is known."""
    label = assembly.data.coords.get("subject")
    if label is None or label.dims != ("unit",):
        return None
    return np.asarray(label.values)[units.scored]


def _positive(ceiling: Ceiling, name: str, metrics: Sequence[str], units: TargetUnits) -> Ceiling:
    """Leave out ceilings that are not above 0, and say so where they would have counted."""
    r = np.where(ceiling.r > 0, ceiling.r, np.nan)
    lost = np.isnan(r[:, units.kept]).sum(1)
    if lost.any():
        counts = ", ".join(f"{lost[i]} ({m})" for i, m in enumerate(metrics) if lost[i])
        warnings.warn(
            f"of {len(units.kept)} units of target {name!r}, the ceiling is not above 0, or not "
            f"known, in {counts}: these have no normalized score.",
            stacklevel=4,
        )
    draws = ceiling.resampled
    return Ceiling(r, None if draws is None else np.where(draws > 0, draws, np.nan))


def check_ceiling(ceiling: str | None, targets: Mapping[str, Assembly]) -> None:
    """Make sure, before any work, that a ceiling is known and that the targets allow it."""
    if ceiling is None:
        return
    if ceiling not in CEILINGS:
        raise unknown("ceiling", ceiling, CEILINGS)
    for name, target in targets.items():
        what = f"ceiling={ceiling!r}", f"target {name!r}"
        if ceiling in NEED_REPEATS and target.repeats < 2:
            raise InputError(
                f"{what[0]} needs at least two repeats of a stimulus, and {what[1]} has one: load "
                "single trials instead of their mean; for a network use ceiling='self'; or pass "
                "ceiling=None (--ceiling none)."
            )
        if ceiling == "inter-subject":
            labels = target.data.coords.get("subject")
            if labels is None or labels.dims != ("unit",):
                raise InputError(
                    f"{what[0]} needs the label 'subject' along 'unit', and {what[1]} has none: "
                    "add it, Assembly(a.data.assign_coords(subject=('unit', names)))."
                )
            if len(np.unique(labels.values)) < 2:
                raise InputError(
                    f"{what[0]} predicts each subject from the others, and {what[1]} has one, "
                    f"{labels.values[0]!s}: use 'split-half' or 'attainable'."
                )
        if ceiling == "self" and target.repeats > 1:
            raise InputError(
                f"{what[0]} is for populations without noise, and {what[1]} has {target.repeats} "
                "repeats: its copy would share its noise. Use 'attainable'."
            )
