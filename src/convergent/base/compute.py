"""Where work is done and kept: settings that decide no number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypedDict

from .study import Study, as_study

__all__ = ["Compute", "ComputeSettings"]


@dataclass(frozen=True)
class Compute:
    """Where work is done and kept. None of it decides a result, rounding apart.

    Parameters
    ----------
    device : str, optional
        Where torch computes: ``"cpu"``, ``"cuda"``, ``"cuda:1"``. Where left out, scores are
        computed on the CPU, and a network runs where its weights are.
    study : Study or path, optional
        A folder that keeps finished work, so that an interrupted call does only what is missing.
    progress : bool, optional
        Whether to draw a progress bar; where left out, only in a terminal.

    Raises
    ------
    InputError
        Where the folder of the study cannot be made.

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
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "study", as_study(study))
        object.__setattr__(self, "progress", progress)


class ComputeSettings(TypedDict, total=False):
    """Keywords of `Compute`, as functions take them.

    Attributes
    ----------
    device : str or None
    study : Study, path or None
    progress : bool or None
    """

    device: str | None
    study: Study | str | os.PathLike[str] | None
    progress: bool | None
