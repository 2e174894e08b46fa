"""Checkpoints: files of weights, by the step of the training at which they were saved."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..base.arguments import check_type
from ..base.errors import InputError, examples
from ..base.files import as_path
from ..base.reading import not_readable

__all__ = ["checkpoints"]

_NUMBER = r"(\d+(?:\.\d+)?)"


def checkpoints(
    folder: str | os.PathLike[str], pattern: str = "epoch-{step}.pt"
) -> dict[float, Path]:
    """Find the checkpoints of a training in a folder.

    Parameters
    ----------
    folder : path
        The folder; folders inside it are not searched.
    pattern : str
        Their file name, with ``{step}`` in place of the number, such as ``"epoch-{step}.pt"`` (as
        `train` names them) or ``"model_{step}.pth"``. The number is whole or decimal; other files
        are ignored.

    Returns
    -------
    dict of float to Path
        Files by step, from first to last.

    Raises
    ------
    InputError
        If there is no such folder that can be read, the pattern does not contain ``{step}`` exactly
        once, no file fits it, or two files have the same step.

    Examples
    --------
    >>> import convergent as cv
    >>> files = cv.checkpoints("trained/small-plain-0")  # doctest: +SKIP
    >>> cv.network("small-plain", checkpoint=files[1.0])  # doctest: +SKIP
    """
    root = as_path(folder, "folder")
    check_type(str, "a file name with {step}", pattern=pattern)
    if pattern.count("{step}") != 1 or "/" in pattern or "\\" in pattern:
        raise InputError(
            f"the pattern {pattern!r} is not a file name with one {{step}}: write {{step}} in "
            "place of the number, as in 'epoch-{step}.pt', and give the folder separately."
        )
    before, after = map(re.escape, pattern.split("{step}"))
    wanted = re.compile(before + _NUMBER + after)
    try:
        names = sorted(file.name for file in root.iterdir() if file.is_file())
    except (OSError, ValueError) as error:
        raise not_readable(root, error, "folder") from error
    found: dict[float, Path] = {}
    for name in names:
        if fits := wanted.fullmatch(name):
            step = float(fits[1])
            if step in found:
                raise InputError(
                    f"{root} holds two checkpoints of step {step:g}, {found[step].name!r} and "
                    f"{name!r}: remove one, or give a pattern that only one of them fits."
                )
            found[step] = root / name
    if not found:
        holds = f"it holds {examples(names)}" if names else "it holds no files"
        raise InputError(
            f"no file in {root} fits {pattern!r} ({holds}): give the pattern of its checkpoints, "
            "with {step} in place of the number."
        )
    return dict(sorted(found.items()))
