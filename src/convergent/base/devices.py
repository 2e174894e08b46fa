"""Devices of torch: finding one, and moving arrays to it.

Torch is imported only when a device is named, so that work on the CPU with numpy does not load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import array_api_compat as array_api
import numpy as np

from .errors import InputError, quoted

if TYPE_CHECKING:
    import torch

__all__ = ["on_device", "single_is_exact", "torch_device"]


def torch_device(name: str) -> torch.device:
    """Find a device of torch that can be used.

    Parameters
    ----------
    name : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``...

    Returns
    -------
    torch.device
        With its index, where the device has one.

    Raises
    ------
    InputError
        If torch cannot use the device.
    """
    import torch

    if not isinstance(name, str):
        raise InputError(
            f"device is {quoted(name)}: give the name of a device, such as 'cpu' or 'cuda'."
        )
    if name.partition(":")[0] == "meta":
        raise InputError(f"the device {name!r} of torch holds no numbers: try 'cpu'.")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter if torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"torch cannot use the device {name!r} ({reason}): try 'cpu'.") from error


def on_device(values: Any, device: str | None) -> Any:
    """Move an array to a device.

    Parameters
    ----------
    values : array
        Numpy array.
    device : str or None
        Name of a device of torch; with None the array stays as it is.

    Returns
    -------
    numpy array or torch.Tensor
    """
    if device is None:
        return values
    import torch

    array = np.ascontiguousarray(values)
    array = array if array.flags.writeable else array.copy()  # torch has no read-only arrays
    return torch.as_tensor(array, device=torch_device(device))


def single_is_exact(values: Any) -> bool:
    """Whether products in float32 have the precision of float32; torch can be set to have less."""
    if not array_api.is_torch_array(values):
        return True
    import torch

    return torch.get_float32_matmul_precision() == "highest"
