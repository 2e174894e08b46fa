"""Images with the statistics of natural scenes: dead leaves before power-law noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import as_seed, as_whole
from ..base.arrays import Floats

__all__ = ["natural_images", "power_law_noise"]

_MOST = 2**14  # pixels of a side
_LEAVES = 50  # shapes in an image, from the back to the front

_SKY_GROUND = (
    (0.55, 0.68, 0.85),
    (0.38, 0.33, 0.22),
    (0.24, 0.36, 0.16),
    (0.60, 0.55, 0.47),
    (0.15, 0.16, 0.2),
)


def natural_images(n: int, size: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """Simulate images with the statistics of natural scenes: textured shapes that hide each other.

    "Dead leaves": shapes of power-law sizes cover each other, which gives edges, occlusion and a
    1/f spectrum as in photographs; each shape has its own colour, texture and shading. Image i
    depends only on ``seed`` and i.

    Parameters
    ----------
    n : int
        Number of images.
    size : int
        Height and width in pixels, up to 16384.
    seed : int
        Seed of the random draws.

    Returns
    -------
    uint8 array (n, size, size, 3)
        RGB.

    Raises
    ------
    InputError
        If a number is out of its range.

    References
    ----------
    Lee, Mumford and Huang 2001, International Journal of Computer Vision 41.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.simulate.natural_images(2, size=32).shape
    (2, 32, 32, 3)
    """
    n, size, seed = as_whole("n", n), as_whole("size", size, 2, _MOST), as_seed(seed)
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    for i in range(n):
        images[i] = _dead_leaves(size, np.random.default_rng([seed, i]))
    return images


def _dead_leaves(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    horizon = rng.uniform(0.2, 0.8) * size
    palette = np.clip(np.array(_SKY_GROUND) + rng.normal(0, 0.06, (5, 3)), 0.02, 1)
    far, near = palette[rng.permutation(5)[:2]]
    rows, columns = np.arange(size)[:, None], np.arange(size)[None, :]
    step = 1 / (1 + np.exp(-(rows - horizon) / (0.02 * size * rng.uniform(0.5, 6))))
    textures = [power_law_noise(size, rng.uniform(0.6, 1.8), rng) for _ in range(4)]
    image = far + (near - far) * np.broadcast_to(step, (size, size))[..., None]
    image *= 1 + 0.25 * textures[0][:size, :size, None]
    hue = palette[rng.integers(5, size=3)]
    # radii with density r^-3 between 4% and 60% of the image: the size law of natural objects
    low, high = 0.04 * size, 0.6 * size
    uniform = rng.random(_LEAVES)
    radii = (
        1
        / np.sqrt(1 / high**2 + uniform * (1 / low**2 - 1 / high**2))
        * rng.uniform(1, 2.5, _LEAVES)
    )
    for radius in radii:
        _draw_leaf(image, radius, hue[rng.integers(3)], textures[rng.integers(4)], rng)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.5) * (np.cos(angle) * rows + np.sin(angle) * columns) / size
    image = np.clip(image * light[..., None] * rng.uniform(0.6, 1.3), 0, 1)
    image = np.round(255 * image ** rng.uniform(0.7, 1.2))
    return np.asarray(image, dtype=np.uint8)


def _draw_leaf(
    image: Floats, radius: float, hue: Floats, texture: Floats, rng: np.random.Generator
) -> None:
    """Draw one shape over the image, in place."""
    size = len(image)
    row, column = rng.uniform(-0.1, 1.1, 2) * size
    top, bottom = max(0, int(row - radius)), min(size, int(row + radius) + 2)
    left, right = max(0, int(column - radius)), min(size, int(column + radius) + 2)
    angle, slim = rng.uniform(0, np.pi), rng.uniform(0.25, 1)
    kind, lobes, depth = int(rng.integers(4)), int(rng.integers(3, 8)), rng.uniform(0.1, 0.5)
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
    distance = _distance(kind, along, across, lobes, depth)
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


def _distance(kind: int, along: Floats, across: Floats, lobes: int, depth: float) -> Floats:
    """Distance from the centre of a shape, 1 at its edge."""
    if kind == 0:  # box
        return np.asarray(np.maximum(np.abs(along), np.abs(across)) * 1.3)
    if kind == 1:  # lobed, like a leaf or a flower
        edge = 1 + depth * np.cos(lobes * np.arctan2(across, along))
        return np.asarray(np.hypot(along, across) * edge)
    return np.asarray(np.hypot(along, across))  # ellipse


def power_law_noise(size: int, exponent: float, rng: np.random.Generator) -> Floats:
    """Draw periodic noise of amplitude 1 / frequency^exponent.

    Parameters
    ----------
    size : int
        Period in pixels.
    exponent : float
        Decay of the amplitude with frequency.
    rng : numpy.random.Generator
        Draws the noise.

    Returns
    -------
    float64 array (2 size, 2 size)
        Two periods in each direction, with mean 0 and standard deviation 1.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((size, size))) / frequency**exponent, (size, size)
    )
    return np.tile((field - field.mean()) / field.std(), (2, 2))
