"""Weights read from a file of the user."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from ..base.errors import InputError, examples

__all__ = ["load_weights"]


def load_weights(module: torch.nn.Module, file: Path) -> None:
    """Load a ``state_dict`` into a module; a file that holds more than tensors is refused.

    Parameters
    ----------
    module : torch.nn.Module
        Receives the weights.
    file : Path
        Saved by ``torch.save(model.state_dict(), file)``.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, holds anything but tensors, or does not fit.
    """
    if not file.is_file():
        raise InputError(f"there is no checkpoint {file}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a pickle that it did not write
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # each kind of damage raises another error
        raise _unreadable(file, error) from error
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
    except RuntimeError as error:
        reason = textwrap.shorten(" ".join(str(error).splitlines()[1:]), 400, placeholder=" ...")
        raise InputError(f"{file} does not fit {type(module).__name__}: {reason}") from error


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
        "is not loaded: save model.state_dict() again with torch.save."
    )
