"""Train small networks, keeping weights from along the way."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..base.devices import torch_device
from ..base.errors import InputError, check_numbers, unknown
from ..base.files import write_whole
from ..base.progress import track
from ..data.stimuli import Stimuli
from .batch_statistics import new_batch_statistics
from .small import SMALL, SmallNetwork, as_input
from .training_files import COLUMNS, LOG, STATE, Plan, check_same, save_state, write_settings
from .training_images import Labelled, _Numbered, _numbered, _source

__all__ = [
    "BATCH_SIZE",
    "CALIBRATION_IMAGES",
    "HELD_OUT_SEED",
    "LEAST_CLASSES",
    "N_HELD_OUT",
    "N_IMAGES",
    "WARM_UP",
    "WEIGHT_DECAY",
    "train",
]

BATCH_SIZE = 32
N_IMAGES, N_HELD_OUT = 8_000, 1_600  # drawings that are learned from, and that are not
HELD_OUT_SEED = 1
LEAST_CLASSES = 2
CALIBRATION_IMAGES = 512  # shown to set batch statistics
WEIGHT_DECAY = 0.02
WARM_UP = 0.02  # share of all steps in which the learning rate rises


def train(
    name: str,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int = 12,
    images: Stimuli | int = N_IMAGES,
    held_out: Stimuli | int = N_HELD_OUT,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = 0.004,
    early: int = 8,
    device: str = "cpu",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Train a small network to tell categories apart, and keep its weights from along the way.

    AdamW with weight decay 0.02 on the cross-entropy; the learning rate rises over the first 2% of
    the steps, and falls to 0 as half a cosine. Interrupted and called again with the same
    arguments, it goes on from the last checkpoint and ends with the same weights, bit by bit (on
    the same machine, with as many threads); a finished training is not done again.

    Weights are kept at the start, `early` times within the first epoch, evenly on a logarithmic
    scale from its first step on, since most happens early, and after each epoch. What batch
    normalisation divides by is set anew for each checkpoint, with the weights as they are, on 512
    of the training images: running averages would still hold those of weights from steps before,
    or at the start of none at all. Training itself does not use it.

    Parameters
    ----------
    name : str
        ``"small-plain"`` or ``"small-residual"``.
    folder : path
        For what is written: ``epoch-00.000.pt`` (a ``state_dict``, for `network`), ..., by epochs
        since the start, which `checkpoints` finds; ``log.csv``; ``settings.json``; and until it is
        finished ``state.pt``, from which it would go on.
    seed : int
        Draws the initial weights, which are those of ``network(name, pretrained=False,
        seed=seed)``, and the order of the images.
    epochs : int
        How often each image is shown.
    images : Stimuli or int
        What is learned from, with a column ``category`` in its table; or how many `drawings`, which
        are the same for all seeds.
    held_out : Stimuli or int
        What accuracy is measured on, of the same categories.
    batch_size : int
        Images in a step; those left over at the end of an epoch are not shown.
    learning_rate : float
        The greatest.
    early : int
        Checkpoints within the first epoch; fewer where it has fewer steps.
    device : str
        Where torch computes, such as ``"cuda"``.
    progress : bool, optional
        Whether to draw a bar on stderr; where left out, only on a terminal.

    Returns
    -------
    pandas.DataFrame
        The log, one row a checkpoint: ``epoch``, ``step``, ``images_seen``, ``loss`` (mean over the
        steps since the row before; in the first row before any step), ``accuracy`` (share of the
        held-out images).

    Raises
    ------
    InputError
        Where there is no such network, the folder holds a training with other settings, images have
        no category or held-out ones another, or a number is out of its range.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710 (convergence over training); Loshchilov and
    Hutter 2019, ICLR (AdamW); Wu and Johnson 2021, arXiv 2105.07576 (batch statistics set anew).
    """
    if name not in SMALL:
        raise unknown("network that can be trained", name, SMALL)
    check_numbers(seed=seed, epochs=epochs, batch_size=batch_size, early=early)
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate={learning_rate}: give a number above 0, such as 0.004.")
    place, run = torch_device(device), Path(folder)
    learned, load = _source(images, 0)
    tested, load_tested = _source(held_out, HELD_OUT_SEED)
    if learned["n"] < batch_size:
        raise InputError(
            f"{learned['n']} images are fewer than a batch of {batch_size}: give more, or a lesser "
            "batch_size."
        )
    settings = {
        "network": name,
        "seed": int(seed),
        "epochs": int(epochs),
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "weight_decay": WEIGHT_DECAY,
        "early": int(early),
        "device": place.type,  # another computes with another rounding
        "images": learned,
        "held_out": tested,
    }
    check_same(run, settings)
    plan = Plan.of(settings)
    if not plan.finished(run):
        _train(run, settings, plan, load(), load_tested(), place, progress)
    return pd.read_csv(run / LOG, dtype=str).astype(COLUMNS)  # as exact as it was written


class _Training:
    """A network in training, and its log: all that a step changes.

    Parameters
    ----------
    run : Path
        Its folder.
    settings : dict
        Of the training.
    plan : Plan
        When weights are kept.
    classes : int
        Their number.
    place : torch.device
        Where torch computes.
    """

    def __init__(
        self,
        run: Path,
        settings: Mapping[str, Any],
        plan: Plan,
        classes: int,
        place: torch.device,
    ) -> None:
        self.run, self.plan, self.settings = run, plan, settings
        module = _initial(settings["network"], settings["seed"], classes)
        self.module = module.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), settings["learning_rate"], weight_decay=WEIGHT_DECAY
        )
        self.step = 0
        self.log: list[tuple[float, ...]] = []
        self.losses: list[float] = []  # of the steps since the last checkpoint

    def go_back(self) -> None:
        """To where an interrupted training was at its last checkpoint, if there was one."""
        file = self.run / STATE
        if not file.is_file():
            return
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            if not self.plan.whole(self.run, state["step"]):
                return  # some were removed: they are made anew, from the start
            self.module.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.log = state["step"], state["log"]
        except Exception as error:  # each kind of damage raises what it likes
            raise InputError(
                f"{file} is damaged ({type(error).__name__}), so that the training cannot go on "
                "from it: remove this file, and it begins anew."
            ) from error

    def learn(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Take a step."""
        last = self.plan.steps[-1]
        rate = min(1.0, (self.step + 1) / (WARM_UP * last))
        rate *= 0.5 + 0.5 * math.cos(math.pi * self.step / last)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings["learning_rate"] * rate
        self.module.train()
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.module(as_input(images)), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(float(loss.detach()))
        self.step += 1

    def keep(self, some: _Numbered, held_out: _Numbered) -> None:
        """Write weights, log, and what is needed to go on from here."""
        loss = _set_batch_statistics(self.module, *some)
        seen = self.step * self.settings["batch_size"]
        row = (float(self.plan.epoch(self.step)), self.step, seen)
        loss = float(np.mean(self.losses)) if self.losses else loss
        self.log.append((*row, loss, _share_right(self.module, *held_out)))
        self.losses = []
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.module.state_dict().items()
        }
        save_state(weights, self.plan.file(self.run, self.step))
        table = pd.DataFrame(self.log, columns=list(COLUMNS))
        write_whole(self.run / LOG, lambda file: table.to_csv(file, index=False))
        state = {"step": self.step, "log": self.log, "weights": weights}
        save_state(state | {"optimizer": self.optimizer.state_dict()}, self.run / STATE)


def _train(
    run: Path,
    settings: Mapping[str, Any],
    plan: Plan,
    images: Labelled,
    held_out: Labelled,
    place: torch.device,
    progress: bool | None,
) -> None:
    """Begin or go on, to the end."""
    classes = images.classes
    if len(classes) < LEAST_CLASSES:
        raise InputError(
            f"all images are of one category, {classes[0]!r}: a classifier learns to tell two or "
            "more apart."
        )
    shown, tested = (_numbered(part, classes, place) for part in (images, held_out))
    write_settings(run, settings, classes)
    # the same for all seeds
    some = np.random.default_rng(0).permutation(settings["images"]["n"])[:CALIBRATION_IMAGES]
    chosen = shown[0][some], shown[1][some]
    training = _Training(run, settings, plan, len(classes), place)
    training.go_back()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        if not training.log:
            training.keep(chosen, tested)
        total = plan.steps[-1] - training.step
        what = f"{settings['network']}, seed {settings['seed']}"
        for batch in track(_batches(settings, plan, training.step), what, total, progress):
            training.learn(shown[0][batch], shown[1][batch])
            if training.step in plan.steps:
                training.keep(chosen, tested)
    (run / STATE).unlink()


def _batches(settings: Mapping[str, Any], plan: Plan, start: int) -> Iterator[torch.Tensor]:
    """Positions of the images of each step from one on; the order of an epoch is its own."""
    size, n = settings["batch_size"], settings["images"]["n"]
    for epoch in range(start // plan.per_epoch, settings["epochs"]):
        order = torch.from_numpy(np.random.default_rng([settings["seed"], epoch]).permutation(n))
        for step in range(max(start - epoch * plan.per_epoch, 0), plan.per_epoch):
            yield order[step * size : (step + 1) * size]


def _initial(name: str, seed: int, classes: int) -> SmallNetwork:
    """As `network` draws it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return SmallNetwork(name, classes)


def _set_batch_statistics(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    """Means and variances of all layers over some images, as these weights give them; the loss."""
    with new_batch_statistics(module), torch.no_grad():
        losses = [
            float(nn.functional.cross_entropy(module(as_input(part)), right, reduction="sum"))
            for part, right in _parts(images, labels, size)
        ]
    return sum(losses) / len(images)


def _share_right(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int = 128
) -> float:
    module.eval()
    with torch.no_grad():
        right = [
            int((module(as_input(part)).argmax(1) == true).sum())
            for part, true in _parts(images, labels, size)
        ]
    return sum(right) / len(images)


def _parts(images: torch.Tensor, labels: torch.Tensor, size: int) -> Iterator[_Numbered]:
    for start in range(0, len(images), size):
        yield images[start : start + size], labels[start : start + size]
