"""Files of weights from along a training, by the step at which they were saved."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError, examples

__all__ = ["checkpoints", "common_steps"]

NUMBER = r"(\d+(?:\.\d+)?)"


def checkpoints(
    folder: str | os.PathLike[str], pattern: str = "epoch-{step}.pt"
) -> dict[float, Path]:
    """Find the checkpoints of a training in a folder.

    Parameters
    ----------
    folder : path
        Where they lie; folders in it are not searched.
    pattern : str
        Their file name, with ``{step}`` where the number stands, such as ``"epoch-{step}.pt"`` (as
        `train` names them) or ``"model_{step}.pth"``. A number is whole or decimal; other files
        are passed over.

    Returns
    -------
    dict of Path
        Files by step, from first to last.

    Raises
    ------
    InputError
        Where there is no such folder, the pattern has no ``{step}`` or several, no file fits it, or
        two files have one step.

    Examples
    --------
    >>> import convergent as cv
    >>> files = cv.checkpoints("trained/small-plain-0")  # doctest: +SKIP
    >>> cv.network("small-plain", checkpoint=files[1.0])  # doctest: +SKIP
    """
    place = Path(folder)
    if pattern.count("{step}") != 1 or "/" in pattern or "\\" in pattern:
        raise InputError(
            f"the pattern {pattern!r} is not a file name with one {{step}}: write {{step}} where "
            "the number stands, as in 'epoch-{step}.pt', and give the folder apart."
        )
    if not place.is_dir():
        raise InputError(f"there is no folder {place}.")
    before, after = map(re.escape, pattern.split("{step}"))
    wanted = re.compile(before + NUMBER + after)
    names = sorted(file.name for file in place.iterdir() if file.is_file())
    found: dict[float, Path] = {}
    for name in names:
        if fits := wanted.fullmatch(name):
            step = float(fits[1])
            if step in found:
                raise InputError(
                    f"{place} holds two checkpoints of step {step:g}, {found[step].name!r} and "
                    f"{name!r}: remove one, or give a pattern that only one of them fits."
                )
            found[step] = place / name
    if not found:
        holds = f"it holds {examples(names)}" if names else "it holds no files"
        raise InputError(
            f"no file in {place} fits {pattern!r} ({holds}): give the pattern of its checkpoints, "
            "with {step} where the number stands."
        )
    return dict(sorted(found.items()))


def common_steps(runs: Mapping[str, Mapping[float, Any]]) -> list[float]:
    """Steps of several trainings, which must all have the same.

    Parameters
    ----------
    runs : dict
        Checkpoints, or what was made of them, by name of the training and step.

    Returns
    -------
    list of float
        From first to last.

    Raises
    ------
    InputError
        Where there is no training, or one lacks steps that another has.

    Examples
    --------
    >>> from pathlib import Path
    >>> from convergent.checkpoints import common_steps
    >>> common_steps({"a": {0.0: Path("a0"), 1.0: Path("a1")}, "b": {0.0: Path(), 1.0: Path()}})
    [0.0, 1.0]
    """
    if not runs:
        raise InputError("there is no training: give the checkpoints of one or more, by name.")
    every = sorted({step for run in runs.values() for step in run})
    lacks = {
        name: missing
        for name, run in runs.items()
        if (missing := [f"{step:g}" for step in every if step not in run])
    }
    if lacks:
        told = "; ".join(f"{name} lacks {examples(steps)}" for name, steps in lacks.items())
        raise InputError(
            f"the trainings have other steps ({told}): finish them, or keep only steps that all "
            "have."
        )
    return every
