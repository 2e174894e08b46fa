"""Files of weights from along a training, by the step at which they were saved."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..base.errors import InputError, examples

__all__ = ["NUMBER", "checkpoints"]

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
