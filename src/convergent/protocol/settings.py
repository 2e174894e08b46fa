"""Settings of a question: its protocol, which decides the numbers, and its keywords."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ..base.arguments import as_number, check_known
from ..base.compute import Compute, ComputeSettings
from ..base.errors import InputError, quoted
from ..base.hashing import parameters
from ..data.assembly import Assembly
from ..metrics.table import METRICS, named_metrics
from ..statistics.ceilings import CEILINGS, NEED_REPEATS
from .folds import Folds, check_folds
from .resampling import Bootstrap, Shuffle, check_draws

__all__ = ["OF_PROTOCOL", "Protocol", "Settings", "settle"]


@dataclass(frozen=True)
class Protocol:
    """All settings that decide a number. They are written into every result.

    A protocol is a frozen value, which can be compared and hashed. `score` takes its fields as
    keywords; other questions take them as keywords, or a whole protocol with ``protocol=``.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them
        Names of `METRICS`, or values such as ``Linear(penalties=...)``.
    folds : Folds
        How the stimuli are split for cross-validation.
    ceiling : {"split-half", "repeat-variance", "inter-subject", "self", "attainable"}, or None
        Noise ceiling, by which scores are divided (see `score`); None for no ceiling.
    min_reliability : float
        Units whose reliability is below this are left out of the aggregate, and counted; from -1
        to 1, or minus infinity, which leaves out none.
    bootstrap : Bootstrap, optional
        What is resampled for confidence intervals and differences.
    shuffle : Shuffle, optional
        How often stimuli are exchanged, and everything fitted again, for the null distribution.

    Raises
    ------
    InputError
        If a setting has the wrong type, or a metric or ceiling is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> protocol = cv.Protocol("linear", folds=cv.Folds(3))
    >>> protocol == cv.Protocol(["linear"], folds=cv.Folds(3, seed=0))
    True
    >>> sorted(protocol.as_dict())
    ['bootstrap', 'ceiling', 'folds', 'metrics', 'min_reliability', 'shuffle']
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
        if self.shuffle and self.shuffle.kind == "circular" and self.folds.order is None:
            raise InputError(
                "Shuffle(kind='circular') shifts the stimuli of a fold along their order, and the "
                "folds have none: give folds=Folds(5, order='name'), or order='onset' or another "
                "numeric coordinate along 'stimulus'."
            )
        if self.ceiling is not None:
            check_known("ceiling", self.ceiling, CEILINGS)
        least = self.min_reliability
        if not (isinstance(least, float) and least == -np.inf):  # which leaves out none
            least = as_number("min_reliability", least, -1, 1)
        object.__setattr__(self, "min_reliability", least)

    def __hash__(self) -> int:
        rest = (getattr(self, field.name) for field in fields(self) if field.name != "metrics")
        return hash((tuple(self.metrics.items()), *rest))

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, which results and keys of a study contain."""
        return {
            "metrics": {name: parameters(metric) for name, metric in self.metrics.items()},
            "folds": asdict(self.folds),
            "ceiling": self.ceiling,
            "min_reliability": self.min_reliability,
            "bootstrap": self.bootstrap and asdict(self.bootstrap),
            "shuffle": self.shuffle and asdict(self.shuffle),
        }

    def check(self, targets: Mapping[str, Assembly]) -> None:
        """Check, before any work, that targets have what the protocol needs.

        Parameters
        ----------
        targets : dict of Assembly
            Populations that are predicted, by name.

        Raises
        ------
        InputError
            If a target lacks the repeats or subjects that the ceiling needs, or the subjects that
            the bootstrap draws.
        """
        for name, target in targets.items():
            if self.ceiling is not None:
                _check_ceiling(self.ceiling, name, target)
            if self.bootstrap is not None and "subjects" in self.bootstrap.over:
                _check_subjects(name, target)


class Settings(ComputeSettings, total=False):
    """Keywords of a question: the fields of `Protocol` and `Compute`, or the two themselves.

    ``metrics`` is not among them: questions that need metrics take them as a parameter.

    Attributes
    ----------
    folds, ceiling, min_reliability, bootstrap, shuffle
        Fields of `Protocol`.
    device, study, progress
        Fields of `Compute`.
    protocol : Protocol
        A whole protocol. Single fields that are given beside it replace its own.
    compute : Compute
        A whole compute. Single fields that are given beside it replace its own.
    """

    folds: Folds
    ceiling: str | None
    min_reliability: float
    bootstrap: Bootstrap | None
    shuffle: Shuffle | None
    protocol: Protocol
    compute: Compute


OF_PROTOCOL = tuple(field.name for field in fields(Protocol))
_OF_COMPUTE = tuple(field.name for field in fields(Compute))


def settle(
    settings: Settings, usual: Protocol, without: Collection[str] = (), metrics: Any = None
) -> tuple[Protocol, Compute]:
    """Find the protocol and compute of a question from its keywords.

    Parameters
    ----------
    settings : Settings
        Keywords that the question was given.
    usual : Protocol
        Protocol of the question by default.
    without : collection of str
        Fields of `Protocol` that the question does not use, and so refuses.
    metrics : str, metric, or a list or dict of them, optional
        Metrics that the question was given; by default, those of the protocol.

    Returns
    -------
    protocol : Protocol
        Settings that decide the numbers.
    compute : Compute
        Device, study and progress.

    Raises
    ------
    TypeError
        If a keyword is unknown.
    InputError
        If the question does not use a setting that was given, or ``protocol`` or ``compute`` has
        the wrong type.
    """
    given: dict[str, Any] = dict(settings)
    if metrics is not None:
        given["metrics"] = metrics
    known = {*OF_PROTOCOL, *_OF_COMPUTE, "protocol", "compute"}
    unexpected = sorted(set(given) - known)
    if unexpected:
        names = ", ".join(sorted(known - set(without)))
        raise TypeError(f"unexpected keywords {unexpected}: known are {names}.")
    protocol = given.pop("protocol", usual)
    compute = given.pop("compute", Compute())
    for name, value, kind in (("protocol", protocol, Protocol), ("compute", compute, Compute)):
        if not isinstance(value, kind):
            raise InputError(f"{name} is {quoted(value)}: give {kind.__name__}(...).")
    protocol = replace(protocol, **{k: v for k, v in given.items() if k in OF_PROTOCOL})
    compute = replace(compute, **{k: v for k, v in given.items() if k in _OF_COMPUTE})
    for name in without:
        if getattr(protocol, name) != getattr(usual, name):
            raise InputError(
                f"{name}={getattr(protocol, name)!r} is not used by this function: leave it out."
            )
    return protocol, compute


def _check_ceiling(ceiling: str, name: str, target: Assembly) -> None:
    """Make sure that a target has the repeats or subjects that a ceiling needs."""
    what = f"ceiling={ceiling!r}", f"target {name!r}"
    if ceiling in NEED_REPEATS and target.repeats < 2:
        raise InputError(
            f"{what[0]} needs at least two repeats of a stimulus, and {what[1]} has one: load "
            "single trials instead of their mean; for a network use ceiling='self'; or use "
            "ceiling=None."
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
            "repeats: its copy would have the same noise. Use 'attainable'."
        )


def _check_subjects(name: str, target: Assembly) -> None:
    """Make sure that a target has the subject of each unit, and two subjects or more."""
    label = target.data.coords.get("subject")
    if label is None or label.dims != ("unit",) or len(np.unique(label.values)) < 2:
        found = "no label 'subject' along 'unit'"
        if label is not None and label.dims == ("unit",):
            found = f"one subject, {label.values[0]!s}"
        raise InputError(
            f"a bootstrap over subjects needs two or more, and target {name!r} has {found}: "
            "add the subject of each unit, "
            "Assembly(a.data.assign_coords(subject=('unit', names))), or draw 'units'."
        )
