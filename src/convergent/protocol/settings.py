"""Settings of a question: the protocol, which decides numbers, and where the work is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ..base.compute import Compute, ComputeSettings
from ..base.errors import InputError, unknown
from ..base.hashing import parameters
from ..data.assembly import Assembly
from ..metrics.table import METRICS, named_metrics
from ..statistics.ceilings import CEILINGS, NEED_REPEATS
from .folds import Folds, check_folds
from .resampling import Bootstrap, Shuffle, check_draws

__all__ = ["OF_COMPUTE", "OF_PROTOCOL", "Protocol", "Settings", "settle"]


@dataclass(frozen=True)
class Protocol:
    """What decides a number: compared, hashed, and written into every result.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them
        Names of `METRICS`, or values such as ``Linear(penalties=...)``.
    folds : Folds
        How the stimuli are split.
    ceiling : {"split-half", "repeat-variance", "inter-subject", "self", "attainable"}, or None
        What a score is divided by; None for nothing.
    min_reliability : float
        Units whose reliability is below this are left out of the aggregate, and counted.
    bootstrap : Bootstrap, optional
        What is drawn again to find confidence intervals and differences.
    shuffle : Shuffle, optional
        Null distribution: stimuli exchanged and everything fitted again.

    Raises
    ------
    InputError
        Where one of these is not what it should be.

    Examples
    --------
    >>> import convergent as cv
    >>> protocol = cv.Protocol("linear", folds=cv.Folds(3))
    >>> protocol == cv.Protocol(["linear"], folds=cv.Folds(3, seed=0))
    True
    """

    metrics: Any = tuple(METRICS)
    folds: Folds = Folds()
    ceiling: str | None = "split-half"
    min_reliability: float = 0.1
    bootstrap: Bootstrap | None = None
    shuffle: Shuffle | None = None

    def __post_init__(self) -> None:
        given = self.metrics
        chosen = named_metrics(dict(given) if isinstance(given, Mapping) else given)
        object.__setattr__(self, "metrics", MappingProxyType(chosen))
        check_folds(self.folds)
        check_draws(self.bootstrap, self.shuffle)
        if self.ceiling is not None and self.ceiling not in CEILINGS:
            raise unknown("ceiling", self.ceiling, CEILINGS)

    def __hash__(self) -> int:
        rest = (getattr(self, field.name) for field in fields(self) if field.name != "metrics")
        return hash((tuple(self.metrics.items()), *rest))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as every result and every key of a study holds them."""
        return {
            "metrics": {name: parameters(metric) for name, metric in self.metrics.items()},
            "folds": asdict(self.folds),
            "ceiling": self.ceiling,
            "min_reliability": self.min_reliability,
            "bootstrap": self.bootstrap and asdict(self.bootstrap),
            "shuffle": self.shuffle and asdict(self.shuffle),
        }

    def check(self, targets: Mapping[str, Assembly]) -> None:
        """Refuse, before any work, what these targets do not allow.

        Parameters
        ----------
        targets : dict of Assembly
            The populations that are predicted, by name.

        Raises
        ------
        InputError
            Where a ceiling needs repeats or subjects that a target lacks, or subjects that are to
            be drawn are not known.
        """
        for name, target in targets.items():
            if self.ceiling is not None:
                _check_ceiling(self.ceiling, name, target)
            if self.bootstrap is not None and "subjects" in self.bootstrap.over:
                _check_subjects(name, target)


class Settings(ComputeSettings, total=False):
    """Keywords that every question takes: those of `Protocol` and `Compute`, or these whole.

    ``metrics``, where a question takes them, is a parameter of its own, which can be given by
    position.

    Attributes
    ----------
    folds, ceiling, min_reliability, bootstrap, shuffle
        As for `Protocol`.
    device, study, progress
        As for `Compute`.
    protocol : Protocol
        All of the first at once; single keywords beside it replace parts of it.
    compute : Compute
        All of the second at once.
    """

    folds: Folds
    ceiling: str | None
    min_reliability: float
    bootstrap: Bootstrap | None
    shuffle: Shuffle | None
    protocol: Protocol
    compute: Compute


OF_PROTOCOL = tuple(field.name for field in fields(Protocol))
OF_COMPUTE = tuple(field.name for field in fields(Compute))


def settle(
    settings: Settings, usual: Protocol, without: Collection[str] = (), metrics: Any = None
) -> tuple[Protocol, Compute]:
    """Protocol and compute of a question, from its keywords and what is usual for it.

    Parameters
    ----------
    settings : Settings
        Keywords that the question was given.
    usual : Protocol
        Taken where no ``protocol`` was given.
    without : collection of str
        Keywords that mean nothing for this question.
    metrics : optional
        Metrics that the question was given; those of the protocol by default.

    Returns
    -------
    protocol : Protocol
    compute : Compute

    Raises
    ------
    TypeError
        Where a keyword is not known.
    InputError
        Where a keyword, or a setting of ``protocol``, means nothing for this question.
    """
    given: dict[str, Any] = dict(settings)
    if metrics is not None:
        given["metrics"] = metrics
    strange = set(given) - {*OF_PROTOCOL, *OF_COMPUTE, "protocol", "compute"}
    if strange:
        known = sorted({*OF_PROTOCOL, *OF_COMPUTE, "protocol", "compute"} - set(without))
        raise TypeError(f"unexpected keywords {sorted(strange)}: known are {', '.join(known)}.")
    protocol = given.pop("protocol", usual)
    compute = given.pop("compute", Compute())
    for name, value, kind in (("protocol", protocol, Protocol), ("compute", compute, Compute)):
        if not isinstance(value, kind):
            raise InputError(f"{name} is {value!r}: give {kind.__name__}(...).")
    protocol = replace(protocol, **{k: v for k, v in given.items() if k in OF_PROTOCOL})
    compute = replace(compute, **{k: v for k, v in given.items() if k in OF_COMPUTE})
    for name in without:
        if getattr(protocol, name) != getattr(usual, name):
            raise InputError(
                f"{name}={getattr(protocol, name)!r} means nothing for this question: leave it out."
            )
    return protocol, compute


def _check_ceiling(ceiling: str, name: str, target: Assembly) -> None:
    """Make sure that a target has what its ceiling needs."""
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


def _check_subjects(name: str, target: Assembly) -> None:
    """Make sure that a target says whose each unit is, of two subjects or more."""
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
