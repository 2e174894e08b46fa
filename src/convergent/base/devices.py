"""Where torch computes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from .errors import InputError

__all__ = [
    "EVERYTHING",
    "M_MMAP_THRESHOLD",
    "M_TRIM_THRESHOLD",
    "USUAL",
    "give_back",
    "memory_cached",
    "on_device",
    "single_is_exact",
    "torch_device",
]


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


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
EVERYTHING = 2**30
USUAL = 2**25  # what glibc comes to by itself with large arrays


@contextmanager
def memory_cached() -> Iterator[None]:
    """Let the allocator keep what is freed, until the end of a with; only glibc's can be told.

    A network makes and frees the same large activations with each batch. Given back, their pages
    have to be made anew by the system each time, which takes longer than the network (measured on
    two cores: EfficientNet-lite0 shows 97 instead of 46 images a second).
    """
    _tell(M_MMAP_THRESHOLD, EVERYTHING)
    _tell(M_TRIM_THRESHOLD, EVERYTHING)
    try:
        yield
    finally:
        _tell(M_MMAP_THRESHOLD, USUAL)
        _tell(M_TRIM_THRESHOLD, 2 * USUAL)
        give_back()


def give_back() -> None:
    """Give back what was freed: threads that read a store leave much behind."""
    _libc("malloc_trim", 0)


def _tell(option: int, value: int) -> None:
    _libc("mallopt", option, value)


def _libc(name: str, *words: int) -> None:
    # another allocator has no such function
    with suppress(AttributeError, OSError, TypeError):
        getattr(ctypes.CDLL(None), name)(*words)
