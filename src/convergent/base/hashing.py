"""Which code does something, so that what other code made is not taken for it."""

from __future__ import annotations

import hashlib
import inspect

__all__ = ["code_of"]


def code_of(kind: type) -> dict[str, str]:
    """Name of a class, and the SHA-256 of its source where that can be read."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # typed at a prompt, or compiled
        source = ""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return {"class": name, "code": hashlib.sha256(source.encode()).hexdigest()}
