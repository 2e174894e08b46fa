"""From labelled assemblies to bare populations over the same stimuli: the border between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError, examples, unknown
from ..data.assembly import Assembly, align, images_of
from ..metrics.base import Metric
from ..metrics.circular_shifts import CircularShifts
from ..metrics.population import Population

__all__ = [
    "aligned",
    "check_complete",
    "check_grids",
    "complete_population",
    "group_labels",
    "named",
]


def complete_population(name: str, assembly: Assembly, device: str) -> Population:
    """A source as it is mapped: the mean over repeats, units sorted by name, nothing missing."""
    check_complete(name, assembly)
    data = assembly.average().data
    order = np.argsort(assembly.units)  # where units tie, their order must not matter
    if not np.array_equal(order, np.arange(len(order))):
        data = data.isel(unit=order)
    return Population(data.data, device)


def check_complete(name: str, assembly: Assembly, side: str = "source") -> None:
    """Make sure that nothing is missing; what is on disk is looked at when it is read."""
    data = assembly.average().data
    if data.chunks is None:
        missing = int(np.isnan(data.values.sum(0)).sum())
        if missing:
            raise InputError(
                f"{side} {name!r} has NaN in {missing} of {data.sizes['unit']} units, and "
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
    """Which stimuli stay in one fold: the first coordinate of this name along ``stimulus``.

    Parameters
    ----------
    label : str or None
        A coordinate. Where left out, positions of one image stay together.
    assemblies : sequence of Assembly
        Over the same stimuli, in the same order.

    Returns
    -------
    array (n,) or None
        None where each stimulus stands for itself.

    Raises
    ------
    InputError
        Where there is no such coordinate, or it would part positions of one image.
    """
    several = (images_of(assembly) for assembly in assemblies)
    images = next((found for found in several if found is not None), None)
    if label is None:
        return images
    labels: set[str] = set()
    for assembly in assemblies:
        along = {str(k): c for k, c in assembly.data.coords.items() if c.dims == ("stimulus",)}
        if label in along:
            groups = np.asarray(along[label].values)
            if images is not None:
                _check_images_whole(label, groups, images)
            return groups
        labels |= set(along)
    raise unknown("coordinate along 'stimulus'", label, sorted(labels))


def check_grids(metrics: Mapping[str, Metric], assemblies: Sequence[Assembly]) -> None:
    """Make sure that metrics that shift maps know their grid, which bare arrays do not tell.

    Parameters
    ----------
    metrics : dict of metric
        By name.
    assemblies : sequence of Assembly
        Over the same stimuli, in the same order.

    Raises
    ------
    InputError
        Where stimuli are no positions, or those of another grid.
    """
    grids = {name: m.grid for name, m in metrics.items() if isinstance(m, CircularShifts)}
    if not grids:
        return
    labels = next((a.data.coords for a in assemblies if images_of(a) is not None), None)
    if labels is None:
        raise InputError(
            f"metrics {examples(grids)} shift maps, and the stimuli are whole images: extract "
            "layers with spatial='positions-4', say, and give grid=(4, 4)."
        )
    found = tuple(int(labels[axis].max()) + 1 for axis in ("row", "column"))
    for name, grid in grids.items():
        if grid != found:
            raise InputError(
                f"metric {name!r} shifts maps of {grid[0]} x {grid[1]}, and the layers have "
                f"{found[0]} x {found[1]} positions: give grid={found}."
            )


def _check_images_whole(label: str, groups: NDArray[Any], images: NDArray[Any]) -> None:
    """Positions of one image in training and test stimuli would tell of each other."""
    names, first, member = np.unique(images, return_index=True, return_inverse=True)
    parted = names[np.unique(member[groups != groups[first][member]])]
    if len(parted):
        raise InputError(
            f"the label {label!r} parts positions of the same image ({examples(parted.tolist())}), "
            "which must stay in one fold: leave group out, or name a label that each image has one "
            "value of."
        )
