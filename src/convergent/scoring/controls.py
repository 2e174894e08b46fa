"""Populations that ought to score at chance: what a score has to be held against."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..base.draws import random_rotation
from ..base.errors import InputError
from ..data.assembly import Assembly, images_of

__all__ = ["Populations", "rotated", "shuffled"]

# an Assembly, a dict of layers, one (by level or step) of these, or one (by run) of these
Populations = TypeVar("Populations", bound=Assembly | Mapping[Any, Any])


def shuffled(source: Populations, seed: int = 0) -> Populations:
    """The same populations with their stimuli exchanged: nothing is left of what they stand for.

    Parameters
    ----------
    source : Assembly, or (nested) dict of them
        The same stimulus takes each one's place in all of them. Positions of an image stay
        together.
    seed : int
        Draws who changes places with whom.

    Returns
    -------
    Assembly or dict
        As given; stimuli are sorted by name.
    """
    if isinstance(source, Assembly):
        return cast(Populations, _shuffled(source, seed))
    return cast(Populations, {name: shuffled(part, seed) for name, part in source.items()})


def rotated(source: Populations, seed: int | np.random.Generator = 0) -> Populations:
    """The same populations in randomly rotated axes: each unit a mixture of all.

    What ignores rotation (linear regression, Procrustes, distances between stimuli) is as before;
    what is left of soft matching does not rest on the axes of single units.

    Parameters
    ----------
    source : Assembly, or (nested) dict of them
        Repeats are averaged. In a dict of dicts of layers (levels of distortion, steps of a
        training) a layer is rotated in the same way throughout, so that maps can be transferred.
    seed : int or numpy.random.Generator
        Draws the rotation, uniformly from all of them.

    Returns
    -------
    Assembly or dict
        As given, less each unit's mean over everything that is rotated together.

    Raises
    ------
    InputError
        Where a layer has other units elsewhere, and so cannot be rotated in the same way.
    """
    if isinstance(source, Assembly):
        return cast(Populations, _rotated_together({0: source}, seed)[0])
    parts = list(source.values())
    if all(isinstance(part, Assembly) for part in parts):
        return cast(Populations, {name: rotated(part, seed) for name, part in source.items()})
    if not all(isinstance(layer, Assembly) for part in parts for layer in part.values()):
        return cast(Populations, {name: rotated(part, seed) for name, part in source.items()})
    turned: dict[Any, dict[str, Assembly]] = {key: {} for key in source}
    for layer in next(iter(source.values())):
        together = {key: layers[layer] for key, layers in source.items() if layer in layers}
        for key, assembly in _rotated_together(together, seed, layer).items():
            turned[key][layer] = assembly
    return cast(Populations, turned)


def _shuffled(assembly: Assembly, seed: int) -> Assembly:
    data = assembly.data.isel(stimulus=np.argsort(assembly.stimuli, kind="stable"))
    image = images_of(Assembly(data))
    names, member = np.unique(data["stimulus"] if image is None else image, return_inverse=True)
    sizes = np.bincount(member)
    if sizes.min() < sizes.max():
        raise InputError(
            f"images of {sizes.min()} to {sizes.max()} positions cannot change places: keep the "
            "same positions of each."
        )
    places = np.argsort(member, kind="stable").reshape(len(names), -1)
    order = np.empty(len(member), dtype=np.intp)
    order[places] = places[np.random.default_rng(seed).permutation(len(names))]
    return Assembly(data.copy(data=data.data[order]))


def _rotated_together(
    assemblies: Mapping[Hashable, Assembly],
    seed: int | np.random.Generator,
    layer: str = "a population",
) -> dict[Hashable, Assembly]:
    """All of them under one rotation."""
    averages = [assembly.average().data for assembly in assemblies.values()]
    counts = sorted({data.sizes["unit"] for data in averages})
    if len(counts) > 1:
        raise InputError(
            f"{layer!r} has from {counts[0]} to {counts[-1]} units: rotate populations of "
            "different size apart."
        )
    together = np.concatenate([np.asarray(data.values, np.float64) for data in averages])
    values = _turned(together, np.random.default_rng(seed))
    units = [f"rotated{i}" for i in range(counts[0])]
    ends = np.cumsum([data.sizes["stimulus"] for data in averages])[:-1]
    return {
        key: Assembly(data.copy(data=part.astype(data.dtype)).assign_coords(unit=units))
        for key, data, part in zip(assemblies, averages, np.split(values, ends), strict=True)
    }


def _turned(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Centred values (n, p) in other axes; inner products are kept."""
    values = values - values.mean(0)
    n, p = values.shape
    if p > n:  # the axes that the stimuli span are enough
        left, lengths, _ = np.linalg.svd(values @ values.T)
        values = left * np.sqrt(lengths)
    return np.asarray(values @ random_rotation(p, rng, values.shape[1]).T)
