"""Images made harder in steps: the parametric sets on which humans and networks were compared.

Each set takes its base images (grey, but where colour is what is changed), and distorts them more
from level to level; the first level is the control, which leaves the base as it is. Values run from
0 (black) to 1 (white), are clipped to that, and rounded to 8 bits. Sizes in pixels are for images
of 224 x 224, and grow with the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from ..base.errors import InputError, unknown
from ..data.stimuli import Stimuli

__all__ = [
    "BACKGROUND",
    "DISTORTIONS",
    "FACTOR",
    "FINEST",
    "LUMA",
    "LUMINANCE",
    "NOISE_CONTRAST",
    "NOISE_WIDTHS",
    "REACHES",
    "REFERENCE_SIDE",
    "Distortion",
    "Level",
    "Pixels",
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

Pixels = NDArray[np.float64]  # (height, width), or (height, width, 3)
Level = float | str
REFERENCE_SIDE = 224  # of the images that sizes in pixels are given for
LUMA = np.array([0.2125, 0.7154, 0.0721])  # of encoded values (Rec. 709)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear light (sRGB)
BACKGROUND = 0.4423  # mean of the images of Geirhos et al. 2018: what filters see outside
NOISE_CONTRAST = 30  # percent, of images with uniform noise, which would be clipped otherwise
FINEST, FACTOR = 2**-0.5, 2**0.5  # scales of an eidolon, in pixels and from one to the next


def grey(image: Pixels) -> Pixels:
    """Luma (height, width) of a colour image."""
    return np.asarray(image @ LUMA) if image.ndim == 3 else image


def contrast(image: Pixels, percent: float) -> Pixels:
    """Draw values towards the middle: :math:`(1 - c) / 2 + c x`, c in percent."""
    share = percent / 100
    return np.asarray((1 - share) / 2 + share * image)


def low_pass(image: Pixels, sigma: float) -> Pixels:
    """Blur with a Gaussian; outside lies the background."""
    blurred = gaussian_filter(image, sigma * _scale(image), mode="constant", cval=BACKGROUND)
    return np.asarray(blurred)


def high_pass(image: Pixels, sigma: float) -> Pixels:
    """What a blur takes away, brought to the mean of the background."""
    fine = image - low_pass(image, sigma)
    return np.asarray(fine + BACKGROUND - fine.mean())


def scramble_phases(image: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    """Shift the phase of each spatial frequency by up to so much, uniformly; amplitudes stay."""
    shift = rng.uniform(-1, 1, image.shape) * np.deg2rad(degrees)
    # phases of k and -k are opposite, so that the image is real; those of k = -k do not move
    rows, columns = (np.arange(size) for size in image.shape)
    place = np.arange(image.size).reshape(image.shape)
    opposite = place[np.ix_(-rows % image.shape[0], -columns % image.shape[1])]
    shift = np.where(place < opposite, shift, -shift.ravel()[opposite]) * (place != opposite)
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * shift)).real)


def equalise_power(image: Pixels, _level: str, amplitude: Pixels) -> Pixels:
    """Give each spatial frequency the amplitude that is usual in the set; phases stay."""
    phase = np.angle(np.fft.fft2(image))
    return np.asarray(np.fft.ifft2(amplitude * np.exp(1j * phase)).real)


def without_colour(image: Pixels, _level: str) -> Pixels:
    """Luma alone."""
    return grey(image)


def opponent_colour(image: Pixels, _level: str) -> Pixels:
    """Colours turned to their opponents at the same luminance.

    Both chromatic axes of a space of opponent colours (red-green and blue-yellow, as DKL) are
    reversed about the grey of the same luminance: :math:`2 Y - c` in linear light.
    """
    light = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    turned = np.clip(2 * (light @ LUMINANCE)[..., None] - light, 0, 1)
    encoded = np.where(turned <= 0.0031308, 12.92 * turned, 1.055 * turned ** (1 / 2.4) - 0.055)
    return np.asarray(encoded)


def rotate(image: Pixels, degrees: float) -> Pixels:
    """Turn anticlockwise by quarters."""
    return np.rot90(image, round(degrees / 90))


def uniform_noise(image: Pixels, width: float, rng: np.random.Generator) -> Pixels:
    """Add to each pixel a number between -width and width."""
    return image + width * rng.uniform(-1, 1, image.shape)


def eidolon(
    image: Pixels, reach: float, rng: np.random.Generator, *, coherence: float, grain: float = 10
) -> Pixels:
    """Move about the slices of scale that an image is the sum of.

    A slice is the difference of two blurs. Each of its pixels is moved along both axes by Gaussian
    noise of the standard deviation `reach`, blurred by `grain` so that neighbours go together. Of
    this noise's variance the share `coherence` is common to all scales.
    """
    scale = _scale(image)
    deepest = min(image.shape) / 4
    sigmas = FINEST * FACTOR ** np.arange(1, np.ceil(np.log2(deepest / FINEST) * 2))
    blurred = [image, *(gaussian_filter(image, sigma, mode="reflect") for sigma in sigmas)]
    slices = [fine - coarse for fine, coarse in zip(blurred, [*blurred[1:], 0.0], strict=True)]
    common = [_field(image.shape, grain * scale, rng) for _ in range(2)]
    total = np.zeros_like(image)
    for each in slices:
        own = [_field(image.shape, grain * scale, rng) for _ in range(2)]
        places = [
            axis + reach * scale * (coherence**0.5 * both + (1 - coherence) ** 0.5 * alone)
            for axis, both, alone in zip(np.indices(image.shape), common, own, strict=True)
        ]
        total += map_coordinates(each, places, order=1, mode="reflect")
    return total


def edges(image: Image.Image) -> Pixels:
    """GraphEdges of an image, dark on white: the gradient of its luma, at the finest scale.

    Parameters
    ----------
    image : PIL image
        For `Stimuli.map`.
    """
    values = grey(np.asarray(image.convert("RGB")) / 255)
    sigma = _scale(values)
    across, down = (gaussian_filter(values, sigma, order=o) for o in ((0, 1), (1, 0)))
    strength = np.hypot(across, down)
    return np.asarray(1 - strength / (strength.max() or 1.0))


@dataclass(frozen=True)
class Distortion:
    """One parametric set.

    Parameters
    ----------
    levels : tuple
        From the control on.
    unit : str
        What levels are in, for axes and headings.
    apply : function
        From a base image and a level to the distorted image; what is `random` takes a generator as
        well, and what takes the `spectrum` the mean amplitudes of all images.
    base : function
        From a colour image to what is distorted.
    colour : bool
        Whether images have to have colours.
    random, spectrum : bool
        What else it takes.
    """

    levels: tuple[Level, ...]
    unit: str
    apply: Callable[..., Pixels]
    base: Callable[[Pixels], Pixels] = grey
    colour: bool = False
    random: bool = False
    spectrum: bool = False


def _as_it_is(image: Pixels) -> Pixels:
    return image


def _at_low_contrast(image: Pixels) -> Pixels:
    return contrast(grey(image), NOISE_CONTRAST)


REACHES = (0, 1, 2, 4, 8, 16, 32, 64, 128)
NOISE_WIDTHS = (0, 0.03, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)

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
        NOISE_WIDTHS, "width of noise", uniform_noise, _at_low_contrast, random=True
    ),
    **{
        name: Distortion(
            REACHES, "reach (pixels)", partial(eidolon, coherence=coherence), random=True
        )
        for name, coherence in (("eidolon-1", 1.0), ("eidolon-2", 0.3), ("eidolon-3", 0.0))
    },
}


def distort(stimuli: Stimuli, distortion: str, level: Level, *, seed: int = 0) -> Stimuli:
    """Stimuli of the same names, distorted when they are opened.

    Parameters
    ----------
    stimuli : Stimuli
        The images.
    distortion : str
        A name of `DISTORTIONS`.
    level : number or str
        One of its levels, or any number between them. The first level is the control: the base of
        the set as it is.
    seed : int
        What is random follows from the seed and a stimulus's name, and is the same at all levels.

    Returns
    -------
    Stimuli
        With columns ``distortion`` and ``level`` in the table.

    Raises
    ------
    InputError
        Where there is no such distortion or level; where an image, opened, has no colours and the
        distortion needs them; where images that are to have one power spectrum differ in size.

    References
    ----------
    Geirhos et al. 2021, "Partial success in closing the gap between human and machine vision",
    NeurIPS; Geirhos et al. 2018, NeurIPS (filters, noise, phases and power); Koenderink et al.
    2017, Journal of Vision 17, and Valsecchi et al. 2018, Journal of Vision 18 (eidolons).
    """
    if not isinstance(distortion, str) or distortion not in DISTORTIONS:
        raise unknown("distortion", distortion, DISTORTIONS)
    chosen = DISTORTIONS[distortion]
    _check_level(distortion, chosen, level)
    control = level == chosen.levels[0]
    usual = _usual_amplitude(stimuli, chosen) if chosen.spectrum and not control else None

    def change(image: Image.Image, name: str) -> Pixels:
        pixels = np.asarray(image) / 255
        if chosen.colour and not control and not np.ptp(pixels, axis=2).any():
            raise InputError(
                f"stimulus {name!r} has no colours, and {distortion!r} changes these: leave grey "
                "images out, or choose another distortion."
            )
        base = chosen.base(pixels)
        if control:
            return np.clip(base, 0, 1)
        digest = hashlib.sha256(f"{seed}/{distortion}/{name}".encode()).digest()
        more: list[Any] = [np.random.default_rng(list(digest))] if chosen.random else []
        more += [usual] if chosen.spectrum else []
        return np.clip(chosen.apply(base, level, *more), 0, 1)

    table = stimuli.table.assign(distortion=distortion, level=level)
    return replace(stimuli.map(change, named=True), table=table)


def _check_level(name: str, distortion: Distortion, level: Level) -> None:
    levels = distortion.levels
    named = any(isinstance(each, str) for each in levels)
    if level in levels or (not named and _between(level, levels) and name != "rotation"):
        return
    between = "" if named or name == "rotation" else ", or a number between these"
    raise InputError(
        f"{name!r} has no level {level!r}: choose one of {', '.join(map(repr, levels))}{between}."
    )


def _between(level: Level, levels: tuple[Any, ...]) -> bool:
    return isinstance(level, int | float) and min(levels) <= level <= max(levels)


def _usual_amplitude(stimuli: Stimuli, distortion: Distortion) -> Pixels:
    """Mean amplitude of each spatial frequency over all images."""
    total: Any = 0.0
    sizes: dict[tuple[int, ...], str] = {}
    for name in stimuli.names:
        base = distortion.base(np.asarray(stimuli[name]) / 255)
        sizes.setdefault(base.shape, name)
        if len(sizes) > 1:
            found = " and ".join(f"{n!r} ({s[1]} x {s[0]})" for s, n in sizes.items())
            raise InputError(
                f"images that are to have one power spectrum have one size: {found} differ; resize "
                "them with stimuli.map first."
            )
        total = total + np.abs(np.fft.fft2(base))
    return np.asarray(total / len(stimuli))


def _field(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> Pixels:
    """Blurred Gaussian noise of variance 1."""
    noise = gaussian_filter(rng.standard_normal(shape), grain, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())


def _scale(image: Pixels) -> float:
    """How much larger an image is than those that sizes in pixels are given for."""
    return float(min(image.shape[:2])) / REFERENCE_SIDE
