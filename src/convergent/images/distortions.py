"""Distortions in steps: the parametric image sets on which humans and networks were compared.

Each set distorts its base images (grey, except where colour is changed) more strongly from level to
level; the first level is the control, which leaves the base as it is. Values lie between 0 (black)
and 1 (white), are clipped to this range, and rounded to 8 bits. Sizes in pixels are given for
images of 224 x 224, and are proportional to the size of the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from ..base.arguments import as_seed, check_callable, check_flags, check_known, check_type
from ..base.arrays import Floats
from ..base.errors import InputError, quoted
from ..data.stimuli import Stimuli

__all__ = [
    "DISTORTIONS",
    "LUMINANCE",
    "Distortion",
    "Level",
    "contrast",
    "distort",
    "edges",
    "eidolon",
    "equalise_power",
    "grey",
    "high_pass",
    "low_pass",
    "opponent_colour",
    "rotate",
    "scramble_phases",
    "uniform_noise",
    "without_colour",
]

Level = float | str
_REFERENCE_SIDE = 224  # pixels; side of the images for which sizes in pixels are given
_LUMA = np.array([0.2125, 0.7154, 0.0721])  # of encoded values (Rec. 709)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear light (sRGB)
_BACKGROUND = 0.4423  # outside the image, for filters: mean of the images of Geirhos et al. 2018
_NOISE_CONTRAST = 30  # percent, of images with uniform noise, which would be clipped otherwise
_FINEST, _FACTOR = 2**-0.5, 2**0.5  # of an eidolon: its finest scale in pixels, ratio of scales


def grey(image: Floats) -> Floats:
    """Luma (height, width) of a colour image; a grey image stays as it is."""
    return np.asarray(image @ _LUMA) if image.ndim == 3 else image


def contrast(image: Floats, percent: float) -> Floats:
    """Reduce the contrast to a percentage c: :math:`(1 - c) / 2 + c x`."""
    share = percent / 100
    return np.asarray((1 - share) / 2 + share * image)


def low_pass(image: Floats, sigma: float) -> Floats:
    """Blur with a Gaussian; outside the image lies the background."""
    blurred = gaussian_filter(image, sigma * _scale(image), mode="constant", cval=_BACKGROUND)
    return np.asarray(blurred)


def high_pass(image: Floats, sigma: float) -> Floats:
    """Subtract the blurred image, and shift the mean to that of the background."""
    fine = image - low_pass(image, sigma)
    return np.asarray(fine + _BACKGROUND - fine.mean())


def scramble_phases(image: Floats, degrees: float, rng: np.random.Generator) -> Floats:
    """Shift the phase of each spatial frequency, uniformly up to a limit; amplitudes stay."""
    shift = rng.uniform(-1, 1, image.shape) * np.deg2rad(degrees)
    # phases of k and -k are opposite, so that the image is real; those of k = -k stay
    rows, columns = (np.arange(size) for size in image.shape)
    index = np.arange(image.size).reshape(image.shape)
    opposite = index[np.ix_(-rows % image.shape[0], -columns % image.shape[1])]
    shift = np.where(index < opposite, shift, -shift.ravel()[opposite]) * (index != opposite)
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * shift)).real)


def equalise_power(image: Floats, _level: str, amplitude: Floats) -> Floats:
    """Set the amplitude of each spatial frequency to the mean over the set; phases stay."""
    phase = np.angle(np.fft.fft2(image))
    return np.asarray(np.fft.ifft2(amplitude * np.exp(1j * phase)).real)


def without_colour(image: Floats, _level: str) -> Floats:
    """Keep only the luma."""
    return grey(image)


def opponent_colour(image: Floats, _level: str) -> Floats:
    """Replace colours by their opponents at the same luminance.

    Both chromatic axes of a space of opponent colours (red-green and blue-yellow, as in DKL) are
    reversed around the grey of the same luminance: :math:`2 Y - c` in linear light.
    """
    light = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    turned = np.clip(2 * (light @ LUMINANCE)[..., None] - light, 0, 1)
    encoded = np.where(turned <= 0.0031308, 12.92 * turned, 1.055 * turned ** (1 / 2.4) - 0.055)
    return np.asarray(encoded)


def rotate(image: Floats, degrees: float) -> Floats:
    """Rotate anticlockwise by a multiple of 90 degrees."""
    return np.rot90(image, round(degrees / 90))


def uniform_noise(image: Floats, width: float, rng: np.random.Generator) -> Floats:
    """Add a random number between -width and width to each pixel."""
    return image + width * rng.uniform(-1, 1, image.shape)


def eidolon(
    image: Floats, reach: float, rng: np.random.Generator, *, coherence: float, grain: float = 10
) -> Floats:
    """Displace the pixels of each scale of an image.

    The image is the sum of scales, each the difference of two blurs. Each pixel of a scale is
    displaced along both axes by Gaussian noise of standard deviation ``reach``, blurred by
    ``grain`` so that neighbours move together. The share ``coherence`` of the variance of this
    noise is common to all scales.
    """
    size = _scale(image)
    deepest = min(image.shape) / 4
    sigmas = _FINEST * _FACTOR ** np.arange(1, np.ceil(np.log2(deepest / _FINEST) * 2))
    blurred = [image, *(gaussian_filter(image, sigma, mode="reflect") for sigma in sigmas)]
    scales = [fine - coarse for fine, coarse in zip(blurred, [*blurred[1:], 0.0], strict=True)]
    common = [_field(image.shape, grain * size, rng) for _ in range(2)]
    total = np.zeros_like(image)
    for each in scales:
        own = [_field(image.shape, grain * size, rng) for _ in range(2)]
        positions = [
            axis + reach * size * (coherence**0.5 * both + (1 - coherence) ** 0.5 * alone)
            for axis, both, alone in zip(np.indices(image.shape), common, own, strict=True)
        ]
        total += map_coordinates(each, positions, order=1, mode="reflect")
    return total


def edges(image: Image.Image) -> Floats:
    """Edges of an image, dark on white: the gradient of its luma, at the finest scale.

    Parameters
    ----------
    image : PIL image
        In any mode; the function is meant for `Stimuli.map`.

    Returns
    -------
    float64 array (height, width)
        From 0 (the strongest edge) to 1 (no edge).

    Examples
    --------
    >>> import convergent as cv
    >>> outlines = cv.drawings(4).map(cv.edges)
    """
    check_type(Image.Image, "a PIL image, or stimuli.map(convergent.edges)", image=image)
    values = grey(np.asarray(image.convert("RGB")) / 255)
    sigma = _scale(values)
    across, down = (gaussian_filter(values, sigma, order=o) for o in ((0, 1), (1, 0)))
    strength = np.hypot(across, down)
    return np.asarray(1 - strength / (strength.max() or 1.0))


@dataclass(frozen=True)
class Distortion:
    """One parametric set of images.

    Parameters
    ----------
    levels : tuple
        Levels of the distortion, from the control on.
    unit : str
        Unit of the levels, for axes and headings.
    apply : function
        From a base image and a level to the distorted image. If ``random``, its next argument is a
        random generator; if ``spectrum``, its next argument is the mean amplitude of each spatial
        frequency over all images.
    base : function
        From a colour image to the image that is distorted.
    colour : bool
        Whether the distortion needs images with colours.
    random, spectrum : bool
        Further arguments of ``apply``.
    """

    levels: tuple[Level, ...]
    unit: str
    apply: Callable[..., Floats]
    base: Callable[[Floats], Floats] = grey
    colour: bool = False
    random: bool = False
    spectrum: bool = False

    def __post_init__(self) -> None:
        check_type(tuple, "a tuple of levels, the control first", levels=self.levels)
        check_type(str, "a text", unit=self.unit)
        check_callable(apply=self.apply, base=self.base)
        check_flags(colour=self.colour, random=self.random, spectrum=self.spectrum)


def _as_it_is(image: Floats) -> Floats:
    return image


def _at_low_contrast(image: Floats) -> Floats:
    return contrast(grey(image), _NOISE_CONTRAST)


_REACHES = (0, 1, 2, 4, 8, 16, 32, 64, 128)
_NOISE_WIDTHS = (0, 0.03, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)

DISTORTIONS: Mapping[str, Distortion] = {
    "colour": Distortion(("colour", "grey"), "", without_colour, _as_it_is, colour=True),
    "false-colour": Distortion(("true", "opponent"), "", opponent_colour, _as_it_is, colour=True),
    "contrast": Distortion((100, 50, 30, 15, 10, 5, 3, 1), "contrast (%)", contrast),
    "high-pass": Distortion((np.inf, 3, 1.5, 1, 0.7, 0.55, 0.45, 0.4), "sigma (pixels)", high_pass),
    "low-pass": Distortion((0, 1, 3, 5, 7, 10, 15, 40), "sigma (pixels)", low_pass),
    "phase-scrambling": Distortion(
        (0, 30, 60, 90, 120, 150, 180), "phase noise (degrees)", scramble_phases, random=True
    ),
    "power-equalisation": Distortion(("own", "usual"), "", equalise_power, spectrum=True),
    "rotation": Distortion((0, 90, 180, 270), "rotation (degrees)", rotate),
    "uniform-noise": Distortion(
        _NOISE_WIDTHS, "width of noise", uniform_noise, _at_low_contrast, random=True
    ),
    **{
        name: Distortion(
            _REACHES, "reach (pixels)", partial(eidolon, coherence=coherence), random=True
        )
        for name, coherence in (("eidolon-1", 1.0), ("eidolon-2", 0.3), ("eidolon-3", 0.0))
    },
}


def distort(stimuli: Stimuli, distortion: str, level: Level, *, seed: int = 0) -> Stimuli:
    """Distort stimuli; each image is distorted when it is opened.

    Parameters
    ----------
    stimuli : Stimuli
        The images.
    distortion : str
        A name of `DISTORTIONS`.
    level : number or str
        One of its levels; if these are numbers, any number between them (except for rotations).
        The first level is the control: the images of the set without distortion.
    seed : int
        Seed of the random draws. They depend on the seed and the stimulus's name, and are the same
        at all levels.

    Returns
    -------
    Stimuli
        With the same names, and columns ``distortion`` and ``level`` in the table.

    Raises
    ------
    InputError
        If there is no such distortion or level; when an image is opened, if it has no colours and
        the distortion needs them; if images of different sizes are to have one power spectrum.

    References
    ----------
    Geirhos et al. 2021, "Partial success in closing the gap between human and machine vision",
    NeurIPS; Geirhos et al. 2018, NeurIPS (filters, noise, phases and power); Koenderink et al.
    2017, Journal of Vision 17, and Valsecchi et al. 2018, Journal of Vision 18 (eidolons).

    Examples
    --------
    >>> import convergent as cv
    >>> cv.DISTORTIONS["low-pass"].levels
    (0, 1, 3, 5, 7, 10, 15, 40)
    >>> blurred = cv.distort(cv.drawings(4), "low-pass", 5)
    >>> blurred.table["level"].tolist()
    [5, 5, 5, 5]
    """
    check_type(Stimuli, "Stimuli", stimuli=stimuli)
    check_known("distortion", distortion, DISTORTIONS)
    seed = as_seed(seed)
    chosen = DISTORTIONS[distortion]
    _check_level(distortion, chosen, level)
    control = level == chosen.levels[0]
    amplitude = _mean_amplitude(stimuli, chosen) if chosen.spectrum and not control else None

    def change(image: Image.Image, name: str) -> Floats:
        pixels = np.asarray(image) / 255
        if chosen.colour and not control and not np.ptp(pixels, axis=2).any():
            raise InputError(
                f"stimulus {name!r} has no colours, and {distortion!r} changes colours: omit grey "
                "images, or choose another distortion."
            )
        base = chosen.base(pixels)
        if control:
            return np.clip(base, 0, 1)
        digest = hashlib.sha256(f"{seed}/{distortion}/{name}".encode()).digest()
        more: list[Any] = [np.random.default_rng(list(digest))] if chosen.random else []
        more += [amplitude] if chosen.spectrum else []
        return np.clip(chosen.apply(base, level, *more), 0, 1)

    table = stimuli.table.assign(distortion=distortion, level=level)
    return replace(stimuli.map(change, named=True), table=table)


def _check_level(name: str, distortion: Distortion, level: Level) -> None:
    levels = distortion.levels
    named = any(isinstance(each, str) for each in levels)
    plain = isinstance(level, (int, float, str, np.integer, np.floating))
    known = plain and not isinstance(level, bool) and level in levels
    if known or (not named and _between(level, levels) and name != "rotation"):
        return
    between = "" if named or name == "rotation" else ", or a number between these"
    raise InputError(
        f"{name!r} has no level {quoted(level)}: choose one of {', '.join(map(repr, levels))}"
        f"{between}."
    )


def _between(level: Level, levels: tuple[Any, ...]) -> bool:
    number = isinstance(level, (int, float)) and not isinstance(level, bool)
    return number and min(levels) <= level <= max(levels)


def _mean_amplitude(stimuli: Stimuli, distortion: Distortion) -> Floats:
    """Mean amplitude of each spatial frequency over all images."""
    total: Any = 0.0
    sizes: dict[tuple[int, ...], str] = {}
    for name in stimuli.names:
        base = distortion.base(np.asarray(stimuli[name]) / 255)
        sizes.setdefault(base.shape, name)
        if len(sizes) > 1:
            found = " and ".join(f"{n!r} ({s[1]} x {s[0]})" for s, n in sizes.items())
            raise InputError(
                f"images need one size to have one power spectrum: {found} differ; resize them "
                "with stimuli.map first."
            )
        total = total + np.abs(np.fft.fft2(base))
    return np.asarray(total / len(stimuli))


def _field(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> Floats:
    """Blurred Gaussian noise of variance 1."""
    noise = gaussian_filter(rng.standard_normal(shape), grain, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())


def _scale(image: Floats) -> float:
    """Size of an image, relative to that for which sizes in pixels are given."""
    return float(min(image.shape[:2])) / _REFERENCE_SIDE
