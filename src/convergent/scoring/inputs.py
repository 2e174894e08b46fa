"""Inputs of a question: labelled assemblies, checked, aligned, and turned into bare populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
from numpy.typing import NDArray

from ..base.errors import InputError, examples, unknown
from ..data.assembly import Assembly, align, images_of
from ..metrics.base import Metric
from ..metrics.circular_shifts import CircularShifts
from ..metrics.population import Population
from ..protocol.design import Design
from ..protocol.settings import Protocol

__all__ = [
    "Source",
    "aligned",
    "as_populations",
    "check_complete",
    "check_grids",
    "design_of",
    "group_labels",
    "stacked",
]


@dataclass(frozen=True, eq=False)
class Source:
    """A population that is mapped: complete, with its units sorted by name.

    Attributes
    ----------
    name : str
        Name of the source in messages.
    assemblies : tuple of Assembly
        Over the stimuli of the design; several of the same units are stacked.
    sha256 : str
        Hash of what the source consists of.
    """

    name: str
    assemblies: tuple[Assembly, ...]
    sha256: str

    def population(self, device: str) -> Population:
        """The mean responses as bare numbers."""
        values, units = stacked(self.assemblies), self.assemblies[0].units
        order = np.argsort(units)  # where units tie, their order must not matter
        return Population(
            values if np.array_equal(order, np.arange(len(order))) else values[:, order], device
        )


def stacked(assemblies: Sequence[Assembly]) -> Any:
    """Mean responses of the same units, one assembly below the other; numpy or dask.

    Parameters
    ----------
    assemblies : sequence of Assembly
        Their units are those of the first, in any order.
    """
    units = assemblies[0].units
    arrays = []
    for assembly in assemblies:
        data = assembly.average().data
        same = np.array_equal(assembly.units, units)
        arrays.append((data if same else data.sel(unit=units)).data)
    if len(arrays) == 1:
        return arrays[0]
    on_disk = any(hasattr(values, "compute") for values in arrays)
    return (dask.array.concatenate if on_disk else np.concatenate)(arrays)


def design_of(protocol: Protocol, assemblies: Sequence[Assembly]) -> Design:
    """Folds and resamples of the stimuli that populations share.

    Parameters
    ----------
    protocol : Protocol
        Its folds, bootstrap, shuffle, and metrics that need maps of positions.
    assemblies : sequence of Assembly
        Over the same stimuli, in the same order.
    """
    check_grids(protocol.metrics, assemblies)
    groups = group_labels(protocol.folds.group, assemblies)
    return Design.of(protocol, len(assemblies[0].stimuli), groups)


def check_complete(name: str, assembly: Assembly, side: str = "source") -> None:
    """Make sure that nothing is missing; values on disk are checked when they are read."""
    data = assembly.average().data
    if data.chunks is None:
        missing = int(np.isnan(data.values.sum(0)).sum())
        if missing:
            raise InputError(
                f"{side} {name!r} has NaN in {missing} of {data.sizes['unit']} units, and "
                "must be complete. Keep the units (or stimuli) that were recorded throughout, with "
                ".data.dropna('unit')."
            )


def as_populations(side: str, given: Assembly | Mapping[str, Assembly]) -> dict[str, Assembly]:
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
    """Groups of stimuli that stay in one fold: a coordinate along ``stimulus``.

    Parameters
    ----------
    label : str or None
        Name of the coordinate. By default, positions of one image stay together.
    assemblies : sequence of Assembly
        Over the same stimuli, in the same order.

    Returns
    -------
    array (n,) or None
        None if no stimuli belong together.

    Raises
    ------
    InputError
        Where there is no such coordinate, or it would separate positions of one image.
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
    """Make sure that metrics that shift maps have the grid of the positions.

    Parameters
    ----------
    metrics : dict of metric
        By name.
    assemblies : sequence of Assembly
        Over the same stimuli, in the same order.

    Raises
    ------
    InputError
        Where stimuli are not positions, or are positions of another grid.
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
    """Refuse groups that put positions of one image in both training and test stimuli."""
    names, first, member = np.unique(images, return_index=True, return_inverse=True)
    parted = names[np.unique(member[groups != groups[first][member]])]
    if len(parted):
        raise InputError(
            f"the label {label!r} separates positions of the same image "
            f"({examples(parted.tolist())}), which must stay in one fold: leave group out, or name "
            "a label that has one value for each image."
        )
