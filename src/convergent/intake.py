"""From labelled assemblies to bare populations over the same stimuli: the border between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assembly import Assembly, align
from .errors import InputError, unknown
from .population import Population

__all__ = ["aligned", "check_complete", "complete_population", "group_labels", "named"]


def complete_population(name: str, assembly: Assembly, device: str) -> Population:
    """A source as it is mapped: the mean over repeats, units sorted by name, nothing missing."""
    check_complete(name, assembly)
    data = assembly.average().data
    order = np.argsort(assembly.units)  # where units tie, their order must not matter
    if not np.array_equal(order, np.arange(len(order))):
        data = data.isel(unit=order)
    return Population(data.data, device)


def check_complete(name: str, assembly: Assembly) -> None:
    """Make sure that nothing is missing; what is on disk is looked at when it is read."""
    data = assembly.average().data
    if data.chunks is None:
        missing = int(np.isnan(data.values.sum(0)).sum())
        if missing:
            raise InputError(
                f"source {name!r} has NaN in {missing} of {data.sizes['unit']} units: a source "
                "must be complete. Keep the units (or stimuli) that were recorded throughout, with "
                ".data.dropna('unit')."
            )


def named(side: str, given: Assembly | Mapping[str, Assembly]) -> dict[str, Assembly]:
    """The populations of one side by name, checked."""
    if not isinstance(given, (Assembly, Mapping)):
        raise InputError(
            f"{side} is a {type(given).__name__}: give an Assembly, or a dict of them; "
            "Assembly.from_array wraps an array."
        )
    several = {given.name or side: given} if isinstance(given, Assembly) else dict(given)
    if not several:
        raise InputError(f"there is no {side}: give an Assembly, or a dict of them.")
    for name, assembly in several.items():
        if not isinstance(assembly, Assembly):
            raise InputError(
                f"{side} {name!r} is a {type(assembly).__name__}, not an Assembly: wrap arrays "
                "with Assembly.from_array."
            )
        if "time" in assembly.data.dims:
            raise InputError(
                f"{side} {name!r} has {assembly.data.sizes['time']} time bins, and a score "
                'compares stimuli x units: average them, Assembly(a.data.mean("time")), or score '
                "each bin."
            )
    return several


def aligned(
    sources: dict[str, Assembly], targets: dict[str, Assembly]
) -> tuple[dict[str, Assembly], dict[str, Assembly]]:
    """Both sides with the stimuli that all of them share, sorted by name."""
    both = align(*sources.values(), *targets.values())
    return (
        dict(zip(sources, both[: len(sources)], strict=True)),
        dict(zip(targets, both[len(sources) :], strict=True)),
    )


def group_labels(label: str | None, assemblies: Sequence[Assembly]) -> NDArray[Any] | None:
    """The first coordinate of this name along ``stimulus``."""
    if label is None:
        return None
    labels: set[str] = set()
    for assembly in assemblies:
        along = {str(k): c for k, c in assembly.data.coords.items() if c.dims == ("stimulus",)}
        if label in along:
            return np.asarray(along[label].values)
        labels |= set(along)
    raise unknown("coordinate along 'stimulus'", label, sorted(labels))
