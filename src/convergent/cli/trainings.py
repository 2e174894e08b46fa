"""Trainings that the user names: their checkpoints, and what the folders say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import convergent as cv

from ..base.errors import InputError, examples

__all__ = ["Training", "accuracies", "check_classes", "trainings_named"]


@dataclass(frozen=True)
class Training:
    """A training: name of the network, folder, and files of weights by step."""

    network: str
    folder: Path
    files: Mapping[float, Path]


def trainings_named(given: Sequence[str], pattern: str) -> dict[str, Training]:
    """Trainings from NETWORK=FOLDER, by the name of the folder."""
    found = {}
    for one in given:
        name, _, folder = one.partition("=")
        if not folder:
            raise InputError(
                f"{one!r} is no training: give NETWORK=FOLDER, as in "
                "small-plain=trained/small-plain-0."
            )
        found[Path(folder).name] = name, Path(folder)
    if len(found) < max(2, len(given)):
        raise InputError(
            f"{examples(list(given))} are {len(found)} training(s) by the names of their folders: "
            "give two or more, in folders with different names."
        )
    return {
        run: Training(name, folder, cv.checkpoints(folder, pattern))
        for run, (name, folder) in found.items()
    }


def check_classes(trainings: Mapping[str, Training]) -> None:
    """Refuse to compare outputs of trainings that learned different classes, if this is known."""
    known = {
        run: classes
        for run, training in trainings.items()
        if isinstance(classes := _settings(training.folder).get("classes"), list)
    }
    for first, run in pairwise(known):
        if known[first] != known[run]:
            different = sorted(set(known[first]) ^ set(known[run]))
            raise InputError(
                f"{first} and {run} learned different classes ({examples(different)} are not in "
                "both), so their outputs do not correspond: name the layers to compare, without "
                "the outputs, with --layers."
            )


def accuracies(
    trainings: Mapping[str, Training], steps: Sequence[float]
) -> dict[str, dict[float, float]] | None:
    """Accuracy at each step, of the trainings whose log has all steps; None if no log has."""
    import pandas as pd

    from ..networks.training_files import LOG, read_log

    found = {}
    for run, training in trainings.items():
        file = training.folder / LOG
        if not file.is_file():
            continue
        try:
            ours = "training" in _settings(training.folder)
            log = read_log(training.folder) if ours else pd.read_csv(file)
            correct = dict(zip(log["epoch"], log["accuracy"], strict=True))
        except InputError:
            raise
        except (OSError, ValueError, KeyError):  # not written by `convergent train`
            continue
        if set(steps) <= set(correct):
            found[run] = correct
    return found or None


def _settings(folder: Path) -> dict[str, Any]:
    """Settings that `convergent train` or another program wrote; empty if there are none."""
    from ..networks.training_files import SETTINGS, read_settings  # help texts need no torch

    file = folder / SETTINGS
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else {}
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return read_settings(folder) if "training" in found else found
