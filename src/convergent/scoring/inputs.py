"""Inputs of a question: assemblies are checked and aligned, and become bare populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
from numpy.typing import NDArray

from ..base.arguments import check_keys
from ..base.errors import InputError, examples, unknown
from ..data.assembly import Assembly, align_named, images_of
from ..metrics.base import Metric
from ..metrics.circular_shifts import CircularShifts
from ..metrics.population import Population
from ..protocol.design import Design
from ..protocol.settings import Protocol
from .order import places_of

__all__ = [
    "Source",
    "aligned",
    "aligned_by_target",
    "as_populations",
    "check_complete",
    "design_of",
    "group_labels",
    "stacked",
]


@dataclass(frozen=True, eq=False)
class Source:
    """A population that is mapped; it has no NaN.

    Attributes
    ----------
    name : str
        Name of the source in messages.
    assemblies : tuple of Assembly
        Responses to the stimuli of the design. Several assemblies of the same units are put one
        below the other.
    sha256 : str
        Hash of the responses.
    """

    name: str
    assemblies: tuple[Assembly, ...]
    sha256: str

    def population(self, device: str) -> Population:
        """Mean responses without labels, with units sorted by name.

        Parameters
        ----------
        device : str
            Device of torch.

        Returns
        -------
        Population
            Of all assemblies.
        """
        values, units = stacked(self.assemblies), self.assemblies[0].units
        order = np.argsort(units)  # if units tie, their order decides, so it is fixed
        return Population(
            values if np.array_equal(order, np.arange(len(order))) else values[:, order], device
        )


def stacked(assemblies: Sequence[Assembly]) -> Any:
    """Mean responses of several assemblies of the same units, one below the other.

    Parameters
    ----------
    assemblies : sequence of Assembly
        All have the units of the first, in any order.

    Returns
    -------
    numpy or dask array (n, p)
        With the units in the order of the first assembly.
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
    """Draw the folds and resamples of the stimuli that populations share.

    Parameters
    ----------
    protocol : Protocol
        Folds, bootstrap and shuffle; and metrics, some of which need maps of positions.
    assemblies : sequence of Assembly
        Populations with the same stimuli in the same order.

    Returns
    -------
    Design
        Folds and resamples.

    Raises
    ------
    InputError
        If there are too few stimuli for the folds, or the stimuli lack what the folds or a metric
        need.
    """
    _check_grids(protocol.metrics, assemblies)
    groups = group_labels(protocol.folds.group, assemblies)
    places = places_of(protocol.folds.order, assemblies)
    return Design.of(protocol, len(assemblies[0].stimuli), groups, places)


def check_complete(name: str, assembly: Assembly, side: str = "source") -> None:
    """Refuse a population with NaN. Values on disk are checked later, when they are read.

    Parameters
    ----------
    name : str
        Name of the population in messages.
    assembly : Assembly
        The population.
    side : str
        What it is in messages, such as "source".

    Raises
    ------
    InputError
        If a value is NaN.
    """
    data = assembly.average().data
    if data.chunks is None:
        missing = int(np.isnan(data.values.min(0)).sum())  # a sum could be infinite, or NaN
        if missing:
            raise InputError(
                f"{side} {name!r} has NaN in {missing} of {data.sizes['unit']} units, and "
                "must have none. Keep the units (or stimuli) that were recorded throughout, with "
                ".data.dropna('unit')."
            )


def as_populations(side: str, given: Assembly | Mapping[str, Assembly]) -> dict[str, Assembly]:
    """Check the populations of one side of a question, and name them.

    Parameters
    ----------
    side : str
        What they are in messages, such as "source".
    given : Assembly, or dict of them
        As the user gave them.

    Returns
    -------
    dict of Assembly
        By name; a single assembly has its own name, or that of the side.

    Raises
    ------
    InputError
        If there is no population, one is no Assembly or has time bins, or a name is no string.
    """
    if not isinstance(given, (Assembly, Mapping)):
        raise InputError(
            f"{side} is a {type(given).__name__}: give an Assembly, or a dict of them; "
            "Assembly.from_array wraps an array."
        )
    several = {given.name or side: given} if isinstance(given, Assembly) else dict(given)
    check_keys(side, several, "an Assembly, or a dict of them by name")
    for name, assembly in several.items():
        if not isinstance(assembly, Assembly):
            raise InputError(
                f"{side} {name!r} is a {type(assembly).__name__}, not an Assembly: wrap arrays "
                "with Assembly.from_array."
            )
        if "time" in assembly.data.dims:
            raise InputError(
                f"{side} {name!r} has {assembly.data.sizes['time']} time bins, and a score "
                "compares stimuli x units: average them, Assembly(a.data.mean('time', "
                "dtype='float64')), or score each bin."
            )
    return several


def aligned(
    sources: dict[str, Assembly], targets: dict[str, Assembly]
) -> tuple[dict[str, Assembly], dict[str, Assembly]]:
    """Reduce both sides to the stimuli that all populations share, sorted by name.

    Parameters
    ----------
    sources, targets : dict of Assembly
        By name.

    Returns
    -------
    sources, targets : dict of Assembly
        By the same names.

    Raises
    ------
    InputError
        If no stimulus is shared, or a stimulus differs in content.
    """
    both = align_named([*sources, *targets], [*sources.values(), *targets.values()])
    return (
        dict(zip(sources, both[: len(sources)], strict=True)),
        dict(zip(targets, both[len(sources) :], strict=True)),
    )


def aligned_by_target(
    sources: dict[str, Assembly], targets: dict[str, Assembly]
) -> list[tuple[dict[str, Assembly], dict[str, Assembly]]]:
    """Reduce each target, and the sources, to the stimuli that it shares with all sources.

    Parameters
    ----------
    sources, targets : dict of Assembly
        By name.

    Returns
    -------
    list of (sources, targets)
        As `aligned` returns them; targets that share the same stimuli with the sources are
        together.

    Raises
    ------
    InputError
        As `aligned` does.
    """
    of_sources = frozenset.intersection(*(frozenset(a.stimuli.tolist()) for a in sources.values()))
    groups: dict[frozenset[str], dict[str, Assembly]] = {}
    for name, assembly in targets.items():
        groups.setdefault(of_sources & frozenset(assembly.stimuli.tolist()), {})[name] = assembly
    return [aligned(sources, group) for group in groups.values()]


def group_labels(label: str | None, assemblies: Sequence[Assembly]) -> NDArray[Any] | None:
    """Find the groups of stimuli that stay in one fold.

    Parameters
    ----------
    label : str or None
        Name of a coordinate along ``stimulus``. By default, positions of one image form a group.
    assemblies : sequence of Assembly
        Populations with the same stimuli in the same order.

    Returns
    -------
    array (n,) or None
        Group of each stimulus; None without groups.

    Raises
    ------
    InputError
        If there is no such coordinate, or it would separate positions of one image.
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


def _check_grids(metrics: Mapping[str, Metric], assemblies: Sequence[Assembly]) -> None:
    """Make sure that metrics that shift feature maps fit the positions of the stimuli.

    Parameters
    ----------
    metrics : dict of metric
        By name.
    assemblies : sequence of Assembly
        Populations with the same stimuli in the same order.

    Raises
    ------
    InputError
        If stimuli are not positions in images, or are positions of another grid.
    """
    grids = {name: m.grid for name, m in metrics.items() if isinstance(m, CircularShifts)}
    if not grids:
        return
    labels = next((a.data.coords for a in assemblies if images_of(a) is not None), None)
    if labels is None:
        raise InputError(
            f"metrics {examples(grids)} shift maps, and the stimuli are whole images: extract "
            "layers by position, such as with spatial='positions-4' for grid=(4, 4)."
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
