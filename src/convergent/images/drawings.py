"""Drawings of shapes in clutter: images with categories, for networks trained on a laptop."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..base.arguments import as_seed, as_whole
from ..base.arrays import Floats
from ..data.stimuli import Stimuli

__all__ = ["CATEGORIES", "drawings"]

_FINER = 3  # drawn at so many times the size and averaged, so that edges are smooth
_LEAST_SIZE, _MOST = 16, 2**14
_BEHIND, _BEFORE = (2, 7), (0, 3)  # pieces of clutter behind a shape, and before it
_RADIUS = (0.3, 0.46)  # of a shape, in widths of the image
_CLUTTER_RADIUS = (0.05, 0.22), (0.03, 0.09)  # of pieces behind, and before
_TURN = 0.5  # in radians, to either side at most
_GRAIN = (3, 18), (8, 25)  # standard deviation of the grain of pieces, and of the ground, of 255
_TEXTURES = 3  # kinds of grain in an image


def drawings(n: int, size: int = 64, seed: int = 0) -> Stimuli:
    """Draw colour images of shapes in clutter.

    Each image shows one shape, whose category is one of `CATEGORIES`. Its position, colour, grain,
    slant and size vary, and it is rotated by up to 30 degrees to either side. Pieces of clutter lie
    behind the shape and a few before it, on a ground with grain. Image i depends only on ``seed``
    and i, and its category is number i modulo the number of categories: the first m of n images are
    those of ``drawings(m)``, and categories are balanced. An image is drawn when it is first
    opened, and stays in memory as long as the stimuli.

    Parameters
    ----------
    n : int
        Number of images.
    size : int
        Height and width in pixels, from 16 to 16384.
    seed : int
        Seed of the random draws. Images of another seed are others and have other names.

    Returns
    -------
    Stimuli
        RGB images ``seed0-000007-heart.png``, ...; the table has a column ``category``.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.drawings(48).table["category"].nunique()
    16
    """
    n, size, seed = as_whole("n", n), as_whole("size", size, _LEAST_SIZE, _MOST), as_seed(seed)
    kinds = [CATEGORIES[i % len(CATEGORIES)] for i in range(n)]
    digits = max(6, len(str(n - 1)))
    names = [f"seed{seed}-{i:0{digits}d}-{kind}.png" for i, kind in enumerate(kinds)]
    number = {name: i for i, name in enumerate(names)}
    # one block: the system provides memory only for what is written
    cached, drawn = np.empty((n, size, size, 3), dtype=np.uint8), np.zeros(n, dtype=bool)

    def read(name: str) -> Image.Image:
        i = number[name]
        if not drawn[i]:
            cached[i] = _drawing(kinds[i], size, np.random.default_rng([seed, i]))
            drawn[i] = True
        return Image.fromarray(cached[i])

    table = pd.DataFrame({"category": kinds}, index=pd.Index(names, name="stimulus"))
    return Stimuli(tuple(names), read, table)


def _drawing(category: str, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One image (size, size, 3).

    A map holds the number of the piece that covers each fine pixel; it then selects colours and
    grain.
    """
    wide = _FINER * size
    pieces = Image.new("L", (wide, wide), 0)  # 0 is the ground
    pencil = ImageDraw.Draw(pieces)
    behind, before = int(rng.integers(*_BEHIND)), int(rng.integers(*_BEFORE))
    for number in range(1, behind + before + 2):
        if number == behind + 1:
            outline = _placed(_OUTLINES[category](), rng.uniform(*_RADIUS), rng, within=True)
        else:
            radii = _CLUTTER_RADIUS[0] if number <= behind else _CLUTTER_RADIUS[1]
            outline = _placed(_piece(rng), rng.uniform(*radii), rng)
        pencil.polygon((outline * wide).ravel().tolist(), fill=number)
    colours = rng.uniform(20, 235, (behind + before + 2, 3))
    _set_apart(colours, behind + 1)
    return _coloured(np.asarray(pieces), colours, size, rng)


def _placed(
    outline: Floats, radius: float, rng: np.random.Generator, within: bool = False
) -> Floats:
    """Slant, rotate and shift an outline; its corners (corner, 2)."""
    slant = np.array([[1, rng.uniform(-0.3, 0.3)], [0, rng.uniform(0.75, 1)]])
    turn = rng.uniform(-_TURN, _TURN) if within else rng.uniform(0, 2 * np.pi)
    cos, sin = math.cos(turn), math.sin(turn)
    moved = outline @ slant @ np.array([[cos, sin], [-sin, cos]]) * radius
    margin = 0.8 * radius if within else 0.0  # nearly all of a shape is inside the image
    return np.asarray(moved + rng.uniform(margin, 1 - margin, 2))


def _piece(rng: np.random.Generator) -> Floats:
    """Outline of a piece of clutter: a bar, a polygon of few corners, or one of twelve."""
    kind = rng.integers(3)
    if kind == 0:
        return _box(-1, -rng.uniform(0.1, 0.4), 1, rng.uniform(0.1, 0.4))
    corners = rng.integers(3, 6) if kind == 1 else 12
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) if kind == 1 else _angles(12)
    return _polar(angles, rng.uniform(0.5, 1, len(angles)))


def _set_apart(colours: Floats, shape: int) -> None:
    """Change the shape's colour if it is too similar to the ground's, in place."""
    difference = colours[shape] - colours[0]
    distance = np.hypot.reduce(difference)
    if distance < 90:
        away = np.where(colours[0] > 127.5, -1.0, 1.0)
        colours[shape] = colours[0] + away * 60


def _coloured(
    pieces: NDArray[np.uint8], colours: Floats, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Colours, grain and light (size, size, 3) from the map of pieces."""
    n = len(colours)
    grains = _noise(size, rng.uniform(0.3, 1.6, _TEXTURES), rng)
    contrast = rng.uniform(*_GRAIN[0], n)
    contrast[0] = rng.uniform(*_GRAIN[1])
    weight = np.zeros((n, _TEXTURES))
    weight[np.arange(n), rng.integers(_TEXTURES, size=n)] = contrast
    # share of each pixel that a piece covers: a count of its fine pixels
    rows = np.repeat(np.arange(size), _FINER)
    pixel = (rows[:, None] * size + rows) * n + pieces
    counts = np.bincount(pixel.ravel(), minlength=size * size * n).reshape(size * size, n)
    share = counts.astype(np.float32) / _FINER**2
    image = (share @ colours.astype(np.float32)).reshape(size, size, 3)
    amount = (share @ weight.astype(np.float32)).T.reshape(_TEXTURES, size, size)
    grain = (amount * grains).sum(0)
    tint = rng.uniform(0.6, 1.4, 3).astype(np.float32)
    image += grain[..., None] * tint
    light, angle = rng.uniform(0, 0.5), rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    shade = 1 + light * (np.cos(angle) * along[:, None] + np.sin(angle) * along)
    image *= shade[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _noise(size: int, exponents: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise (exponent, size, size) of amplitude 1 / frequency^exponent and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = 1e9  # so that the mean is 0
    amplitude = np.exp(-exponents[:, None, None] * np.log(frequency))
    white = rng.standard_normal((len(exponents), size, size))
    field = np.fft.irfft2(np.fft.rfft2(white) * amplitude, (size, size))
    return np.asarray(field / field.std((1, 2), keepdims=True), dtype=np.float32)


def _angles(n: int, start: float = 0.0) -> Floats:
    return start + 2 * np.pi * np.arange(n) / n


def _polar(angles: Floats, radii: Floats | float = 1.0) -> Floats:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


def _box(left: float, top: float, right: float, bottom: float) -> Floats:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _corners(*numbers: float) -> Floats:
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def _regular(n: int) -> Floats:
    return _polar(_angles(n))


def _star() -> Floats:
    return _polar(_angles(10), np.tile([1.0, 0.42], 5))


def _ring() -> Floats:
    """The outer circle, a cut of no width to the inner circle, and that circle backwards."""
    turn = np.linspace(0, 2 * np.pi, 37)
    return np.concatenate([_polar(turn), _polar(turn[::-1], 0.55)])


def _crescent() -> Floats:
    outer = _polar(np.linspace(0.35, 2 * np.pi - 0.35, 30))
    inner = _polar(np.linspace(2 * np.pi - 0.48, 0.48, 24), 0.75) + np.array([0.28, 0])
    return np.concatenate([outer, inner])


def _heart() -> Floats:
    t = _angles(40)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2], axis=-1) / 16  # rows count downwards


def _drop() -> Floats:
    """Most of a circle, with its ends joined in a point."""
    round_part = _polar(np.linspace(0.3 * np.pi, 1.7 * np.pi, 24), 0.62) - np.array([0.3, 0])
    return np.concatenate([round_part, [[1.1, 0.0]]])


_OUTLINES: dict[str, Callable[[], Floats]] = {
    "arrow": partial(
        _corners, -1, -0.2, 0.1, -0.2, 0.1, -0.7, 1, 0, 0.1, 0.7, 0.1, 0.2, -1, 0.2
    ),
    "circle": partial(_regular, 36),
    "crescent": _crescent,
    "cross": partial(
        _corners,
        *(-0.3, -1, 0.3, -1, 0.3, -0.3, 1, -0.3, 1, 0.3, 0.3, 0.3),
        *(0.3, 1, -0.3, 1, -0.3, 0.3, -1, 0.3, -1, -0.3, -0.3, -0.3),
    ),
    "drop": _drop,
    "heart": _heart,
    "hexagon": partial(_regular, 6),
    "letter-h": partial(
        _corners,
        *(-0.8, -1, -0.3, -1, -0.3, -0.25, 0.3, -0.25, 0.3, -1, 0.8, -1),
        *(0.8, 1, 0.3, 1, 0.3, 0.25, -0.3, 0.25, -0.3, 1, -0.8, 1),
    ),
    "letter-l": partial(_corners, -0.7, -1, -0.2, -1, -0.2, 0.5, 0.7, 0.5, 0.7, 1, -0.7, 1),
    "letter-t": partial(
        _corners, -0.85, -1, 0.85, -1, 0.85, -0.5, 0.25, -0.5, 0.25, 1, -0.25, 1, -0.25, -0.5,
        -0.85, -0.5,
    ),
    "letter-u": partial(
        _corners, -0.8, -1, -0.3, -1, -0.3, 0.4, 0.3, 0.4, 0.3, -1, 0.8, -1, 0.8, 0.9, -0.8, 0.9
    ),
    "letter-z": partial(
        _corners,
        *(-0.8, -1, 0.25, -1, 0.25, 0.5, 0.8, 0.5, 0.8, 1, -0.25, 1, -0.25, -0.5, -0.8, -0.5),
    ),
    "ring": _ring,
    "square": partial(_box, -0.8, -0.8, 0.8, 0.8),
    "star": _star,
    "triangle": partial(_regular, 3),
}  # fmt: skip

CATEGORIES = tuple(_OUTLINES)
