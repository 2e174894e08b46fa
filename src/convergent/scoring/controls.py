"""Controls: shuffled or rotated copies of populations, whose scores show what chance gives."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import as_seed, check_type
from ..base.draws import random_rotation
from ..base.errors import InputError
from ..data.assembly import Assembly, images_of
from ..data.assembly_checks import read_values

__all__ = ["Populations", "rotated", "shuffled"]

# an Assembly, a dict of them by layer, a dict of these by level or step, or of these by run
Populations = TypeVar("Populations", bound=Assembly | Mapping[Any, Any])


def shuffled(source: Populations, seed: int = 0) -> Populations:
    """Exchange the stimuli of populations, so that responses belong to the wrong stimuli.

    A score of shuffled sources shows what chance gives.

    Parameters
    ----------
    source : Assembly, or (nested) dict of them
        Populations with the same stimuli; the stimuli are exchanged in the same way in all of them.
        If stimuli are positions in images, whole images are exchanged.
    seed : int
        Seed of the random exchange.

    Returns
    -------
    Assembly, or (nested) dict of them
        The shuffled populations, nested as they were; stimuli are sorted by name.

    Raises
    ------
    InputError
        If images have different numbers of positions, or the seed or a population is none.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> names = ["a.png", "b.png", "c.png", "d.png"]
    >>> layer = cv.Assembly.from_array(np.arange(8.0).reshape(4, 2), stimuli=names)
    >>> control = cv.shuffled(layer)
    >>> control.stimuli.tolist()
    ['a.png', 'b.png', 'c.png', 'd.png']
    >>> control.data.values.tolist()
    [[4.0, 5.0], [0.0, 1.0], [2.0, 3.0], [6.0, 7.0]]
    """
    seed = as_seed(seed)
    check_type((Assembly, Mapping), "an Assembly, or a (nested) dict of them", source=source)
    if isinstance(source, Assembly):
        return cast(Populations, _shuffled(source, seed))
    return cast(Populations, {name: shuffled(part, seed) for name, part in source.items()})


def rotated(source: Populations, seed: int | np.random.Generator = 0) -> Populations:
    """Rotate populations at random, so that each new unit is a mixture of all units.

    Metrics that ignore rotations (linear regression, Procrustes) give the same scores as before.
    Soft matching, which pairs single units, gives what is left if the axes of the units do not
    matter.

    Parameters
    ----------
    source : Assembly, or (nested) dict of them
        Repeats are averaged. If layers are nested in levels of distortion or steps of a training,
        a layer is rotated in the same way at all levels or steps, so that its maps can be
        transferred from one to the other.
    seed : int or numpy.random.Generator
        Seed or generator of the random rotation, which is drawn uniformly from all rotations.

    Returns
    -------
    Assembly, or (nested) dict of them
        The rotated populations, nested as they were. Each unit has mean 0 over all stimuli (and
        levels or steps) that are rotated together.

    Raises
    ------
    InputError
        If a layer has different numbers of units at different levels or steps, or the seed or a
        population is none.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = np.random.default_rng(0).standard_normal((30, 5))
    >>> layer = cv.Assembly.from_array(x, stimuli=names, name="layer")
    >>> sources = {"layer": layer, "rotated": cv.rotated(layer)}
    >>> scores = cv.score(sources, layer, ["procrustes", "soft-matching"], ceiling=None)
    >>> cv.summary(scores)[["metric", "source", "r"]].round(2)
              metric   source     r
    0     procrustes    layer  1.00
    1     procrustes  rotated  1.00
    2  soft-matching    layer  1.00
    3  soft-matching  rotated  0.19
    """
    if not isinstance(seed, np.random.Generator):
        seed = as_seed(seed)
    check_type((Assembly, Mapping), "an Assembly, or a (nested) dict of them", source=source)
    if isinstance(source, Assembly):
        return cast(Populations, _rotated_together({0: source}, seed)[0])
    parts = list(source.values())
    if all(isinstance(part, Assembly) for part in parts):
        return cast(Populations, {name: rotated(part, seed) for name, part in source.items()})
    layers = [layer for part in parts if isinstance(part, Mapping) for layer in part.values()]
    mixed = any(isinstance(part, Assembly) for part in parts)
    if mixed or not layers or not all(isinstance(layer, Assembly) for layer in layers):
        return cast(Populations, {name: rotated(part, seed) for name, part in source.items()})
    found: dict[Any, dict[str, Assembly]] = {key: {} for key in source}
    for layer in next(iter(source.values())):
        together = {key: layers[layer] for key, layers in source.items() if layer in layers}
        for key, assembly in _rotated_together(together, seed, layer).items():
            found[key][layer] = assembly
    return cast(Populations, found)


def _shuffled(assembly: Assembly, seed: int) -> Assembly:
    data = assembly.data.isel(stimulus=np.argsort(assembly.stimuli, kind="stable"))
    image = images_of(Assembly(data))
    names, member = np.unique(data["stimulus"] if image is None else image, return_inverse=True)
    sizes = np.bincount(member)
    if sizes.min() < sizes.max():
        raise InputError(
            f"images of {sizes.min()} to {sizes.max()} positions cannot be exchanged: keep the "
            "same positions of each image."
        )
    of_image = np.argsort(member, kind="stable").reshape(len(names), -1)
    order = np.empty(len(member), dtype=np.intp)
    order[of_image] = of_image[np.random.default_rng(seed).permutation(len(names))]
    return Assembly(data.copy(data=data.data[order]))


def _rotated_together(
    assemblies: Mapping[Hashable, Assembly],
    seed: int | np.random.Generator,
    layer: str = "a population",
) -> dict[Hashable, Assembly]:
    """Apply one rotation to several populations of the same units.

    What is drawn at random goes to units and stimuli sorted by name, so that their order decides
    nothing.
    """
    given = [assembly.average().data for assembly in assemblies.values()]
    averages = [data.sortby(["stimulus", "unit"]) for data in given]
    counts = sorted({data.sizes["unit"] for data in averages})
    if len(counts) > 1:
        raise InputError(
            f"{layer!r} has from {counts[0]} to {counts[-1]} units: populations of different "
            "size cannot be rotated in the same way, so rotate each alone."
        )
    together = np.concatenate([read_values(data).astype(np.float64) for data in averages])
    values = _turned(together, np.random.default_rng(seed))
    units = [f"rotated{i}" for i in range(counts[0])]
    ends = np.cumsum([data.sizes["stimulus"] for data in averages])[:-1]
    return {
        key: Assembly(
            data.copy(data=part.astype(data.dtype))
            .assign_coords(unit=units)
            .sel(stimulus=before["stimulus"].values)
        )
        for key, before, data, part in zip(
            assemblies, given, averages, np.split(values, ends), strict=True
        )
    }


def _turned(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Rotate centred values (n, p); inner products of stimuli stay the same."""
    values = values - values.mean(0)
    n, p = values.shape
    if p > n:  # only the axes that the stimuli span need to be rotated
        left, lengths, _ = np.linalg.svd(values @ values.T)
        values = left * np.sqrt(lengths)
    return np.asarray(values @ random_rotation(p, rng, values.shape[1]).T)
