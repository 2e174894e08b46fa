"""Networks so small that a laptop trains them: modules, layer names and preprocessing."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ..images.drawings import CATEGORIES

__all__ = [
    "SIZE",
    "SMALL",
    "SMALL_LAYERS",
    "SmallNetwork",
    "as_input",
    "pixels",
    "preprocess_small",
]

SIZE = 64  # height and width of their input, in pixels
_STEM = 16  # channels
_BLOCKS = ((16, 1), (32, 2), (64, 2), (64, 1))  # channels, and stride of the first convolution
SMALL = {"small-plain": False, "small-residual": True}  # whether there are skip connections

SMALL_LAYERS = (
    "stem",
    *(f"blocks.{i}{part}" for i in range(len(_BLOCKS)) for part in (".first", "")),
    "classifier",
)


class SmallNetwork(nn.Module):
    """Ten layers of weights: a stem, four blocks of two 3 x 3 convolutions, and a classifier.

    Batch normalisation and a ReLU follow each convolution; all of `SMALL_LAYERS` but the last are
    outputs of a ReLU, and no module works in place. Maps are 32 x 32 after the stem and the first
    block, 16 x 16 after the second, and 8 x 8 after the third and fourth; the input of the
    classifier is their mean over positions. The residual network is the plain one with each block's
    input added to the output of its second convolution, before the ReLU. Where a block has more
    channels than its input, the input is averaged over 2 x 2 positions and extended by channels of
    zeros, so that both networks have the same number of weights. These are drawn from torch's
    generator; with the same seed the two networks have different weights.

    Parameters
    ----------
    name : str
        A key of `SMALL`.
    classes : int
        Number of outputs of the classifier.

    References
    ----------
    He, Zhang, Ren and Sun 2016, CVPR (residual networks; the shortcut without weights is their
    option A); He, Zhang, Ren and Sun 2015, ICCV (initial weights).
    """

    def __init__(self, name: str, classes: int = len(CATEGORIES)) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, stride=2)
        widths = [_STEM, *(width for width, _ in _BLOCKS)]
        self.blocks = nn.Sequential(
            *(
                _Block(before, width, stride, SMALL[name])
                for before, (width, stride) in zip(widths, _BLOCKS, strict=False)
            )
        )
        self.classifier = nn.Linear(widths[-1], classes)
        # its name in the state_dict keeps weights of the other network, which fit, from loading
        self.register_buffer(name.replace("-", "_"), torch.ones(1))
        _initialise(self, name)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs (image, class) before the softmax, from images (image, 3, 64, 64)."""
        maps: torch.Tensor = self.blocks(self.stem(images))
        outputs: torch.Tensor = self.classifier(maps.mean((2, 3)))
        return outputs

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load weights, also those of a network with another number of classes."""
        weight: Any = state_dict.get("classifier.weight")
        features = self.classifier.in_features
        other = isinstance(weight, torch.Tensor) and weight.shape != self.classifier.weight.shape
        if other and weight.shape[1:] == (features,):  # else an optimizer keeps its weights
            self.classifier = nn.Linear(features, len(weight))
        return super().load_state_dict(state_dict, strict, assign)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride)
        self.second = _convolution(outputs, outputs)[:-1]
        self.relu = nn.ReLU()
        self.stride, self.added, self.residual = stride, outputs - inputs, residual

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(maps))
        if self.residual:
            if self.stride > 1:
                maps = nn.functional.avg_pool2d(maps, self.stride)
            result = result + nn.functional.pad(maps, (0, 0, 0, 0, 0, self.added))
        after: torch.Tensor = self.relu(result)
        return after


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A convolution, batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _initialise(module: nn.Module, name: str) -> None:
    """Draw weights that preserve the variance of activations, different ones for each network."""
    drawn = int(torch.randint(2**31, ()))  # so that torch's seed decides them
    source = torch.Generator().manual_seed(drawn + zlib.crc32(name.encode()))
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(
                part.weight, mode="fan_out", nonlinearity="relu", generator=source
            )
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, part.in_features**-0.5, generator=source)
            nn.init.zeros_(part.bias)


def preprocess_small(image: Image.Image) -> torch.Tensor:
    """Preprocess an image for small networks: 64 x 64 pixels, bicubic, (x - 127.5) / 64.

    Parameters
    ----------
    image : PIL image
        Of any size and mode.

    Returns
    -------
    float32 tensor (3, 64, 64)
        Channels, rows, columns.
    """
    return as_input(torch.from_numpy(pixels(image)[None]))[0].contiguous()


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Pixel values of an image, which is resized (bicubic) if it is not 64 x 64.

    Parameters
    ----------
    image : PIL image
        Of any size and mode.

    Returns
    -------
    uint8 array (64, 64, 3)
        From 0 to 255.
    """
    image = image.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.array(image)


def as_input(values: torch.Tensor) -> torch.Tensor:
    """Convert pixel values to the input of small networks.

    Parameters
    ----------
    values : uint8 tensor (image, row, column, channel)
        From 0 to 255.

    Returns
    -------
    float32 tensor (image, channel, row, column)
        In the layout that is faster for convolutions (channels last).
    """
    return (values.permute(0, 3, 1, 2).float() - 127.5) / 64
