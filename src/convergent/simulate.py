"""Virtual stimuli and virtual brains: simulations whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base.errors import InputError
from .data.assembly import Assembly
from .images.scenes import natural_images

__all__ = ["convergent_pair", "natural_images", "recording"]


def recording(
    features: Assembly,
    n_units: int,
    *,
    repeats: int,
    noise: tuple[float, float] = (1.0, 2.5),
    inputs: int = 12,
    seed: int = 0,
    name: str | None = None,
    labels: Mapping[str, Any] | None = None,
) -> Assembly:
    """Simulate the trials of units that read out some features, with noise of a known size.

    Each unit is a weighted sum of a few features, each first brought to mean 0 and deviation 1, and
    is itself brought to mean 0 and deviation 1 over the stimuli: its signal. Each trial adds
    independent Gaussian noise of the unit's own deviation.

    Parameters
    ----------
    features : Assembly
        (stimulus, unit), such as a layer's activations; repeats are averaged.
    n_units : int
        Number of simulated units.
    repeats : int
        Trials of each stimulus.
    noise : tuple of float
        Least and greatest deviation of a trial's noise, in deviations of the signal; drawn
        log-uniformly for each unit.
    inputs : int
        Features that a unit reads.
    seed : int
        Draws weights and noise.
    name : str, optional
        Name of the population.
    labels : mapping, optional
        Further coordinates (``region="V4"``).

    Returns
    -------
    Assembly
        float32 (stimulus, unit, repeat), marked as simulated, with the unit's ``noise`` and its
        true ``reliability``, 1 / (1 + noise^2 / repeats): the share of the mean's expected variance
        that is signal.

    Raises
    ------
    InputError
        Where fewer features vary than a unit reads, features are not complete, or a number is out
        of its range.
    """
    if min(n_units, repeats, inputs) < 1 or not 0 < noise[0] <= noise[1]:
        raise InputError(
            f"n_units={n_units}, repeats={repeats}, inputs={inputs}, noise={noise}: each count is "
            "1 or more, and noise a lesser and a greater deviation above 0."
        )
    values = features.average().data.values.astype(np.float64)
    if values.ndim != 2 or np.isnan(values).any():
        raise InputError(
            f"features have dims {features.data.dims} and {int(np.isnan(values).sum())} NaN: give "
            "complete ones, (stimulus, unit)."
        )
    values = values - values.mean(0)
    deviation = values.std(0)
    varying = np.flatnonzero(deviation > 1e-6 * deviation.max())
    if len(varying) < inputs:
        raise InputError(
            f"{len(varying)} features vary, and a unit reads {inputs}: give more features."
        )
    rng = np.random.default_rng(seed)
    signal = np.empty((len(values), n_units))
    for unit in range(n_units):
        read = rng.choice(varying, inputs, replace=False)
        signal[:, unit] = (values[:, read] / deviation[read]) @ rng.standard_normal(inputs)
    signal /= signal.std(0)
    size = np.exp(rng.uniform(np.log(noise[0]), np.log(noise[1]), n_units))
    trials = signal[:, :, None] + size[:, None] * rng.standard_normal((*signal.shape, repeats))
    return Assembly.from_array(
        trials.astype(np.float32),
        dims=("stimulus", "unit", "repeat"),
        stimuli=features.stimuli,
        units=[f"{name or 'unit'}-{unit:03d}" for unit in range(n_units)],
        name=name,
        attrs={"simulated": True},
        noise=("unit", size),
        reliability=("unit", 1 / (1 + size**2 / repeats)),
        **(labels or {}),
    )


def convergent_pair(
    n_stimuli: int = 2000,
    n_units: int = 160,
    *,
    shares: tuple[float, float, float] = (0.4, 0.3, 0.3),
    block: int = 8,
    private: int = 40,
    noise: float = 0.3,
    seed: int = 0,
) -> tuple[Assembly, Assembly]:
    """Simulate two networks that share features in three known ways, and have others of their own.

    Features are independent, Gaussian, of deviation 1. Some units of one network have the same
    feature as one of the other; some come in pairs, where two units of one see two features, and
    the other's two their sum and difference; some in blocks that span the same subspace, under a
    random rotation in which no unit is more than half another; and some are private. Each response
    has independent noise, and units stand in random order.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli.
    n_units : int
        Units of each network that are shared in one of the three ways.
    shares : tuple of float
        Shares of these that are one-to-one, in pairs and in blocks.
    block : int
        Units of a block.
    private : int
        Further units of each network that share nothing.
    noise : float
        Deviation of the noise, in deviations of the feature; the correlation of two units with
        one feature is 1 / (1 + noise^2).
    seed : int
        Draws features, rotations, noise and order.

    Returns
    -------
    tuple of Assembly
        Two of (stimulus, unit), marked as simulated. Along ``unit``: ``kind`` ("one-to-one",
        "pair", "block", "private") and ``group``, a number that units which share features have in
        common on both sides; -1 for private ones.

    Raises
    ------
    InputError
        Where shares do not sum to 1, or their units do not make whole pairs and blocks.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543 (the three ways in which networks may share features).
    """
    counts = [round(share * n_units) for share in shares]
    if sum(counts) != n_units or min(counts) < 0 or counts[1] % 2 or counts[2] % block:
        raise InputError(
            f"shares {shares} of {n_units} units are {counts}: they sum to all, and make whole "
            f"pairs and whole blocks of {block}."
        )
    if min(n_stimuli, private + 1) < 1 or noise < 0 or block < 4:
        raise InputError(
            f"n_stimuli={n_stimuli}, private={private}, noise={noise}, block={block}: counts and "
            "noise are not negative, there is a stimulus or more, and a block has 4 units or more."
        )
    rng = np.random.default_rng(seed)
    sizes = [1] * counts[0] + [2] * (counts[1] // 2) + [block] * (counts[2] // block)
    kinds = ["one-to-one"] * counts[0] + ["pair"] * counts[1] + ["block"] * counts[2]
    features = rng.standard_normal((n_stimuli, n_units))
    seen = features.copy()
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        seen[:, part] = features[:, part] @ _mixture(size, rng)
        start += size
    group = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(private, -1)])
    kind = np.array([*kinds, *["private"] * private])
    networks = []
    for name, shared in (("A", features), ("B", seen)):
        values = np.concatenate([shared, rng.standard_normal((n_stimuli, private))], axis=1)
        values = values + noise * rng.standard_normal(values.shape)
        order = rng.permutation(values.shape[1])
        networks.append(
            Assembly.from_array(
                values[:, order],
                stimuli=[f"stimulus{i:06d}" for i in range(n_stimuli)],
                units=[f"{name}{i:04d}" for i in range(len(order))],
                name=name,
                attrs={"simulated": True},
                kind=("unit", kind[order]),
                group=("unit", group[order]),
            )
        )
    return networks[0], networks[1]


def _mixture(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation (size, size): of one feature none, of two by 45 degrees, of more at random."""
    if size == 1:
        return np.ones((1, 1))
    if size == 2:
        return np.array([[1.0, -1.0], [1.0, 1.0]]) / 2**0.5
    while True:
        turn, upper = np.linalg.qr(rng.standard_normal((size, size)))
        if (turn**2 < 0.5).all():  # of one unit in another
            return np.asarray(turn * np.sign(np.diagonal(upper)))
