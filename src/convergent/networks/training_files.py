"""Files of a training: its settings, its state and its log; damage of each is noticed."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ..base.errors import InputError, examples
from ..base.files import write_whole
from ..base.reading import check_readable, not_readable
from ..base.zip_archives import check_zip

__all__ = [
    "COLUMNS",
    "LOG",
    "SETTINGS",
    "STATE",
    "Plan",
    "check_checkpoints",
    "check_same",
    "finish",
    "read_log",
    "read_settings",
    "save_state",
    "write_settings",
]

COLUMNS = {"epoch": float, "step": int, "images_seen": int, "loss": float, "accuracy": float}
LOG, SETTINGS, STATE = "log.csv", "settings.json", "state.pt"
_HASH, _HASH_OF_LOG = "sha256", "log_sha256"  # in the settings: of the other settings; of the log
_KEYS = {"training", "classes", "versions"}  # others than the hashes


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
    try:
        absent = not (run / SETTINGS).is_file()
        held = sorted(path.name for path in run.iterdir()) if absent and run.is_dir() else []
    except OSError as error:
        raise not_readable(run, error, "folder") from error
    if absent:
        held = [name for name in held if not name.startswith(".")]  # left by an interruption
        if held or (run.exists() and not run.is_dir()):
            raise InputError(
                f"{run} is not a training (it holds {examples(held)}, no {SETTINGS}), and is left "
                "as it is: give another folder."
            )
        return
    found = read_settings(run)["training"]
    other = [
        f"{key} is {found.get(key)} there, asked for {value}"
        for key, value in settings.items()
        if found.get(key) != value
    ]
    if other:
        raise InputError(
            f"{run} holds a training with other settings ({'; '.join(other)}), and is left as it "
            "is: give another folder, or remove this one."
        )


def read_settings(run: Path) -> dict[str, Any]:
    """Read what `write_settings` wrote.

    Parameters
    ----------
    run : Path
        Folder of the training.

    Returns
    -------
    dict
        ``training``, ``classes`` and ``versions``; of a finished training ``log_sha256``.

    Raises
    ------
    InputError
        If the file cannot be read, or its content is not that which was written.
    """
    file = check_readable(run / SETTINGS)
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        content = {key: value for key, value in found.items() if key != _HASH}
        written = found[_HASH] if content.keys() != _KEYS else found.get(_HASH)  # older: none
        if written is not None and written != _sha256(content):
            raise ValueError("its SHA-256 is another than the one that it holds")
        for key, kind in (("training", dict), ("classes", list), ("versions", dict)):
            if not isinstance(content[key], kind):
                raise TypeError(f"{key} is no {kind.__name__}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{file} is damaged ({error}), so that it is not known what {run} holds: copy it "
            "again, give another folder, or remove this one."
        ) from error
    return content


def read_log(run: Path) -> pd.DataFrame:
    """Read the log of a training; that of a finished one is compared with its hash.

    Parameters
    ----------
    run : Path
        Folder of the training.

    Returns
    -------
    pandas.DataFrame
        One row per checkpoint.

    Raises
    ------
    InputError
        If the log or the settings cannot be read or are damaged.
    """
    file = check_readable(run / LOG)
    expected = read_settings(run).get(_HASH_OF_LOG)
    content = file.read_bytes()
    if expected is None or hashlib.sha256(content).hexdigest() == expected:
        try:  # float() is more exact than pandas
            table = pd.read_csv(io.BytesIO(content), dtype=str).astype(COLUMNS)
            return table[list(COLUMNS)]
        except (ValueError, KeyError):
            pass
    raise InputError(
        f"{file} is damaged or was changed after the training: copy it again, or remove it, and "
        "the training is done again from its start."
    )


def check_checkpoints(run: Path, plan: Plan, until: int) -> None:
    """Refuse a training of which a checkpoint is damaged.

    Parameters
    ----------
    run : Path
        Folder of the training.
    plan : Plan
        Its plan.
    until : int
        Last step whose checkpoint is compared with its checksums.

    Raises
    ------
    InputError
        If a checkpoint cannot be read or is damaged.
    """
    for file in (plan.file(run, step) for step in plan.steps if step <= until):
        with check_readable(file, "checkpoint").open("rb") as content:
            try:
                check_zip(file, content)
            except InputError as error:
                raise InputError(
                    f"{error} If it is removed, the training is done again from its start."
                ) from error


def write_settings(
    run: Path, settings: Mapping[str, Any], classes: Sequence[str], **hashes: str
) -> None:
    """Write the settings of a training, its classes and the versions of libraries."""
    versions = {"convergent": version("convergent"), "torch": torch.__version__}
    content: dict[str, Any] = {"training": settings, "classes": list(classes)}
    content |= {"versions": versions, **hashes}
    text = json.dumps(content | {_HASH: _sha256(content)}, indent=2)
    write_whole(run / SETTINGS, lambda file: file.write_text(text, encoding="utf-8"))


def finish(run: Path, settings: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Add the hash of the log to the settings, and remove the state: the training is finished."""
    log = hashlib.sha256((run / LOG).read_bytes()).hexdigest()
    write_settings(run, settings, classes, **{_HASH_OF_LOG: log})
    (run / STATE).unlink()


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def save_state(content: Any, file: Path) -> None:
    """Save tensors with torch, completely or not at all."""
    written = io.BytesIO()  # torch does not say why a file cannot be written
    torch.save(content, written)
    write_whole(file, lambda part: part.write_bytes(written.getbuffer()))
