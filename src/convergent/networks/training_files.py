"""Files of a training: its settings, its state and its log."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..base.errors import InputError, examples
from ..base.files import write_whole

__all__ = [
    "COLUMNS",
    "LOG",
    "SETTINGS",
    "STATE",
    "Plan",
    "check_same",
    "save_state",
    "write_settings",
]

COLUMNS = {"epoch": float, "step": int, "images_seen": int, "loss": float, "accuracy": float}
LOG, SETTINGS, STATE = "log.csv", "settings.json", "state.pt"


@dataclass(frozen=True)
class Plan:
    """Steps after which weights are saved.

    Attributes
    ----------
    per_epoch : int
        Number of steps in an epoch.
    steps : tuple of int
        From 0 to the last step of the training.
    """

    per_epoch: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Plan:
        """Plan that follows from the settings of a training."""
        per_epoch, early = settings["images"]["n"] // settings["batch_size"], settings["early"]
        within = {round(per_epoch ** (k / early)) for k in range(early)}
        ends = {per_epoch * epoch for epoch in range(settings["epochs"] + 1)}
        return cls(per_epoch, tuple(sorted(within | ends)))

    def epoch(self, step: int) -> str:
        """Epochs since the start, with enough decimals to distinguish steps."""
        decimals = max(3, math.ceil(math.log10(self.per_epoch)))
        return f"{step / self.per_epoch:0{decimals + 3}.{decimals}f}"

    def file(self, run: Path, step: int) -> Path:
        """Path of the checkpoint of a step."""
        return run / f"epoch-{self.epoch(step)}.pt"

    def complete(self, run: Path, until: int) -> bool:
        """Whether all checkpoints up to a step exist."""
        return all(self.file(run, step).is_file() for step in self.steps if step <= until)

    def finished(self, run: Path) -> bool:
        """Whether all files of a training exist."""
        # the state is removed last
        done = (run / LOG).is_file() and not (run / STATE).exists()
        return done and self.complete(run, self.steps[-1])


def check_same(run: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else than this training, before anything is written.

    Parameters
    ----------
    run : Path
        The folder.
    settings : mapping
        Settings of the training.

    Raises
    ------
    InputError
        If the folder holds other files, or a training with other settings.
    """
    file = run / SETTINGS
    if not file.is_file():
        held = sorted(path.name for path in run.iterdir()) if run.is_dir() else []
        held = [name for name in held if not name.startswith(".")]  # left by an interruption
        if held or (run.exists() and not run.is_dir()):
            raise InputError(
                f"{run} is not a training (it holds {examples(held)}, no {SETTINGS}), and is left "
                "as it is: give another folder."
            )
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["training"]
        other = [
            f"{key} is {found.get(key)} there, asked for {value}"
            for key, value in settings.items()
            if found.get(key) != value
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged ({error}), so that it is not known what {run} holds: give another "
            "folder, or remove this one."
        ) from error
    if other:
        raise InputError(
            f"{run} holds a training with other settings ({'; '.join(other)}), and is left as it "
            "is: give another folder, or remove this one."
        )


def write_settings(run: Path, settings: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Write the settings of a training, its classes and the versions of libraries."""
    versions = {"convergent": version("convergent"), "torch": torch.__version__}
    content = {"training": settings, "classes": list(classes), "versions": versions}
    text = json.dumps(content, indent=2)
    write_whole(run / SETTINGS, lambda file: file.write_text(text, encoding="utf-8"))


def save_state(content: Any, file: Path) -> None:
    """Save tensors with torch, completely or not at all."""
    written = io.BytesIO()  # torch does not say why a file cannot be written
    torch.save(content, written)
    write_whole(file, lambda part: part.write_bytes(written.getbuffer()))
