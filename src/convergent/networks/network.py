"""A network: module, preprocessing and names of layers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from ..base.errors import as_names, check_callable, check_type
from ..base.hashing import code_of

__all__ = ["Network"]


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A network, and how images are preprocessed for it.

    Parameters
    ----------
    name : str
        Name of the network in tables and figures.
    module : torch.nn.Module
        The network itself.
    preprocess : function
        From a PIL image (RGB) to a float32 tensor (channel, height, width).
    default_layers : tuple of str
        Layers that are used where none are named, from early to late; by default, all modules
        that hold weights and have no parts.
    about : dict
        Where the network comes from (package, weights, seed); written into the attributes of its
        activations.

    Examples
    --------
    >>> import convergent as cv
    >>> import torch
    >>> from torchvision.transforms.functional import to_tensor  # doctest: +SKIP
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU())
    >>> cv.Network("mine", module, to_tensor)  # doctest: +SKIP
    Network mine: 0.000608 million weights, 2 modules, default layers 0
    """

    name: str
    module: torch.nn.Module
    preprocess: Callable[[Image.Image], torch.Tensor]
    default_layers: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_type(str, "a text", name=self.name)
        check_type(torch.nn.Module, "a torch.nn.Module", module=self.module)
        check_callable(preprocess=self.preprocess)
        check_type(Mapping, "a dict", about=self.about)
        if self.default_layers:
            layers = tuple(as_names("default_layers", self.default_layers))
            object.__setattr__(self, "default_layers", layers)
        else:
            object.__setattr__(self, "default_layers", _leaves_with_weights(self.module))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all modules, in the order in which they were defined."""
        return tuple(name for name, _ in self.module.named_modules() if name)

    def weights_sha256(self) -> str:
        """SHA-256 of the names and values of all weights and buffers.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(
                tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
            )
        return digest.hexdigest()

    def architecture_sha256(self) -> str:
        """SHA-256 of all parts of the module: their printed form, their classes' code and settings.

        Settings are attributes that are plain values or functions. What lies elsewhere, such as in
        functions that ``forward`` calls, is not included.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", repr(self.module)).encode())
        for name, part in self.module.named_modules():
            settings = {
                key: _setting(value)
                for key, value in sorted(vars(part).items())
                if not key.startswith("_") and key != "training"
            }
            digest.update(repr((name, code_of(type(part)), settings)).encode())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of weights and architecture.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        written = f"{self.weights_sha256()} {self.architecture_sha256()}"
        return hashlib.sha256(written.encode()).hexdigest()

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.module.parameters())
        return (
            f"Network {self.name}: {count / 1e6:.3g} million weights, {len(self.layers)} modules, "
            f"default layers {', '.join(self.default_layers[:8])}"
        )


def _leaves_with_weights(module: torch.nn.Module) -> tuple[str, ...]:
    """Names of the modules that hold weights and have no parts."""
    modules = dict(module.named_modules())
    attention = tuple(  # uses the weights of its parts without calling them
        f"{name}."
        for name, part in modules.items()
        if isinstance(part, torch.nn.MultiheadAttention)
    )
    return tuple(
        name
        for name, part in modules.items()
        if name and not any(part.children()) and any(True for _ in part.parameters())
        if not name.startswith(attention)
    )


def _setting(value: object) -> str:
    """A plain value, or the name and code of a function; an empty string for other values."""
    if isinstance(value, (bool, int, float, str, tuple, type(None))):
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    if callable(value) and not isinstance(value, torch.nn.Module):
        compiled = getattr(value, "__code__", None)
        code = "" if compiled is None else f"{compiled.co_code!r}{compiled.co_names}"
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}{code}"
    return ""
