"""Simulated stimuli, recordings and pairs of networks, whose true answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .base.arguments import as_list, as_number, as_seed, as_whole, check_type
from .base.arrays import Floats
from .base.draws import random_rotation
from .base.errors import InputError
from .data.assembly import Assembly
from .data.assembly_checks import read_values
from .data.contents import COORDINATE
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
    """Simulate a recording: trials of units that read out features, with noise of a known size.

    Each unit is a weighted sum of a few features, each of which is first standardized (mean 0,
    standard deviation 1 over the stimuli). The sum is standardized as well; it is the signal of
    the unit. Each trial adds independent Gaussian noise, whose standard deviation is that of the
    unit.

    Parameters
    ----------
    features : Assembly
        (stimulus, unit), such as the activations of a layer; repeats are averaged.
    n_units : int
        Number of simulated units.
    repeats : int
        Number of trials of each stimulus.
    noise : tuple of float
        Smallest and largest standard deviation of the noise in a trial, relative to that of the
        signal; that of each unit is drawn log-uniformly between them.
    inputs : int
        Number of features that a unit reads.
    seed : int
        Seed of the random weights and noise.
    name : str, optional
        Name of the population.
    labels : mapping, optional
        Further coordinates (``region="V4"``).

    Returns
    -------
    Assembly
        float32 (stimulus, unit, repeat), marked as simulated. Along ``unit`` lie its ``noise`` and
        its true ``reliability``, 1 / (1 + noise^2 / repeats): the share of signal in the expected
        variance of the mean over repeats.

    Raises
    ------
    InputError
        If fewer features vary than a unit reads, features are not complete, or a number is out of
        its range.

    Examples
    --------
    >>> import convergent as cv
    >>> network = cv.network("small-plain", pretrained=False)
    >>> features = cv.extract(network, cv.drawings(32), ["blocks.3"])["blocks.3"]
    >>> cv.simulate.recording(features, 20, repeats=6).data.shape
    (32, 20, 6)
    """
    check_type(Assembly, "an Assembly", features=features)
    n_units, repeats = as_whole("n_units", n_units), as_whole("repeats", repeats)
    inputs, (least, most) = as_whole("inputs", inputs), _noise(noise)
    rng = np.random.default_rng(as_seed(seed))
    signal = _read_out(features, n_units, inputs, rng)
    size = np.exp(rng.uniform(np.log(least), np.log(most), n_units))
    trials = signal[:, :, None] + size[:, None] * rng.standard_normal((*signal.shape, repeats))
    contents = features.data.coords.get(COORDINATE)
    images = {} if contents is None else {COORDINATE: ("stimulus", contents.values)}
    return Assembly.from_array(
        trials.astype(np.float32),
        dims=("stimulus", "unit", "repeat"),
        stimuli=features.stimuli,
        units=[f"{name or 'unit'}-{unit:03d}" for unit in range(n_units)],
        name=name,
        attrs={"simulated": True},
        noise=("unit", size),
        reliability=("unit", 1 / (1 + size**2 / repeats)),
        **images,
        **(labels or {}),
    )


def _noise(given: object) -> tuple[float, float]:
    """Least and greatest deviation of the noise."""
    several = [as_number("noise", one, 0) for one in as_list("noise", given, "two deviations")]
    if len(several) != 2 or not 0 < several[0] <= several[1]:
        raise InputError(
            f"noise={tuple(several)}: give a smaller and a larger deviation, both above 0."
        )
    return several[0], several[1]


def _read_out(features: Assembly, n_units: int, inputs: int, rng: np.random.Generator) -> Floats:
    """Signals (stimulus, unit) that are weighted sums of a few features, standardized."""
    values = read_values(features.average().data).astype(np.float64)
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
    signal = np.empty((len(values), n_units))
    for unit in range(n_units):
        read = rng.choice(varying, inputs, replace=False)
        signal[:, unit] = (values[:, read] / deviation[read]) @ rng.standard_normal(inputs)
    return np.asarray(signal / signal.std(0))


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
    """Simulate two networks that share features in three known ways, and also have private ones.

    Features are independent and Gaussian, with standard deviation 1. Some features are shared
    one-to-one: a unit of each network has the same feature. Some are shared in pairs: two units of
    one network have two features, and two units of the other have their sum and difference. Some
    are shared in blocks of units that span the same subspace; the units of the other network are a
    random rotation of those of the first, in which no unit has half of its variance or more from a
    single one. The others are private. Each response has independent noise, and units are in
    random order.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli.
    n_units : int
        Number of units of each network that share features in one of the three ways.
    shares : tuple of float
        Shares of these units that are one-to-one, in pairs and in blocks.
    block : int
        Number of units in a block.
    private : int
        Number of further units of each network that share nothing.
    noise : float
        Standard deviation of the noise, relative to that of a feature; two units with the same
        feature have the correlation 1 / (1 + noise^2).
    seed : int
        Seed of the random features, rotations, noise and order.

    Returns
    -------
    tuple of Assembly
        The two networks, (stimulus, unit), marked as simulated. Along ``unit`` lie ``kind``
        ("one-to-one", "pair", "block", "private") and ``group``, a number that is the same for all
        units of both networks that share features, and -1 for private units.

    Raises
    ------
    InputError
        If shares do not sum to 1, or do not give whole pairs and blocks, or a number is out of its
        range.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543 (the three ways in which networks may share features).

    Examples
    --------
    >>> import convergent as cv
    >>> one, other = cv.simulate.convergent_pair(200)
    >>> other.where(kind="block").data.shape
    (200, 48)
    """
    n_stimuli, n_units = as_whole("n_stimuli", n_stimuli), as_whole("n_units", n_units)
    block, private = as_whole("block", block, 4), as_whole("private", private, 0)
    noise = as_number("noise", noise, 0)
    given = [as_number("shares", one, 0, 1) for one in as_list("shares", shares, "three shares")]
    counts = [round(share * n_units) for share in given]
    _check_pair(n_units, counts, block)
    rng = np.random.default_rng(as_seed(seed))
    sizes = [1] * counts[0] + [2] * (counts[1] // 2) + [block] * (counts[2] // block)
    kinds = ["one-to-one"] * counts[0] + ["pair"] * counts[1] + ["block"] * counts[2]
    features = rng.standard_normal((n_stimuli, n_units))
    mixed = features.copy()
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        mixed[:, part] = features[:, part] @ _mixture(size, rng)
        start += size
    group = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(private, -1)])
    labels = {"kind": np.array([*kinds, *["private"] * private]), "group": group}
    one = _network("A", features, labels, noise, rng)
    return one, _network("B", mixed, labels, noise, rng)


def _check_pair(n_units: int, counts: list[int], block: int) -> None:
    whole = len(counts) == 3 and not (counts[1] % 2 or counts[2] % block)
    if not whole or sum(counts) != n_units:
        raise InputError(
            f"shares give {counts} of {n_units} units (one-to-one, in pairs, in blocks): choose "
            f"shares that sum to 1 and give whole pairs and whole blocks of {block}."
        )


def _network(
    name: str, shared: Floats, labels: Mapping[str, Any], noise: float, rng: np.random.Generator
) -> Assembly:
    """Responses to shared and private features, with noise, and units in random order."""
    n_stimuli, n_units = len(shared), len(labels["group"])
    own = rng.standard_normal((n_stimuli, n_units - shared.shape[1]))
    values = np.concatenate([shared, own], axis=1)
    values = values + noise * rng.standard_normal(values.shape)
    order = rng.permutation(n_units)
    return Assembly.from_array(
        values[:, order],
        stimuli=[f"stimulus{i:06d}" for i in range(n_stimuli)],
        units=[f"{name}{i:04d}" for i in range(n_units)],
        name=name,
        attrs={"simulated": True},
        **{key: ("unit", label[order]) for key, label in labels.items()},
    )


def _mixture(size: int, rng: np.random.Generator) -> Floats:
    """Rotation (size, size): the identity for one feature, 45 degrees for two, else random."""
    if size == 1:
        return np.ones((1, 1))
    if size == 2:
        return np.array([[1.0, -1.0], [1.0, 1.0]]) / 2**0.5
    while True:
        rotation = random_rotation(size, rng)
        if (rotation**2 < 0.5).all():  # share of one unit in the variance of another
            return rotation
