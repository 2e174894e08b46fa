"""Where torch computes."""

from __future__ import annotations

import torch

from .errors import InputError

__all__ = ["torch_device"]


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
