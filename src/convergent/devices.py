"""Where torch computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .errors import InputError

__all__ = ["on_device", "single_is_exact", "torch_device"]


def torch_device(name: str) -> torch.device:
    """A device of torch that is there.

    Parameters
    ----------
    name : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``...

    Raises
    ------
    InputError
        Where torch cannot use it.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # as torch says that it was built without
        reason = str(error).splitlines()[0]
        raise InputError(f"torch cannot use the device {name!r} ({reason}): try 'cpu'.") from error


def on_device(values: Any, device: str | None) -> Any:
    """Numpy as it is, or a tensor of torch where a device is named."""
    if device is None:
        return values
    array = np.ascontiguousarray(values)
    array = array if array.flags.writeable else array.copy()  # torch has no arrays to read only
    return torch.as_tensor(array, device=torch_device(device))


def single_is_exact(values: Any) -> bool:
    """Whether products in float32 are rounded as float32 are; torch can be told to round more."""
    return not isinstance(values, torch.Tensor) or torch.get_float32_matmul_precision() == "highest"
