"""Settings that decide where work is done and stored, and no number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypedDict

from .arguments import check_flags, check_type
from .study import Study, as_study

__all__ = ["Compute", "ComputeSettings"]


@dataclass(frozen=True)
class Compute:
    """Where work is done and stored. These settings change no result beyond rounding.

    Parameters
    ----------
    device : str, optional
        Device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``. By default, scores are computed on the CPU,
        and a network runs on the device that holds its weights.
    study : Study or path, optional
        Folder that stores finished work, so that a call that was interrupted computes only what is
        missing when it is repeated.
    progress : bool, optional
        Whether to display a progress bar; by default, only in a terminal.

    Raises
    ------
    InputError
        If the folder of the study cannot be created, or a setting has the wrong type.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.Compute(device="cuda").device
    'cuda'
    """

    device: str | None = None
    study: Study | None = None
    progress: bool | None = None

    def __init__(
        self,
        device: str | None = None,
        study: Study | str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> None:
        if device is not None:
            check_type(str, "the name of a device, such as 'cpu' or 'cuda'", device=device)
        if progress is not None:
            check_flags(progress=progress)
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "study", as_study(study))
        object.__setattr__(self, "progress", progress)


class ComputeSettings(TypedDict, total=False):
    """Keywords of `Compute`, as functions accept them.

    Attributes
    ----------
    device : str or None
    study : Study, path or None
    progress : bool or None
    """

    device: str | None
    study: Study | str | os.PathLike[str] | None
    progress: bool | None
