"""Pictures: files, PIL images and arrays become 8-bit RGB images, as viewers show them."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from ..base.errors import InputError, warn

__all__ = ["Ground", "Pictures", "pixels_sha256"]

Ground = str | tuple[int, int, int]

_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF")
_PNG = b"\x89PNG\r\n\x1a\n"  # how the files begin
_ORIENTATION = 0x0112  # tag of EXIF
_DARK = 2**14  # of 2**16: values that all are below it may have fewer bits


def pixels_sha256(image: Image.Image) -> str:
    """SHA-256 of the size and the pixels of an RGB image."""
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


class Pictures:
    """Converts what is given as an image to an RGB image.

    What an image loses is reported once for each kind of loss, with the first stimulus.

    Parameters
    ----------
    ground : str or tuple of int
        Colour behind transparent pixels: a name, such as ``"white"``, or (red, green, blue).
    """

    def __init__(self, ground: Ground = "white") -> None:
        self._ground = _colour(ground)
        self._reported: set[str] = set()

    def from_file(self, name: str, content: bytes) -> Image.Image:
        """Decode the content of a file."""
        losses: dict[str, str] = {}
        try:
            _check_checksums(content)
            with Image.open(io.BytesIO(content), formats=_formats()) as image:
                _check_size(name, image)
                found = _rgb(name, image, self._ground, losses)
        except InputError:
            raise
        except UnidentifiedImageError as error:
            raise InputError(
                f"stimulus {name!r} does not open as an image (it holds none of a kind that is "
                "read): replace the file, or leave it out."
            ) from error
        except Exception as error:  # each of Pillow's readers raises another error
            raise InputError(
                f"stimulus {name!r} does not open as an image ({error}): replace the file, or "
                "leave it out."
            ) from error
        return self._reporting(name, found, losses)

    def from_value(self, name: str, image: Any) -> Image.Image:
        """Convert a PIL image or an array."""
        losses: dict[str, str] = {}
        if isinstance(image, Image.Image):
            found = _rgb(name, image, self._ground, losses)
        else:
            found = _from_array(name, np.asarray(image))
        return self._reporting(name, found, losses)

    def _reporting(self, name: str, image: Image.Image, losses: dict[str, str]) -> Image.Image:
        """The image, after a warning about each loss of a kind that was not reported before."""
        extrema: Any = image.getextrema()  # of each channel
        if min(low for low, _ in extrema) == 0 and max(high for _, high in extrema) == 1:
            losses["mask"] = (
                "has only the values 0 and 1 of 255, and is shown black: if it is a mask, multiply "
                "it by 255."
            )
        for kind, loss in losses.items():
            if kind not in self._reported:
                self._reported.add(kind)
                warn(f"stimulus {name!r} {loss} Further stimuli of this kind are not reported.")
        return image


@cache
def _formats() -> tuple[str, ...]:
    """Formats that are read, whatever a file is called: others may start programs, as EPS does."""
    Image.init()
    return tuple(each for each in (*_FORMATS, "WEBP") if each in Image.OPEN)


def _check_checksums(content: bytes) -> None:
    """Compare the checksums of a PNG, which Pillow passes over when it decodes the pixels."""
    if content.startswith(_PNG):
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()


def _check_size(name: str, image: Image.Image) -> None:
    """Refuse more pixels than Pillow calls safe: a small file can claim any number of them."""
    most, (width, height) = Image.MAX_IMAGE_PIXELS, image.size
    if most is not None and width * height > most:
        raise InputError(
            f"stimulus {name!r} has {width} x {height} pixels, and at most {most} are read: save "
            "it smaller, or set PIL.Image.MAX_IMAGE_PIXELS."
        )


def _from_array(name: str, array: NDArray[Any]) -> Image.Image:
    within = array.size > 0 and array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1
    if within:
        array = np.round(array * 255).astype(np.uint8)
    if array.dtype != np.uint8 or array.shape[2:] not in {(), (3,)} or array.ndim < 2:
        extent = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iuf" else ""
        raise InputError(
            f"stimulus {name!r} is a {array.dtype} array of shape {array.shape}{extent}: an image "
            "is (height, width) or (height, width, 3), uint8 or floats from 0 to 1."
        )
    return Image.fromarray(array).convert("RGB")


def _rgb(
    name: str, image: Image.Image, ground: tuple[int, int, int], losses: dict[str, str]
) -> Image.Image:
    """Convert to 8-bit RGB; Pillow's own conversion clips 16 bits at 255 instead of scaling."""
    several = getattr(image, "is_animated", False) and image.format != "MPO"  # photo with previews
    if several and image.tell() == 0:  # otherwise the user chose a frame
        losses["frames"] = (
            f"has {getattr(image, 'n_frames', 'several')} frames, and only the first is shown: "
            "save the frame that you need as an image of its own."
        )
    modes = [tile[-1] for tile in getattr(image, "tile", ())]  # in the file, and other numbers
    deep = any("16" in str(mode[0] if isinstance(mode, tuple) else mode) for mode in modes)
    image = _upright(image)
    if image.mode.startswith("I;16"):
        image, lost = _from_16_bits(np.asarray(image))
    elif deep and (brightest := _brightest(image)) < _DARK // 256:
        lost = f"no brighter than {brightest} of 255"
    else:
        lost = ""
    if lost:
        losses["dark"] = (
            f"has 16 bits and is dark, {lost}: if its values have fewer bits (12, for example), "
            "scale them so that white is 65535."
        )
    if image.mode in {"I", "F"}:
        raise InputError(
            f"stimulus {name!r} has pixels of 32 bits (mode {image.mode!r}), and which value is "
            "white is not known: save it with 8 or 16 bits."
        )
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, (*ground, 255))
        image = Image.alpha_composite(behind, image.convert("RGBA"))
    return image.convert("RGB")


def _from_16_bits(values: NDArray[Any]) -> tuple[Image.Image, str]:
    """Grey image of 8 bits, and what is lost if its values are so small that levels coincide."""
    grey, lost = np.round(values / 257).astype(np.uint8), ""
    if values.max() < _DARK:
        kept, given = len(np.unique(grey)), len(np.unique(values))
        if kept < given:
            lost = f"with values up to {values.max()} of 65535, and keeps {kept} of {given} levels"
    return Image.fromarray(grey), lost


def _colour(ground: Ground) -> tuple[int, int, int]:
    """Red, green and blue of a ground."""
    try:
        channels = ImageColor.getrgb(ground) if isinstance(ground, str) else tuple(ground)
        red, green, blue = (int(value) for value in channels)
    except (ValueError, TypeError):
        red = green = blue = -1
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise InputError(
            f"ground={ground!r} is no colour: give a name, such as 'white' or '#808080', or (red, "
            "green, blue) from 0 to 255."
        )
    return red, green, blue


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; cameras store photos as the sensor lies."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:  # damaged EXIF, which says nothing about the pixels
        return image
    return ImageOps.exif_transpose(image) if turned else image


def _brightest(image: Image.Image) -> int:
    """The largest value of all channels, except the alpha channel."""
    colours: Any = image.convert("RGB").getextrema()
    return max(int(high) for _, high in colours)
