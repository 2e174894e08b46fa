"""Weights read from files, whose checksums are compared first."""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import torch

from ..base.errors import InputError, examples
from ..base.reading import check_readable, not_readable
from ..base.zip_archives import check_zip

__all__ = ["check_installed", "load_weights", "read_tensors"]

_ZIP = b"PK\x03\x04"  # by which torch recognises its own archives


def load_weights(module: torch.nn.Module, file: Path) -> None:
    """Load a ``state_dict`` into a module; a file that holds more than tensors is refused.

    Parameters
    ----------
    module : torch.nn.Module
        Receives the weights.
    file : Path
        Saved by ``torch.save(model.state_dict(), file)``, as `read_tensors` reads it.

    Raises
    ------
    InputError
        If the file cannot be read, it is damaged, holds anything but tensors, or does not fit.
    """
    state = read_tensors(file, "checkpoint")
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise InputError(f"{file} holds a {type(state).__name__}: save model.state_dict().")
    other = [k for k, v in state.items() if not isinstance(v, torch.Tensor) or type(k) is not str]
    if other:
        raise InputError(
            f"{file} holds {examples(other)} besides tensors by name: save model.state_dict()."
        )
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = textwrap.shorten(" ".join(str(error).splitlines()[1:]), 400, placeholder=" ...")
        raise InputError(f"{file} does not fit {type(module).__name__}: {reason}") from error


def read_tensors(file: Path, what: str) -> Any:
    """Read what torch saved, if it is undamaged and holds only tensors and plain values.

    torch itself does not compare the checksums of its archives. Files of the format before torch
    1.6, and those written with ``torch.serialization.set_crc32_options(False)``, have none: where
    they are cut short they are refused, and a changed value is not noticed.

    Parameters
    ----------
    file : Path
        Saved by ``torch.save``.
    what : str
        What the file is, in messages.

    Returns
    -------
    Any
        On the CPU.

    Raises
    ------
    InputError
        If the file cannot be read, it is damaged, or it holds anything but tensors.
    """
    check_readable(file, what)
    try:
        with file.open("rb") as content, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a pickle that it did not write
            if content.read(len(_ZIP)) == _ZIP:
                check_zip(file, content)
            content.seek(0)
            return torch.load(content, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except PermissionError as error:
        raise not_readable(file, error, what) from error
    except Exception as error:  # each kind of damage raises another error
        raise _unreadable(file, error) from error


def check_installed(file: Path, package: str) -> None:
    """Compare a file of an installed package with the hash that was recorded at its installation.

    Parameters
    ----------
    file : Path
        The file.
    package : str
        The package, as it is called where it is installed from. If no hash of the file was
        recorded, nothing is compared.

    Raises
    ------
    InputError
        If the file cannot be read or differs.
    """
    try:
        recorded = [each for each in files(package) or () if each.name == file.name and each.hash]
    except PackageNotFoundError:  # imported from a folder
        return
    for each in recorded:
        if Path(str(each.locate())).resolve() != file.resolve() or each.hash is None:
            continue
        with check_readable(file).open("rb") as content:
            digest = hashlib.file_digest(content, each.hash.mode).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != each.hash.value:
            raise InputError(
                f"{file} is damaged: its content is not what {package} installed. Install it "
                f"again: pip install --force-reinstall --no-deps {package}."
            )


def _unreadable(file: Path, error: Exception) -> InputError:
    """Say why a checkpoint does not load; torch's own advice is to load it nevertheless."""
    if code := re.search(r"GLOBAL (\S+)", str(error)):
        return InputError(
            f"{file} holds more than tensors ({code[1]}), and is not loaded, since a pickle can "
            "run any code. Save model.state_dict() alone."
        )
    found = re.search(r"Unsupported \w+ \d+", str(error))
    reason = found[0] if found else f"{type(error).__name__} {str(error).split('. ')[0]}".strip()
    return InputError(
        f"{file} is damaged, cut short, or holds something else than tensors ({reason}), and "
        "is not loaded: copy it again, or save model.state_dict() again with torch.save."
    )
