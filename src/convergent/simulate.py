"""Virtual stimuli and virtual brains: simulations whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assembly import Assembly
from .errors import InputError

__all__ = ["convergent_pair", "natural_images", "recording"]

LEAVES = 50  # shapes in an image, from behind to in front
SKY_GROUND = (
    (0.55, 0.68, 0.85),
    (0.38, 0.33, 0.22),
    (0.24, 0.36, 0.16),
    (0.60, 0.55, 0.47),
    (0.15, 0.16, 0.2),
)


def natural_images(n: int, size: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """Draw images with the statistics of natural scenes: shapes that hide each other, with texture.

    "Dead leaves": shapes of power-law sizes cover each other, so that edges, occlusion and a 1/f
    spectrum come out as in photographs; each has a colour, a texture and a shading of its own.
    Image i depends on ``seed`` and i alone, so images are independent of each other.

    Parameters
    ----------
    n : int
        Number of images.
    size : int
        Height and width in pixels.
    seed : int
        Draws them.

    Returns
    -------
    uint8 array (n, size, size, 3)
        RGB.

    Raises
    ------
    InputError
        Where no image, or an image of hardly a pixel, is asked for.

    References
    ----------
    Lee, Mumford and Huang 2001, International Journal of Computer Vision 41.
    """
    if n < 1 or size < 2:
        raise InputError(f"{n} images of {size} x {size} pixels: ask for one or more, of 2 x 2 up.")
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    for i in range(n):
        images[i] = _dead_leaves(size, np.random.default_rng([seed, i]))
    return images


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


def _dead_leaves(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    horizon = rng.uniform(0.2, 0.8) * size
    palette = np.clip(np.array(SKY_GROUND) + rng.normal(0, 0.06, (5, 3)), 0.02, 1)
    far, near = palette[rng.permutation(5)[:2]]
    rows, columns = np.arange(size)[:, None], np.arange(size)[None, :]
    step = 1 / (1 + np.exp(-(rows - horizon) / (0.02 * size * rng.uniform(0.5, 6))))
    textures = [_power_law_noise(size, rng.uniform(0.6, 1.8), rng) for _ in range(4)]
    image = far + (near - far) * np.broadcast_to(step, (size, size))[..., None]
    image *= 1 + 0.25 * textures[0][:size, :size, None]
    hue = palette[rng.integers(5, size=3)]
    # radii with density r^-3 between 4% and 60% of the image: the size law of natural objects
    low, high = 0.04 * size, 0.6 * size
    uniform = rng.random(LEAVES)
    radii = (
        1
        / np.sqrt(1 / high**2 + uniform * (1 / low**2 - 1 / high**2))
        * rng.uniform(1, 2.5, LEAVES)
    )
    for radius in radii:
        _draw_leaf(image, radius, hue[rng.integers(3)], textures[rng.integers(4)], rng)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.5) * (np.cos(angle) * rows + np.sin(angle) * columns) / size
    image = np.clip(image * light[..., None] * rng.uniform(0.6, 1.3), 0, 1)
    image = np.round(255 * image ** rng.uniform(0.7, 1.2))
    return np.asarray(image, dtype=np.uint8)


def _draw_leaf(
    image: NDArray[np.float64],
    radius: float,
    hue: NDArray[np.float64],
    texture: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Paint one shape over the image, in place."""
    size = len(image)
    row, column = rng.uniform(-0.1, 1.1, 2) * size
    top, bottom = max(0, int(row - radius)), min(size, int(row + radius) + 2)
    left, right = max(0, int(column - radius)), min(size, int(column + radius) + 2)
    angle, slim = rng.uniform(0, np.pi), rng.uniform(0.25, 1)
    kind, lobes, depth = rng.integers(4), rng.integers(3, 8), rng.uniform(0.1, 0.5)
    colour = np.clip(hue * rng.uniform(0.4, 1.6) + rng.normal(0, 0.05, 3), 0, 1)
    shift, contrast = rng.integers(size, size=2), rng.uniform(0, 0.5)
    wave, stripes = (
        rng.uniform(2, 12) * 2 * np.pi / radius / 4,
        rng.uniform(0, 0.4) * (rng.random() < 0.4),
    )
    shade = rng.uniform(0, 0.6)
    if top >= bottom or left >= right:
        return
    y, x = np.arange(top, bottom)[:, None] - row, np.arange(left, right)[None, :] - column
    along = (np.cos(angle) * x + np.sin(angle) * y) / radius
    across = (np.cos(angle) * y - np.sin(angle) * x) / (radius * slim)
    if kind == 0:  # box
        distance = np.maximum(np.abs(along), np.abs(across)) * 1.3
    elif kind == 1:  # lobed, like a leaf or a flower
        distance = np.hypot(along, across) * (1 + depth * np.cos(lobes * np.arctan2(across, along)))
    else:  # ellipse
        distance = np.hypot(along, across)
    cover = np.clip((1 - distance) * radius / 1.5, 0, 1)[..., None]
    grain = texture[shift[0] : shift[0] + bottom - top, shift[1] : shift[1] + right - left]
    surface = (
        (1 + contrast * grain)
        * (1 + stripes * np.sin(wave * along * radius))
        * (1 - shade * (along + 0.5))
    )
    patch = image[top:bottom, left:right]
    patch *= 1 - cover
    patch += cover * np.clip(colour * surface[..., None], 0, 1.2)


def _power_law_noise(size: int, exponent: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Periodic noise of amplitude 1 / frequency^exponent, standardized, (2 size, 2 size)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((size, size))) / frequency**exponent, (size, size)
    )
    return np.tile((field - field.mean()) / field.std(), (2, 2))
