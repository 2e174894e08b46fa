"""A network: module, preprocessing and names of layers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch.nn.parameter import is_lazy

from ..base.arguments import as_list, as_names, check_callable, check_type
from ..base.content import content_sha256
from ..base.errors import InputError
from ..base.notebook import brief, page_of
from ..base.torch_content import bytes_of

__all__ = ["Network"]

_HOOKS_OF_ALL = (  # of all modules; they have no public name
    torch.nn.modules.module._global_forward_pre_hooks,
    torch.nn.modules.module._global_forward_hooks,
)


_ROWS = 24  # layers that a notebook shows


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
        given = () if self.default_layers is None else self.default_layers
        names = as_list("default_layers", given, "a list of names")
        layers = as_names("default_layers", names) if names else _leaves_with_weights(self.module)
        object.__setattr__(self, "default_layers", tuple(layers))

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

        Raises
        ------
        InputError
            If a weight has no values yet, as in lazy modules that never ran.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            if is_lazy(tensor):
                raise InputError(
                    f"{name!r} of network {self.name} has no values yet: run the module once on an "
                    "input, such as module(preprocess(image)[None])."
                )
            if isinstance(tensor, torch.Tensor):  # other states are attributes of parts too
                digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(bytes_of(tensor))
        return digest.hexdigest()

    def architecture_sha256(self) -> str:
        """SHA-256 of all that decides the outputs, weights apart.

        These are all attributes of all parts of the module (numbers, containers, arrays, tensors,
        functions, objects), hooks, the code of their classes, and the functions and values of the
        user's own modules that this code refers to; of installed packages, the version. Settings of
        torch that change outputs are included. Whether the module is in training mode, and on which
        device, is not. The hash is the same in every process of the same version of Python.

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        UnknownContentError
            If a part holds something whose content cannot be known, such as an open file.
        """
        weights = self.module.state_dict(keep_vars=True)  # kept, so that their ids stay theirs
        known = {id(tensor): name for name, tensor in weights.items()}
        of_torch = [
            [list(hooks.values()) for hooks in _HOOKS_OF_ALL],
            [torch.get_default_dtype(), torch.get_float32_matmul_precision()],
            [
                torch.get_autocast_dtype(device)
                for device in ("cpu", "cuda")
                if torch.is_autocast_enabled(device)
            ],
        ]
        hashes = content_sha256(self.module, "module", known), content_sha256(of_torch, "torch")
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of weights and architecture.

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        UnknownContentError
            As `architecture_sha256`.
        """
        written = f"{self.weights_sha256()} {self.architecture_sha256()}"
        return hashlib.sha256(written.encode()).hexdigest()

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.module.parameters())
        return (
            f"Network {self.name}: {count / 1e6:.3g} million weights, {len(self.layers)} modules, "
            f"default layers {', '.join(self.default_layers[:8])}"
        )

    def _repr_html_(self) -> str:
        """The default layers, with the shapes of their weights; the network is not run."""
        modules = dict(self.module.named_modules())
        known = [name for name in self.default_layers if name in modules]
        rows = [(brief(name), *_described(modules[name])) for name in known[:_ROWS]]
        more = len(self.layers) - len(rows)
        if more > 0:
            rows.append((f"and {more:,} more: .layers names all", "", "", ""))
        count = sum(one.numel() for one in self.module.parameters() if not is_lazy(one))
        title = f"Network {brief(self.name)}: {count:,} weights, {len(self.layers):,} modules"
        about = {key: value for key, value in self.about.items() if value != self.name}
        title += "".join(f"; {brief(key)}: {brief(value)}" for key, value in about.items())
        return page_of(title, rows, ("default layer", "kind", "shapes of weights", "weights"))


def _described(module: torch.nn.Module) -> tuple[str, str, str]:
    """Kind of a module, the shapes of its own weights, and the number of all weights in it."""
    own = [parameter for parameter in module.parameters(recurse=False) if not is_lazy(parameter)]
    shapes = ", ".join(" x ".join(map(str, one.shape)) for one in own)
    count = sum(one.numel() for one in module.parameters() if not is_lazy(one))
    return type(module).__name__, shapes, f"{count:,}"


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
