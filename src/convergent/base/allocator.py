"""Memory that was freed: when the C library returns it to the system, and when it keeps it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["keep_freed_memory", "return_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # option numbers of mallopt, from glibc's malloc.h
_NO_LIMIT = 2**30  # bytes
_USUAL = 2**25  # bytes: the mmap threshold that glibc reaches by itself with large arrays


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process during a with statement, for the next array.

    A network allocates and frees the same large activations with each batch. When their pages are
    returned to the system, they have to be mapped again each time, which takes longer than the
    network itself (measured on two cores: EfficientNet-lite0 processes 97 instead of 46 images a
    second). Only glibc has these options; with another C library nothing happens.
    """
    _call_libc("mallopt", _M_MMAP_THRESHOLD, _NO_LIMIT)
    _call_libc("mallopt", _M_TRIM_THRESHOLD, _NO_LIMIT)
    try:
        yield
    finally:
        _call_libc("mallopt", _M_MMAP_THRESHOLD, _USUAL)
        _call_libc("mallopt", _M_TRIM_THRESHOLD, 2 * _USUAL)
        return_freed_memory()


def return_freed_memory() -> None:
    """Return freed memory to the system; threads that read a store leave much of it behind."""
    _call_libc("malloc_trim", 0)


def _call_libc(name: str, *arguments: int) -> None:
    # another C library has no such function
    with suppress(AttributeError, OSError, TypeError):
        getattr(ctypes.CDLL(None), name)(*arguments)
